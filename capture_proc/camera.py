# SPDX-License-Identifier: MIT
"""What a camera must do, and what is wished of it.

Here: the base of all cameras and the picture that one hands over. Not here: any camera, or the choice of one.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from capture_proc.options import DEFAULT_QUALITY, ControlOrder, stall_timeout_or_default
from capture_proc.orientation import UPRIGHT, Orientation

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Plane: TypeAlias = "NDArray[np.uint8]"

_NAME_CHARACTERS = 200


class CameraError(Exception):
    """Base of all errors of this package that a person can do something about."""


class NoCameraError(CameraError, LookupError):
    """There is no camera now; there may be one at the next try."""


class PixelsError(CameraError, TypeError):
    """A camera gave something that is no picture."""


class NeverWorksError(CameraError, ValueError):
    """What was chosen can never work with this machine and this camera, whatever else is plugged in later.

    What is only missing now, such as a disk or a device node, is a `NoCameraError`.
    """


@dataclass(frozen=True, slots=True)
class Yuv420:
    """Full-range BT.601 planes: y (height, width), u and v (height // 2, width // 2), rows padded or not."""

    y: Plane
    u: Plane
    v: Plane


Pixels: TypeAlias = "Yuv420 | Plane | bytes"
"""YUV420 planes, RGB as an array (height, width, 3) of uint8, or a ready JPEG."""


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture of a camera. Its arrays are valid until the camera is asked for the next one."""

    pixels: Pixels
    captured_ns: int
    """When the first row was exposed, on the clock `clock_id`."""
    clock_id: int = time.CLOCK_MONOTONIC
    number: int | None = None
    """Its number in the camera, counted there; a gap tells of pictures that never came here."""


@dataclass(frozen=True, slots=True)
class CameraWishes:
    """What is wished of a camera; None leaves it to the camera."""

    size: tuple[int, int] | None = None
    """(width, height) in pixels."""
    fps: float | None = None
    id: str = ""
    """Which one of its kind: an Id, a path, MODULE:CLASS; empty for the first."""
    orientation: Orientation = UPRIGHT
    quality: int = DEFAULT_QUALITY
    """Of the JPEGs of a camera that encodes by itself, 1 to 100."""
    controls: tuple[ControlOrder, ...] = ()
    sensor_mode: tuple[int, int] | None = None
    """(width, height) of the sensor's mode."""
    tuning_file: str | None = None
    encoder: str = "auto"
    remembered: Any = None
    """What the process before found out, see `Camera.remembered`."""


class Camera:
    """A source of pictures, with the usual answers. Used by one thread.

    A class of your own is called with `CameraWishes`. It may derive from this one, but does not have to: what
    it leaves out is as it is here. It may raise NoCameraError, and is then tried again, or NeverWorksError,
    each with a sentence for the person at the robot.
    """

    name: str
    """What it is, in a few words, for the log and `/status`."""
    period_s: float
    """The usual time from one picture to the next."""
    scene_may_freeze: bool = True
    """Whether identical pictures are a fault, see frozen_scene.py; False where they are normal."""

    @property
    def stall_s(self) -> float:
        """For how long it may give nothing new, in seconds, until it is restarted."""
        return stall_timeout_or_default(None, self.period_s)

    @property
    def first_frame_s(self) -> float:
        """How long it may take to its first frame once it is open, in seconds.

        Sensors need a part of a second to begin, cameras in a network and on USB several.
        """
        return 10.0

    @property
    def granted(self) -> Any:
        """What the camera was asked for and gave, for `/status`, as JSON can hold it."""
        return None

    @property
    def remembered(self) -> Any:
        """What it cost to find out and its successor shall be told, as JSON can hold it."""
        return None

    def next_picture(self, timeout_s: float) -> Picture | None:
        """Return the next picture, or None if there was none within `timeout_s`."""
        raise NotImplementedError

    def close(self) -> None:
        """Release the camera."""


class CameraAround(Camera):
    """A camera around another. What it does not change is as in the other."""

    def __init__(self, camera: Camera) -> None:
        self._camera = camera
        self.name = camera.name
        self.period_s = camera.period_s
        self.scene_may_freeze = camera.scene_may_freeze

    @property
    def stall_s(self) -> float:
        """The other's limit."""
        return self._camera.stall_s

    @property
    def first_frame_s(self) -> float:
        """The other's limit."""
        return self._camera.first_frame_s

    @property
    def granted(self) -> Any:
        """What the other was asked for and gave."""
        return self._camera.granted

    @property
    def remembered(self) -> Any:
        """What the other found out."""
        return self._camera.remembered

    def next_picture(self, timeout_s: float) -> Picture | None:
        """Return the other's next picture."""
        return self._camera.next_picture(timeout_s)

    def close(self) -> None:
        """Release the other."""
        self._camera.close()


class OwnCamera(Camera):
    """A camera of a class that does not derive from `Camera`: what it leaves out has its default."""

    def __init__(self, own: Any) -> None:
        self._own = own
        self.name = own.name
        self.period_s = own.period_s
        self.scene_may_freeze = getattr(own, "scene_may_freeze", self.scene_may_freeze)

    @property
    def stall_s(self) -> float:
        """For how long it may give nothing new."""
        return float(getattr(self._own, "stall_s", super().stall_s))

    @property
    def first_frame_s(self) -> float:
        """How long it may take to its first frame."""
        return float(getattr(self._own, "first_frame_s", super().first_frame_s))

    @property
    def granted(self) -> Any:
        """What it was asked for and gave."""
        return getattr(self._own, "granted", super().granted)

    @property
    def remembered(self) -> Any:
        """What it found out."""
        return getattr(self._own, "remembered", super().remembered)

    def next_picture(self, timeout_s: float) -> Picture | None:
        """Return its next picture."""
        picture: Picture | None = self._own.next_picture(timeout_s)
        return picture

    def close(self) -> None:
        """Release it."""
        self._own.close()


def in_one_line(name: object) -> str:
    """Return a camera's name as any log and board can carry it: not too long, and with no half characters."""
    return " ".join(str(name).split())[:_NAME_CHARACTERS].encode(errors="replace").decode()
