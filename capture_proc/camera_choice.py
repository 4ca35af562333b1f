# SPDX-License-Identifier: MIT
"""Which camera `--camera` means.

A camera's own file is imported when it was chosen: what one needs may be missing for the others.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
from pathlib import Path
from typing import Protocol

from capture_proc.camera import Camera, CameraChoiceError, CameraSettings, NoCameraError
from capture_proc.replay_camera import open_replay

_log = logging.getLogger(__name__)


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
