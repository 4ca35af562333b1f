# SPDX-License-Identifier: MIT
"""The loop: picture → JPEG → publish, until it is told to stop or the camera stalls.

It gets its camera, encoder, sink and clock as arguments; no process, option or descriptor is known here.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from capture_proc.camera import Camera, CameraError, Picture, Pixels, PixelsError
from capture_proc.clock import Clock
from capture_proc.fitting import FittingEncoder
from capture_proc.frozen_scene import Finding, SceneWatch
from capture_proc.progress import Progress
from capture_proc.ready_jpeg import Jpeg, UnusableJpegError
from capture_proc.rhythm import Rhythm
from shm_ring.errors import TooBigError
from shm_ring.frame import FrameFacts
from shm_ring.status import Step

_log = logging.getLogger(__name__)

_LOOK_UP_S = 0.25
"""How long the camera may keep the loop at most, so that it notices a stop."""
_REPORT_S = 1.0
_REARM_S = 0.1
"""How often a loop that goes on says so; each time costs 50 µs."""
_STALL_PERIODS = 8
_SLOWEST_S = 1.0
"""A longer period is not expected of a camera that says it is faster: a frame is stale after three."""
_CLOCK_ERROR_NS = 1_000_000_000
"""A capture time so far ahead of now is no imprecision but of another clock."""


class StalledError(CameraError, TimeoutError):
    """No new frame came within its time limit."""


class FrozenSceneError(CameraError):
    """Pictures came, all with the same bytes."""


class FrameSink(Protocol):
    """Where frames go: the ring, or nowhere in a dry run."""

    @property
    def slot_bytes(self) -> int:
        """The room for a frame."""

    def publish(self, payload: bytes, facts: bytes = b"") -> int | None:
        """Take one frame; raise TooBigError if it does not fit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeLimits:
    """For how long a camera may give nothing new."""

    stall_timeout_s: float
    first_frame_timeout_s: float
    follows_s: float = 0.0
    """Up to how long the stall limit follows a camera that is slower than it says; 0 where it does not."""


class CaptureLoop:
    """One camera's loop. For the main thread of the capture process."""

    def __init__(
        self,
        camera: Camera,
        encoder: FittingEncoder,
        sink: FrameSink,
        *,
        clock: Clock,
        limits: TimeLimits,
        scene: SceneWatch,
        progress: Progress,
    ) -> None:
        """Take the loop's collaborators.

        `progress` gets the status of the process about once a second, and is told ten times a second within
        how many seconds the loop will end if nothing new comes: when it has not, it is stuck in a call.
        """
        self._camera = camera
        self._encoder = encoder
        self._sink = sink
        self._clock = clock
        self._limits = limits
        self._scene = scene
        self._progress = progress
        self._rhythm = Rhythm(camera.period_s)
        self._step = Step.FIRST_FRAME
        self._step_since_ns = clock.monotonic_ns()
        self._told_stall_s = limits.stall_timeout_s
        self._armed_ns = -1
        self._size: tuple[int, int] | None = None
        self._size_changed = False
        self._published = 0
        self._dropped: Counter[str] = Counter()
        self._last_captured_ns = -1
        self._last_number: int | None = None
        self._moved = False
        """Whether the camera gave a picture that could be a frame, and so is known to work."""
        self._moved_ns = clock.monotonic_ns()
        self._reported_ns = self._moved_ns
        self._published_at_report = 0
        self._fps = 0.0

    def run(self, stop_asked: Callable[[], bool]) -> None:
        """Capture until `stop_asked`.

        Raises:
            StalledError: no new frame came for the stall limit, or no first one for its own.
            FrozenSceneError: pictures have been identical for so long that a restart is tried.
            PixelsError: the camera gave no picture but something else.
        """
        self._tell()
        while not stop_asked():
            limit_s = self._stall_s if self._moved else self._limits.first_frame_timeout_s
            left_s = limit_s - (self._clock.monotonic_ns() - self._moved_ns) / 1e9
            if left_s <= 0:
                raise StalledError(self._why_stalled(limit_s))
            self._say_that_it_goes_on(left_s)
            self._capture_one(min(_LOOK_UP_S, left_s))
            now = self._clock.monotonic_ns()
            if now - self._reported_ns >= _REPORT_S * 1e9:
                self._measure_fps(now)
                self._tell()

    @property
    def _stall_s(self) -> float:
        """For how long the camera may give nothing new: more for one that keeps to a slower rhythm."""
        limits = self._limits
        return max(limits.stall_timeout_s, min(limits.follows_s, _STALL_PERIODS * self._rhythm.period_s))

    def _say_that_it_goes_on(self, left_s: float) -> None:
        now_ns = self._clock.monotonic_ns()
        if self._armed_ns < 0 or now_ns - self._armed_ns >= _REARM_S * 1e9:
            self._progress.arm(left_s)
            self._armed_ns = now_ns

    def _capture_one(self, timeout_s: float) -> None:
        picture = self._camera.next_picture(timeout_s)
        if picture is None:
            return
        if not isinstance(picture, Picture):
            raise PixelsError(f"next_picture() gave a {type(picture).__name__}; expected a Picture or None")
        self._count_missed(picture.number)
        now_ns = self._clock.monotonic_ns()
        captured_ns = picture.captured_ns - self._ahead_ns(picture.clock_id)
        if captured_ns > now_ns + _CLOCK_ERROR_NS:
            ahead_s = (captured_ns - now_ns) / 1e9
            self._drop(
                "from_the_future",
                "a picture of %.1f s from now was dropped: its captured_ns is "
                "not of its clock_id, which is CLOCK_MONOTONIC unless said",
                ahead_s,
            )
            return
        captured_ns = min(captured_ns, now_ns)
        if captured_ns <= self._last_captured_ns:
            self._drop("not_newer", "a picture is no newer than the one before; it was dropped")
            return
        self._last_captured_ns = captured_ns
        self._look_for_change(picture.pixels, captured_ns)
        try:
            jpeg = self._encoder.encode(picture.pixels, self._sink.slot_bytes)
        except UnusableJpegError as error:
            self._drop("unusable", "a picture was dropped: %s; check the camera or its cable", error)
            return
        self._note_size(jpeg.size)
        self._publish(jpeg, captured_ns)

    def _note_size(self, size: tuple[int, int]) -> None:
        """Take note of a picture's size. It may change on an open stream: each part is a JPEG of its own."""
        if self._size not in (None, size) and not self._size_changed:
            self._size_changed = True
            _log.warning(
                "%s: the picture is %dx%d now, after %dx%d (logged once; /status shows the size)",
                self._camera.name,
                *size,
                *self._size,
            )
        self._size = size

    def _look_for_change(self, pixels: Pixels, captured_ns: int) -> None:
        """Compare a picture with the one before; to be called before anything is drawn into it."""
        if not self._camera.scene_may_freeze:
            return
        finding = self._scene.look(pixels, captured_ns)
        if finding is None:
            return
        name, for_s = self._camera.name, round(self._scene.identical_s)
        same = f"{name}: every picture of the last {for_s} s has the same bytes"
        if finding is Finding.RESTART:
            self._tell()  # the next process reads there that this one was ended for it
            raise FrozenSceneError(f"{same}; the camera is restarted, once")
        if finding is Finding.FLAT:
            _log.warning(
                "%s: every pixel has had one colour for %d s: is a shutter closed, or a lens cap on?",
                name,
                for_s,
            )
            return
        _log.warning(
            "%s, after a restart too, so it counts as live: does the scene never change, or is a lens cap "
            "on?",
            same,
        )

    def _count_missed(self, number: int | None) -> None:
        """Count the pictures that the camera took and that never came here."""
        if number is not None and self._last_number is not None and number > self._last_number + 1:
            self._dropped["missed"] += int(number - self._last_number - 1)  # numpy's are none that JSON has
        self._last_number = number

    def _ahead_ns(self, clock_id: int) -> int:
        """Return how far a clock is ahead of CLOCK_MONOTONIC.

        Two clocks cannot be read at once. A process that is held up between the two would be wrong by
        as much, and times would go back; so the quickest of three readings counts.
        """
        if clock_id == time.CLOCK_MONOTONIC:
            return 0
        readings = []
        for _ in range(3):
            before_ns = self._clock.monotonic_ns()
            read_ns = self._clock.read_ns(clock_id)
            took_ns = self._clock.monotonic_ns() - before_ns
            readings.append((took_ns, read_ns - before_ns - took_ns // 2))
        return min(readings)[1]

    def _publish(self, jpeg: Jpeg, captured_ns: int) -> None:
        unix_ns = captured_ns + self._ahead_ns(time.CLOCK_REALTIME)
        facts = FrameFacts(captured_ns, unix_ns, *jpeg.size)
        self._keep_limits()
        try:
            sequence = self._sink.publish(jpeg.jpeg, facts.pack())
        except TooBigError as error:
            self._note_that_it_moved()  # the ring counts it as well, and the supervisor looks there
            self._drop(
                "too_big",
                "a frame was dropped: %d bytes do not fit a slot of %d; raise --slot-bytes",
                error.payload_bytes,
                error.slot_bytes,
            )
            return
        if sequence is None:
            self._drop("busy", "a frame was dropped: readers that stand still hold all slots but the newest")
            return
        self._published += 1
        self._note_that_it_moved()

    def _keep_limits(self) -> None:
        """Say which limits hold from this frame on. Before it is published: others see it at once."""
        now_ns = self._clock.monotonic_ns()
        self._rhythm.frame(now_ns / 1e9)
        if self._step is not Step.RUNNING:
            self._step, self._step_since_ns = Step.RUNNING, now_ns
            self._tell()
        elif self._stall_s > self._told_stall_s:
            self._tell()

    def _note_that_it_moved(self) -> None:
        self._moved, self._moved_ns = True, self._clock.monotonic_ns()

    def _drop(self, why: str, message: str, *details: object) -> None:
        self._dropped[why] += 1
        if self._dropped[why] == 1:
            _log.warning(message + " (told once; /status counts them)", *details)

    def _measure_fps(self, now_ns: int) -> None:
        frames = self._published - self._published_at_report
        self._fps = frames / (now_ns - self._reported_ns) * 1e9
        self._reported_ns = now_ns
        self._published_at_report = self._published

    def _tell(self) -> None:
        self._told_stall_s, first_s = self._stall_s, self._limits.first_frame_timeout_s
        nominal_s = self._camera.period_s
        self._progress.say(
            step=self._step,
            step_since_ns=self._step_since_ns,
            step_limit_s=self._told_stall_s if self._step is Step.RUNNING else first_s,
            name=self._camera.name,
            size=self._size,
            period_s=round(max(nominal_s, min(_SLOWEST_S, self._rhythm.period_s)), 6),
            nominal_period_s=round(nominal_s, 6),
            fps=round(self._fps, 2),
            frames=self._published,
            dropped=dict(self._dropped),
            squeezed=self._encoder.squeezed,
            stall_timeout_s=self._told_stall_s,
            first_frame_timeout_s=first_s,
            identical_s=round(self._scene.identical_s, 1),
            restarted_for_identical=self._scene.restarted,
        )

    def _why_stalled(self, limit_s: float) -> str:
        dropped = f" ({dict(self._dropped)} dropped)" if self._dropped else ""
        frames = f"after {self._published} frames" if self._published else "since it was opened"
        return f"{self._camera.name}: no new frame for {limit_s:.3g} s {frames}{dropped}"
