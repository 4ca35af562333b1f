# SPDX-License-Identifier: MIT
"""Every fault of docs/drills.md, and when a viewer that watches through it has a new frame again.

`make bench-recovery` measures the same ten times.
"""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path

import pytest
import simplejpeg

from tests.conditions import eventually
from tests.drilling import drill
from tests.fault_table import (
    FLAPPING_WITHIN_S,
    OPENING_WITHIN_S,
    PRINT_STACKS,
    ROWS,
    STALE_S,
    STALL_S,
    Row,
    recover,
    recover_again_and_again,
    recover_from_hang_while_opening,
)
from tests.hanging_open_camera import HANGS, HangingOpenCamera
from tests.mjpeg import Audience
from tests.reading import read_in
from tests.running import Ringcast

pytestmark = pytest.mark.process

_ONCE_A_SECOND_S = 1.7
"""The longest time between two placeholders."""


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.fault)
def test_a_viewer_has_a_new_frame_again(row: Row, capsys: pytest.CaptureFixture[str]) -> None:
    with Ringcast("--camera=pattern") as service:
        before = service.ready()
        recovery = recover(service, row)
        with capsys.disabled():
            print(f"\n{row.fault}: {recovery.took_s:.2f} s of at most {row.within_s:g} s ", end="")
        assert recovery.took_s < row.within_s
        assert recovery.refused == 0
        if row.child == "capture":
            assert recovery.connections == 1
            assert recovery.longest_silence_s < _ONCE_A_SECOND_S
        if row.child == "capture" and row.within_s > STALL_S and not row.frames_flow_on:
            assert recovery.placeholder_after_s is not None
            assert STALE_S <= recovery.placeholder_after_s < STALE_S + 0.5
        if row.fault in PRINT_STACKS:
            assert re.search(r'File ".+", line \d+ in ', service.log), "its stacks"
        told = service.ready()["supervisor"]
        child, other = (
            told[name]
            for name in (("capture", "server") if row.child == "capture" else ("server", "capture"))
        )
        assert child["restarts"] == {row.reason: 1}
        assert child["pid"] != before["supervisor"][row.child]["pid"]
        assert other["restarts"] == {}


def test_a_camera_that_crashes_again_and_again_is_not_punished_for_it() -> None:
    """A loose cable on a moving car: the waits grew to half a minute. `make bench-recovery` makes twelve."""
    with Ringcast("--camera=pattern") as service:
        service.ready()
        worst = recover_again_and_again(service, crashes=4, every_s=1.5)
        assert worst.took_s < 3 * FLAPPING_WITHIN_S, "a start on a busy machine, and no wait"
        assert service.log.count("killed by SIGSEGV; next start at once") == 4


def test_a_camera_that_hangs_while_it_is_opened_is_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """libcamera does so after an unclean end of the process before, and no stall limit runs there."""
    monkeypatch.setenv(HANGS, str(tmp_path))
    with Ringcast(f"--camera={HangingOpenCamera.__module__}:{HangingOpenCamera.__name__}") as service:
        service.ready()
        recovery = recover_from_hang_while_opening(service, tmp_path)
        assert recovery.took_s < OPENING_WITHIN_S
        assert recovery.connections == 1
        assert recovery.longest_silence_s < _ONCE_A_SECOND_S
        assert re.search(r'hanging_open_camera.py", line \d+ in __init__', service.log), "its stacks"


def test_frames_flow_on_while_the_supervisor_is_frozen() -> None:
    with Ringcast("--camera=pattern") as service:
        service.ready()
        with Audience(service.port, 1) as audience:
            assert drill(service, "supervisor-freeze").returncode == 0
            eventually(lambda: stands_still(service.pid))
            (viewer,) = audience.viewers
            before = len(viewer.frames)
            eventually(lambda: len(viewer.frames) > before + 5 * 20, 10, "five seconds of frames")
            os.kill(service.pid, signal.SIGCONT)
            eventually(lambda: "the supervisor itself stood still" in service.log)
            assert {seen.freshness for seen in viewer.seen} == {"live"}
            assert service.ready()["supervisor"]["capture"]["restarts"] == {}
            audience.check()


def stands_still(pid: int) -> bool:
    with open(f"/proc/{pid}/stat") as stat:
        return stat.read().rpartition(")")[2].split()[0] == "T"


def test_a_camera_that_gives_no_first_frame_is_shown_when_it_works_again(tmp_path: Path) -> None:
    """The placeholder says meanwhile what is the matter."""
    short = ("--first-frame-timeout-s=2", "--backoff-most-s=1")
    with Ringcast("--camera=pattern", *short) as service:
        service.ready()
        with Audience(service.port, 1) as audience:
            (viewer,) = audience.viewers
            assert drill(service, "camera-hang@1").returncode == 0
            eventually(lambda: "stalled (exit 75)" in service.log)
            assert viewer.seen[-1].freshness == "placeholder"
            said = said_instead(service, tmp_path)
            assert re.search("NOLIVEVIDEO.*camera(isbeing|givesno|ended)", said), said
            frames = len(viewer.frames)
            assert drill(service, "end").returncode == 0
            ended_s = time.monotonic()
            eventually(lambda: len(viewer.frames) > frames, 10, "a frame of the camera that works again")
            assert viewer.frames[frames].at_s - ended_s < 2 + 1 + 1, "one limit, one delay and a start"
            audience.check()


def test_a_camera_that_crashes_thirty_times_is_tried_again_and_again(tmp_path: Path) -> None:
    """With delays of a fifth or less of the usual ones; the log tells each, and they are kept."""
    quick = ("--backoff-s=0.05", "--backoff-most-s=0.4")
    expected = [0.05, 0.1, 0.2] + [0.4] * 27
    with Ringcast("--camera=pattern", *quick) as service:
        service.ready()
        with Audience(service.port, 1) as audience:
            (viewer,) = audience.viewers
            assert drill(service, "camera-crash@1").returncode == 0
            eventually(lambda: service.log.count("killed by SIGKILL") == 1)
            first_s = time.monotonic()
            eventually(lambda: viewer.seen[-1].freshness == "placeholder")
            said = said_instead(service, tmp_path)
            assert re.search("camera(isbeingrestarted|ended)", said), said
            told = re.compile(r"capture ended: killed by SIG(?:KILL|SEGV); next start in (\S+) s")
            eventually(lambda: len(told.findall(service.log)) >= 30, 60)
            took_s = time.monotonic() - first_s
            assert [float(wait_s) for wait_s in told.findall(service.log)[:30]] == expected
            assert sum(expected[:-1]) < took_s < sum(expected) + 30 * 0.7, "the log keeps its word"
            drill(service, "end")
            ended_s = time.monotonic()
            last = len(viewer.frames)
            eventually(lambda: len(viewer.frames) > last)
            assert viewer.frames[last].at_s - ended_s < 0.4 + 1.0, "one delay and a start"
            audience.check()


def said_instead(service: Ringcast, folder: Path) -> str:
    """Return the letters on the placeholder that a snapshot is answered with."""
    code, body = service.get("/snapshot")
    assert code == 503
    return read_in(simplejpeg.decode_jpeg(body), folder)
