# SPDX-License-Identifier: MIT
"""Connections that ask for a path without a pause: `python -m bench.hammer PORT PATH CONNECTIONS SECONDS`."""

from __future__ import annotations

import selectors
import socket
import sys
import time


def main(port: int, path: str, connections: int, seconds: float) -> int:
    """Return how often there was an answer."""
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
    selector, answers = selectors.DefaultSelector(), 0
    for _ in range(connections):
        connection = socket.create_connection(("127.0.0.1", port))
        connection.sendall(request)
        selector.register(connection, selectors.EVENT_READ, bytearray())
    until_s = time.monotonic() + seconds
    while time.monotonic() < until_s:
        for key, _ in selector.select(0.1):
            asking, came = key.fileobj, key.data
            assert isinstance(asking, socket.socket)
            came += asking.recv(1 << 16)
            if _is_whole(came):
                answers += 1
                came.clear()
                asking.sendall(request)
    return answers


def _is_whole(came: bytearray) -> bool:
    head, found, body = came.partition(b"\r\n\r\n")
    if not found:
        return False
    length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
    return len(body) >= int(length)


if __name__ == "__main__":
    print(main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4])))
