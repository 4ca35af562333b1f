# SPDX-License-Identifier: MIT
"""Stands in for picamera2.allocators.dmaallocator: frame buffers in a memfd, for want of a DMA heap."""

from __future__ import annotations

import mmap
import os
from typing import Any

import libcamera
import virtual_sensor
from picamera2.allocators.allocator import Allocator, Sync

virtual_sensor.install()


class DmaAllocator(Allocator):  # type: ignore[misc]
    """Gives each frame buffer two planes, as the virtual camera's NV12 asks for."""

    def __init__(self) -> None:
        super().__init__()
        self.sync = _NoSync
        self.mapped_buffers: dict[Any, mmap.mmap] = {}
        self._frame_buffers: dict[Any, list[Any]] = {}
        self._descriptors: list[int] = []

    def allocate(self, configuration: Any, _use_case: object) -> None:
        self.close()
        for stream in configuration:
            self._frame_buffers[stream.stream] = [self._buffer(stream) for _ in range(stream.buffer_count)]

    def _buffer(self, stream: Any) -> Any:
        descriptor = os.memfd_create("frame")
        self._descriptors.append(descriptor)
        os.ftruncate(descriptor, stream.frame_size)
        luma_bytes = stream.stride * stream.size.height
        planes = []
        for offset, length in ((0, luma_bytes), (luma_bytes, stream.frame_size - luma_bytes)):
            plane = libcamera.FrameBuffer.Plane()
            plane.fd, plane.offset, plane.length = descriptor, offset, length
            planes.append(plane)
        buffer = libcamera.FrameBuffer(planes)
        self.mapped_buffers[buffer] = mmap.mmap(descriptor, stream.frame_size)
        virtual_sensor.memory_of[buffer] = self.mapped_buffers[buffer]
        return buffer

    def buffers(self, stream: Any) -> list[Any]:
        return self._frame_buffers[stream]

    def acquire(self, buffers: Any) -> None:
        """Nothing to count: the memory lives as long as it is mapped."""

    def release(self, buffers: Any) -> None:
        """Nothing to count."""

    def close(self) -> None:
        for descriptor in self._descriptors:
            os.close(descriptor)
        self._descriptors, self._frame_buffers, self.mapped_buffers = [], {}, {}


class _NoSync(Sync):  # type: ignore[misc]
    """Memory of a memfd is always in step with the processor's caches."""

    def __init__(self, allocator: DmaAllocator, buffer: Any, _write: bool) -> None:
        self._memory = allocator.mapped_buffers[buffer]

    def __enter__(self) -> mmap.mmap:
        return self._memory

    def __exit__(self, *_: object) -> None:
        pass

    def get_buffer(self) -> mmap.mmap:
        return self._memory
