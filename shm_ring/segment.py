# SPDX-License-Identifier: MIT
"""A segment of shared memory that holds one ring: made by the supervisor, mapped by everybody.

A segment has a name only while it is being made. After that it is a descriptor which children
inherit, so nothing is left behind however anything dies, and nobody can delete it by name.
"""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import stat
from multiprocessing import resource_tracker
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path

from shm_ring import layout
from shm_ring.errors import SegmentError

_LEAST_SLOTS = 2
"""The newest, and the one that will be written next."""
_SHM = Path("/dev/shm")  # noqa: S108  shm_overview(7): where the names of shared memory are


def create_segment(name: str, geometry: layout.Geometry) -> int:
    """Make, reserve and format a segment; return its descriptor. Its name is gone already.

    The memory is reserved at once, so a full /dev/shm is an error here and not a SIGBUS at a later write.

    Raises:
        SegmentError: /dev/shm has no room for it, or the name is taken.
    """
    size = geometry.segment_bytes
    descriptor = _without_a_name(name, size)
    try:
        os.posix_fallocate(descriptor, 0, size)
    except OSError as error:
        os.close(descriptor)
        raise SegmentError(_why_no_room(name, size, error)) from error
    os.pwrite(descriptor, geometry.pack(), layout.GEOMETRY_AT)
    os.pwrite(descriptor, layout.MAGIC, layout.MAGIC_AT)
    os.fchmod(descriptor, stat.S_IRUSR)
    return descriptor


def open_for_reading(descriptor: int) -> int:
    """Return another descriptor of the same segment, for a process that must not write into it.

    Through it nothing can be written or mapped to be written, whatever the process does (open(2), mmap(2)).
    The segment's mode is 0400, so the process cannot open it for writing by `/proc/self/fd` either. But code
    that runs as the same user can change the mode back, and root needs none: this stops mistakes and
    stray writes, not somebody who has taken over the process.

    Raises:
        SegmentError: it cannot be opened.
    """
    try:
        return os.open(f"/proc/self/fd/{descriptor}", os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise SegmentError(
            f"cannot open shared memory for reading: {error.strerror}; check that /proc is mounted"
        ) from error


def _without_a_name(name: str, size: int) -> int:
    """Return shared memory whose name is gone; a kill in here leaves it for the next start to sweep."""
    path = _SHM / name
    resource_tracker.ensure_running()  # SharedMemory would start that process while the name is there
    try:
        shared = SharedMemory(name=name, create=True, size=size)
    except OSError as error:
        raise SegmentError(f"cannot create {path}: {error.strerror}; if it exists, remove it") from error
    try:
        return os.open(path, os.O_RDWR | os.O_CLOEXEC)
    finally:
        shared.unlink()
        shared.close()


def _why_no_room(name: str, size: int, error: OSError) -> str:
    if error.errno != errno.ENOSPC:
        return f"cannot reserve {size} bytes for {_SHM / name}: {error.strerror}"
    room = os.statvfs(_SHM)
    free, total = room.f_bavail * room.f_frsize, room.f_blocks * room.f_frsize
    enough_mib = -(-(total - free + size) // (1 << 20)) + 1  # the boards come on top
    return (
        f"{_SHM} has {free} bytes free, and {name} needs {size}; lower --slot-bytes, or make /dev/shm "
        f"larger (mount -o remount,size={enough_mib}M /dev/shm; in Docker --shm-size={enough_mib}m)"
    )


def sweep_segments(prefix: str) -> None:
    """Delete the names below /dev/shm that begin with `prefix`: a start that was killed left them.

    Those of another user stay.
    """
    for left in _SHM.glob(prefix + "*"):
        with contextlib.suppress(PermissionError):
            left.unlink(missing_ok=True)


class Segment:
    """A mapped segment.

    One per segment and process, used by one thread and kept until the process exits: closing any
    descriptor or map of the file would drop every lock that this process holds on it (fcntl(2)). That goes
    for a second descriptor from `open_for_reading` too: the supervisor, which has both, closes neither.
    """

    def __init__(self, descriptor: int, *, writable: bool = True) -> None:
        """Map the segment behind `descriptor`; a reader needs no `writable` map, and no such descriptor.

        Raises:
            SegmentError: it is no segment of this layout, or the descriptor is for reading only.
        """
        try:
            size = os.fstat(descriptor).st_size
            self.map = mmap.mmap(descriptor, size, access=mmap.ACCESS_WRITE if writable else mmap.ACCESS_READ)
        except PermissionError as error:
            raise SegmentError(
                f"descriptor {descriptor} is read-only; a writer needs one that is open for writing"
            ) from error
        except (OSError, ValueError) as error:
            raise SegmentError(f"descriptor {descriptor} is not shared memory: {error}") from error
        self.descriptor = descriptor
        self.writable = writable
        self.geometry = self._read_geometry(size)
        hints = memoryview(self.map)[layout.HINTS_AT : layout.HINTS_AT + layout.HINTS_BYTES]
        self.hints = hints.cast("I")
        sequence = memoryview(self.map)[layout.SEQUENCE_AT : layout.SEQUENCE_AT + layout.SEQUENCE_BYTES]
        self.sequence = sequence.cast("Q")

    def _read_geometry(self, size: int) -> layout.Geometry:
        magic_end = layout.MAGIC_AT + len(layout.MAGIC)
        if size < layout.SLOTS_AT or self.map[layout.MAGIC_AT : magic_end] != layout.MAGIC:
            raise SegmentError(
                f"descriptor {self.descriptor} does not hold a complete ring; restart the whole service"
            )
        header = self.map[layout.GEOMETRY_AT : layout.GEOMETRY_AT + layout.GEOMETRY.size]
        version, slot_count, slot_bytes, _, _ = layout.GEOMETRY.unpack(header)
        if version != layout.LAYOUT_VERSION:
            raise SegmentError(
                f"expected a ring of layout {layout.LAYOUT_VERSION}, got layout {version}; restart the whole "
                "service"
            )
        if layout.seal_of(header[: -layout.SEAL.size]) != header[-layout.SEAL.size :]:
            raise SegmentError("the header of the ring is damaged; restart the whole service")
        geometry = layout.Geometry(slot_count, slot_bytes)
        if slot_count < _LEAST_SLOTS or geometry.segment_bytes != size:
            raise SegmentError(
                f"expected a ring of at least {_LEAST_SLOTS} slots in {geometry.segment_bytes} bytes of "
                f"shared memory, got {slot_count} slots in {size} bytes; restart the whole service"
            )
        return geometry
