# SPDX-License-Identifier: MIT
"""A camera is opened, captured from and closed, each within its time."""

from __future__ import annotations

import faulthandler
import logging
import math
import os
import threading
from collections.abc import Callable

from capture_proc.camera import Camera, CameraWishes, NeverWorksError
from capture_proc.cameras.kinds import Kind, Opener, opened
from capture_proc.capture_loop import CaptureLoop, FrameSink, FrozenSceneError, StalledError, TimeLimits
from capture_proc.clock import SystemClock
from capture_proc.drill import DrillCamera
from capture_proc.fitting import FittingEncoder
from capture_proc.frozen_scene import SceneWatch
from capture_proc.jpeg import to_jpeg
from capture_proc.options import OPENING_S, CaptureOptions, identical_after_or_default
from capture_proc.progress import Progress
from capture_proc.report import Report
from shm_ring.status import Step

_log = logging.getLogger(__name__)

_CLOSE_TIMEOUT_S = 1.5
"""The supervisor gives a stop 2 s. A clean close takes 0.2 s on libcamera's virtual camera."""
_CLOSE_STALLED_TIMEOUT_S = 0.5
"""A camera that stalled hangs in its close as well, more often than not."""
_MOST_STALL_S = 10.0
"""How far the stall limit follows a camera that is slower than it says."""


def open_camera(
    kind: Kind, opener: Opener, wishes: CameraWishes, progress: Progress, options: CaptureOptions
) -> Camera:
    """Open a camera within its time.

    Raises:
        NoCameraError: there is none now.
        NeverWorksError: these wishes can never come true.
    """
    progress.begin(Step.OPENING, max(OPENING_S, options.first_frame_timeout_s or 0.0))
    return opened(kind, opener, wishes)


def capture(
    camera: Camera,
    options: CaptureOptions,
    sink: FrameSink,
    progress: Progress,
    stop_asked: Callable[[], bool],
    drill_file: str,
) -> int:
    """Capture until `stop_asked`; close the camera, and return the exit code."""
    drilled = DrillCamera(camera, to_jpeg, drill_file)
    limits = limits_of(drilled, options)
    progress.begin(Step.FIRST_FRAME, limits.first_frame_timeout_s)
    _log.info(
        "camera opened: %s; restarted after %.3g s without a first frame, then %.3g s without a new one",
        drilled.name,
        limits.first_frame_timeout_s,
        limits.stall_timeout_s,
    )
    progress.write = Report(camera, progress.write)
    loop = CaptureLoop(
        drilled,
        FittingEncoder(drilled.encode, options.quality),
        sink,
        clock=SystemClock(),
        limits=limits,
        scene=SceneWatch(
            identical_after_or_default(options.identical_after_s, drilled.period_s),
            restarted=progress.row.restarted_for_identical and drilled.scene_may_freeze,
        ),
        progress=progress,
    )
    close_s = _CLOSE_TIMEOUT_S
    try:
        loop.run(stop_asked)
    except StalledError as error:
        _log.error("stalled: %s", error)
        close_s = _CLOSE_STALLED_TIMEOUT_S
        return os.EX_TEMPFAIL
    except FrozenSceneError as error:
        _log.error("frozen: %s", error)
        return os.EX_DATAERR
    finally:
        progress.arm(close_s)
        _close(drilled, close_s)
        faulthandler.cancel_dump_traceback_later()
    return os.EX_OK


def limits_of(camera: Camera, options: CaptureOptions) -> TimeLimits:
    """Return for how long a camera may give nothing: as asked, else as the camera says.

    Raises:
        NeverWorksError: a healthy camera would be restarted for ever.
    """
    if not 0 < camera.period_s < math.inf:
        raise NeverWorksError(
            f"expected {camera.name} to have a period_s of more than 0 seconds, got {camera.period_s}"
        )
    asked_s, first_s = options.stall_timeout_s, options.first_frame_timeout_s
    stall_s = camera.stall_s if asked_s is None else asked_s
    if stall_s < 2 * camera.period_s:
        raise NeverWorksError(
            f"a stall limit of {stall_s:g} s is less than two frame periods of "
            f"{camera.period_s:g} s; raise --stall-timeout-s or --fps"
        )
    return TimeLimits(
        stall_timeout_s=stall_s,
        first_frame_timeout_s=max(camera.first_frame_s, stall_s) if first_s is None else first_s,
        follows_s=_MOST_STALL_S if asked_s is None else 0.0,
    )


def _close(camera: Camera, within_s: float) -> None:
    """Close the camera; one that hangs in it is left behind, because the process ends anyway."""

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
