# SPDX-License-Identifier: MIT
"""What systemd asks of a service: sd_notify(3), its watchdog, and sockets that it bound, sd_listen_fds(3)."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import MutableMapping

from supervisor_proc.errors import ServiceError

_FIRST_FD = 3
_FAMILIES = (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX)


class ActivationError(ServiceError, OSError):
    """Systemd handed down what cannot be listened on; it would do so again at the next start."""


class Notifier:
    """Tells systemd how the service is. Says nothing where nobody listens. For one thread."""

    def __init__(self, environment: MutableMapping[str, str]) -> None:
        """Take what systemd left in the environment, and out of it: children are told nothing of it."""
        address = environment.pop("NOTIFY_SOCKET", "")
        watchdog_us = environment.pop("WATCHDOG_USEC", "")
        for_us = environment.pop("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.setblocking(False)
        self._said = ""
        self._due_s = 0.0
        # a quarter, for systemd recommends half, and the sign of life that this waits for takes a second
        self._period_s = int(watchdog_us) / 4e6 if watchdog_us.isdecimal() and for_us else float("inf")

    @property
    def listens(self) -> bool:
        """Whether somebody listens."""
        return bool(self._address)

    def say(self, line: str) -> None:
        """Send a line such as READY=1; systemd that does not take it is not waited for."""
        if self._address:
            with contextlib.suppress(OSError):
                self._socket.sendto(line.encode(), self._address)

    def status(self, sentence: str) -> None:
        """Say how the service is, in words, where that changed."""
        if sentence != self._said:
            self._said = sentence
            self.say(f"STATUS={sentence}")

    def feed_watchdog(self, now_s: float) -> None:
        """Say that all is well, when it is time to."""
        if now_s >= self._due_s:
            self._due_s = now_s + self._period_s
            self.say("WATCHDOG=1")


def bound_by_systemd(environment: MutableMapping[str, str]) -> list[socket.socket]:
    """Return the listening sockets that systemd handed down, of TCP and of Unix; none where it did not.

    The variables are taken out of the environment, for children are handed theirs in another way.

    Raises:
        ActivationError: something else is among them.
    """
    mine = environment.pop("LISTEN_PID", "") == str(os.getpid())
    count = environment.pop("LISTEN_FDS", "0")
    environment.pop("LISTEN_FDNAMES", None)
    if not mine or not count.isdecimal():
        return []
    return [_handed_down(descriptor) for descriptor in range(_FIRST_FD, _FIRST_FD + int(count))]


def _handed_down(descriptor: int) -> socket.socket:
    with contextlib.suppress(OSError):  # it is no socket
        one = socket.socket(fileno=descriptor)
        one.set_inheritable(False)
        streams = one.type == socket.SOCK_STREAM and one.family in _FAMILIES
        if streams and one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            return one
    raise ActivationError(
        f"expected listening sockets from systemd, of TCP or Unix streams; descriptor {descriptor} is "
        "something else; see deploy/ringcast.socket"
    )
