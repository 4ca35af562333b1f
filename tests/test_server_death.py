# SPDX-License-Identifier: MIT
"""The server dies: its socket does not, for the supervisor holds it."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import socket
import threading
import time
from typing import Any

import pytest

from tests.conditions import eventually
from tests.running import Ringcast, alive

pytestmark = pytest.mark.process

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


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
def test_the_port_answers_again_within_2_s_and_refuses_nobody(number: signal.Signals) -> None:
    with Ringcast("--camera=pattern") as service:
        before = service.ready()
        knocker = Knocker(service.port)
        eventually(lambda: len(knocker.answered_s) > 20)
        os.kill(before["server"]["pid"], number)
        eventually(lambda: not alive(before["server"]["pid"]), what="the end of the server")
        gone_s = time.monotonic()  # whoever knocks from now on is answered by the next one
        eventually(lambda: service.status()["server"]["pid"] != before["server"]["pid"])
        following = len(knocker.answered_s)
        eventually(lambda: len(knocker.answered_s) > following + 20)
        knocker.end()
        assert knocker.refused == []
        answered_s = min(heard_s for knocked_s, heard_s in knocker.answered_s if knocked_s > gone_s)
        assert answered_s - gone_s < 2.0
        waited = [knocked_s for knocked_s, _ in knocker.answered_s if gone_s < knocked_s < answered_s]
        assert len(waited) > 10, "many knocked while no server was there, and were answered"
        after = service.ready()
        assert after["frame"]["sequence"] > before["frame"]["sequence"], "the camera went on"
        assert after["supervisor"]["capture"]["restarts"] == {}
        assert sum(after["supervisor"]["server"]["restarts"].values()) == 1


def test_a_frozen_server_is_found_hung() -> None:
    with Ringcast("--camera=pattern") as service:
        before = service.ready()
        os.kill(before["server"]["pid"], signal.SIGSTOP)
        reason = "server ended: hung: no progress for 5 s"
        eventually(lambda: reason in service.log, 15)
        assert service.ready()["server"]["pid"] != before["server"]["pid"]
