# SPDX-License-Identifier: MIT
"""Systemd's end of NOTIFY_SOCKET, for a service that is to believe that systemd started it."""

from __future__ import annotations

import socket
import sys

from tests.running import Ringcast

WATCHDOG_S = 4.0


class Systemd:
    """Listens as systemd does."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.lines: list[str] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.bind(address.replace("@", "\0", 1))

    def told(self) -> list[str]:
        """Return all lines so far."""
        while True:
            try:
                self.lines += self._socket.recv(4096).decode().splitlines()
            except BlockingIOError:
                return self.lines

    def last_status(self) -> str:
        """Return the last sentence."""
        sentences = [line.removeprefix("STATUS=") for line in self.told() if line.startswith("STATUS=")]
        return sentences[-1] if sentences else ""

    def fed(self) -> int:
        """Return how often it was told that all is well."""
        return self.told().count("WATCHDOG=1")

    def close(self) -> None:
        self._socket.close()


def under(systemd: Systemd, *arguments: str) -> Ringcast:
    """Start a service as systemd does, with a watchdog of `WATCHDOG_S`."""
    told = ("env", f"NOTIFY_SOCKET={systemd.address}", f"WATCHDOG_USEC={WATCHDOG_S * 1e6:.0f}")
    return Ringcast(*arguments, command=(*told, sys.executable, "supervisor.py"))
