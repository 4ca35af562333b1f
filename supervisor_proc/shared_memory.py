# SPDX-License-Identifier: MIT
"""The shared memory: all rings, and the doorbell."""

from __future__ import annotations

from dataclasses import dataclass

from shm_ring.board import BOARD_GEOMETRY, BoardReader, BoardWriter
from shm_ring.doorbell import Doorbell
from shm_ring.layout import Geometry
from shm_ring.ring import RingReader, RingWriter
from shm_ring.segment import Segment, create_segment, open_for_reading, sweep_segments
from shm_ring.status import CaptureStatus, ServerStatus, SupervisorStatus

SLOT_COUNT = 4
"""The newest, the one being written, and one for each of the two readers."""
LEAST_SLOT_BYTES = 1 << 20
"""Noise in 640x480 takes 600 KB at quality 100, a busy scene in 1920x1080 about as much at quality 80."""


@dataclass(frozen=True, slots=True)
class SharedMemory:
    """Descriptors of all rings, and the doorbell that says that a frame came."""

    frames_fd: int
    capture_board_fd: int
    server_board_fd: int
    supervisor_board_fd: int
    doorbell: Doorbell
    frames_to_read_fd: int
    capture_board_to_read_fd: int
    supervisor_board_to_read_fd: int

    def for_capture(self) -> dict[str, int]:
        """Return what the capture process inherits, by the options that tell it so."""
        return {
            "--frames-fd": self.frames_fd,
            "--doorbell-fd": self.doorbell.fileno(),
            "--board-fd": self.capture_board_fd,
        }

    def for_server(self) -> dict[str, int]:
        """Return what the server process inherits, by the options that tell it so.

        It is the process that the network reaches, so it can write into its own board only.
        """
        return {
            "--frames-fd": self.frames_to_read_fd,
            "--doorbell-fd": self.doorbell.fileno(),
            "--capture-board-fd": self.capture_board_to_read_fd,
            "--supervisor-board-fd": self.supervisor_board_to_read_fd,
            "--server-board-fd": self.server_board_fd,
        }


def create_shared_memory(instance: str, slot_bytes: int) -> SharedMemory:
    """Make all rings of an instance whose lock is held, after sweeping what a killed start left.

    `slot_bytes` is the room for a frame.

    Raises:
        SegmentError: /dev/shm has not the room.
    """
    prefix = f"ringcast-{instance}-"
    sweep_segments(prefix)
    frames_fd = create_segment(prefix + "frames", Geometry(SLOT_COUNT, slot_bytes))
    capture_board_fd = create_segment(prefix + "capture", BOARD_GEOMETRY)
    supervisor_board_fd = create_segment(prefix + "supervisor", BOARD_GEOMETRY)
    return SharedMemory(
        frames_fd=frames_fd,
        capture_board_fd=capture_board_fd,
        server_board_fd=create_segment(prefix + "server", BOARD_GEOMETRY),
        supervisor_board_fd=supervisor_board_fd,
        doorbell=Doorbell.create(),
        frames_to_read_fd=open_for_reading(frames_fd),
        capture_board_to_read_fd=open_for_reading(capture_board_fd),
        supervisor_board_to_read_fd=open_for_reading(supervisor_board_fd),
    )


class Rings:
    """The supervisor's own ends of all rings: it reads its children's, and writes its board."""

    def __init__(self, memory: SharedMemory) -> None:
        """Map them; to be made once."""
        self.frames = RingReader(Segment(memory.frames_fd, writable=False))
        self.capture_board = BoardReader(
            RingReader(Segment(memory.capture_board_fd, writable=False)), CaptureStatus
        )
        self.server_board = BoardReader(
            RingReader(Segment(memory.server_board_fd, writable=False)), ServerStatus
        )
        self.board = BoardWriter[SupervisorStatus](RingWriter(Segment(memory.supervisor_board_fd)))
