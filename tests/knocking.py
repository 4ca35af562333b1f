# SPDX-License-Identifier: MIT
"""Somebody who connects to a port again and again, whether or not somebody answers."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
import time
from typing import Any

_REQUEST = b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


class Knocker:
    """Connects every few milliseconds without waiting, and notes when each knock was answered."""

    def __init__(self, port: int) -> None:
        self.refused: list[OSError] = []
        self.answered_s: list[tuple[float, float]] = []
        """When each of them knocked and was answered."""
        self._port = port
        self._ends = threading.Event()
        self._selector = selectors.DefaultSelector()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._ends.is_set():
            self._knock()
            for key, _ in self._selector.select(0.005):
                self._hear(key.fileobj, key.data)

    def _knock(self) -> None:
        client = socket.socket()
        try:
            client.connect(("127.0.0.1", self._port))  # the kernel takes it while there is a backlog
            client.sendall(_REQUEST)
        except ConnectionRefusedError as error:
            self.refused.append(error)
        except OSError:  # it was accepted by the server that died
            client.close()
            return
        self._selector.register(client, selectors.EVENT_READ, time.monotonic())

    def _hear(self, client: Any, knocked_s: float) -> None:
        with contextlib.suppress(OSError):
            if client.recv(1000):
                self.answered_s.append((knocked_s, time.monotonic()))
        self._selector.unregister(client)
        client.close()

    def end(self) -> None:
        self._ends.set()
        self._thread.join(15)
