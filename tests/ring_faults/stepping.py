# SPDX-License-Identifier: MIT
"""One machine instruction at a time: a puppet's publish or latest is stepped through with ptrace(2).

A process that is killed leaves what it stored and no lock. So all the states in which a kill can leave a
ring are found by looking at it after each instruction; see `Sight`.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import select
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from shm_ring.doorbell import Doorbell
from shm_ring.segment import Segment
from tests.ring_faults.stage import BEGIN, END, Puppet

_CONT, _SINGLESTEP, _ATTACH, _DETACH = 7, 9, 16, 17  # linux/ptrace.h, on x86-64 and AArch64 alike
_FLOCK = struct.Struct("hhqqi4x")  # struct flock where off_t has 64 bits: fcntl(2)

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)
_libc.ptrace.restype = ctypes.c_long


def _ptrace(request: int, pid: int, number: int = 0) -> None:
    if _libc.ptrace(request, pid, None, number) < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"ptrace: {os.strerror(error)}")


def _wait(pid: int) -> int:
    _, status = os.waitpid(pid, 0)
    assert os.WIFSTOPPED(status), f"the puppet ended while it was stepped: {status:#x}"
    return os.WSTOPSIG(status)


@dataclass(frozen=True, slots=True)
class Sight:
    """All of a stepped process's work that others can see."""

    memory: bytes
    lock: bytes
    """The first record lock that it holds, as F_GETLK tells it."""
    rung: bool


class Watch:
    """Looks at a ring from the tracer's process, which holds no lock on it."""

    def __init__(self, segment: Segment, doorbell: Doorbell) -> None:
        self._segment = segment
        self._whole = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 128, 0, 0)  # behind the writer's own byte
        self._poll = select.poll()
        self._poll.register(doorbell.fileno(), select.POLLIN)

    def sight(self) -> Sight:
        """Return what is to be seen now."""
        found = fcntl.fcntl(self._segment.descriptor, fcntl.F_GETLK, self._whole)
        return Sight(self._segment.map[:], found, bool(self._poll.poll(0)))


def steps(puppet: Puppet, what: str, *details: object) -> Iterator[int]:
    """Step through what a puppet does; yield the number of each instruction once it was executed.

    The puppet is stopped meanwhile. It may be killed; leaving the loop lets it go on.
    """
    pid = puppet.pid
    _ptrace(_ATTACH, pid)
    _wait(pid)
    everywhere = os.sched_getaffinity(0)
    for process in (0, pid):
        os.sched_setaffinity(process, {min(everywhere)})  # they take turns: on one core ten times as fast
    puppet.begin("stepped", what, *details)
    passed = 0
    while passed != BEGIN:
        _ptrace(_CONT, pid, passed)
        passed = _wait(pid)
    try:
        number = 0
        while True:
            _ptrace(_SINGLESTEP, pid)
            if _wait(pid) == END:
                return
            number += 1
            yield number
    finally:
        os.sched_setaffinity(0, everywhere)
        if Path(f"/proc/{pid}").exists():
            _let_go(pid)


def _let_go(pid: int) -> None:
    try:
        _ptrace(_DETACH, pid)
    except ProcessLookupError:
        os.waitpid(pid, 0)  # it was killed
