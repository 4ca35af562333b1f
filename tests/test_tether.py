# SPDX-License-Identifier: MIT
"""A child dies with its supervisor; it must be real processes to be true."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from proc_start.tether import SUPERVISOR_PID
from tests.conditions import eventually

pytestmark = pytest.mark.process

_CHILD = """
import time
from proc_start.tether import tie_to_supervisor
tie_to_supervisor([{inherited}])
print("tied", flush=True)
time.sleep(60)
"""
_PARENT = """
import os, subprocess, sys, time
child = subprocess.Popen(
    [sys.executable, "-c", sys.argv[1]], env=dict(os.environ, {variable}=str(os.getpid())),
    start_new_session=True, stdout=subprocess.PIPE, text=True)
print(child.stdout.readline().strip(), child.pid, flush=True)
time.sleep(60)
"""


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_child_dies_with_its_supervisor() -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", _PARENT.format(variable=SUPERVISOR_PID), _CHILD.format(inherited="")],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    word, child = parent.stdout.readline().split()
    assert word == "tied"
    assert alive(int(child))
    parent.kill()
    parent.wait(10)
    eventually(lambda: not alive(int(child)), what="the death of the child")


def test_a_child_whose_supervisor_died_before_it_was_tied_ends() -> None:
    environment = dict(os.environ, **{SUPERVISOR_PID: "1"})
    ended = subprocess.run(
        [sys.executable, "-c", _CHILD.format(inherited="")],
        env=environment,
        stdout=subprocess.PIPE,
        timeout=30,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (1, b"")


def test_an_abort_prints_the_stacks() -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", _CHILD.format(inherited="")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stderr is not None
    assert child.stdout.readline() == "tied\n"
    child.send_signal(signal.SIGUSR1)
    assert "most recent call first" in child.stderr.readline()
    child.kill()
    child.communicate(timeout=10)


def test_descriptors_are_not_passed_on_any_more() -> None:
    program = (
        "import os, sys; from proc_start.tether import tie_to_supervisor\n"
        "fd = int(sys.argv[1]); before = os.get_inheritable(fd)\n"
        "tie_to_supervisor([fd]); print(before, os.get_inheritable(fd))"
    )
    to_read, to_write = os.pipe()
    told = subprocess.run(
        [sys.executable, "-c", program, str(to_write)],
        pass_fds=[to_write], stdout=subprocess.PIPE, text=True, timeout=30, check=True,
    ).stdout  # fmt: skip
    os.close(to_read)
    os.close(to_write)
    assert told == "True False\n"
