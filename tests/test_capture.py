# SPDX-License-Identifier: MIT
"""How long a camera may take, and whole capture processes that take too long, or that memory runs out for."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from capture_proc.camera import Camera, NeverWorksError, OwnCamera
from capture_proc.capture import limits_of
from capture_proc.options import CaptureOptions
from tests.conditions import eventually
from tests.fakes import FakeCamera, FakeClock
from tests.hanging_open_camera import HANGS
from tests.mjpeg import Audience
from tests.running import Ringcast
from tests.slowing_camera import SLOW_S


class Hasty(FakeCamera):
    stall_s, first_frame_s = 1.5, 3.0


class HastyWithoutBase:
    name, period_s, stall_s, first_frame_s = "hasty", 0.05, 1.5, 3


def _limits(camera: Camera, **asked: float) -> tuple[float, float, float]:
    limits = limits_of(camera, CaptureOptions(**asked))  # type: ignore[arg-type]
    return limits.stall_timeout_s, limits.first_frame_timeout_s, limits.follows_s


def test_a_camera_says_how_long_it_may_take_and_the_options_win() -> None:
    usual = FakeCamera([], FakeClock())
    assert _limits(usual) == (2.0, 10.0, 10.0)
    for hasty in (Hasty([], FakeClock()), OwnCamera(HastyWithoutBase())):
        assert _limits(hasty) == (1.5, 3.0, 10.0)
        assert _limits(hasty, stall_timeout_s=4.0) == (4.0, 4.0, 0.0), "what was asked for stays as it is"
        assert _limits(hasty, first_frame_timeout_s=7.0) == (1.5, 7.0, 10.0)


def test_the_usual_limits_follow_the_cameras_own_rate() -> None:
    camera = FakeCamera([], FakeClock())
    camera.period_s = 2.0
    assert _limits(camera) == (16.0, 16.0, 10.0)


@pytest.mark.parametrize("period_s", [0.0, -1.0, float("nan"), float("inf")])
def test_a_period_that_is_none_is_refused(period_s: float) -> None:
    camera = FakeCamera([], FakeClock())
    camera.period_s = period_s
    with pytest.raises(NeverWorksError, match="a period_s of more than 0 seconds"):
        limits_of(camera, CaptureOptions())


def test_a_stall_limit_below_two_periods_is_refused() -> None:
    camera = FakeCamera([], FakeClock())
    camera.period_s = 1.0
    with pytest.raises(
        NeverWorksError, match=r"a stall limit of 1\.5 s is less than two frame periods of 1 s"
    ):
        limits_of(camera, CaptureOptions(stall_timeout_s=1.5))


@pytest.mark.process
def test_a_camera_that_hangs_while_it_is_opened_ends_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one wedge without an alarm: it took the supervisor 20 s, and a SIGKILL."""
    monkeypatch.setenv(HANGS, str(tmp_path))
    (tmp_path / "once").touch()
    with Ringcast("--camera=tests.hanging_open_camera:HangingOpenCamera") as service:
        camera = eventually(
            lambda: (row := service.status()["camera"]) and row["step"] == "opening" and row, 20
        )
        assert camera["pid"] == service.capture_pid()
        assert service.status()["supervisor"]["capture"]["state"] == "starting"
        status = service.ready(30)
        assert status["supervisor"]["capture"]["restarts"] == {"hung or failed at its start (exit 1)": 1}
        assert eventually(lambda: service.status()["camera"])["step"] == "running"
    assert 'hanging_open_camera.py", line' in service.log, "its stacks"


@pytest.mark.process
def test_limits_follow_a_camera_that_grows_slow() -> None:
    """At night: each gap of 1.25 s showed a placeholder."""
    with Ringcast("--camera=tests.slowing_camera:SlowingCamera") as service:
        service.ready()
        eventually(lambda: (row := service.status()["camera"]) and row["period_s"] == 1.0, 30)
        camera = service.status()["camera"]
        assert camera["stall_timeout_s"] == pytest.approx(8 * SLOW_S, rel=0.1)
        assert camera["nominal_period_s"] == 0.05
        with Audience(service.port, 1) as audience:
            eventually(lambda: len(audience.viewers[0].frames) > 5, 20)
            assert {seen.freshness for seen in audience.viewers[0].seen} <= {"live", "repeat"}
        assert service.status()["supervisor"]["capture"]["restarts"] == {}


@pytest.mark.process
def test_it_is_the_process_that_the_kernel_ends_when_memory_runs_out() -> None:
    """The others cost viewers their connections."""
    with Ringcast("--camera=pattern") as service:
        service.ready()
        capture, server = service.capture_pid(), service.server_pid()
        assert Path(f"/proc/{capture}/oom_score_adj").read_text() == "300\n"
        assert int(Path(f"/proc/{server}/oom_score_adj").read_text()) < 300
        os.kill(service.pid, signal.SIGTERM)
        assert service.wait() == 0
