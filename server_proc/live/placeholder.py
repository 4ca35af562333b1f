# SPDX-License-Identifier: MIT
"""The picture that is shown instead of a live one: the last picture, dimmed, with a banner in plain words."""

from __future__ import annotations

import io
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image, ImageDraw, ImageFont

_log = logging.getLogger(__name__)

_DIMMED = 0.35
_QUALITY = 80
_EMPTY = (48, 48, 48)
_BAND, _WORDS = (0, 0, 0), (255, 255, 255)
_WIDEST = 0.92
"""The part of the picture's width that a line may cover."""
_LEAST_FONT_PX = 10


def draw_placeholder(last_jpeg: bytes | None, size: tuple[int, int], lines: Sequence[str]) -> bytes:
    """Return a JPEG of `size` (width, height) in pixels: the last picture dimmed, with `lines` on a band.

    Without a last picture that can be decoded, the ground is grey. Takes milliseconds.
    """
    from PIL import ImageDraw  # noqa: PLC0415  large, and not needed while all is well

    picture = _ground(last_jpeg, size)
    draw = ImageDraw.Draw(picture)
    width, height = picture.size
    font_px = _font_px(draw, lines, width, height)
    font, step = _font(font_px), round(font_px * 1.4)
    top = (height - step * len(lines)) // 2
    draw.rectangle((0, top - step // 4, width, top + step * len(lines) + step // 4), fill=_BAND)
    for row, line in enumerate(lines):
        draw.text((width / 2, top + step * (row + 0.5)), line, font=font, fill=_WORDS, anchor="mm")
    jpeg = io.BytesIO()
    picture.save(jpeg, "JPEG", quality=_QUALITY)
    return jpeg.getvalue()


def _ground(last_jpeg: bytes | None, size: tuple[int, int]) -> Image.Image:
    from PIL import Image  # noqa: PLC0415  as above

    if last_jpeg is not None:
        try:
            last = Image.open(io.BytesIO(last_jpeg)).convert("RGB")
            return last.point([round(_DIMMED * shade) for shade in range(256)] * 3)
        except Exception as error:  # noqa: BLE001  the bytes are from outside, and Pillow may raise anything
            _log.debug("the last picture cannot be dimmed: %s", error)
    return Image.new("RGB", size, _EMPTY)


def _font_px(draw: ImageDraw.ImageDraw, lines: Sequence[str], width: int, height: int) -> int:
    """Return the largest size of the font in which all lines fit."""
    size_px = max(_LEAST_FONT_PX, height // 12)
    widest = max(draw.textlength(line, font=_font(size_px)) for line in lines)
    return max(_LEAST_FONT_PX, min(size_px, int(size_px * _WIDEST * width / widest)))


def _font(size_px: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    from PIL import ImageFont  # noqa: PLC0415  as above

    return ImageFont.load_default(size_px)
