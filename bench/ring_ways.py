# SPDX-License-Identifier: MIT
"""The ring, and what a Python programmer would use instead: one writer, some readers, each a process.

A way is made in the parent. `sender` is called in the writer's process and `receiver` in a reader's;
what they return is called for each frame, and the latter waits for the next one that it was not given
yet. All frames have one size.
"""

from __future__ import annotations

import mmap
import multiprocessing
import os
import select
import socket
import struct
import tempfile
import time
from collections.abc import Callable
from multiprocessing.shared_memory import SharedMemory
from typing import Any, Protocol

import zmq

from shm_ring.doorbell import Doorbell
from shm_ring.layout import Geometry
from shm_ring.ring import RingReader, RingWriter
from shm_ring.segment import Segment, create_segment

FORK = multiprocessing.get_context("fork")
Send = Callable[[bytearray], object]
Receive = Callable[[], Any]


class Way(Protocol):
    """One way of getting frames from a writer to readers."""

    name: str

    def __init__(self, readers: int, frame_bytes: int) -> None:
        """Make what both sides share."""

    def sender(self) -> Send:
        """Return what sends a frame."""

    def receiver(self, reader: int) -> Receive:
        """Return what waits for a frame."""


class RingWay:
    """Ours: each reader has a doorbell of its own here, where Ringcast has one reader."""

    name = "ring"

    def __init__(self, readers: int, frame_bytes: int) -> None:
        self._descriptor = create_segment(f"ringcast-bench-{os.getpid()}", Geometry(readers + 2, frame_bytes))
        self._doorbells = [Doorbell.create() for _ in range(readers)]

    def sender(self) -> Send:
        return RingWriter(Segment(self._descriptor), self._doorbells).publish  # type: ignore[return-value]

    def receiver(self, reader: int) -> Receive:
        ring, doorbell, poll = RingReader(Segment(self._descriptor)), self._doorbells[reader], select.poll()
        poll.register(doorbell.fileno(), select.POLLIN)
        last = 0

        def receive() -> bytes:
            nonlocal last
            while True:
                poll.poll()
                os.eventfd_read(doorbell.fileno())
                found = ring.latest(last)
                if found is not None:
                    last = found.sequence
                    return found.payload

        return receive


class QueueWay:
    """multiprocessing.Queue, one for each reader; two frames deep, or they would pile up."""

    name = "multiprocessing.Queue"

    def __init__(self, readers: int, frame_bytes: int) -> None:
        self._queues = [FORK.Queue(2) for _ in range(readers)]

    def sender(self) -> Send:
        def send(frame: bytearray) -> None:
            copy = bytes(frame)  # it is pickled later, by a thread
            for queue in self._queues:
                queue.put(copy)

        return send

    def receiver(self, reader: int) -> Receive:
        return self._queues[reader].get


class PipeWay:
    """multiprocessing.Pipe, one for each reader."""

    name = "multiprocessing.Pipe"

    def __init__(self, readers: int, frame_bytes: int) -> None:
        self._pipes = [FORK.Pipe(duplex=False) for _ in range(readers)]

    def sender(self) -> Send:
        ends = [sending for _, sending in self._pipes]
        for receiving, _ in self._pipes:
            receiving.close()

        def send(frame: bytearray) -> None:
            for end in ends:
                end.send_bytes(frame)

        return send

    def receiver(self, reader: int) -> Receive:
        for _, sending in self._pipes:
            sending.close()
        return self._pipes[reader][0].recv_bytes


class SocketWay:
    """A Unix stream socket that the writer listens on; each frame with its length before it."""

    name = "Unix socket"

    def __init__(self, readers: int, frame_bytes: int) -> None:
        self._path = f"{tempfile.mkdtemp()}/socket"
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(self._path)
        self._listening.listen()
        self._readers = readers

    def sender(self) -> Send:
        connections = [self._listening.accept()[0] for _ in range(self._readers)]

        def send(frame: bytearray) -> None:
            for connection in connections:
                connection.sendall(struct.pack("=I", len(frame)))
                connection.sendall(frame)

        return send

    def receiver(self, reader: int) -> Receive:
        connection: socket.socket | None = None

        def receive() -> bytearray:
            nonlocal connection
            while True:
                if connection is None:
                    connection = socket.socket(socket.AF_UNIX)
                    connection.connect(self._path)
                try:
                    (length,) = struct.unpack("=I", _exactly(connection, 4))
                    return _exactly(connection, length)
                except EOFError:  # the writer died: connect again, as one has to
                    connection.close()
                    connection = None

        return receive


def _exactly(connection: socket.socket, length: int) -> bytearray:
    received = bytearray(length)
    view = memoryview(received)
    while view:
        got = connection.recv_into(view)
        if not got:
            raise EOFError
        view = view[got:]
    return received


class ConditionWay:
    """SharedMemory for one frame, and a multiprocessing.Lock with its Condition to wait on."""

    name = "SharedMemory + Lock"

    def __init__(self, readers: int, frame_bytes: int) -> None:
        self._memory = SharedMemory(create=True, size=frame_bytes + 8)
        self._memory.unlink()
        assert self._memory.buf is not None
        self._map: memoryview = self._memory.buf
        self._changed = FORK.Condition(FORK.Lock())

    def sender(self) -> Send:
        memory, changed = self._map, self._changed

        def send(frame: bytearray) -> None:
            with changed:
                memory[8 : 8 + len(frame)] = frame
                memory[:8] = (int.from_bytes(memory[:8], "little") + 1).to_bytes(8, "little")
                changed.notify_all()

        return send

    def receiver(self, reader: int) -> Receive:
        memory, changed, last = self._map, self._changed, bytes(8)

        def receive() -> bytes:
            nonlocal last
            with changed:
                while memory[:8] == last:
                    changed.wait()
                last = bytes(memory[:8])
                return bytes(memory[8:])

        return receive


class ZmqWay:
    """PyZMQ, publish and subscribe over ipc, each reader keeping the newest message only."""

    name = "PyZMQ"

    def __init__(self, readers: int, frame_bytes: int) -> None:
        self._address = f"ipc://{tempfile.mkdtemp()}/zmq"

    def sender(self) -> Send:
        sending = zmq.Context().socket(zmq.PUB)
        sending.setsockopt(zmq.SNDHWM, 2)
        sending.bind(self._address)
        time.sleep(0.2)  # subscriptions arrive; what is published before is lost
        send: Send = sending.send
        return send

    def receiver(self, reader: int) -> Receive:
        receiving = zmq.Context().socket(zmq.SUB)
        receiving.setsockopt(zmq.CONFLATE, 1)
        receiving.setsockopt(zmq.SUBSCRIBE, b"")
        receiving.setsockopt(zmq.RECONNECT_IVL, 10)
        receiving.connect(self._address)
        receive: Receive = receiving.recv
        return receive


WAYS: tuple[type[Way], ...] = (RingWay, QueueWay, PipeWay, SocketWay, ConditionWay, ZmqWay)


class Stamps:
    """A frame's count and time at its start and its count at its end, by which a torn one is told."""

    HEAD, TAIL = struct.Struct("=QQ"), struct.Struct("=Q")

    @classmethod
    def put(cls, frame: bytearray, count: int) -> None:
        """Stamp a frame that is sent now."""
        cls.TAIL.pack_into(frame, len(frame) - cls.TAIL.size, count)
        cls.HEAD.pack_into(frame, 0, count, time.monotonic_ns())

    @classmethod
    def read(cls, frame: bytes) -> tuple[int, int, bool]:
        """Return a frame's count, when it was sent, and whether it is whole."""
        count, sent_ns = cls.HEAD.unpack_from(frame)
        (tail,) = cls.TAIL.unpack_from(frame, len(frame) - cls.TAIL.size)
        return count, sent_ns, count == tail


def shared_words(count: int) -> memoryview:
    """Return words of 64 bits that forked processes share, each for one of them to write."""
    return memoryview(mmap.mmap(-1, 8 * count)).cast("Q")
