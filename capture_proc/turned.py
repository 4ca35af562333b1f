# SPDX-License-Identifier: MIT
"""Pictures turned and mirrored, where the camera itself does not do it.

A quarter turn is a copy of each plane with rows and columns exchanged. EXIF would cost nothing, and
browsers heed it, but OpenCV does not. See docs/decisions/0006.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from capture_proc.camera import Camera, CameraAround, NeverWorksError, Picture, Pixels, Plane, Yuv420
from capture_proc.orientation import Orientation


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


class TurnedCamera(CameraAround):
    """Any camera, with its pictures turned. For the thread of that camera."""

    def __init__(self, camera: Camera, orientation: Orientation) -> None:
        super().__init__(camera)
        self._orientation = orientation
        self.name = f"{camera.name}, turned"

    def next_picture(self, timeout_s: float) -> Picture | None:
        """Return what the camera returns, turned."""
        picture = self._camera.next_picture(timeout_s)
        if not isinstance(picture, Picture):
            return picture
        return replace(picture, pixels=turned(picture.pixels, self._orientation))
