# SPDX-License-Identifier: MIT
"""A child is a real process; here it is a script that misbehaves as told."""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from supervisor_proc.child import Child, Watch
from supervisor_proc.process import Program
from supervisor_proc.restart_policy import Limits, State, Timing
from tests.conditions import eventually
from tests.running import alive

pytestmark = pytest.mark.process

_PACKAGE = """
import faulthandler, os, signal, sys, time
from proc_start.tether import tie_to_supervisor
tie_to_supervisor([])
how, beat = sys.argv[1], sys.argv[2]
if how == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if how == "helped":
    import subprocess
    helper = subprocess.Popen(["sleep", "60"])
    open(beat + ".helper", "w").write(str(helper.pid))
if how == "hangs":
    time.sleep(60)
if how == "exits":
    sys.exit(75)
open(beat, "a").write("x")
if how == "works":
    for _ in range(15):
        time.sleep(0.1)
        open(beat, "a").write("x")
    sys.exit(75)
time.sleep(60)
"""


class Ward:
    """A child under test and the time that it is told."""

    def __init__(
        self,
        folder: Path,
        how: str,
        limits: Limits,
        *,
        program: str = sys.executable,
        done_after: Callable[[int], bool] = lambda _: False,
        trouble: str = "",
    ) -> None:
        beat = folder / "beat"
        beat.touch()
        self.child = Child(
            "misbehaving",
            Program([program, "-m", "misbehaving_proc", how, str(beat)]),
            watch=Watch(lambda: beat.stat().st_size, "beats", limits),
            now_s=time.monotonic(),
            done_after=done_after,
            trouble=lambda now_s: trouble,
        )

    def until(self, *states: State, within_s: float = 15.0) -> None:
        deadline = time.monotonic() + within_s
        while self.child.policy.state not in states:
            assert time.monotonic() < deadline, f"{self.child.policy.state} and not {states}"
            self.child.tick(time.monotonic())
            ended = self.child.fileno()
            select.select([] if ended is None else [ended], [], [], 0.02)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    package = tmp_path / "misbehaving_proc"
    package.mkdir()
    (package / "__main__.py").write_text(_PACKAGE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path


def test_a_child_is_ready_at_its_first_progress(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    ward = Ward(folder, "well", Limits(10, 60))
    ward.until(State.RUNNING)
    assert f"misbehaving is ready (pid {ward.child.pid})" in caplog.text
    assert ward.child.status.restarts == {}
    ward.child.stop(time.monotonic())
    ward.until(State.DONE)
    assert ward.child.exit_code == -signal.SIGTERM
    assert "misbehaving has stopped: killed by SIGTERM" in caplog.text


def test_why_a_child_ended_is_told_and_counted(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    ward = Ward(folder, "exits", Limits(10, 60))
    ward.until(State.STARTING)
    ward.until(State.BACKOFF)
    assert ward.child.last_reason == "stalled (exit 75)"
    assert (ward.child.status.next_start_ns or 0) > time.monotonic_ns() - 10**9
    ward.until(State.STARTING)
    ward.until(State.BACKOFF)
    assert ward.child.restarts == {"stalled (exit 75)": 2}
    assert "misbehaving ended: stalled (exit 75); next start in 0.25 s" in caplog.text


def test_after_a_life_that_pays_the_next_process_is_started_at_once(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ward = Ward(folder, "works", Limits(10, 60))
    ward.until(State.RUNNING)
    ward.until(State.STARTING)
    assert ward.child.status.restarts == {"stalled (exit 75)": 1}
    assert "misbehaving ended: stalled (exit 75); next start at once" in caplog.text
    ward.child.stop(time.monotonic())
    ward.until(State.DONE)


def test_a_child_that_can_never_work_is_done(folder: Path) -> None:
    """A wrong option would only be reported again and again."""
    ward = Ward(folder, "exits", Limits(10, 60), done_after=lambda exit_code: exit_code == 75)
    ward.until(State.DONE)
    assert ward.child.restarts == {}


def test_a_killed_child_is_started_again(folder: Path) -> None:
    ward = Ward(folder, "well", Limits(10, 60))
    ward.until(State.RUNNING)
    first = ward.child.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    ward.until(State.BACKOFF)
    assert ward.child.last_reason == "killed by SIGKILL"
    ward.until(State.RUNNING)
    assert ward.child.pid != first
    ward.child.stop(time.monotonic())
    ward.until(State.DONE)


def test_a_hung_child_prints_its_stacks_and_is_started_again(
    folder: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    ward = Ward(folder, "well", Limits(10, 0.3), trouble="under-voltage 3 s before")
    ward.until(State.RUNNING)
    ward.until(State.ABORTING)
    ward.until(State.BACKOFF)
    assert "if it can print them; under-voltage 3 s before" in caplog.text
    assert ward.child.last_reason == "hung: no progress for 0.3 s"
    assert "most recent call first" in capfd.readouterr().err
    assert "its stacks follow" in caplog.text


def test_one_that_hangs_at_its_start_prints_its_stacks_too(
    folder: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    ward = Ward(folder, "hangs", Limits(3.0, 60))
    ward.until(State.STARTING)
    ward.until(State.ABORTING)
    ward.until(State.BACKOFF)
    assert ward.child.last_reason == "hung: no progress for 3 s"
    assert "most recent call first" in capfd.readouterr().err


def test_a_child_that_ignores_sigterm_is_killed(folder: Path) -> None:
    ward = Ward(folder, "deaf", Limits(10, 60))
    ward.until(State.RUNNING)
    ward.child.stop(time.monotonic())
    ward.until(State.DONE)
    assert ward.child.exit_code == -signal.SIGKILL


def test_a_planned_restart_goes_through_sigterm(folder: Path) -> None:
    ward = Ward(folder, "well", Limits(10, 60))
    ward.until(State.RUNNING)
    ward.child.restart(time.monotonic())
    ward.until(State.BACKOFF)
    assert ward.child.last_reason == "restart asked for"
    assert ward.child.policy.deadline_s - time.monotonic() <= Timing().backoff_s, "it is no failure"
    ward.until(State.RUNNING)
    ward.child.stop(time.monotonic())
    ward.until(State.DONE)


def test_a_real_time_signal_has_a_number_and_no_name(folder: Path) -> None:
    ward = Ward(folder, "well", Limits(10, 60))
    ward.until(State.RUNNING)
    assert ward.child.pid is not None
    os.kill(ward.child.pid, 35)
    ward.until(State.BACKOFF)
    assert ward.child.last_reason == "killed by signal 35"


def test_helpers_that_a_child_left_end_with_it(folder: Path) -> None:
    """One that holds the camera would make every further start fail."""
    ward = Ward(folder, "helped", Limits(10, 60))
    ward.until(State.RUNNING)
    helper = int((folder / "beat.helper").read_text())
    assert alive(helper)
    assert ward.child.pid is not None
    os.kill(ward.child.pid, signal.SIGKILL)
    ward.until(State.BACKOFF)
    eventually(lambda: not alive(helper), what="the end of the helper")


def test_a_child_that_cannot_be_started_is_tried_again(folder: Path) -> None:
    """A machine without memory for a moment must not end the service."""
    ward = Ward(folder, "well", Limits(10, 60), program=str(folder / "no-such-python"))
    ward.until(State.STARTING, State.BACKOFF)
    ward.child.tick(time.monotonic() + 1)
    assert ward.child.last_reason == "cannot be started: No such file or directory"
    assert ward.child.policy.state is State.BACKOFF


def test_work_done_right_before_the_end_is_no_recovery(folder: Path) -> None:
    """It would be counted as one of 0.1 s, and the real one would be missed."""
    ward = Ward(folder, "well", Limits(10, 60))
    ward.until(State.RUNNING)
    frames, pid, killed = (folder / "beat").stat().st_size, ward.child.pid, False
    assert pid is not None

    def frames_so_far() -> int:
        nonlocal frames, killed
        before = frames
        if not killed:  # after this look, and before the next
            killed, frames = True, frames + 1
            os.kill(pid, signal.SIGKILL)
            eventually(lambda: not alive(pid))
        return before

    ward.child.tick(time.monotonic())
    ward.child.watch = Watch(frames_so_far, "frames", Limits(10, 60))
    for _ in range(5):
        ward.child.tick(time.monotonic())
    assert ward.child.restarts == {"killed by SIGKILL": 1}
    assert ward.child.status.last_recovery_s is None
    ward.child.stop(time.monotonic())
    ward.until(State.DONE)


@pytest.mark.parametrize("ask", [Child.stop, Child.restart])
def test_one_that_has_just_ended_can_be_stopped(folder: Path, ask: Callable[[Child, float], None]) -> None:
    """Where all processes of a service get a signal at once, it may have ended before it is asked to."""
    ward = Ward(folder, "well", Limits(10, 60))
    ward.until(State.RUNNING)
    pid = ward.child.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: not alive(pid))
    ask(ward.child, time.monotonic())
    ward.until(State.DONE, State.BACKOFF)
    ward.child.stop(time.monotonic())
