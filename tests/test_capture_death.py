# SPDX-License-Identifier: MIT
"""A camera death that no viewer's connection notices. Real processes, real connections."""

from __future__ import annotations

import itertools
import os
import signal
import time

import pytest

from tests.conditions import eventually
from tests.drilling import drill
from tests.footage import PEDESTRIANS
from tests.mjpeg import Audience, Seen
from tests.running import Ringcast

pytestmark = pytest.mark.process

VIEWERS = 10
STALL_S = 2.0


def test_all_of_many_viewers_stay_connected() -> None:
    """The app this replaces lost everyone here, and a person restarted it by hand."""
    with Ringcast(f"--camera={PEDESTRIANS}", "--fps=20") as service:
        before = service.ready()
        with Audience(service.port, VIEWERS) as audience:
            eventually(lambda: all(len(viewer.frames) > 5 for viewer in audience.viewers))
            os.kill(service.capture_pid(), signal.SIGSTOP)
            frozen_s = time.monotonic()
            reason = "hung: no progress for 3 s"
            eventually(lambda: f"capture ended: {reason}" in service.log)
            eventually(lambda: all(viewer.frames[-1].at_s > frozen_s + 0.5 for viewer in audience.viewers))
            audience.check()
            for viewer in audience.viewers:
                gap_s = _longest_gap_s(viewer.frames)
                assert gap_s < STALL_S + 3, f"the picture stood still for {gap_s:.2f} s"
                assert _longest_gap_s(viewer.seen) < 1.7, "and meanwhile it was said that it did"
            after = service.ready()
            assert after["viewers"]["count"] == VIEWERS
            assert after["frame"]["sequence"] > before["frame"]["sequence"]
            assert after["instance"] == before["instance"]


def _longest_gap_s(frames: list[Seen]) -> float:
    times = [seen.at_s for seen in frames]
    return max(later - earlier for earlier, later in itertools.pairwise(times))


def test_without_restarts_the_stream_would_stand_still() -> None:
    """The test above can fail: here the supervisor itself is frozen, and nobody restarts the camera."""
    with Ringcast("--camera=pattern") as service:
        service.ready()
        with Audience(service.port, 1) as audience:
            eventually(lambda: audience.viewers[0].frames)
            capture = service.capture_pid()
            os.kill(service.pid, signal.SIGSTOP)
            try:
                os.kill(capture, signal.SIGKILL)
                eventually(lambda: audience.viewers[0].seen[-1].freshness == "repeat")
                last = audience.viewers[0].seen[-1]
                eventually(lambda: service.get("/readyz")[0] == 503)
                assert service.get("/snapshot")[0] == 503, "an old picture is not passed off as live"
                with Audience(service.port, 1) as late:
                    eventually(lambda: len(late.viewers[0].seen) > 1)
                    assert {seen.freshness for seen in late.viewers[0].seen} == {"placeholder"}
                eventually(lambda: audience.viewers[0].seen[-1].freshness == "placeholder")
                assert audience.viewers[0].frames[-1].sequence == last.sequence
            finally:
                os.kill(service.pid, signal.SIGCONT)
            eventually(lambda: audience.viewers[0].seen[-1].sequence > last.sequence)
            audience.check()


def test_the_camera_is_restarted_when_it_is_asked_for() -> None:
    with Ringcast("--camera=pattern") as service:
        service.ready()
        os.kill(service.pid, signal.SIGUSR1)
        eventually(lambda: service.status()["supervisor"]["capture"]["restarts"] == {"restart asked for": 1})
        service.ready()


def test_a_camera_that_changes_its_size_is_shown_on_the_open_stream() -> None:
    """multipart allows it, and a camera that has changed for good would be restarted for ever."""
    with Ringcast("--camera=pattern") as service:
        service.ready()
        with Audience(service.port, 2) as audience:
            eventually(lambda: all(viewer.frames for viewer in audience.viewers))
            drill(service, "camera-wrong-size")
            eventually(lambda: service.status()["frame"]["width_px"] == 320)
            beyond_the_stall = len(audience.viewers[0].frames) + 20 * (STALL_S + 1)
            eventually(lambda: len(audience.viewers[0].frames) > beyond_the_stall)
            audience.check()
        assert service.status()["supervisor"]["capture"]["restarts"] == {}
    assert service.log.count("the picture is 320x240 now, after 640x480") == 1


def test_a_slow_camera_goes_on() -> None:
    with Ringcast("--camera=pattern") as service:
        service.ready()
        drill(service, "camera-slow")
        eventually(lambda: 0 < (service.status()["camera"] or {"fps": 0})["fps"] < 6)
        assert service.status()["supervisor"]["capture"]["restarts"] == {}


def test_a_capture_process_that_ignores_sigterm_is_killed_at_the_stop() -> None:
    with Ringcast("--camera=pattern") as service:
        service.ready()
        drill(service, "camera-ignore-sigterm")
        eventually(lambda: "drill: ignore-sigterm begins" in service.log)
        service.process.send_signal(signal.SIGTERM)
        assert service.wait(8) == 0
        assert "is killed" in service.log
