# SPDX-License-Identifier: MIT
"""A strict MJPEG client for tests: many viewers in one thread, every byte looked at."""

from __future__ import annotations

import hashlib
import selectors
import socket
import threading
import time
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Seen:
    """One part as a viewer saw it."""

    at_s: float
    sequence: int
    timestamp: float
    freshness: str
    age_ms: int
    digest: bytes


def share_of_all(sequences: list[int]) -> float:
    """Return the share that was seen, 0 to 1, of all frames from the first to the last of these."""
    assert sequences == sorted(set(sequences)), "a frame was shown twice, or after a newer one"
    return len(sequences) / (sequences[-1] - sequences[0] + 1)


@dataclass
class StreamViewer:
    """One viewer: what it saw, and what was wrong with what it saw."""

    connection: socket.socket
    seen: list[Seen] = field(default_factory=list)
    fault: str | None = None
    ended: bool = False
    reading: bool = True
    head: bytes | None = None
    connections: int = 1
    jpegs: dict[int, bytes] = field(default_factory=dict)
    """The first JPEG seen of each sequence, for readers that keep them here."""
    _waiting: bytearray = field(default_factory=bytearray)

    @property
    def unfinished(self) -> int:
        """How many bytes there are of a part that has not come to its end."""
        return len(self._waiting)

    @property
    def frames(self) -> list[Seen]:
        """What it saw without the repeats."""
        return [seen for seen in self.seen if seen.freshness == "live"]

    def begin_again(self, connection: socket.socket) -> None:
        """Go on with another connection; the sequence goes on as well."""
        self.connection, self.head = connection, None
        self.connections += 1
        self._waiting.clear()

    def take(self, came: bytes, jpegs: dict[int, bytes]) -> None:
        """Take bytes; the first JPEG seen of each sequence goes into `jpegs`."""
        self._waiting += came
        try:
            if self.head is None:
                self._take_head()
            while self.head is not None and self._take_part(jpegs):
                pass
        except ValueError as error:
            self.fault = str(error)

    def _take_head(self) -> None:
        head, end, rest = bytes(self._waiting).partition(b"\r\n\r\n")
        if not end or len(rest) < len(b"--frame\r\n"):
            return
        if not head.startswith(b"HTTP/1.1 200 OK\r\n"):
            raise ValueError(f"answered {head!r} {rest!r}")
        if b"chunked" in head.lower() or b"\r\nConnection: close" not in head:
            raise ValueError(f"not close-delimited: {head!r}")
        if not rest.startswith(b"--frame\r\n"):
            raise ValueError(f"expected the first delimiter, got {rest[:40]!r}")
        self.head = head
        del self._waiting[: len(head) + len(end) + len(b"--frame\r\n")]

    def _take_part(self, jpegs: dict[int, bytes]) -> bool:
        end = self._waiting.find(b"\r\n\r\n")
        if end < 0:
            return False
        lines = bytes(self._waiting[:end]).decode("ascii").split("\r\n")
        names = dict(line.split(": ", 1) for line in lines)
        if lines[0] != "Content-Type: image/jpeg":
            raise ValueError(f"expected a JPEG part, got {lines}")
        start, length = end + 4, int(names["Content-Length"])
        if len(self._waiting) < start + length + 11:
            return False
        jpeg = bytes(self._waiting[start : start + length])
        tail = bytes(self._waiting[start + length : start + length + 11])
        if tail != b"\r\n--frame\r\n":
            raise ValueError(f"expected the delimiter after the frame, got {tail!r}")
        if not (jpeg.startswith(b"\xff\xd8") and jpeg.endswith(b"\xff\xd9")):
            raise ValueError(f"torn: a JPEG from {jpeg[:4]!r} to {jpeg[-4:]!r}")
        del self._waiting[: start + length + 11]
        sequence = int(names.get("X-Sequence", 0))
        if names.get("X-Freshness") != "placeholder" or not sequence:
            jpegs.setdefault(sequence, jpeg)
        if self.seen and sequence < self.seen[-1].sequence:
            raise ValueError(f"the sequence went back from {self.seen[-1].sequence} to {sequence}")
        timestamp = float(names["X-Timestamp"])
        if self.seen and timestamp < self.seen[-1].timestamp:
            raise ValueError(f"the time went back from {self.seen[-1].timestamp} to {timestamp}")
        digest = hashlib.blake2b(jpeg, digest_size=8).digest()
        freshness, age_ms = names.get("X-Freshness", ""), int(names.get("X-Age-Ms", -1))
        self.seen.append(Seen(time.monotonic(), sequence, timestamp, freshness, age_ms, digest))
        return True


class Audience:
    """Viewers that watch in a thread of their own until they are closed."""

    def __init__(
        self,
        port: int,
        count: int,
        path: str = "/stream?extra_headers=1",
        receive_bytes: int = 0,
        *,
        reconnects: bool = False,
    ) -> None:
        """Connect so many viewers; where they `reconnect`, they do so as soon as a connection ends."""
        self.viewers: list[StreamViewer] = []
        self.jpegs: dict[int, bytes] = {}
        self._selector = selectors.DefaultSelector()
        self._closing = False
        self._port, self._path, self._receive_bytes = port, path, receive_bytes
        self._reconnects = reconnects
        for _ in range(count):
            viewer = StreamViewer(self._open())
            self.viewers.append(viewer)
            self._selector.register(viewer.connection, selectors.EVENT_READ, viewer)
        self._thread = threading.Thread(target=self._watch, name="audience", daemon=True)
        self._thread.start()

    def __enter__(self) -> Audience:
        return self

    def __exit__(self, *_: object) -> None:
        self._closing = True
        self._thread.join(10)
        for viewer in self.viewers:
            viewer.connection.close()
        self._selector.close()

    def check(self) -> None:
        """Fail if a viewer was shown anything wrong, lost its connection, or saw other bytes."""
        for number, viewer in enumerate(self.viewers):
            assert viewer.fault is None, f"viewer {number}: {viewer.fault}"
            assert not viewer.ended, f"viewer {number}: its connection ended"
        digests = {
            (seen.sequence, seen.digest)
            for viewer in self.viewers
            for seen in viewer.seen
            if seen.freshness != "placeholder"
        }
        assert len(digests) == len({sequence for sequence, _ in digests}), "one frame, two contents"

    def _watch(self) -> None:
        while not self._closing:
            for key, _ in self._selector.select(0.05):
                self._read(key.data)

    def _open(self) -> socket.socket:
        connection = socket.socket()
        if self._receive_bytes:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._receive_bytes)
        connection.settimeout(10)
        connection.connect(("127.0.0.1", self._port))
        connection.sendall(f"GET {self._path} HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\n\r\n".encode())
        return connection

    def _read(self, viewer: StreamViewer) -> None:
        if not viewer.reading:
            time.sleep(0.001)  # its bytes stay where they are; the others go on
            return
        try:
            came = viewer.connection.recv(1 << 18)
        except OSError:
            came = b""
        if not came:
            self._selector.unregister(viewer.connection)
            if self._reconnects:
                viewer.connection.close()
                viewer.begin_again(self._open())
                self._selector.register(viewer.connection, selectors.EVENT_READ, viewer)
            else:
                viewer.ended = True
            return
        viewer.take(came, self.jpegs)
