# SPDX-License-Identifier: MIT
"""Faults on purpose on a service that runs, by the command of docs/drills.md."""

from __future__ import annotations

import os
import re
import signal

import pytest

from proc_start.drills import FAULTS
from tests.conditions import eventually
from tests.drilling import drill
from tests.running import CHECKOUT, Ringcast, processes_of

pytestmark = pytest.mark.process


def test_every_fault_is_told_in_the_docs() -> None:
    docs = (CHECKOUT / "docs" / "drills.md").read_text()
    told = set(re.findall(r"^\| `([a-z0-9-]+)` \|", docs, flags=re.MULTILINE))
    assert told == {fault for fault in FAULTS if not fault.endswith("@1")}


def test_it_says_that_it_is_a_drill_and_is_over_when_it_is_ended() -> None:
    with Ringcast("--camera=pattern") as service:
        service.ready()
        assert drill(service, "camera-crash@1").stdout.startswith("drill: camera-crash@1 is ordered")
        eventually(lambda: service.log.count("drill: crash begins after 0 pictures") > 2)
        assert "drill: camera-crash@1, by the process with pid" in service.log
        assert "killed by SIGSEGV" in service.log
        assert drill(service, "end").returncode == os.EX_OK
        eventually(lambda: "drill: ended" in service.log)
        service.ready()


def test_an_order_waits_until_its_process_runs() -> None:
    """`/status` may call the picture live a moment before the supervisor has seen its first frame."""
    slow = ("--camera=tests.silent_camera:SilentCamera", "--first-frame-timeout-s=60")
    with Ringcast(*slow) as service:
        eventually(lambda: "server is ready" in service.log)
        assert drill(service, "capture-kill").returncode == os.EX_OK
        eventually(lambda: "drill: capture-kill waits until the capture process runs" in service.log)
        assert drill(service, "server-kill").returncode == os.EX_OK
        eventually(lambda: "drill: server-kill, by the process with pid" in service.log)
        assert service.log.count("waits until") == 1
    with Ringcast("--camera=pattern") as service:
        eventually(lambda: "watch at" in service.log)
        assert drill(service, "camera-crash").returncode == os.EX_OK
        eventually(lambda: "capture ended: killed by SIGSEGV" in service.log)


def test_the_supervisor_needs_no_camera_to_fail() -> None:
    slow = ("--camera=tests.silent_camera:SilentCamera", "--first-frame-timeout-s=60")
    with Ringcast(*slow) as service:
        eventually(lambda: "server is ready" in service.log)
        assert drill(service, "supervisor-kill").returncode == os.EX_OK
        assert service.wait() == -signal.SIGKILL
        eventually(lambda: not processes_of(service))


def test_without_an_order_the_signal_only_says_what_it_is_for() -> None:
    with Ringcast("--camera=pattern") as service:
        before = service.ready()
        service.process.send_signal(12)
        eventually(lambda: "SIGUSR2 is for drills: python -m supervisor_proc.drill" in service.log)
        os.kill(before["server"]["pid"], 12)
        os.kill(before["supervisor"]["capture"]["pid"], 12)
        eventually(lambda: service.status()["frame"]["sequence"] > before["frame"]["sequence"] + 10)
        assert service.capture_pid() == before["supervisor"]["capture"]["pid"]


def test_a_service_that_does_not_run_is_told() -> None:
    tried = drill("nobody", "camera-hang")
    assert tried.returncode == os.EX_UNAVAILABLE
    assert tried.stderr.startswith("no service runs as instance 'nobody' of this user; start it")


def test_a_fault_that_there_is_not_is_told_with_those_that_there_are() -> None:
    tried = drill("main", "camera-burns")
    assert tried.returncode == 2
    assert "invalid choice: 'camera-burns' (choose from 'camera-hang'" in tried.stderr
