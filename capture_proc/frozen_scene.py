# SPDX-License-Identifier: MIT
"""Whether the scene is frozen: pictures that are the same byte for byte while their times move on.

The noise of a sensor never gives the same bytes twice, so such pictures come from a camera that hangs
(https://github.com/pyronear/pyro-engine/issues/347), or from a source without noise whose scene does not
change. A restart cures the first and only interrupts the second, and the bytes do not tell them apart. So
it is tried once: when the pictures are identical again, they count as live.

Pure: pictures and their times are arguments.
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import Iterator
from enum import Enum

import numpy as np
import simplejpeg

from capture_proc.camera import Pixels, Plane, Yuv420

_SAMPLED_ROWS = 8
_ROWS_AT_ONCE = 16
"""So many rows fit into a cache twice, and the first that differ end the comparison."""
_STILL_S = 1.0
"""A camera that is asked more often than it has new pictures repeats some, but not for so long."""
_MOVES_AGAIN_S = 10.0


class Finding(Enum):
    """What is to be done about identical pictures. Each comes once per episode."""

    RESTART = "restart"
    IDENTICAL_AGAIN = "identical again"
    FLAT = "flat"
    """Every pixel is the same, as behind a closed shutter or in the dark: no restart changes that."""


class SceneWatch:
    r"""Compares each picture with the one before. For the thread of the camera.

    An episode begins with identical pictures and ends when the scene has moved for `identical_after_s`, and
    10 s at least, without a second of identical pictures. One picture that differs does not end it: sensors
    settle after a start, some cameras freeze a few seconds after each one, and a screen that a program films
    changes once a minute. Each of these would be restarted for ever.

    A picture that differs costs 7 µs, at 640x480 as at 1920x1080; an identical one 0.1 ms and 0.9 ms. That is
    RGB on a shared AMD EPYC, two pictures a loop of

        python -m timeit -s "from tests.fakes import noise" \
            -s "from capture_proc.frozen_scene import SceneWatch" \
            -s "watch, pictures = SceneWatch(1e9), [noise((1920, 1080), seed) for seed in (0, 1)]" \
            "for picture in pictures: watch.look(picture, 0)"

    with the seeds (0, 0) for an identical one.
    """

    def __init__(self, identical_after_s: float, *, restarted: bool = False) -> None:
        """Begin; `restarted` says that an earlier process was ended for this same episode.

        `identical_after_s` is infinite where identical pictures are only counted.
        """
        self.restarted = restarted
        """Whether this episode has had its restart. It must outlive the process."""
        self.identical_s = 0.0
        """For how long pictures have been identical, by their capture times."""
        self._after_s = identical_after_s
        self._told: set[Finding] = set()
        self._judged = False
        self._last = _LastPicture()
        self._same_since_ns = self._moves_since_ns = -1

    def look(self, pixels: Pixels, captured_ns: int) -> Finding | None:
        """Take the next picture, as the camera gave it; return what is to be done now.

        Its arrays are not used after this call.
        """
        if self._moves_since_ns < 0:
            self._moves_since_ns = captured_ns
        if not self._last.is_same(pixels):
            self._same_since_ns, self._judged = captured_ns, False
        self.identical_s = (captured_ns - self._same_since_ns) / 1e9
        if self.identical_s >= _STILL_S:
            self._moves_since_ns = captured_ns
        elif captured_ns - self._moves_since_ns >= max(self._after_s, _MOVES_AGAIN_S) * 1e9:
            self.restarted = False
            self._told.clear()
        if self._judged or self.identical_s < self._after_s:
            return None
        self._judged = True
        finding = self._judge(pixels)
        if finding in self._told:
            return None
        self._told.add(finding)
        return finding

    def _judge(self, pixels: Pixels) -> Finding:
        if is_flat(pixels):
            return Finding.FLAT
        if self.restarted:
            return Finding.IDENTICAL_AGAIN
        self.restarted = True
        return Finding.RESTART


class _LastPicture:
    """The picture before, as much of it as is needed to know whether the next one is the same.

    Of arrays, which are valid until the next picture only, some rows are kept. All of them is copied where
    these are the same as before, and compared with the picture after that. So a moving scene costs a few
    rows, and a frozen one is noticed one picture late.
    """

    def __init__(self) -> None:
        self._jpeg: bytes | None = None
        self._sample = b""
        self._pieces: list[bytes] = []

    def is_same(self, pixels: Pixels) -> bool:
        """Tell whether a picture is known to have all the bytes of the one before, and keep it."""
        if isinstance(pixels, bytes):
            same = pixels == self._jpeg
            self._jpeg, self._sample, self._pieces = pixels, b"", []
            return same
        self._jpeg = None
        planes = _planes(pixels)
        sample = planes[0][:: max(1, len(planes[0]) // _SAMPLED_ROWS)].tobytes() if planes else b""
        if not sample or sample != self._sample:
            self._sample, self._pieces = sample, []
            return False
        same = all(itertools.starmap(operator.eq, itertools.zip_longest(_pieces(planes), self._pieces)))
        if not same:
            self._pieces = list(_pieces(planes))
        return same


def _planes(pixels: Yuv420 | Plane) -> tuple[Plane, ...]:
    """Return the arrays of a picture, none where it is no picture: the encoder says so."""
    planes = (pixels.y, pixels.u, pixels.v) if isinstance(pixels, Yuv420) else (pixels,)
    if all(isinstance(plane, np.ndarray) and plane.ndim and plane.dtype == np.uint8 for plane in planes):
        return planes
    return ()


def _pieces(planes: tuple[Plane, ...]) -> Iterator[bytes]:
    """Yield all bytes of a picture, piece by piece."""
    for plane in planes:
        for at in range(0, len(plane), _ROWS_AT_ONCE):
            yield plane[at : at + _ROWS_AT_ONCE].tobytes()


def is_flat(pixels: Pixels) -> bool:
    """Tell whether all pixels of a picture are the same. A ready JPEG is decoded for it."""
    if isinstance(pixels, bytes):
        try:
            decoded: Plane = simplejpeg.decode_jpeg(pixels)
        except ValueError:
            return False
        return is_flat(decoded)
    if isinstance(pixels, Yuv420):
        return all(plane.min() == plane.max() for plane in (pixels.y, pixels.u, pixels.v))
    return bool((pixels == pixels[0, 0]).all())
