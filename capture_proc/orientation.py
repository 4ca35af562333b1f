# SPDX-License-Identifier: MIT
"""Pictures turned and mirrored, where the camera itself does not do it.

A quarter turn is a copy of each plane with rows and columns exchanged. EXIF would cost nothing, and
browsers heed it, but OpenCV does not. See docs/decisions/0006.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from capture_proc.camera import Camera, NeverWorksError, Picture, Pixels, Plane, Yuv420


@dataclass(frozen=True, slots=True)
class Orientation:
    """How a picture is changed: the flips first, then rows and columns are exchanged."""

    hflip: bool = False
    vflip: bool = False
    transpose: bool = False

    @classmethod
    def of(cls, rotate: int, flip: str) -> Orientation:
        """Return what `--rotate` (degrees clockwise) and, after it, `--flip` mean."""
        transpose = rotate in (90, 270)
        hflip, vflip = rotate in (180, 270), rotate in (90, 180)
        if flip != "none":
            # mirrored after the exchange is mirrored the other way before it
            if (flip == "horizontal") != transpose:
                hflip = not hflip
            else:
                vflip = not vflip
        return cls(hflip, vflip, transpose)

    def after(self, done: Orientation) -> Orientation:
        """Return what is left to do when the camera has done some flips already."""
        return replace(self, hflip=self.hflip != done.hflip, vflip=self.vflip != done.vflip)

    def __bool__(self) -> bool:
        return self != UPRIGHT


UPRIGHT = Orientation()


def turned(pixels: Pixels, orientation: Orientation) -> Pixels:
    """Return pixels in another orientation, as copies; those that are upright are returned as they are.

    Raises:
        NeverWorksError: a ready JPEG, which is not decoded.
    """
    if not orientation:
        return pixels
    if isinstance(pixels, bytes):
        raise NeverWorksError(
            "this camera gives ready JPEGs, which are not decoded and cannot be turned; leave out --rotate "
            "and --flip"
        )
    if isinstance(pixels, Yuv420):
        return Yuv420(*(_plane(plane, orientation) for plane in (pixels.y, pixels.u, pixels.v)))
    return _plane(pixels, orientation)


def _plane(plane: Plane, orientation: Orientation) -> Plane:
    plane = plane[:: -1 if orientation.vflip else 1, :: -1 if orientation.hflip else 1]
    return np.ascontiguousarray(plane.swapaxes(0, 1) if orientation.transpose else plane)


class TurnedCamera:
    """Any camera, with its pictures turned. For the thread of that camera."""

    def __init__(self, camera: Camera, orientation: Orientation) -> None:
        self._camera = camera
        self._orientation = orientation
        self.name = f"{camera.name}, turned"
        self.period_s = camera.period_s
        self.scene_may_freeze: bool = getattr(camera, "scene_may_freeze", True)

    @property
    def granted(self) -> object:
        """What the camera tells of itself."""
        return getattr(self._camera, "granted", None)

    def next_picture(self, timeout_s: float) -> Picture | None:
        """Return what the camera returns, turned."""
        picture = self._camera.next_picture(timeout_s)
        if not isinstance(picture, Picture):
            return picture
        return replace(picture, pixels=turned(picture.pixels, self._orientation))

    def close(self) -> None:
        """Let go of the camera."""
        self._camera.close()
