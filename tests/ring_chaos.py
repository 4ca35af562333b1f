# SPDX-License-Identifier: MIT
"""A writer that is killed in the middle of something, and a reader that looks for torn payloads.

`python -m tests.ring_chaos DESCRIPTOR on|off read|write [KILL_AFTER_MS]`: on or off are the locks.
"""

from __future__ import annotations

import fcntl
import os
import signal
import sys
import threading
import time
import zlib

from shm_ring.ring import RingReader, RingWriter
from shm_ring.segment import Segment

READS = 1000
DEADLINE_S = 90.0


def _payload(number: int) -> bytes:
    body = bytes([number]) * (900_000 + number * 1000)
    return zlib.crc32(body).to_bytes(4, "little") + body


def write(descriptor: int, kill_after_s: float) -> None:
    writer = RingWriter(Segment(descriptor))
    payloads = [_payload(number) for number in range(8)]
    kill = threading.Timer(kill_after_s, os.kill, (os.getpid(), signal.SIGKILL))
    kill.start()
    while True:
        for payload in payloads:
            writer.publish(payload)


def read(descriptor: int) -> None:
    reader, count, torn, last = RingReader(Segment(descriptor)), 0, 0, 0
    deadline = time.monotonic() + DEADLINE_S
    while count < READS and time.monotonic() < deadline:
        found = reader.latest(after=last)
        if found is None:
            continue
        if found.sequence <= last:
            sys.exit(f"the sequence went back from {last} to {found.sequence}")
        last, count = found.sequence, count + 1
        torn += zlib.crc32(found.payload[4:]).to_bytes(4, "little") != found.payload[:4]
    print(count, torn)


if __name__ == "__main__":
    _, descriptor_text, locks, role, *rest = sys.argv
    if locks == "off":
        fcntl.lockf = lambda *_: None
    if role == "read":
        read(int(descriptor_text))
    else:
        write(int(descriptor_text), int(rest[0]) / 1000)
