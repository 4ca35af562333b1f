# SPDX-License-Identifier: MIT
"""A camera whose pictures tell their number, and that hangs when a test tells it to."""

from __future__ import annotations

import os
import time
from pathlib import Path

from capture_proc.camera import CameraWishes, Picture
from tests.clients.picture_code import draw

FOLDER_VARIABLE = "NUMBERED_CAMERA_FOLDER"


class Orders:
    """What a test tells the camera, in a folder: it counts and hangs on in each new capture process."""

    def __init__(self, folder: Path) -> None:
        self._number = folder / "number"
        self._hang = folder / "hang"

    @property
    def number(self) -> int:
        """The last picture's number; the first one is 1."""
        return int(self._read(self._number) or 0)

    @number.setter
    def number(self, number: int) -> None:
        self._replace(self._number, str(number))

    @property
    def hangs(self) -> bool:
        """Whether no picture may be given now."""
        after, _, until_s = self._read(self._hang).partition(" ")
        return bool(after) and self.number >= int(after) and time.monotonic() < float(until_s)

    def hang(self, *, after: int = 0, for_s: float = float("inf")) -> None:
        """Let it hang after the picture with a number, at once unless told, for so long from now on."""
        self._replace(self._hang, f"{after} {time.monotonic() + for_s}")

    def go_on(self) -> None:
        """End the hanging."""
        self._replace(self._hang, "")

    def _replace(self, file: Path, text: str) -> None:
        new = file.with_suffix(".new")
        new.write_text(text)
        new.replace(file)

    def _read(self, file: Path) -> str:
        return file.read_text() if file.exists() else ""


class NumberedCamera:
    """640x480; it never makes up for pictures that were due while it hung."""

    name = "numbered pictures"

    def __init__(self, wishes: CameraWishes) -> None:
        self.period_s = 1 / (wishes.fps or 20)
        self._orders = Orders(Path(os.environ[FOLDER_VARIABLE]))
        self._due_s = time.monotonic()

    def next_picture(self, timeout_s: float) -> Picture | None:
        if self._orders.hangs:
            time.sleep(min(timeout_s, 0.01))
            self._due_s = time.monotonic()
            return None
        time.sleep(min(timeout_s, max(0.0, self._due_s - time.monotonic())))
        if time.monotonic() < self._due_s:
            return None
        self._due_s = max(self._due_s + self.period_s, time.monotonic() - self.period_s)
        self._orders.number = number = self._orders.number + 1
        return Picture(draw(number), time.monotonic_ns())

    def close(self) -> None:
        pass
