# SPDX-License-Identifier: MIT
from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest

from capture_proc.camera import Pixels, Yuv420
from capture_proc.frozen_scene import Finding, SceneWatch, is_flat
from tests.fakes import jpeg_of, noise, rgb

PERIOD_NS = 100_000_000
STILL = noise(seed=7)


def yuv(seed: int = 0, *, padded: bool = False) -> Yuv420:
    whole = noise((96, 48), seed)[..., 0]
    y = whole[:, :64] if padded else whole[:, :64].copy()
    return Yuv420(y, y[::2, ::2].copy(), y[1::2, 1::2].copy())


class Scene:
    """A watch, and the time of its camera: ten pictures a second."""

    def __init__(self, identical_after_s: float = 10.0, *, restarted: bool = False) -> None:
        self.watch = SceneWatch(identical_after_s, restarted=restarted)
        self.now_ns = 1000 * 10**9

    def see(self, pictures: Iterable[Pixels]) -> list[Finding]:
        found = []
        for pixels in pictures:
            self.now_ns += PERIOD_NS
            found.append(self.watch.look(pixels, self.now_ns))
        return [finding for finding in found if finding is not None]

    def still(self, for_s: float, pixels: Pixels = STILL) -> list[Finding]:
        return self.see([pixels] * round(for_s * 10))

    def moving(self, for_s: float) -> list[Finding]:
        return self.see(noise((32, 24), seed) for seed in range(round(for_s * 10)))


KINDS: dict[str, list[Pixels]] = {
    "rgb": [noise(seed=1), noise(seed=2)],
    "planes": [yuv(1), yuv(2)],
    "padded planes": [yuv(1, padded=True), yuv(2, padded=True)],
    "jpeg": [jpeg_of(noise(seed=1)), jpeg_of(noise(seed=2))],
}


@pytest.mark.parametrize("pictures", KINDS.values(), ids=KINDS)
def test_pictures_with_the_same_bytes_are_counted_and_end_the_process_once(pictures: list[Pixels]) -> None:
    scene = Scene()
    assert scene.still(9.9, pictures[0]) == []
    assert 9.5 < scene.watch.identical_s < 10
    assert not scene.watch.restarted
    assert scene.still(60, pictures[0]) == [Finding.RESTART]
    assert scene.watch.restarted
    assert scene.watch.identical_s > 69
    scene.see(pictures[1:])
    assert scene.watch.identical_s == 0


@pytest.mark.parametrize("pictures", KINDS.values(), ids=KINDS)
def test_pictures_that_differ_are_never_identical(pictures: list[Pixels]) -> None:
    scene = Scene(1)
    assert scene.see(pictures * 100) == []
    assert scene.watch.identical_s == 0


@pytest.mark.parametrize("copied", [True, False], ids=["copies", "the camera's own memory"])
def test_one_byte_of_a_picture_makes_it_another(copied: bool) -> None:
    """No sample decides that pictures are the same; and arrays are valid until the next picture only."""
    scene, pixels = Scene(1), STILL.copy()
    for step in range(100):
        at = np.unravel_index(step * 89 % pixels.size, pixels.shape)
        pixels[at] += 1
        assert scene.see([pixels.copy() if copied else pixels]) == []
        assert scene.watch.identical_s == 0
    planes = [plane.copy() for plane in (yuv().y, yuv().u, yuv().v)]
    for step in range(100):
        planes[1 + step % 2][step % 24, step % 32] += 1
        assert scene.see([Yuv420(*planes)]) == []
        assert scene.watch.identical_s == 0


def test_a_successor_does_not_restart_for_the_same_scene_again() -> None:
    """A scene without noise that never changes would have no picture for a second, again and again."""
    scene = Scene(restarted=True)
    assert scene.still(60) == [Finding.IDENTICAL_AGAIN]
    assert scene.watch.restarted


def test_a_camera_that_freezes_some_seconds_after_each_start_is_not_restarted_again() -> None:
    scene = Scene(2, restarted=True)
    scene.moving(5)
    assert scene.still(60) == [Finding.IDENTICAL_AGAIN]


def test_a_scene_that_changes_now_and_then_is_not_restarted_again_and_told_once() -> None:
    """A screen that a program films."""
    scene = Scene(restarted=True)
    told = [finding for minute in range(10) for finding in scene.still(60, noise(seed=minute))]
    assert told == [Finding.IDENTICAL_AGAIN]


def test_a_scene_that_has_moved_for_long_enough_is_a_new_episode() -> None:
    """Tomorrow's freeze is answered as today's was."""
    scene = Scene(restarted=True)
    scene.still(20)
    scene.moving(10.2)
    assert not scene.watch.restarted
    assert scene.still(60) == [Finding.RESTART]


def test_pictures_that_come_twice_are_movement() -> None:
    """A camera in a network, asked twice as often as it has a picture."""
    scene = Scene(restarted=True)
    twice = (noise((32, 24), number // 2) for number in range(120))
    assert scene.see(twice) == []
    assert not scene.watch.restarted


FLAT: dict[str, Any] = {
    "rgb": rgb(3),
    "planes": Yuv420(*(np.full(size, 128, dtype=np.uint8) for size in ((48, 64), (24, 32), (24, 32)))),
    "jpeg": jpeg_of(rgb(3)),
}


@pytest.mark.parametrize("flat", FLAT.values(), ids=FLAT)
def test_a_flat_picture_is_counted_and_never_restarts(flat: Pixels) -> None:
    """A shutter in front of the lens, or the night: the camera is well."""
    scene = Scene()
    assert scene.still(60, flat) == [Finding.FLAT]
    assert scene.watch.identical_s > 59
    assert not scene.watch.restarted


def test_a_jpeg_that_cannot_be_decoded_is_not_flat() -> None:
    assert not is_flat(b"\xff\xd8 no picture")
    assert not is_flat(jpeg_of(noise()))


def test_never_only_counts() -> None:
    scene = Scene(float("inf"))
    assert scene.still(600) == []
    assert scene.watch.identical_s > 599


@pytest.mark.parametrize("nonsense", ["picture", None, 7, np.zeros((2, 2), dtype=object), np.uint8(7)])
def test_what_is_no_picture_is_left_to_the_encoder(nonsense: Any) -> None:
    scene = Scene(1)
    assert scene.still(10, nonsense) == []
    assert scene.still(10, Yuv420(nonsense, nonsense, nonsense)) == []
