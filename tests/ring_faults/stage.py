# SPDX-License-Identifier: MIT
"""A stage: the test's side of puppets, which are processes that do with a ring what they are told.

Record locks exclude processes, so every writer and every reader of these tests is a process. They are
forked from one small process: that takes milliseconds, where a new Python takes a tenth of a second.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from shm_ring.doorbell import Doorbell
from tests.conditions import eventually

ANSWER_S = 60.0
BEGIN, END = signal.SIGUSR1, signal.SIGUSR2
"""Around what is stepped through, a puppet sends itself these; a tracer swallows them."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error of the ring, as a puppet tells it."""

    kind: str
    sentence: str


class Puppet:
    """The test's end of one puppet."""

    def __init__(self, pid: int, connection: Connection) -> None:
        self.pid = pid
        self._connection = connection
        self._pidfd = os.pidfd_open(pid)

    def ask(self, what: str, *details: object) -> Any:
        """Let it do something, and return its answer, or the ring's refusal."""
        self.begin(what, *details)
        return self.answer()

    def begin(self, what: str, *details: object) -> None:
        """Let it do something, and do not wait for it."""
        self._connection.send((what, *details))

    def answer(self, within_s: float = ANSWER_S) -> Any:
        """Return its next answer."""
        assert self._connection.poll(within_s), f"puppet {self.pid} is silent"
        return self._connection.recv()

    def has_spoken(self) -> bool:
        """Tell whether it has said something that nobody has heard yet."""
        return self._connection.poll(0)

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        signal.pidfd_send_signal(self._pidfd, number)

    def wait_stopped(self) -> None:
        """Wait until it has stopped itself."""
        stat = Path(f"/proc/{self.pid}/stat")
        eventually(
            lambda: stat.read_text().rpartition(")")[2].split()[0] in "Tt", ANSWER_S, "a stopped puppet"
        )

    def kill(self) -> None:
        """Kill it, and wait until its locks are certainly free."""
        self.signal(signal.SIGKILL)
        self.wait_gone()

    def wait_gone(self) -> None:
        """Wait for its end: the pidfd is readable when the kernel has let go of all that it held."""
        assert select.select([self._pidfd], [], [], ANSWER_S)[0], f"puppet {self.pid} does not end"

    def close(self) -> None:
        """Kill it if it still lives, and close this end."""
        with suppress(ProcessLookupError):
            self.kill()
        os.close(self._pidfd)
        self._connection.close()


class Stage:
    """Puppets on one ring."""

    def __init__(self, descriptor: int, doorbells: Sequence[Doorbell] = ()) -> None:
        self.descriptor = descriptor
        ours, theirs = socket.socketpair()
        self._control = ours
        bells = [bell.fileno() for bell in doorbells]
        told = map(str, (theirs.fileno(), descriptor, *bells))
        self._nursery = subprocess.Popen(
            [sys.executable, "-m", "tests.ring_faults.puppets", *told],
            pass_fds=[theirs.fileno(), descriptor, *bells],
        )
        theirs.close()
        self._puppets: list[Puppet] = []

    def puppet(self, *, locks: bool = True) -> Puppet:
        """Return a new puppet; without `locks` it leaves out those of the slots."""
        ours, theirs = socket.socketpair()
        socket.send_fds(self._control, [b"+" if locks else b"-"], [theirs.fileno()])
        theirs.close()
        pid = int(self._control.recv(16))
        made = Puppet(pid, Connection(ours.detach()))
        self._puppets.append(made)
        return made

    def writer(self, *, locks: bool = True) -> Puppet:
        """Return a puppet that is the writer."""
        made = self.puppet(locks=locks)
        assert made.ask("attach_writer") is None
        return made

    def reader(self, *, locks: bool = True) -> Puppet:
        """Return a puppet that is a reader."""
        made = self.puppet(locks=locks)
        made.ask("attach_reader")
        return made

    def dismiss(self, puppet: Puppet) -> None:
        """End a puppet."""
        self._puppets.remove(puppet)
        puppet.close()

    def close(self) -> None:
        """End all puppets."""
        for puppet in self._puppets:
            puppet.close()
        self._control.close()
        assert self._nursery.wait(ANSWER_S) == 0


@contextmanager
def staged(descriptor: int, doorbells: Sequence[Doorbell] = ()) -> Iterator[Stage]:
    """Yield a stage, and end all its puppets afterwards."""
    stage = Stage(descriptor, doorbells)
    try:
        yield stage
    finally:
        stage.close()
