# SPDX-License-Identifier: MIT
"""A thousand viewers in one process, and two hundred that read as they like."""

from __future__ import annotations

import os
import random
import resource
import selectors
import socket
import struct
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conditions import eventually
from tests.mjpeg import Audience, StreamViewer
from tests.running import Ringcast

pytestmark = pytest.mark.process

MANY = 1000
CHAOS_VIEWERS, CHAOS_S = 200, 60
_RESET = struct.pack("ii", 1, 0)


@contextmanager
def descriptors(count: int) -> Iterator[None]:
    """Allow this process so many descriptors."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def limited(soft: int, hard: int) -> tuple[str, ...]:
    """Return the command of a service with such limits of open files."""
    return ("prlimit", f"--nofile={soft}:{hard}", sys.executable, "supervisor.py")


def test_a_thousand_viewers_are_served_where_a_shell_allows_256_files() -> None:
    """The limit of a shell is soft: the server raises its own."""
    arguments = ("--camera=pattern", "--fps=5", f"--max-viewers={MANY}")
    with descriptors(MANY + 200), Ringcast(*arguments, command=limited(256, 4096)) as service:
        service.ready()
        with Audience(service.port, MANY) as audience:
            eventually(lambda: all(len(viewer.frames) > 3 for viewer in audience.viewers), 60)
            audience.check()
            assert service.status()["viewers"]["count"] == MANY
        eventually(lambda: service.status()["viewers"]["count"] == 0, 30)


def test_a_limit_that_cannot_be_raised_is_told() -> None:
    with Ringcast("--camera=pattern", "--max-viewers=1000", command=limited(256, 512)) as service:
        service.ready()
        eventually(lambda: "--max-viewers 1000 needs" in service.log)
        assert (
            "open files, but only 512 are allowed; lower it, or raise the limit (ulimit -Hn)" in service.log
        )


class Restless:
    """A viewer that reads as it likes, half-closes, asks for more, and leaves as it likes."""

    def __init__(self, port: int, chance: random.Random) -> None:
        self.chance = chance
        self.connection = socket.socket()
        if chance.random() < 0.5:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, chance.choice((4096, 65536)))
        self.connection.connect(("127.0.0.1", port))
        self.connection.settimeout(10)
        request = b"GET /stream?extra_headers=1 HTTP/1.1\r\nHost: x\r\n\r\n"
        self.connection.sendall(request * chance.choice((1, 1, 3)))
        self.connection.setblocking(False)
        self.viewer = StreamViewer(self.connection)
        self.reads_again_s = 0.0
        self.leaves_s = time.monotonic() + chance.uniform(0, 20)

    def read(self, jpegs: dict[int, bytes], now_s: float) -> bool:
        """Read some, or not; tell whether it stays."""
        if now_s >= self.leaves_s:
            if self.chance.random() < 0.5:
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            return False
        what = self.chance.random()
        if what < 0.01:
            self.reads_again_s = now_s + self.chance.uniform(0, 3)
        elif what < 0.011:
            self.connection.shutdown(socket.SHUT_WR)
        try:
            came = self.connection.recv(self.chance.choice((100, 5_000, 1 << 18)))
        except BlockingIOError:
            return True
        self.viewer.take(came, jpegs)
        return bool(came)


def open_descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def test_no_frame_is_torn_repeated_or_goes_back_whatever_viewers_do() -> None:
    """Each part is checked byte for byte; a frame may not come twice as live, nor a sequence fall."""
    chance, jpegs, came, frames = random.Random(23), dict[int, bytes](), 0, 0
    with Ringcast("--camera=pattern", f"--max-viewers={CHAOS_VIEWERS + 50}") as service:
        server = service.ready()["server"]["pid"]
        before = open_descriptors(server)
        selector, until_s = selectors.DefaultSelector(), time.monotonic() + CHAOS_S
        here: list[Restless] = []
        paused: list[Restless] = []  # out of the selector, which would tell of their bytes without end
        while (now_s := time.monotonic()) < until_s:
            while len(here) < CHAOS_VIEWERS:
                here.append(Restless(service.port, chance))
                selector.register(here[-1].connection, selectors.EVENT_READ, here[-1])
                came += 1
            for one in [one for one in paused if now_s >= min(one.reads_again_s, one.leaves_s)]:
                paused.remove(one)
                selector.register(one.connection, selectors.EVENT_READ, one)
            for key, _ in selector.select(0.05):
                one = key.data
                stays = one.read(jpegs, now_s)
                assert one.viewer.fault is None, one.viewer.fault
                if not stays:
                    selector.unregister(one.connection)
                    one.connection.close()
                    here.remove(one)
                    frames += len(one.viewer.frames)
                    sequences = [seen.sequence for seen in one.viewer.frames]
                    assert len(sequences) == len(set(sequences)), "a frame came twice as live"
                elif now_s < one.reads_again_s:
                    selector.unregister(one.connection)
                    paused.append(one)
            if len(jpegs) > 1000:
                newest = max(jpegs)
                for old in [sequence for sequence in jpegs if sequence < newest - 500]:
                    del jpegs[old]
        for one in here:
            one.connection.close()
        eventually(lambda: service.status()["viewers"]["count"] == 0, 70, "the end of all viewers")
        eventually(lambda: open_descriptors(server) <= before, 20, "the descriptors of before")
        assert service.status()["supervisor"]["server"]["restarts"] == {}
        assert os.path.exists(f"/proc/{server}")  # noqa: PTH110  the same process
    print(f"\n  {came} viewers came, {frames} frames were checked")
    assert came > CHAOS_VIEWERS
    assert frames > 10_000
