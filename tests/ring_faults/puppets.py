# SPDX-License-Identifier: MIT
"""Puppets: processes that do with a ring what a test tells them, and can be killed in the middle of it.

`python -m tests.ring_faults.puppets CONTROL SEGMENT DOORBELL…`, which are descriptors: see stage.py.
"""

from __future__ import annotations

import ctypes
import fcntl
import math
import mmap
import os
import signal
import socket
import sys
from collections.abc import Sequence
from multiprocessing.connection import Connection
from types import SimpleNamespace
from typing import Any

import shm_ring.ring
from shm_ring import layout
from shm_ring.doorbell import Doorbell
from shm_ring.errors import RingError
from shm_ring.ring import RingReader, RingWriter
from shm_ring.segment import Segment, open_for_reading
from tests.ring_faults.payloads import Checker, facts, payload
from tests.ring_faults.stage import BEGIN, END, Refusal


class _TrapMap(mmap.mmap):
    """A segment's map whose `touches`-th access from now stops or kills the process, half done."""

    touches = 0
    trap = signal.SIGSTOP

    def _touch(self) -> bool:
        self.touches -= 1
        return self.touches == 0

    def __getitem__(self, place: Any) -> Any:
        if self._touch():
            os.kill(os.getpid(), self.trap)
        return super().__getitem__(place)

    def __setitem__(self, place: Any, stored: Any) -> None:
        if self._touch():
            if len(stored) > layout.SEAL.size:  # the seal is stored at once
                half = len(stored) // 2
                super().__setitem__(slice(place.start, place.start + half), stored[:half])
            os.kill(os.getpid(), self.trap)
        super().__setitem__(place, stored)


class _HastyWriter(RingWriter):
    """A writer as it must not be: it seals a slot before the payload is in it."""

    def _fill(self, slot: int, sequence: int, payload: bytes, facts: bytes) -> None:
        memory, at = self._segment.map, self._geometry.slot_at(slot)
        header = layout.SlotHeader(self._epoch, sequence, len(payload), facts).pack()
        memory[at : at + layout.PAYLOAD_AT] = layout.seal_of(header) + header
        memory[at + layout.PAYLOAD_AT : at + layout.PAYLOAD_AT + len(payload)] = payload


class _Obeying:
    """What a puppet can do; each method is a word that a test may say."""

    def __init__(self, connection: Connection, descriptor: int, doorbells: Sequence[Doorbell]) -> None:
        self._connection = connection
        self._descriptor = descriptor
        self._doorbells = doorbells
        self.count = 0

    def attach_writer(self) -> None:
        self.writer = RingWriter(self._mapped(Segment(self._descriptor)), self._doorbells)

    def attach_hasty_writer(self) -> None:
        self.writer = _HastyWriter(self._mapped(Segment(self._descriptor)), self._doorbells)

    def attach_reader(self) -> None:
        reading = open_for_reading(self._descriptor)  # as the server's: the locks of readers need no more
        self.reader = RingReader(self._mapped(Segment(reading, writable=False)))

    def _mapped(self, segment: Segment) -> Segment:
        self.segment = segment
        self._usual_map = segment.map  # closing it would let go of all locks
        return segment

    def trap(self, touches: int, number: int) -> None:
        trapped = _TrapMap(self._descriptor, len(self._usual_map))
        trapped.touches, trapped.trap = touches, signal.Signals(number)
        self.segment.map = trapped

    def publish(self, content: bytes) -> int | None:
        return self.writer.publish(content)

    def latest(self, after: int = 0) -> tuple[int, bytes] | None:
        found = self.reader.latest(after)
        return None if found is None else (found.sequence, found.payload)

    def stepped(self, what: str, *details: Any) -> Any:
        os.kill(os.getpid(), BEGIN)
        answer = getattr(self, what)(*details)
        os.kill(os.getpid(), END)
        return answer

    def write(self, writer: int, most: int | None) -> None:
        """Publish without a pause, `most` times or for ever; it is told which writer it is."""
        publish, end = self.writer.publish, math.inf if most is None else self.count + most
        while self.count < end:
            publish(payload(self.count), facts(writer, self.count))
            self.count += 1

    def read_until_told(self) -> dict[str, int]:
        """Read without a pause; every fault is told at once, and what was read at the end."""
        checker, last = Checker(), 0
        while not self._connection.poll(0):
            for _ in range(20):
                found = self.reader.latest(last)
                if found is not None:
                    last = found.sequence
                    fault = checker.take(found)
                    if fault is not None:
                        self._connection.send(fault)
        self._connection.recv()
        return {"read": checker.read, "torn": checker.torn, "back": checker.back}

    def obey(self) -> None:
        while True:
            what, *details = self._connection.recv()
            try:
                answer = getattr(self, what)(*details)
            except RingError as error:
                answer = Refusal(type(error).__name__, str(error))
            self._connection.send(answer)


def _without_slot_locks() -> None:
    """Take the locks of the slots out. Only a puppet can: nothing in the product knows how."""
    lockf = fcntl.lockf

    def lockf_of_the_writer_alone(descriptor: int, kind: int, length: int, start: int) -> None:
        if start < layout.SLOTS_AT:
            lockf(descriptor, kind, length, start)

    hook = SimpleNamespace(**{**vars(fcntl), "lockf": lockf_of_the_writer_alone})
    setattr(shm_ring.ring, "fcntl", hook)  # noqa: B010  mypy rightly holds that a module is not to be written


def _nursery(control: socket.socket, descriptor: int, doorbells: Sequence[Doorbell]) -> None:
    """Fork a puppet for each socket that comes, until nobody is there any more."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # they are reaped by themselves
    nursery_pid = os.getpid()
    while True:
        wish, sockets, _, _ = socket.recv_fds(control, 1, 1)
        if not wish:
            return
        pid = os.fork()
        if pid:
            os.close(sockets[0])
            control.send(str(pid).encode())
            continue
        control.close()
        ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG: none outlives the nursery
        if os.getppid() != nursery_pid:
            os._exit(1)
        if wish == b"-":
            _without_slot_locks()
        try:
            _Obeying(Connection(sockets[0]), descriptor, doorbells).obey()
        except (EOFError, ConnectionResetError, BrokenPipeError):
            os._exit(0)


if __name__ == "__main__":
    control_fd, segment_fd, *bell_fds = map(int, sys.argv[1:])
    _nursery(socket.socket(fileno=control_fd), segment_fd, [Doorbell(bell) for bell in bell_fds])
