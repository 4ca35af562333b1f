# SPDX-License-Identifier: MIT
from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from supervisor_proc.errors import ServiceError
from supervisor_proc.instance import AlreadyRunningError, lock_instance
from tests.running import environment

_HOLDER = """
import sys
from supervisor_proc.instance import lock_instance
lock_instance("locktest")
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def _runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))


@pytest.mark.usefixtures("_runtime")
def test_an_instance_runs_once_and_its_lock_dies_with_it() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(AlreadyRunningError, match=f"running already, as pid {holder.pid}; stop that"):
            lock_instance("locktest")
        holder.kill()
    os.close(lock_instance("locktest"))


@pytest.mark.process
def test_its_folder_is_not_cleaned_while_it_runs(tmp_path: Path) -> None:
    """Debian 13 removes what lay in /tmp for ten days; a second start took a new lock then."""
    clean = shutil.which("systemd-tmpfiles")
    assert clean, "sudo apt install systemd"
    folder, rule = tmp_path / "tmp/ringcast-0", tmp_path / "tmp.conf"
    folder.mkdir(parents=True)
    rule.write_text(f"e {tmp_path}/tmp - - - 1s\n")
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env=environment(RUNTIME_DIRECTORY=str(folder)),
    )  # fmt: skip
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        lock = folder / "ringcast-locktest.lock"
        time.sleep(1.1)  # it must be older than the rule's second, by all of its times
        subprocess.run([clean, "--clean", str(rule)], check=True)
        assert lock.exists()
        holder.kill()
    subprocess.run([clean, "--clean", str(rule)], check=True)
    assert not lock.exists(), "or the rule cleans nothing"


@pytest.mark.usefixtures("_runtime")
def test_a_lock_file_that_cannot_be_opened_is_told(tmp_path: Path) -> None:
    """Root started it once, or somebody put a link in its place."""
    (tmp_path / "ringcast-linked.lock").symlink_to("/etc/passwd")
    with pytest.raises(ServiceError, match=r"cannot open the lock .*linked.lock: .*; remove it"):
        lock_instance("linked")


def test_a_user_s_locks_are_in_one_place_whatever_session_a_start_comes_from() -> None:
    """With one in the session's directory, a start by cron or su would not see the other."""
    told = "import os; from supervisor_proc.instance import runtime_directory\n"
    if os.getuid() == 0:
        told += "os.setgid(65534); os.setuid(65534)\n"
    told += "print(runtime_directory())"
    places = {
        subprocess.run(
            [sys.executable, "-c", told], env=environment(XDG_RUNTIME_DIR=session, PYTHONPATH="."),
            capture_output=True, text=True, check=True,
        ).stdout
        for session in ("/run/user/65534", "")
    }  # fmt: skip
    assert len(places) == 1


def test_a_directory_of_somebody_else_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("os.getuid", lambda: 4711)
    (tmp_path / "ringcast-4711").symlink_to("/")
    with pytest.raises(ServiceError, match="is not a directory of this user; remove it"):
        lock_instance("own")
