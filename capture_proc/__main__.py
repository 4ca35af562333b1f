# SPDX-License-Identifier: MIT
"""`python -m capture_proc`: started by the supervisor, or by hand to see what a camera gives."""

from __future__ import annotations

import faulthandler
import logging
import math
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass

from capture_proc.camera import Camera, CameraError, NeverWorksError, NoCameraError
from capture_proc.camera_list import camera_list
from capture_proc.cameras.kinds import KINDS, choose, opened, wishes_of
from capture_proc.capture_loop import CaptureLoop, FrameSink, FrozenSceneError, StalledError, TimeLimits
from capture_proc.clock import SystemClock
from capture_proc.drill import DrillCamera
from capture_proc.fitting import FittingEncoder
from capture_proc.frozen_scene import SceneWatch
from capture_proc.jpeg import to_jpeg
from capture_proc.options import (
    CaptureCommands,
    CaptureOptions,
    HandedDown,
    Picamera2Options,
    first_frame_timeout_or_default,
    identical_after_or_default,
    stall_timeout_or_default,
)
from capture_proc.report import Report
from proc_start.logs import run_and_exit, start_logging
from proc_start.options import read_or_exit
from proc_start.tether import tie_to_supervisor
from shm_ring.board import BoardReader, BoardWriter
from shm_ring.doorbell import Doorbell
from shm_ring.errors import SegmentError, WriterAliveError
from shm_ring.ring import RingReader, RingWriter
from shm_ring.segment import Segment
from shm_ring.status import CaptureStatus

_log = logging.getLogger(__name__)

_CLOSE_TIMEOUT_S = 1.5
"""The supervisor gives a stop 2 s. A clean close takes 0.2 s on libcamera's virtual camera."""
_CLOSE_STALLED_TIMEOUT_S = 0.5
"""A camera that stalled hangs in its close as well, more often than not."""

_STUCK_MARGIN_S = 0.35
"""A loop that is not stuck ends at its limit by itself, and says why."""


class _DryRun:
    """Takes frames and counts them: for a capture process without a ring."""

    slot_bytes = 1 << 30

    def publish(self, payload: bytes, facts: bytes = b"") -> int | None:
        return 1

    @staticmethod
    def report(status: CaptureStatus) -> None:
        if status.frames:
            _log.info("%s: %.1f frames a second, %d so far", status.name, status.fps, status.frames)


def main() -> int:
    """Capture until SIGTERM or SIGINT; return the exit code."""
    start_logging("capture")
    line = read_or_exit(
        sys.argv[1:],
        CaptureOptions,
        CaptureCommands,
        Picamera2Options,
        HandedDown,
        program="python -m capture_proc",
        about="Capture from a camera; without a supervisor, only say how many frames it gives.",
    )
    options, given = line.table(CaptureOptions), line.table(HandedDown)
    of_picamera2 = line.table(Picamera2Options)
    try:
        if line.table(CaptureCommands).list_cameras:
            for number in (signal.SIGINT, signal.SIGPIPE):
                signal.signal(number, signal.SIG_DFL)
            kind = KINDS["picamera2"]
            print(camera_list(kind.listed(wishes_of(kind, options, of_picamera2))))
            return os.EX_OK
        tie_to_supervisor(filter(None, (given.frames_fd, given.board_fd, given.doorbell_fd)))
        return _capture(options, of_picamera2, _outlets(given), given.drill_file)
    except (NeverWorksError, SegmentError) as error:
        _log.error("%s", error)
        return os.EX_USAGE
    except NoCameraError as error:
        _log.error("no camera: %s", error)
        return os.EX_UNAVAILABLE
    except WriterAliveError as error:
        _log.error("%s", error)
        return os.EX_CANTCREAT
    except CameraError as error:
        _log.error("camera %s: %s", options.camera, error)
        return os.EX_SOFTWARE
    except Exception as error:  # noqa: BLE001  a camera of somebody's own may raise anything
        where = traceback.extract_tb(error.__traceback__)[-1]
        what = f"{type(error).__name__}: {error}"
        _log.error("camera %s failed: %s (%s, line %s)", options.camera, what, where.filename, where.lineno)
        return os.EX_SOFTWARE


@dataclass(frozen=True, slots=True)
class _Outlets:
    """Where frames and the status go, and what the process before this one left there."""

    sink: FrameSink
    write: Callable[[CaptureStatus], None]
    left_behind: CaptureStatus | None


def _outlets(given: HandedDown) -> _Outlets:
    if not given.frames_fd:
        dry_run = _DryRun()
        return _Outlets(dry_run, dry_run.report, None)
    frames = RingWriter(Segment(given.frames_fd), [Doorbell(given.doorbell_fd)])
    board = Segment(given.board_fd)
    # read before this process becomes the writer, which may not read its own ring
    left_behind = BoardReader(RingReader(board), CaptureStatus).read()
    writer = BoardWriter[CaptureStatus](RingWriter(board))
    return _Outlets(frames, writer.write, left_behind.row if left_behind else None)


def _capture(
    options: CaptureOptions,
    of_picamera2: Picamera2Options,
    outlets: _Outlets,
    drill_file: str,
) -> int:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    name, camera_id = choose(options.camera)
    kind = KINDS[name]
    wishes = wishes_of(kind, options, of_picamera2, camera_id=camera_id)
    given_camera = opened(kind, kind.imported(wishes), wishes)
    camera = DrillCamera(given_camera, to_jpeg, drill_file)
    stall_timeout_s = stall_timeout_or_default(options.stall_timeout_s, camera.period_s)
    if not 0 < camera.period_s < math.inf:
        raise NeverWorksError(
            f"expected {camera.name} to have a period_s of more than 0 seconds, got {camera.period_s}"
        )
    if stall_timeout_s < 2 * camera.period_s:
        raise NeverWorksError(
            f"a stall limit of {stall_timeout_s:g} s is less than two frame periods of "
            f"{camera.period_s:g} s; raise --stall-timeout-s or --fps"
        )
    limits = TimeLimits(
        stall_timeout_s=stall_timeout_s,
        first_frame_timeout_s=first_frame_timeout_or_default(options.first_frame_timeout_s, stall_timeout_s),
    )
    _log.info(
        "camera opened: %s; restarted after %g s without a first frame, then after %g s without a new one",
        camera.name,
        limits.first_frame_timeout_s,
        limits.stall_timeout_s,
    )
    left = outlets.left_behind
    scene = SceneWatch(
        identical_after_or_default(options.identical_after_s, camera.period_s),
        restarted=left is not None and left.restarted_for_identical and camera.scene_may_freeze,
    )
    loop = CaptureLoop(
        camera,
        FittingEncoder(camera.encode, options.quality),
        outlets.sink,
        clock=SystemClock(),
        limits=limits,
        scene=scene,
        report=Report(given_camera, outlets.write),
        arm=_end_when_stuck,
    )
    close_s = _CLOSE_TIMEOUT_S
    try:
        loop.run(stop.is_set)
    except StalledError as error:
        _log.error("stalled: %s", error)
        close_s = _CLOSE_STALLED_TIMEOUT_S
        return os.EX_TEMPFAIL
    except FrozenSceneError as error:
        _log.error("frozen: %s", error)
        return os.EX_DATAERR
    finally:
        _end_when_stuck(close_s)
        _close(camera, close_s)
        faulthandler.cancel_dump_traceback_later()
    return os.EX_OK


def _end_when_stuck(within_s: float) -> None:
    """Let this process print its stacks and end, exit 1, unless it is told otherwise `within_s`.

    faulthandler does it in a thread in C, whatever holds the interpreter.
    """
    faulthandler.dump_traceback_later(within_s + _STUCK_MARGIN_S, exit=True)


def _close(camera: Camera, within_s: float) -> None:
    """Close the camera; one that hangs in it is left behind, for the process ends anyway."""

    def close() -> None:
        try:
            camera.close()
        except Exception as error:  # noqa: BLE001  a camera of somebody's own may raise anything
            _log.warning("the camera did not close: %s: %s", type(error).__name__, error)

    closing = threading.Thread(target=close, name="close", daemon=True)
    closing.start()
    closing.join(within_s)
    if closing.is_alive():
        _log.warning("the camera did not close within %g s", within_s)


if __name__ == "__main__":
    run_and_exit(main)
