# SPDX-License-Identifier: MIT
from __future__ import annotations

import json
import math
import time
from typing import Any

import numpy as np
import pytest

from capture_proc.camera import Camera, Picture, PixelsError
from capture_proc.capture_loop import CaptureLoop, FrozenSceneError, StalledError, TimeLimits
from capture_proc.fitting import FittingEncoder
from capture_proc.frozen_scene import SceneWatch
from capture_proc.jpeg import to_jpeg
from capture_proc.progress import Progress
from shm_ring.frame import Frame
from shm_ring.ring import Published
from shm_ring.status import CaptureStatus, Step, to_json
from tests.fakes import FakeCamera, FakeClock, FakeSink, jpeg_of, noise, rgb
from tests.rows import capture_status


class Rig:
    """A loop with a fake around it on every side."""

    def __init__(
        self,
        *script: Any,
        most_bytes: int = 1 << 20,
        clock: FakeClock | None = None,
        camera: Camera | None = None,
        identical_after_s: float = math.inf,
        follows_s: float = 0.0,
    ) -> None:
        self.clock = clock or FakeClock()
        self.sink = FakeSink(most_bytes)
        self.reports: list[CaptureStatus] = []
        self.loop = CaptureLoop(
            camera or FakeCamera(script, self.clock),
            FittingEncoder(to_jpeg, 80),
            self.sink,
            clock=self.clock,
            limits=TimeLimits(stall_timeout_s=2.0, first_frame_timeout_s=10.0, follows_s=follows_s),
            scene=SceneWatch(identical_after_s),
            progress=Progress(self.reports.append, capture_status(), lambda _: None),
        )

    def run_to_the_stall(self) -> str:
        with pytest.raises(StalledError) as stalled:
            self.loop.run(lambda: False)
        return str(stalled.value)

    @property
    def frames(self) -> list[Frame]:
        published = (Published(1, 1, facts, payload) for payload, facts in self.sink.frames)
        return [Frame.of(one) for one in published]


def test_pictures_become_frames_with_their_facts() -> None:
    rig = Rig(rgb(), rgb())
    rig.run_to_the_stall()
    facts = rig.frames[0].facts
    assert (facts.width_px, facts.height_px) == (64, 48)
    assert facts.captured_ns == 1000_050_000_000
    assert facts.captured_unix_ns == facts.captured_ns + 1_700_000_000 * 10**9
    assert [frame.facts.captured_ns for frame in rig.frames] == [1000_050_000_000, 1000_100_000_000]


def test_capture_times_of_another_clock_are_converted() -> None:
    """libcamera counts on the boot clock, which goes on while the machine sleeps."""
    rig = Rig(Picture(rgb(), 6000 * 10**9, time.CLOCK_BOOTTIME))
    rig.run_to_the_stall()
    assert rig.frames[0].facts.captured_ns == 1000 * 10**9


def test_a_camera_that_gives_no_new_picture_is_a_stall() -> None:
    """The old app froze here for good, and a person restarted it."""
    rig = Rig(rgb(), rgb())
    assert rig.run_to_the_stall() == "fake camera: no new frame for 2 s after 2 frames"
    assert rig.clock.now_ns / 1e9 == pytest.approx(1000 + 0.1 + 2.0, abs=0.3)


def test_the_first_frame_is_given_more_time() -> None:
    rig = Rig()
    assert rig.run_to_the_stall() == "fake camera: no new frame for 10 s since it was opened"


def test_pictures_that_never_came_here_are_counted_by_the_cameras_own_numbers() -> None:
    pictures = [Picture(rgb(), 1000 * 10**9 + n, number=n) for n in (7, 8, 12, 13)]
    rig = Rig(*pictures, None, None, None, None)
    rig.run_to_the_stall()
    assert rig.reports[-1].dropped == {"missed": 3}
    assert len(rig.frames) == 4


def test_a_picture_that_comes_again_is_no_frame_and_no_progress() -> None:
    """A wedged camera can hand out the same buffer for ever."""
    same = Picture(rgb(), 1000 * 10**9)
    rig = Rig(*[same] * 200)
    assert "not_newer" in rig.run_to_the_stall()
    assert len(rig.frames) == 1


def test_unusable_pictures_are_dropped_counted_and_told_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    truncated = jpeg_of(noise())[:1000]
    rig = Rig(rgb(), truncated, b"", truncated, rgb())
    rig.run_to_the_stall()
    assert len(rig.frames) == 2
    assert caplog.text.count("a picture was dropped") == 1
    assert rig.reports[-1].dropped == {"unusable": 3}


@pytest.mark.parametrize(
    "sizes",
    [[(32, 24), *[(64, 48)] * 100], [*[(64, 48)] * 50, *[(32, 24)] * 50]],
    ids=["odd first frame", "changes"],
)
def test_pictures_of_another_size_are_frames(
    sizes: list[tuple[int, int]], caplog: pytest.LogCaptureFixture
) -> None:
    """The first frame set the rule, and a camera that kept to another size was restarted for ever.

    https://github.com/jacksonliam/mjpg-streamer/issues/100, https://github.com/libuvc/libuvc/issues/122
    """
    rig = Rig(*[rgb(size=size) for size in sizes])
    rig.run_to_the_stall()
    assert [(frame.facts.width_px, frame.facts.height_px) for frame in rig.frames] == sizes
    assert (rig.reports[-1].size, rig.reports[-1].dropped) == (sizes[-1], {})
    assert caplog.text.count("fake camera: the picture is ") == 1


def test_a_frame_that_fits_no_slot_is_encoded_again_in_its_size(caplog: pytest.LogCaptureFixture) -> None:
    """The car drives from a wall onto gravel. It was a stall: the camera was restarted for ever."""
    room = len(jpeg_of(noise(), 40))
    rig = Rig(rgb(), *[noise(seed=seed) for seed in range(10)], rgb(), most_bytes=room)
    rig.run_to_the_stall()
    assert len(rig.frames) == 12
    assert {(frame.facts.width_px, frame.facts.height_px) for frame in rig.frames} == {(64, 48)}
    assert (rig.reports[-1].squeezed, rig.reports[-1].dropped) == (1, {}), "the next began where it fitted"
    assert caplog.text.count(f"does not fit a slot of {room}: until there is room again, frames are") == 1
    assert "with quality 35 or less; raise --slot-bytes" in caplog.text


def test_the_quality_returns_when_there_is_room_again() -> None:
    plain = jpeg_of(rgb(120), 80)
    rig = Rig(noise(), *[rgb(120)] * 400, most_bytes=len(jpeg_of(noise(), 40)))
    rig.run_to_the_stall()
    assert rig.frames[1].jpeg == jpeg_of(rgb(120), 35)
    assert rig.frames[-1].jpeg == plain


def test_ready_jpegs_that_fit_no_slot_are_dropped_and_are_no_stall(caplog: pytest.LogCaptureFixture) -> None:
    """The camera works; a restart would change nothing, and the first frame ended the service."""
    large, small = jpeg_of(noise(), 100), jpeg_of(rgb())
    rig = Rig(*[large] * 400, small, most_bytes=len(small) + 100)
    assert "no new frame for 2 s after 1 frames ({'too_big': 400} dropped)" in rig.run_to_the_stall()
    assert rig.clock.now_ns / 1e9 > 1020
    cure = f"{len(large)} bytes do not fit a slot of {len(small) + 100}; raise --slot-bytes"
    assert caplog.text.count(cure) == 1


def test_frames_that_find_no_slot_are_told_once_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    """Somebody stopped the server in a debugger, and some more readers."""
    rig = Rig(rgb(), rgb())
    rig.sink.full = True
    assert "no new frame for 10 s since it was opened ({'busy': 2} dropped)" in rig.run_to_the_stall()
    assert caplog.text.count("readers that stand still hold all slots but the newest") == 1


def test_a_capture_time_from_the_future_is_dropped_and_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It would look fresh for ever: a dead camera's picture would be shown as live."""
    rig = Rig(Picture(rgb(), 1_700_000_000 * 10**9), Picture(rgb(), 1_700_000_001 * 10**9))
    assert "from_the_future" in rig.run_to_the_stall()
    assert rig.frames == []
    assert caplog.text.count("not of its clock_id, which is CLOCK_MONOTONIC unless said") == 1


def test_a_capture_time_a_little_ahead_is_now() -> None:
    rig = Rig(Picture(rgb(), 1000_001_000_000))
    rig.run_to_the_stall()
    assert rig.frames[0].facts.captured_ns <= 1000_050_000_000


def test_wall_times_do_not_go_back_when_the_process_is_held_up() -> None:
    """Between two readings of two clocks anything can happen."""

    class HeldUpClock(FakeClock):
        readings = 0

        def read_ns(self, clock_id: int) -> int:
            self.readings += 1
            if self.readings % 5 == 1:
                self.sleep(0.08)
            return super().read_ns(clock_id)

    rig = Rig(*[rgb()] * 30, clock=HeldUpClock())
    rig.run_to_the_stall()
    facts = [frame.facts for frame in rig.frames]
    offsets = {each.captured_unix_ns - each.captured_ns for each in facts}
    assert offsets == {1_700_000_000 * 10**9}


@pytest.mark.parametrize("nonsense", [rgb(), "picture", (rgb(), 5)])
def test_what_is_no_picture_is_told(nonsense: Any) -> None:
    rig = Rig()
    rig.loop._camera.next_picture = lambda timeout_s: nonsense  # type: ignore[method-assign]
    with pytest.raises(PixelsError, match=r"next_picture\(\) gave a .*; expected a Picture or None"):
        rig.loop.run(lambda: False)


def test_it_stops_when_asked() -> None:
    rig = Rig(*[rgb()] * 100)
    rig.loop.run(lambda: len(rig.sink.frames) >= 3)
    assert len(rig.frames) == 3


def test_it_reports_how_many_frames_a_second_came() -> None:
    rig = Rig(*[rgb()] * 60)
    rig.run_to_the_stall()
    assert rig.reports[0].fps == 0, "the stall limit is known before the first frame"
    assert rig.reports[0].stall_timeout_s == 2.0
    assert rig.reports[2].fps == pytest.approx(20, abs=0.5)
    assert rig.reports[2].size == (64, 48)


def test_its_step_is_on_the_board_before_the_first_frame_is_published() -> None:
    rig = Rig(rgb(), rgb())
    written: list[tuple[int, Step, float]] = []
    rig.loop._progress.write = lambda row: written.append((len(rig.frames), row.step, row.step_limit_s))
    rig.run_to_the_stall()
    assert written[:2] == [(0, Step.FIRST_FRAME, 10.0), (0, Step.RUNNING, 2.0)]


class DuskCamera(FakeCamera):
    """Twenty pictures at its rate, then each after `slow_s`."""

    def __init__(self, clock: FakeClock, slow_s: float, pictures: int) -> None:
        super().__init__([rgb()] * pictures, clock)
        self._slow_s, self._given, self._due_s = slow_s, 0, 0.0

    def next_picture(self, timeout_s: float) -> Picture | None:
        self._due_s = self._due_s or (self._slow_s if self._given >= 20 else self.period_s)
        if self._due_s > timeout_s:
            self._due_s -= timeout_s
            self._clock.sleep(timeout_s)
            return None
        self._clock.sleep(max(0.0, self._due_s - self.period_s))
        self._due_s, self._given = 0.0, self._given + 1
        return super().next_picture(timeout_s)


def test_limits_follow_a_camera_that_keeps_to_a_slower_rhythm() -> None:
    clock = FakeClock()
    rig = Rig(clock=clock, camera=DuskCamera(clock, 1.25, 40), follows_s=10.0)
    assert rig.run_to_the_stall() == "fake camera: no new frame for 10 s after 40 frames"
    last = rig.reports[-1]
    assert (last.period_s, last.nominal_period_s, last.stall_timeout_s) == (1.0, 0.05, 10.0)


def test_others_know_a_longer_limit_before_the_frame_from_which_it_holds() -> None:
    """The supervisor sets its deadline when it sees the frame."""
    clock = FakeClock()
    rig = Rig(clock=clock, camera=DuskCamera(clock, 1.25, 40), follows_s=10.0)
    written: list[tuple[int, float]] = []
    rig.loop._progress.write = lambda row: written.append((len(rig.frames), row.stall_timeout_s))
    rig.run_to_the_stall()
    assert next(frames for frames, stall_s in written if stall_s > 9.9) == 24, "before the fifth slow one"


@pytest.mark.parametrize(("slow_s", "follows_s"), [(1.25, 0.0), (2.5, 10.0)], ids=["asked", "all at once"])
def test_a_stall_limit_that_was_asked_for_or_not_yet_earned_holds(slow_s: float, follows_s: float) -> None:
    clock = FakeClock()
    rig = Rig(clock=clock, camera=DuskCamera(clock, slow_s, 24), follows_s=follows_s)
    assert "no new frame for 2 s after " in rig.run_to_the_stall()


def test_what_a_camera_raises_is_not_hidden() -> None:
    rig = Rig(rgb(), RuntimeError("sensor on fire"))
    with pytest.raises(RuntimeError, match="sensor on fire"):
        rig.loop.run(lambda: False)


def test_a_frozen_scene_ends_the_loop_and_the_last_report_says_so() -> None:
    """The next process must know that it is the second try."""
    rig = Rig(*[noise()] * 300, identical_after_s=10.0)
    with pytest.raises(FrozenSceneError, match="fake camera: every picture of the last 10 s has the same"):
        rig.loop.run(lambda: False)
    assert rig.reports[-1].identical_s == 10.0
    assert rig.reports[-1].restarted_for_identical
    assert len(rig.frames) == 201, "they were live until then"


def test_a_flat_picture_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    rig = Rig(*[rgb()] * 400, identical_after_s=10.0)
    rig.run_to_the_stall()
    assert rig.reports[-3].identical_s > 15
    assert caplog.text.count("fake camera: every pixel has had one colour for 10 s: is a shutter") == 1


def test_a_camera_whose_scene_may_stand_still_is_not_looked_at() -> None:
    """Footage of a wall is no fault."""

    class Replay(FakeCamera):
        scene_may_freeze = False

    clock = FakeClock()
    rig = Rig(clock=clock, camera=Replay([noise()] * 300, clock), identical_after_s=10.0)
    rig.run_to_the_stall()
    assert len(rig.frames) == 300
    assert {report.identical_s for report in rig.reports} == {0.0}


def test_numbers_of_a_camera_may_be_numpys() -> None:
    clock = FakeClock()
    pictures = [Picture(rgb(), np.int64(1000 * 10**9 + n), number=np.int64(n)) for n in (7, 12)]  # type: ignore[arg-type]
    camera = FakeCamera(pictures, clock)
    rig = Rig(clock=clock, camera=camera)
    rig.run_to_the_stall()
    assert json.loads(to_json(rig.reports[-1]))["dropped"] == {"missed": 4}
