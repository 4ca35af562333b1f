# SPDX-License-Identifier: MIT
"""A viewer that stops reading: it costs one frame and its kernel buffers, and delays nobody."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

import pytest

from tests.conditions import eventually
from tests.footage import PEDESTRIANS
from tests.mjpeg import Audience, Seen, share_of_all
from tests.running import Ringcast

pytestmark = pytest.mark.process

PAUSE_S = 30.0
"""docs/decisions/0003-when-a-viewer-is-disconnected.md promises it for so long."""
OTHERS = 5
FPS = 20


def _resident_bytes(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _in_kernel_buffers(one_port: int, other_port: int) -> int:
    """Return the bytes that lie in both sockets of a loopback connection, unsent and unread."""
    rows = re.findall(r": \w+:(\w{4}) \w+:(\w{4}) \w\w (\w{8}):(\w{8})", Path("/proc/net/tcp").read_text())
    ours = [row for row in rows if {int(row[0], 16), int(row[1], 16)} == {one_port, other_port}]
    assert len(ours) == 2
    return sum(int(sending, 16) + int(received, 16) for _, _, sending, received in ours)


def _later_than(frames: list[Seen], moment_s: float) -> list[Seen]:
    return [seen for seen in frames if seen.at_s > moment_s]


def test_a_viewer_that_reads_again_after_30_s_sees_new_frames_at_once() -> None:
    with Ringcast(f"--camera={PEDESTRIANS}", f"--fps={FPS}") as service:
        server = service.ready()["server"]["pid"]
        with Audience(service.port, OTHERS + 1) as audience:
            stalled, *others = audience.viewers
            eventually(lambda: all(len(viewer.frames) > FPS for viewer in audience.viewers))
            stalled.reading = False
            paused_s = time.monotonic()
            wall_ahead_s = time.time() - paused_s
            eventually(lambda: time.monotonic() > paused_s + 3, 5)
            memory_early = _resident_bytes(server)
            eventually(lambda: time.monotonic() > paused_s + PAUSE_S, PAUSE_S)
            memory_late = _resident_bytes(server)
            in_buffers = _in_kernel_buffers(service.port, stalled.connection.getsockname()[1])
            lay_waiting = in_buffers + stalled.unfinished
            listed = service.status()["viewers"]["list"]
            stalled.reading = True
            resumed_s = time.monotonic()
            eventually(lambda: _later_than(stalled.frames, resumed_s + 2), 20)
            audience.check()

        assert memory_late - memory_early < 1 << 20, "the server's memory stays flat"
        for viewer in others:
            # a busy machine makes a server late for a frame; waiting for the stalled would lose most
            assert share_of_all([seen.sequence for seen in viewer.frames]) > 0.98, "others lose nothing by it"
        *skipped_by_others, skipped = sorted(viewer["skipped"] for viewer in listed)
        assert max(skipped_by_others) < 0.02 * PAUSE_S * FPS
        assert skipped > 0.8 * PAUSE_S * FPS

        came = _later_than(stalled.frames, resumed_s)
        old = [seen for seen in came if seen.timestamp < resumed_s + wall_ahead_s - 0.5]
        fresh = [seen for seen in came if seen.timestamp >= resumed_s + wall_ahead_s - 0.5]
        assert fresh[0].at_s - resumed_s < 0.5, "new frames come at once"
        assert came.index(fresh[0]) == len(old), "and no old one follows them"
        largest = max(len(jpeg) for jpeg in audience.jpegs.values()) + 200
        assert sum(len(audience.jpegs[seen.sequence]) for seen in old) <= lay_waiting + largest
