# SPDX-License-Identifier: MIT
"""A picture that tells its number, and what a client's picture tells. No client, no camera.

    0  ┌──────────────────────────────────────┐
       │ 16 blocks: the number's bits         │  black or white, the highest bit first
  104  ├──────────────────────────────────────┤
       │ noise, always the same               │  for the size of a real frame
  376  ├────────┬─────────┬─────────┬─────────┤
       │ red    │ green   │ blue    │ yellow  │  each client has its own way to colours
  416  ├────────┴─────────┴─────────┴─────────┤
       │ 16 blocks: the bits, inverted        │  so that a torn picture tells nothing
  480  └──────────────────────────────────────┘

The banner of a placeholder lies in the noise: a placeholder has the blocks of the last frame, dimmed.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from capture_proc.camera import Plane

SIZE = WIDTH, HEIGHT = 640, 480
BITS = 16
_BLOCK = WIDTH // BITS
_BITS_TO, _COLOURS_FROM, _INVERSE_FROM = 104, 376, 416
_COLOURS = ((220, 30, 30), (30, 200, 40), (40, 50, 220), (220, 210, 30))
_COLOUR_OFF = 32
"""Colours are off by up to 15 where a client takes full range for limited or scales its chroma."""
_BRIGHT, _DARK, _DIMMED_BRIGHT = 200, 55, (60, 130)
SPOT_PX = 8
"""A spot is a square of so many pixels in the middle of a block, away from what JPEG does at edges."""


def _spots() -> list[tuple[int, int]]:
    middles = [_BLOCK * bit + _BLOCK // 2 for bit in range(BITS)]
    colour_middles = [WIDTH // 8 * (2 * number + 1) for number in range(4)]
    rows = (
        (middles, _BITS_TO // 2),
        (middles, (_INVERSE_FROM + HEIGHT) // 2),
        (colour_middles, (_COLOURS_FROM + _INVERSE_FROM) // 2),
    )
    return [(x - SPOT_PX // 2, y - SPOT_PX // 2) for columns, y in rows for x in columns]


SPOTS = _spots()
"""Left and upper edge of the squares whose mean colours tell everything."""
Spots = NDArray[np.float64]
"""Their mean colours, (36, 3), red, green and blue from 0 to 255."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a picture tells."""

    number: int
    live: bool
    """False for a placeholder: the picture with this number, dimmed."""


class NotOursError(ValueError):
    """A picture that was never sent: torn, of other colours, or of another size."""


@functools.cache
def _ground() -> Plane:
    picture: Plane = np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8)
    noise = np.random.default_rng(4).normal(128, 8, (_COLOURS_FROM - _BITS_TO, WIDTH, 1))
    picture[_BITS_TO:_COLOURS_FROM] = noise.clip(0, 255).astype(np.uint8)
    picture[_COLOURS_FROM:_INVERSE_FROM] = np.repeat(np.array(_COLOURS, dtype=np.uint8), WIDTH // 4, axis=0)
    return picture


def draw(number: int) -> Plane:
    """Return the picture with a number from 0 to 65535, as RGB (480, 640, 3)."""
    picture = _ground().copy()
    bits = np.array([number >> (BITS - 1 - place) & 1 for place in range(BITS)], dtype=np.uint8)
    row = np.repeat(bits * np.uint8(255), _BLOCK)[:, np.newaxis]
    picture[:_BITS_TO] = row
    picture[_INVERSE_FROM:] = 255 - row
    return picture


@functools.lru_cache(maxsize=64)
def read_jpeg(jpeg: bytes) -> Told:
    """Return what a JPEG tells; for its errors see `read_spots`, and ValueError where it is broken."""
    return read_pixels(simplejpeg.decode_jpeg(jpeg))


def read_pixels(picture: Plane) -> Told:
    """Return what an RGB picture (480, 640, 3) tells; for its errors see `read_spots`."""
    if picture.shape != (HEIGHT, WIDTH, 3):
        raise NotOursError(f"expected a picture of {HEIGHT} rows of {WIDTH} in RGB, got {picture.shape}")
    squares = [picture[y : y + SPOT_PX, x : x + SPOT_PX].mean(axis=(0, 1)) for x, y in SPOTS]
    return read_spots(np.array(squares))


def read_spots(spots: Spots) -> Told:
    """Return what the spots of a picture tell.

    Raises:
        NotOursError: they are of no picture that was ever drawn, or of a mix of two.
    """
    shades = spots[: 2 * BITS].mean(axis=1)
    brightest = shades.max()
    live = bool(brightest > _BRIGHT)
    bright = shades > brightest / 2
    if not live and not _DIMMED_BRIGHT[0] < brightest < _DIMMED_BRIGHT[1]:
        raise NotOursError(f"neither live nor dimmed: the brightest block has {brightest:.0f}")
    if (shades[~bright] > _DARK).any() or (live and (shades[bright] < _BRIGHT).any()):
        raise NotOursError(f"blocks that are neither black nor white: {shades.round()}")
    if (bright[:BITS] == bright[BITS:]).any():
        raise NotOursError(f"torn: the rows tell {bright[:BITS].astype(int)} and {bright[BITS:].astype(int)}")
    off = np.abs(spots[2 * BITS :] - _COLOURS)
    if live and off.max() > _COLOUR_OFF:
        raise NotOursError(f"colours are off: {spots[2 * BITS :].round()} instead of {_COLOURS}")
    return Told(int(bright[:BITS] @ (1 << np.arange(BITS)[::-1])), live)
