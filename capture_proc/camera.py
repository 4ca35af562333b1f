# SPDX-License-Identifier: MIT
"""What a camera must do, and which one is meant by `--camera`.

Here: the protocol, the picture it hands over, the choice. Not here: any camera of its own; each has
its file, which is imported when it was chosen.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

_log = logging.getLogger(__name__)

Plane: TypeAlias = NDArray[np.uint8]


class CameraError(Exception):
    """Base of all errors of this package that a person can do something about."""


class NoCameraError(CameraError, LookupError):
    """There is no camera now; there may be one at the next try."""


class CameraChoiceError(CameraError, ValueError):
    """What was chosen by option can never work."""


@dataclass(frozen=True, slots=True)
class Yuv420:
    """Full-range BT.601 planes: y (height, width), u and v (height // 2, width // 2), rows padded or not."""

    y: Plane
    u: Plane
    v: Plane


Pixels: TypeAlias = Yuv420 | Plane | bytes
"""YUV420 planes, RGB as an array (height, width, 3) of uint8, or a ready JPEG."""


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture of a camera. Its arrays are valid until the camera is asked for the next one."""

    pixels: Pixels
    captured_ns: int
    """When the first row was exposed, on the clock `clock_id`."""
    clock_id: int = time.CLOCK_MONOTONIC


@dataclass(frozen=True, slots=True)
class CameraSettings:
    """What a camera is asked for; None leaves it to the camera."""

    size: tuple[int, int] | None = None
    """(width, height) in pixels."""
    fps: float | None = None


class Camera(Protocol):
    """A source of pictures. Used by one thread.

    A class of your own is made with `CLASS(settings: CameraSettings)`, and may raise NoCameraError or
    CameraChoiceError with a sentence for the person at the robot.
    """

    name: str
    """What it is, in a few words, for the log and `/status`."""
    period_s: float
    """The usual time from one picture to the next."""

    def next_picture(self, timeout_s: float) -> Picture | None:
        """Return the next picture, or None if none came within `timeout_s`."""

    def close(self) -> None:
        """Let go of the camera."""


class CameraClass(Protocol):
    """Makes a camera from what is asked of it."""

    def __call__(self, settings: CameraSettings) -> Camera:
        """Open the camera."""


def open_camera(choice: str, settings: CameraSettings) -> Camera:
    """Open what `--camera` names: auto, picamera2, pattern, MODULE:CLASS, or a path to footage.

    Raises:
        NoCameraError: there is none now.
        CameraChoiceError: this choice can never work.
    """
    if choice == "auto":
        choice = _automatic_choice()
    if choice == "picamera2":
        return _camera_class("capture_proc.picamera2_camera:Picamera2Camera")(settings)
    if choice == "pattern":
        return _camera_class("capture_proc.pattern_camera:PatternCamera")(settings)
    if Path(choice).exists():
        from capture_proc.replay_camera import open_replay  # noqa: PLC0415  PyAV only when needed

        return open_replay(Path(choice), settings)
    return _camera_class(choice)(settings)


def _automatic_choice() -> str:
    if importlib.util.find_spec("picamera2") is not None:
        return "picamera2"
    if _is_raspberry_pi():
        raise NoCameraError(
            "this is a Raspberry Pi without picamera2; type: sudo apt install python3-picamera2 "
            "(or choose the test picture with --camera pattern)"
        )
    _log.warning("no camera here (picamera2 is not installed): showing the moving test pattern")
    return "pattern"


def _is_raspberry_pi(model: Path = Path("/proc/device-tree/model")) -> bool:
    try:
        return "Raspberry Pi" in model.read_text(errors="replace")
    except OSError:
        return False


def _camera_class(choice: str) -> CameraClass:
    module_name, _, class_name = choice.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise CameraChoiceError(
            f"--camera {choice}: there is no module {error.name!r}; check its name, or put the folder "
            "that holds it into PYTHONPATH"
        ) from error
    try:
        camera_class: CameraClass = getattr(module, class_name)
    except AttributeError as error:
        raise CameraChoiceError(
            f"--camera {choice}: module {module_name!r} ({module.__file__}) has no class {class_name!r}; "
            "check its name"
        ) from error
    return camera_class
