# SPDX-License-Identifier: MIT
"""Which of a sensor's modes is used. Pure: it knows numbers and no camera.

Left to itself libcamera takes the mode nearest to the picture's size, and on many modules the small
and fast ones show only the middle of the view: 640x480 on a v2 module is 15 % of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from capture_proc.camera import NeverWorksError

_FULL = 0.98
"""A mode with a larger part of the view than this counts as showing all: some lose a few rows."""
_RATE_ERROR = 0.01
"""29.97 frames a second are as good as 30."""


@dataclass(frozen=True, slots=True)
class SensorMode:
    """One mode of a sensor."""

    size: tuple[int, int]
    """(width, height) in pixels."""
    bit_depth: int
    fps: float
    """The most frames a second."""
    crop_px: tuple[int, int, int, int]
    """The part of the sensor's view that it shows: x, y, width and height in the sensor's own pixels."""

    @property
    def view_px(self) -> int:
        """Return the area of the view that it shows."""
        return self.crop_px[2] * self.crop_px[3]

    def shown(self, size: tuple[int, int]) -> float:
        """Return how much of the mode's view, from 0 to 1, a picture of `size` shows.

        libcamera cuts off what a picture of another shape has no room for: 640x480 shows 3/4 of a
        sensor of 16:9.
        """
        shapes = sorted((size[0] / size[1], self.size[0] / self.size[1]))
        return shapes[0] / shapes[1]

    def holds(self, size: tuple[int, int]) -> bool:
        """Tell whether a picture of `size` needs no enlarging."""
        return self.size[0] >= size[0] and self.size[1] >= size[1]

    def __str__(self) -> str:
        return f"{self.size[0]}x{self.size[1]}"


def modes_from_json(modes: Sequence[Mapping[str, Any]]) -> list[SensorMode]:
    """Return modes that went through JSON, where tuples are lists."""
    return [
        SensorMode(tuple(mode["size"]), mode["bit_depth"], mode["fps"], tuple(mode["crop_px"]))
        for mode in modes
    ]


def full_view_mode(modes: Sequence[SensorMode], size: tuple[int, int], fps: float) -> SensorMode:
    """Return the mode for pictures of `size` at `fps`, of those that show the full field of view.

    That is the smallest that is fast and large enough. Where there is none, the rate counts more than
    the size, for an enlarged picture is blurred and a slow one is late.
    """
    widest_px = max(_certain_view_px(mode) for mode in modes)
    candidates = [mode for mode in modes if _certain_view_px(mode) >= _FULL * widest_px]

    def preference(mode: SensorMode) -> tuple[float, bool, int, int]:
        area_px = mode.size[0] * mode.size[1]
        large_enough = mode.holds(size)
        return (
            min(mode.fps * (1 + _RATE_ERROR), fps),
            large_enough,
            -area_px if large_enough else area_px,
            mode.bit_depth,
        )

    return max(candidates, key=preference)


def part_of_view(mode: SensorMode, modes: Sequence[SensorMode], size: tuple[int, int]) -> float:
    """Return how much of all that the sensor can see, from 0 to 1, a picture of `size` in a mode shows."""
    return mode.view_px / max(other.view_px for other in modes) * mode.shown(size)


def _certain_view_px(mode: SensorMode) -> int:
    """Return the area that the mode shows for certain.

    A driver has told of a part with the size of the whole, lower down, and so beyond the sensor's edge:
    https://github.com/raspberrypi/linux/issues/7321
    """
    x, y, width, height = mode.crop_px
    return (width - x) * (height - y)


def mode_of_size(modes: Sequence[SensorMode], size: tuple[int, int], fps: float) -> SensorMode:
    """Return the mode that was asked for by its size: of several the one fast enough, with the most bits.

    Raises:
        NeverWorksError: there is none of that size.
    """
    found = [mode for mode in modes if mode.size == size]
    if not found:
        there_are = ", ".join(dict.fromkeys(str(mode) for mode in modes))
        what = (
            f"the sensor has {there_are}; choose one of these or" if modes else "this camera has none; choose"
        )
        raise NeverWorksError(f"--sensor-mode {size[0]}x{size[1]}: {what} auto")
    return max(found, key=lambda mode: (min(mode.fps * (1 + _RATE_ERROR), fps), mode.bit_depth))
