# SPDX-License-Identifier: MIT
"""How a picture is turned and mirrored. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace


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
