# SPDX-License-Identifier: MIT
"""The server dies: its socket does not, for the supervisor holds it."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time

import pytest

from tests.conditions import eventually
from tests.running import Ringcast

pytestmark = pytest.mark.process

_REQUEST = b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


class Knocker:
    """Connects again and again, and keeps the longest wait for an answer and every refusal."""

    def __init__(self, port: int) -> None:
        self.refused: list[str] = []
        self.answered = 0
        self.longest_s = 0.0
        self._port = port
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._knock, daemon=True)
        self._thread.start()

    def _knock(self) -> None:
        while not self._ends.is_set():
            began_s = time.monotonic()
            answer = b""
            while not answer and not self.refused:  # cut off: it asks again, as a browser does
                answer = self._ask()
            self.answered += bool(answer)
            self.longest_s = max(self.longest_s, time.monotonic() - began_s)

    def _ask(self) -> bytes:
        try:
            with socket.create_connection(("127.0.0.1", self._port), timeout=10) as client:
                client.sendall(_REQUEST)
                return client.recv(1000)
        except ConnectionRefusedError as error:
            self.refused.append(str(error))
        except OSError:  # it was accepted by the server that died
            pass
        return b""

    def end(self) -> None:
        self._ends.set()
        self._thread.join(15)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
def test_the_port_answers_again_within_2_s_and_refuses_nobody(number: signal.Signals) -> None:
    with Ringcast("--camera=pattern") as service:
        before = service.ready()
        knocker = Knocker(service.port)
        eventually(lambda: knocker.answered > 5)
        knocked = knocker.answered
        os.kill(before["server"]["pid"], number)
        eventually(lambda: service.status()["server"]["pid"] != before["server"]["pid"])
        eventually(lambda: knocker.answered > knocked + 5)
        knocker.end()
        assert knocker.refused == []
        assert knocker.longest_s < 2.0
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
