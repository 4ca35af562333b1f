# SPDX-License-Identifier: MIT
"""What systemd asks of a service: sd_notify(3), its watchdog, and sockets that it bound, sd_listen_fds(3)."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import MutableMapping

from supervisor_proc.listening import ListenError

_FIRST_FD = 3


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


def bound_by_systemd(environment: MutableMapping[str, str]) -> socket.socket | None:
    """Return the listening socket that systemd handed down, None where it did not.

    The variables are taken out of the environment, for children are handed theirs in another way.

    Raises:
        ListenError: what it handed down is not one listening TCP socket.
    """
    mine = environment.pop("LISTEN_PID", "") == str(os.getpid())
    count = environment.pop("LISTEN_FDS", "0")
    environment.pop("LISTEN_FDNAMES", None)
    if not mine or count == "0":
        return None
    with contextlib.suppress(OSError):  # it is no socket
        bound = socket.socket(fileno=_FIRST_FD)
        bound.set_inheritable(False)
        listens = bound.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        if count == "1" and listens and bound.family in (socket.AF_INET, socket.AF_INET6):
            return bound
    raise ListenError(
        f"expected one listening TCP socket from systemd, LISTEN_FDS={count} came and is something else; "
        "see deploy/ringcast.socket"
    )
