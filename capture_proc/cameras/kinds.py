# SPDX-License-Identifier: MIT
"""Which camera `--camera` means: one table of all kinds.

What a kind needs is imported when it was chosen, because it may be missing where another is used.
"""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import logging
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from capture_proc.camera import Camera, CameraWishes, NeverWorksError, NoCameraError, OwnCamera
from capture_proc.camera_list import CameraFacts
from capture_proc.options import CaptureOptions, Picamera2Options
from capture_proc.orientation import UPRIGHT, Orientation
from proc_start.options import options_of

_log = logging.getLogger(__name__)

Opener = Callable[[CameraWishes], Camera]


def _nothing_to_list(_wishes: CameraWishes) -> list[CameraFacts]:
    return []


@dataclasses.dataclass(frozen=True, slots=True)
class Kind:
    """A kind of camera."""

    imported: Callable[[CameraWishes], Opener]
    """Import what these wishes need, and return what opens the camera."""
    listed: Callable[[CameraWishes], list[CameraFacts]] = _nothing_to_list
    """Return the cameras of this kind that are connected."""
    heeds: frozenset[str] = frozenset()
    """The flags of `Picamera2Options` that it heeds."""
    turns: bool = False
    """Whether it turns its pictures itself."""
    rest_s: float = 0.0
    """How long it must be left alone after two starts in a row without a first frame."""


def choose(camera: str) -> tuple[str, str]:
    """Return the kind of camera that `--camera` names, and which one of its kind.

    Raises:
        NoCameraError: it is auto, on a Raspberry Pi without picamera2.
    """
    if camera == "auto":
        has_picamera2 = importlib.util.find_spec("picamera2") is not None
        camera = automatic_choice(has_picamera2=has_picamera2, is_raspberry_pi=is_raspberry_pi())
    name, _, camera_id = camera.partition(":")
    if name == "picamera2" or camera == "pattern":
        return name, camera_id
    # os.path's exists() is False for a path that may not be looked at, where pathlib's raises
    is_path = "/" in camera or os.path.exists(camera)  # noqa: PTH110
    return "footage" if is_path else "class", camera


def wishes_of(
    kind: Kind,
    options: CaptureOptions,
    of_picamera2: Picamera2Options,
    *,
    camera_id: str = "",
    remembered: object = None,
) -> CameraWishes:
    """Return what the options wish of a camera.

    Raises:
        NeverWorksError: it would not heed some of them, and nobody would notice.
    """
    flags = zip(options_of(Picamera2Options), dataclasses.fields(Picamera2Options), strict=True)
    unheeded = [
        flag
        for flag, field in flags
        if flag not in kind.heeds and getattr(of_picamera2, field.name) != field.default
    ]
    if unheeded:
        raise NeverWorksError(
            f"only a Picamera2 camera supports {' and '.join(unheeded)}, and --camera is {options.camera}; "
            "leave it out"
        )
    return CameraWishes(
        size=options.size,
        fps=options.fps,
        id=camera_id,
        orientation=Orientation.of(options.rotate, options.flip),
        quality=options.quality,
        controls=of_picamera2.control,
        sensor_mode=of_picamera2.sensor_mode,
        tuning_file=of_picamera2.tuning_file,
        encoder=of_picamera2.encoder,
        remembered=remembered,
    )


def opened(kind: Kind, opener: Opener, wishes: CameraWishes) -> Camera:
    """Open a camera; its pictures come as they are wished to be turned.

    Raises:
        NoCameraError: there is none now.
        NeverWorksError: these wishes can never come true.
    """
    camera = opener(wishes)
    if wishes.orientation and not kind.turns:
        from capture_proc.turned import TurnedCamera  # noqa: PLC0415  rarely needed

        return TurnedCamera(camera, wishes.orientation)
    return camera


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


def _picamera2(_wishes: CameraWishes) -> Opener:
    from capture_proc.cameras.picamera2.camera import Picamera2Camera  # noqa: PLC0415
    from capture_proc.cameras.picamera2.library import Library  # noqa: PLC0415

    return partial(Picamera2Camera, library=Library())


def _of_picamera2(wishes: CameraWishes) -> list[CameraFacts]:
    from capture_proc.cameras.picamera2.library import Library, list_cameras  # noqa: PLC0415

    return list_cameras(Library(), wishes.tuning_file)


def _pattern(_wishes: CameraWishes) -> Opener:
    from capture_proc.cameras.pattern import PatternCamera  # noqa: PLC0415

    return PatternCamera


def _footage(_wishes: CameraWishes) -> Opener:
    from capture_proc.cameras.replay import open_replay  # noqa: PLC0415

    return open_replay


def _own_class(wishes: CameraWishes) -> Opener:
    module_name, _, class_name = wishes.id.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        # it may be on a disk that is mounted later
        raise NoCameraError(
            f"--camera {wishes.id}: Python finds no module {error.name!r}; check its name, or add the folder "
            "that holds it to PYTHONPATH"
        ) from error
    own_class = getattr(module, class_name, None)
    if not callable(own_class):
        raise NeverWorksError(
            f"--camera {wishes.id}: module {module_name!r} has no class {class_name!r}; check its name"
        )

    def open_own(wishes: CameraWishes) -> Camera:
        # the Id named the class itself, and its pictures are turned here
        camera = own_class(dataclasses.replace(wishes, id="", orientation=UPRIGHT))
        return camera if isinstance(camera, Camera) else OwnCamera(camera)

    return open_own


KINDS = {
    "picamera2": Kind(
        _picamera2,
        _of_picamera2,
        heeds=frozenset(options_of(Picamera2Options)),
        turns=True,
        # some sensors are powered off 5 s after they stopped, and only that resets them:
        # https://github.com/raspberrypi/linux/pull/7191
        rest_s=6.0,
    ),
    "pattern": Kind(_pattern),
    "footage": Kind(_footage),
    "class": Kind(_own_class),
}
