# SPDX-License-Identifier: MIT
"""A picture becomes a JPEG. One that comes as a ready JPEG is checked and not encoded again."""

from __future__ import annotations

import numpy as np
import simplejpeg

from capture_proc.camera import Pixels, PixelsError, Yuv420
from capture_proc.options import MOST_PX
from capture_proc.ready_jpeg import Jpeg, checked


def to_jpeg(pixels: Pixels, quality: int) -> Jpeg:
    """Encode pixels with `quality` 1 to 100 and 4:2:0 chroma; check and mend what is ready already.

    Raises:
        UnusableJpegError: a ready JPEG that is empty, truncated or of another kind.
        PixelsError: the camera gave something else than `Pixels`, or a picture that is too large.
    """
    if isinstance(pixels, bytes):
        return checked(pixels)
    if isinstance(pixels, Yuv420):
        height, width = pixels.y.shape
        _check_size(width, height)
        encoded = simplejpeg.encode_jpeg_yuv_planes(pixels.y, pixels.u, pixels.v, quality)
        return Jpeg(encoded, (width, height))
    if not isinstance(pixels, np.ndarray) or pixels.shape[2:] != (3,) or pixels.dtype != np.uint8:
        came = f"{getattr(pixels, 'dtype', '')} {getattr(pixels, 'shape', '')}".strip()
        raise PixelsError(
            "expected pixels as Yuv420, as an array (height, width, 3) of uint8, or as bytes of a JPEG; "
            f"the camera gave {came or type(pixels).__name__}"
        )
    height, width = pixels.shape[:2]
    _check_size(width, height)
    encoded = simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), quality, colorsubsampling="420")
    return Jpeg(encoded, (width, height))


def _check_size(width: int, height: int) -> None:
    if max(width, height) > MOST_PX:
        raise PixelsError(
            f"expected a picture of up to {MOST_PX}x{MOST_PX} pixels, the camera gave {width}x{height}"
        )
