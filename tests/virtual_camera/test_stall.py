# SPDX-License-Identifier: MIT
"""The sensor stalls: no more frames, and no error. Every viewer stays connected.

After a second a real one cancels what is queued (libcamera's time-out), and gives no frame either.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.conditions import eventually
from tests.mjpeg import Audience
from tests.running import Ringcast, in_shared_memory, processes_of
from tests.virtual_camera.cameras import STREET, VirtualCameras

pytestmark = pytest.mark.virtual_camera

VIEWERS = 5
STALL_S = 1.2 + 5 / 30
"""What Picamera2 is given at 30 frames a second."""
STALLED = "stalled (exit 75)"


def restarts(service: Ringcast) -> int:
    return int(service.status()["supervisor"]["capture"]["restarts"].get(STALLED, 0))


def frame(service: Ringcast) -> dict[str, Any]:
    return dict(service.status()["frame"])


def wait_for_restart(service: Ringcast, number: int) -> None:
    eventually(lambda: restarts(service) == number, 20, "an exit with 75")


def wait_for_frames(service: Ringcast, number: int) -> None:
    before = frame(service)["sequence"]
    eventually(lambda: frame(service)["sequence"] >= before + number, 5, f"{number} new frames")


def open_descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def resident_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def all_see_a_new_frame(audience: Audience) -> bool:
    """Wait until every viewer was shown a frame that nobody had been shown before."""
    last = max((viewer.frames[-1].sequence for viewer in audience.viewers if viewer.frames), default=0)
    return eventually(
        lambda: all(viewer.frames and viewer.frames[-1].sequence > last for viewer in audience.viewers), 20
    )


def assert_flat(pid: int, measured: Sequence[tuple[int, float]]) -> None:
    """Fail if a process's (descriptors, resident MB), measured around each of ten stalls, grew.

    The first one may cost memory for good: what draws placeholders is loaded when it is needed. And a
    connection that asks for the status holds a descriptor for a moment: what stays is a leak.
    """
    descriptors, megabytes = zip(*measured, strict=True)
    most = max(descriptors[1:4])
    eventually(lambda: open_descriptors(pid) <= most, 10, f"no more than {most} descriptors ({descriptors})")
    assert min(megabytes[-3:]) - min(megabytes[1:4]) < 2, megabytes


@pytest.mark.parametrize("kind", ["stall", "wedge"])
def test_viewers_stay_while_a_stalled_sensor_is_restarted(cameras: VirtualCameras, kind: str) -> None:
    """`wedge` hangs while the camera is closed as well; Picamera2 would wait for that for ever."""
    with cameras.ringcast("--camera=picamera2", "--fps=30") as service:
        service.ready()
        with Audience(service.port, VIEWERS) as audience:
            eventually(lambda: all(len(viewer.frames) > 10 for viewer in audience.viewers))
            cameras.fault(STREET, kind)
            stalled_s = time.monotonic()
            eventually(lambda: restarts(service) == 1, STALL_S + 1.5, "an exit with 75")
            ended_s = time.monotonic() - stalled_s
            cameras.mend(STREET)
            assert all_see_a_new_frame(audience)
            audience.check()
        assert service.status()["supervisor"]["capture"]["last_reason"] == STALLED
        assert ended_s > STALL_S - 0.2, "it was given its time"
        assert "no new frame for 1.37 s after" in service.log
        if kind == "wedge":
            assert "the camera did not close within 0.5 s" in service.log


def test_a_sensor_that_stalls_at_its_start_is_restarted(cameras: VirtualCameras) -> None:
    """The limit of the first frame is another: sensors need their time to begin."""
    with cameras.ringcast("--camera=picamera2", "--fps=30", "--first-frame-timeout-s=3") as service:
        service.ready()
        with Audience(service.port, VIEWERS) as audience:
            eventually(lambda: all(viewer.frames for viewer in audience.viewers))
            cameras.fault(STREET, "stall")
            os.kill(service.pid, signal.SIGUSR1)
            eventually(lambda: restarts(service) == 1, 20, "an exit with 75")
            cameras.mend(STREET)
            assert all_see_a_new_frame(audience)
            audience.check()
        assert "no new frame for 3 s since it was opened" in service.log


def test_a_sensor_that_hangs_while_it_is_closed_delays_no_stop(cameras: VirtualCameras) -> None:
    with cameras.ringcast("--camera=picamera2", "--fps=30", "--stall-timeout-s=30") as service:
        service.ready()
        cameras.fault(STREET, "wedge")
        service.process.send_signal(signal.SIGTERM)
        assert service.wait(8) == 0
        assert "the camera did not close within 1.5 s" in service.log
        assert "capture has stopped: as asked (exit 0)" in service.log


def test_ten_stalls_leave_nothing_behind(cameras: VirtualCameras) -> None:
    """While it captures, while it is closed and while it starts, in turn."""
    short = ("--stall-timeout-s=0.5", "--first-frame-timeout-s=2")
    with cameras.ringcast("--camera=picamera2", "--fps=30", *short) as service:
        service.ready()
        with Audience(service.port, VIEWERS) as audience:
            measured, pids, stalls = [], (service.pid, service.server_pid()), 0
            for when in ("capturing", "closing", "starting") * 3 + ("capturing",):
                assert all_see_a_new_frame(audience)
                left = [(open_descriptors(pid), resident_mb(pid)) for pid in pids]
                measured.append((len(processes_of(service)), left))
                cameras.fault(STREET, "wedge" if when == "closing" else "stall")
                stalls += 1
                wait_for_restart(service, stalls)
                if when == "starting":
                    os.kill(service.pid, signal.SIGUSR1)  # spares the wait, which doubles each time
                    stalls += 1
                    wait_for_restart(service, stalls)
                cameras.mend(STREET)
                os.kill(service.pid, signal.SIGUSR1)
            assert all_see_a_new_frame(audience)
            audience.check()
            assert len({processes for processes, _ in measured}) == 1, measured
            for at, pid in enumerate(pids):
                assert_flat(pid, [left[at] for _, left in measured])
    assert in_shared_memory(service.instance) == []


def test_ten_short_stalls_lose_no_buffer(cameras: VirtualCameras) -> None:
    """A request that is not given back is one of six buffers lost: the seventh stall would be for good."""
    with cameras.ringcast("--camera=picamera2", "--fps=30", "--stall-timeout-s=10") as service:
        service.ready()
        pid = service.capture_pid()
        measured = []
        for _ in range(10):
            cameras.fault(STREET, "stall")
            eventually(lambda: frame(service)["age_ms"] > 700, 5, "a stall of several time limits")
            cameras.mend(STREET)
            wait_for_frames(service, 10)
            measured.append((open_descriptors(pid), resident_mb(pid)))
        assert_flat(pid, measured)
        assert service.status()["supervisor"]["capture"]["restarts"] == {}
