# SPDX-License-Identifier: MIT
"""The shared memory: all rings, and the doorbell."""

from __future__ import annotations

from dataclasses import dataclass

from shm_ring.board import BOARD_GEOMETRY
from shm_ring.doorbell import Doorbell
from shm_ring.layout import Geometry
from shm_ring.segment import create_segment, sweep_segments

SLOT_COUNT = 4
"""The newest, the one being written, and one for each of the two readers."""
LEAST_SLOT_BYTES = 256 * 1024
VIEWER_ON_BOARD_BYTES = 512
"""The most that the facts of a viewer take as JSON."""


@dataclass(frozen=True, slots=True)
class SharedMemory:
    """Descriptors of all rings, and the doorbell that says that a frame came."""

    frames_fd: int
    capture_board_fd: int
    server_board_fd: int
    supervisor_board_fd: int
    doorbell: Doorbell

    def for_capture(self) -> dict[str, int]:
        """Return what the capture process inherits, by the options that tell it so."""
        return {
            "--frames-fd": self.frames_fd,
            "--doorbell-fd": self.doorbell.fileno(),
            "--board-fd": self.capture_board_fd,
        }

    def for_server(self) -> dict[str, int]:
        """Return what the server process inherits, by the options that tell it so."""
        return {
            "--frames-fd": self.frames_fd,
            "--doorbell-fd": self.doorbell.fileno(),
            "--capture-board-fd": self.capture_board_fd,
            "--supervisor-board-fd": self.supervisor_board_fd,
            "--server-board-fd": self.server_board_fd,
        }


def create_shared_memory(instance: str, slot_bytes: int, max_viewers: int) -> SharedMemory:
    """Make all rings of an instance whose lock is held, after sweeping what a killed start left.

    `slot_bytes` is the room for a frame; the server's board has room for the facts of `max_viewers`.

    Raises:
        SegmentError: /dev/shm has not the room.
    """
    prefix = f"ringcast-{instance}-"
    sweep_segments(prefix)
    server_board = Geometry(3, BOARD_GEOMETRY.slot_bytes + max_viewers * VIEWER_ON_BOARD_BYTES)
    return SharedMemory(
        frames_fd=create_segment(prefix + "frames", Geometry(SLOT_COUNT, slot_bytes)),
        capture_board_fd=create_segment(prefix + "capture", BOARD_GEOMETRY),
        server_board_fd=create_segment(prefix + "server", server_board),
        supervisor_board_fd=create_segment(prefix + "supervisor", BOARD_GEOMETRY),
        doorbell=Doorbell.create(),
    )
