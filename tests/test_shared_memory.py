# SPDX-License-Identifier: MIT
from __future__ import annotations

import os
from pathlib import Path

from supervisor_proc.shared_memory import create_shared_memory


def test_what_a_killed_start_left_is_swept() -> None:
    left = Path("/dev/shm/ringcast-sweptest-frames")
    left.write_text("left by a start that was killed")
    memory = create_shared_memory("sweptest", 4096)
    assert len(memory.for_capture()) == 3
    assert len(memory.for_server()) == 5
    assert not list(Path("/dev/shm").glob("ringcast-sweptest-*"))
    for descriptor in (
        memory.frames_fd, memory.capture_board_fd, memory.server_board_fd, memory.supervisor_board_fd,
    ):  # fmt: skip
        os.close(descriptor)
