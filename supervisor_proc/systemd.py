# SPDX-License-Identifier: MIT
"""What systemd asks of a service: sd_notify(3), its watchdog, and sockets that it bound (sd_listen_fds(3))."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
from collections.abc import MutableMapping

_log = logging.getLogger(__name__)

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
        self._period_s = int(watchdog_us) / 2e6 if watchdog_us.isdecimal() and for_us else float("inf")
        """Half of what systemd waits for, as it recommends."""

    def say(self, *lines: str) -> None:
        """Send lines such as READY=1; systemd that does not take them is not waited for."""
        if self._address:
            with contextlib.suppress(OSError):
                self._socket.sendto("\n".join(lines).encode(), self._address)

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
    """
    mine = environment.pop("LISTEN_PID", "") == str(os.getpid())
    count = environment.pop("LISTEN_FDS", "")
    environment.pop("LISTEN_FDNAMES", None)
    if not mine or count in ("", "0"):
        return None
    if count != "1":
        _log.warning("systemd handed down %s sockets; only the first is used", count)
    listening = socket.socket(fileno=_FIRST_FD)
    listening.set_inheritable(False)
    return listening
