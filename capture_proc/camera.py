# SPDX-License-Identifier: MIT
"""What a camera must do.

Here: the protocol and the picture that it hands over. Not here: any camera of its own, or the choice
of one.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

Plane: TypeAlias = NDArray[np.uint8]

_NAME_CHARACTERS = 200


class CameraError(Exception):
    """Base of all errors of this package that a person can do something about."""


class NoCameraError(CameraError, LookupError):
    """There is no camera now; there may be one at the next try."""


class PixelsError(CameraError, TypeError):
    """A camera gave something that is no picture."""


class NeverWorksError(CameraError, ValueError):
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
    number: int | None = None
    """Its number in the camera, counted there; a gap tells of pictures that never came here."""


@dataclass(frozen=True, slots=True)
class CameraWishes:
    """What a camera is asked for; None leaves it to the camera."""

    size: tuple[int, int] | None = None
    """(width, height) in pixels."""
    fps: float | None = None


class Camera(Protocol):
    """A source of pictures. Used by one thread.

    It may also have a property `granted`: what it was asked for and gave, as JSON can say it, for
    `/status`. And `scene_may_freeze = False`, where the same picture again and again is no fault: its
    pictures are not compared then, see frozen_scene.py.

    A class of your own is made with `CLASS(settings: CameraWishes)`, and may raise NoCameraError or
    NeverWorksError with a sentence for the person at the robot.
    """

    name: str
    """What it is, in a few words, for the log and `/status`."""
    period_s: float
    """The usual time from one picture to the next."""

    def next_picture(self, timeout_s: float) -> Picture | None:
        """Return the next picture, or None if none came within `timeout_s`."""

    def close(self) -> None:
        """Let go of the camera."""


def in_one_line(name: object) -> str:
    """Return a camera's name as any log and board can carry it: not too long, and with no half characters."""
    return " ".join(str(name).split())[:_NAME_CHARACTERS].encode(errors="replace").decode()
