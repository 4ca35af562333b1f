# SPDX-License-Identifier: MIT
"""Connections that ask for a path, without a pause or so many times a second; to this machine alone.

python -m bench.hammer PORT PATH CONNECTIONS SECONDS [A_SECOND]

Prints how often there was an answer with 200.
"""

from __future__ import annotations

import selectors
import socket
import sys
import time
from collections import deque

_LATE_S = 0.1
"""A request that is later than this is left out."""


def main(port: int, path: str, connections: int, seconds: float, a_second: float = 1e9) -> int:
    """Return how often there was an answer with 200.

    A connection asks again when it has its answer and a request is due: `a_second` of them in all, and by
    default without a pause.
    """
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
    selector, answers = selectors.DefaultSelector(), 0
    free: deque[socket.socket] = deque()
    for _ in range(connections):
        connection = socket.create_connection(("127.0.0.1", port))
        selector.register(connection, selectors.EVENT_READ, bytearray())
        free.append(connection)
    now_s = due_s = time.monotonic()
    until_s = now_s + seconds
    while now_s < until_s:
        while free and due_s <= now_s:
            free.popleft().sendall(request)
            due_s = max(due_s + 1 / a_second, now_s - _LATE_S)
        for key, _ in selector.select(min(0.1, max(0.0, due_s - now_s)) if free else 0.1):
            asking, came = key.fileobj, key.data
            assert isinstance(asking, socket.socket)
            if not (more := asking.recv(1 << 16)):  # it was a guest, whose connection ends with its answer
                selector.unregister(asking)
                asking.close()
                asking = socket.create_connection(("127.0.0.1", port))
                selector.register(asking, selectors.EVENT_READ, bytearray())
                free.append(asking)
                continue
            came += more
            if _is_whole(came):
                answers += came.startswith(b"HTTP/1.1 200 ")
                if b"\r\nConnection: close\r\n" not in came[:1000]:
                    free.append(asking)
                came.clear()
        now_s = time.monotonic()
    return answers


def _is_whole(came: bytearray) -> bool:
    head, found, body = came.partition(b"\r\n\r\n")
    if not found:
        return False
    length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
    return len(body) >= int(length)


if __name__ == "__main__":
    print(main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), *map(float, sys.argv[4:])))
