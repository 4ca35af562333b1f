# SPDX-License-Identifier: MIT
"""Which camera `--camera` means.

What a camera needs is imported when it was chosen, for it may be missing where another is used.
"""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import logging
import os
from pathlib import Path
from typing import Protocol

from capture_proc.camera import Camera, CameraWishes, NeverWorksError, NoCameraError
from capture_proc.cameras.picamera2.camera import Picamera2Camera
from capture_proc.cameras.replay import open_replay
from capture_proc.options import CaptureOptions, Picamera2Options
from capture_proc.orientation import Orientation, TurnedCamera
from proc_start.options import options_of

_log = logging.getLogger(__name__)


class CameraClass(Protocol):
    """Makes a camera from what is asked of it."""

    def __call__(self, settings: CameraWishes) -> Camera:
        """Open the camera."""


def open_camera(options: CaptureOptions, of_picamera2: Picamera2Options) -> Camera:
    """Open what `--camera` names: auto, picamera2, pattern, MODULE:CLASS, or a path to footage.

    Raises:
        NoCameraError: there is none now.
        NeverWorksError: this choice can never work.
    """
    choice, settings = options.camera, CameraWishes(options.size, options.fps)
    orientation = Orientation.of(options.rotate, options.flip)
    if choice == "auto":
        has_picamera2 = importlib.util.find_spec("picamera2") is not None
        choice = automatic_choice(has_picamera2=has_picamera2, is_raspberry_pi=is_raspberry_pi())
    if choice.partition(":")[0] == "picamera2":
        return Picamera2Camera(
            settings,
            of_picamera2,
            camera_id=choice.partition(":")[2],
            orientation=orientation,
            quality=options.quality,
        )
    _refuse(of_picamera2, choice)
    camera = _other_camera(choice, settings)
    return TurnedCamera(camera, orientation) if orientation else camera


def _refuse(of_picamera2: Picamera2Options, choice: str) -> None:
    """Refuse options that the chosen camera would not heed."""
    flags = zip(options_of(Picamera2Options), dataclasses.fields(Picamera2Options), strict=True)
    typed = [flag for flag, field in flags if getattr(of_picamera2, field.name) != field.default]
    if typed:
        raise NeverWorksError(
            f"only a camera of Picamera2 heeds {' and '.join(typed)}, and --camera is {choice}; leave it out"
        )


def _other_camera(choice: str, settings: CameraWishes) -> Camera:
    if choice == "pattern":
        return _camera_class("capture_proc.cameras.pattern:PatternCamera")(settings)
    if os.path.exists(choice):  # noqa: PTH110  False where pathlib's raises
        return open_replay(Path(choice), settings)
    return _camera_class(choice)(settings)


def automatic_choice(*, has_picamera2: bool, is_raspberry_pi: bool) -> str:
    """Return what `--camera auto` means on a machine.

    Raises:
        NoCameraError: a Raspberry Pi without picamera2; a moving test picture would mislead a driver.
    """
    if has_picamera2:
        return "picamera2"
    if is_raspberry_pi:
        raise NoCameraError(
            "this is a Raspberry Pi without picamera2; type: sudo apt install python3-picamera2 "
            "(or choose the test picture with --camera pattern)"
        )
    _log.warning("no camera here (picamera2 is not installed): showing the moving test pattern")
    return "pattern"


def is_raspberry_pi(model: Path = Path("/proc/device-tree/model")) -> bool:
    """Tell whether this machine is a Raspberry Pi, by its device tree."""
    try:
        return "Raspberry Pi" in model.read_text(errors="replace")
    except OSError:
        return False


def _camera_class(choice: str) -> CameraClass:
    module_name, _, class_name = choice.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise NeverWorksError(
            f"--camera {choice}: there is no module {error.name!r}; check its name, or put the folder "
            "that holds it into PYTHONPATH"
        ) from error
    camera_class: CameraClass | None = getattr(module, class_name, None)
    if not callable(camera_class):
        raise NeverWorksError(
            f"--camera {choice}: module {module_name!r} has no class {class_name!r}; check its name"
        )
    return camera_class
