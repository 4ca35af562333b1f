# SPDX-License-Identifier: MIT
"""Real footage in a loop: a folder of JPEGs, which are not encoded again, or a video through PyAV."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from capture_proc.camera import Camera, CameraWishes, NeverWorksError, NoCameraError, Picture, Yuv420
from capture_proc.clock import Clock, SystemClock
from capture_proc.options import DEFAULT_FPS
from capture_proc.pace import Pace
from capture_proc.ready_jpeg import UnusableJpegError, checked

if TYPE_CHECKING:
    import av


_LEAST_PX = 16


def open_replay(wishes: CameraWishes) -> Camera:
    """Open the folder of JPEGs or the video file that is wished for.

    Raises:
        NoCameraError: it is not there, or holds nothing, as a disk that is mounted later.
        NeverWorksError: what it holds cannot be shown.
    """
    path = Path(wishes.id)
    # os.path's are False for a path that may not be looked at, where pathlib's raise
    if not os.path.exists(path):  # noqa: PTH110
        raise NoCameraError(
            f"--camera {path}: no such file or folder, or it may not be read; check its name, its "
            "permissions and whether its disk is mounted"
        )
    is_folder = os.path.isdir(path)  # noqa: PTH112
    return JpegFolderCamera(path, wishes) if is_folder else VideoCamera(path, wishes)


class JpegFolderCamera(Camera):
    """The JPEGs of a folder in the order of their names, byte for byte."""

    scene_may_freeze = False

    def __init__(self, folder: Path, wishes: CameraWishes, clock: Clock | None = None) -> None:
        """Find the files.

        Raises:
            NoCameraError: there is none, or it cannot be read.
            NeverWorksError: the first is no JPEG that can be streamed.
        """
        try:
            found = list(folder.iterdir())
        except OSError as error:
            raise NoCameraError(f"--camera {folder}: {error.strerror}") from error
        self._files = sorted(file for file in found if file.suffix.lower() in (".jpg", ".jpeg"))
        if not self._files:
            raise NoCameraError(
                f"--camera {folder}: expected files ending in .jpg or .jpeg in this folder, found none"
            )
        try:
            size = checked(self._files[0].read_bytes()).size
        except OSError as error:
            raise NoCameraError(f"--camera {folder}: {self._files[0].name}: {error.strerror}") from error
        except UnusableJpegError as error:
            raise NeverWorksError(f"--camera {folder}: {self._files[0].name}: {error}") from error
        if wishes.size not in (None, size):
            raise NeverWorksError(
                f"--camera {folder}: its JPEGs are {size[0]}x{size[1]} and are not encoded again; "
                "leave --size out"
            )
        self.period_s = 1 / (wishes.fps or DEFAULT_FPS)
        self.name = f"JPEGs of {folder.name} ({len(self._files)})"
        self._pace = Pace(self.period_s, clock or SystemClock())
        self._next = 0

    def next_picture(self, timeout_s: float) -> Picture | None:
        """Return the next file's JPEG when it is due."""
        due_ns = self._pace.wait(timeout_s)
        if due_ns is None:
            return None
        file = self._files[self._next]
        self._next = (self._next + 1) % len(self._files)
        return Picture(file.read_bytes(), due_ns)


class VideoCamera(Camera):
    """The pictures of a video file, decoded by PyAV (FFmpeg), from its start again at its end."""

    scene_may_freeze = False

    def __init__(self, file: Path, wishes: CameraWishes, clock: Clock | None = None) -> None:
        """Open the video and decode its first picture.

        Raises:
            NoCameraError: it cannot be read.
            NeverWorksError: it is no video that FFmpeg can decode, or PyAV is not there.
        """
        self._file = file
        self._asked_size = wishes.size
        self._pictures = self._decode_for_ever()
        try:
            self._ahead: av.VideoFrame | None = next(self._pictures)
        except ImportError as error:
            raise NeverWorksError(
                f"--camera {file}: replaying a video needs PyAV; type: pip install 'ringcast[replay]'"
            ) from error
        if min(self._ahead.width, self._ahead.height) < _LEAST_PX:
            raise NeverWorksError(
                f"--camera {file}: expected pictures of at least {_LEAST_PX}x{_LEAST_PX} pixels, got "
                f"{self._ahead.width}x{self._ahead.height}"
            )
        self.period_s = 1 / (wishes.fps or self._own_fps or DEFAULT_FPS)
        self.name = f"footage {file.name}"
        self._pace = Pace(self.period_s, clock or SystemClock())

    def next_picture(self, timeout_s: float) -> Picture | None:
        """Return the next picture as YUV420 planes when it is due."""
        due_ns = self._pace.wait(timeout_s)
        if due_ns is None:
            return None
        frame, self._ahead = self._ahead or next(self._pictures), None
        return Picture(self._planes(frame), due_ns)

    def close(self) -> None:
        """Close the file."""
        self._pictures.close()

    def _decode_for_ever(self) -> Generator[av.VideoFrame]:
        import av  # noqa: PLC0415  an extra, and slow to import

        while True:
            decoded = False
            try:
                with av.open(str(self._file)) as container:
                    stream = container.streams.video[0]
                    self._own_fps = float(stream.average_rate) if stream.average_rate else None
                    for frame in container.decode(stream):
                        decoded = True
                        yield frame
            except (av.FFmpegError, IndexError, OSError) as error:
                if isinstance(error, FileNotFoundError | PermissionError):
                    raise NoCameraError(f"--camera {self._file}: {error.strerror}") from error
                if not decoded:
                    raise self._no_video(error) from error
            if not decoded:
                raise self._no_video("it holds no picture")

    def _no_video(self, why: object) -> NeverWorksError:
        return NeverWorksError(
            f"--camera {self._file}: expected a video file, but it cannot be decoded ({why}); "
            "try to play it with ffplay"
        )

    def _planes(self, frame: av.VideoFrame) -> Yuv420:
        width, height = self._asked_size or (frame.width & ~1, frame.height & ~1)
        # yuvj420p: the full range that JPEG means, where video mostly has the limited one
        planes = frame.reformat(width, height, format="yuvj420p").to_ndarray()
        chroma = planes[height:].reshape(2, height // 2, width // 2)
        return Yuv420(np.ascontiguousarray(planes[:height]), chroma[0], chroma[1])
