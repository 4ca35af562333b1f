# SPDX-License-Identifier: MIT
"""A TCP relay that does harm to streams and lets everything else pass, as a bad Wi-Fi or a proxy does."""

from __future__ import annotations

import contextlib
import socket
import threading

_DELIMITER = b"\r\n--frame\r\n"


class Relay:
    """One listening port in front of another. Use it as a context; its faults are for any thread."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        self._connections: list[_Connection] = []
        threading.Thread(target=self._accept, name="relay", daemon=True).start()

    def __enter__(self) -> Relay:
        return self

    def __exit__(self, *_: object) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for connection in self._connections:
            connection.close()

    def swallow(self) -> None:
        """Forward no more byte of the streams that are open, and keep them open."""
        self._spoil("swallow")

    def end(self) -> None:
        """End the streams that are open, each after a whole part and as if it were right so."""
        self._spoil("end")

    def _spoil(self, how: str) -> None:
        for connection in self._connections:
            if connection.is_stream:
                connection.fault = how

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listening.accept()
                self._connections.append(_Connection(near, socket.create_connection(("127.0.0.1", self._to))))


class _Connection:
    def __init__(self, near: socket.socket, far: socket.socket) -> None:
        self._near, self._far = near, far
        self.is_stream = False
        self.fault = ""
        for pump in (self._pump_requests, self._pump_answers):
            threading.Thread(target=pump, name="relay", daemon=True).start()

    def close(self) -> None:
        for one in (self._near, self._far):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _pump_requests(self) -> None:
        with contextlib.suppress(OSError):
            while request := self._near.recv(65536):
                self.is_stream = request.startswith(b"GET /stream")
                self._far.sendall(request)
            self._far.shutdown(socket.SHUT_WR)

    def _pump_answers(self) -> None:
        with contextlib.suppress(OSError):
            while answer := self._far.recv(65536):
                whole, delimiter, _ = answer.rpartition(_DELIMITER)
                if not self.fault:
                    self._near.sendall(answer)
                elif self.fault == "end" and delimiter:
                    self._near.sendall(whole + delimiter)
                    self._near.shutdown(socket.SHUT_WR)
                    self.fault = "ended"
            self._near.shutdown(socket.SHUT_WR)
