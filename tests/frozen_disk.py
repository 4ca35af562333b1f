# SPDX-License-Identifier: MIT
"""A camera that writes to a disk, and so is stuck in the kernel, in state D, while that is frozen."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from capture_proc.camera import CameraWishes, Picture
from capture_proc.cameras.pattern import PatternCamera
from tests.conditions import eventually

FILE_VARIABLE = "FROZEN_DISK_CAMERA_FILE"
CAMERA = "--camera=tests.frozen_disk:FrozenDiskCamera"


class FrozenDiskCamera:
    """A byte in a file for each picture."""

    name = "camera on a disk"

    def __init__(self, wishes: CameraWishes) -> None:
        self._pattern = PatternCamera(wishes)
        self.period_s = self._pattern.period_s
        self._file = os.open(os.environ[FILE_VARIABLE], os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC)

    def next_picture(self, timeout_s: float) -> Picture | None:
        os.pwrite(self._file, b"x", 0)
        return self._pattern.next_picture(timeout_s)

    def close(self) -> None:
        os.close(self._file)


class Disk:
    """A file system of its own, that can stand still."""

    def __init__(self, mounted: Path) -> None:
        self.mounted = mounted
        self._frozen = False

    def freeze(self) -> None:
        """Let everybody who writes to it wait, in state D."""
        _run("fsfreeze", "--freeze", self.mounted)
        self._frozen = True

    def thaw(self) -> float:
        """Let them go on; return when, as time.monotonic() tells it."""
        thawed_s = time.monotonic()
        if self._frozen:
            _run("fsfreeze", "--unfreeze", self.mounted)
        self._frozen = False
        return thawed_s


def _run(*command: str | Path) -> None:
    subprocess.run(command, check=True, capture_output=True)


@contextlib.contextmanager
def new_disk(folder: Path) -> Iterator[Disk]:
    """Mount a disk for `FrozenDiskCamera`, which finds it in the environment; needs root."""
    image, mounted = folder / "disk", folder / "mounted"
    with image.open("wb") as file:
        file.truncate(16 << 20)
    mounted.mkdir()
    _run("mkfs.ext4", "-q", image)
    _run("mount", "-o", "loop", image, mounted)
    os.environ[FILE_VARIABLE] = str(mounted / "file")
    disk = Disk(mounted)
    try:
        yield disk
    finally:
        disk.thaw()
        del os.environ[FILE_VARIABLE]
        eventually(lambda: subprocess.run(["umount", mounted], check=False).returncode == 0, 20)
