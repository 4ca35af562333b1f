# SPDX-License-Identifier: MIT
"""Whether viewers suffer while others ask: 100 viewers, and clients that ask `/status` without a pause.

    .venv/bin/python -m bench.beside_requests

Nothing is pinned to a core: on one core the fault that is looked for, a thread that keeps Python's
interpreter lock, does not show.
"""

from __future__ import annotations

import subprocess
import sys

from bench.fanout_cost import FPS, SERVER_PORT, build, ringcast, watch

VIEWERS, SECONDS = 100, 8

_ASK = f"""
import http.client
connection = http.client.HTTPConnection("127.0.0.1", {SERVER_PORT})
while True:
    connection.request("GET", "/status")
    connection.getresponse().read()
"""


def main() -> None:
    frames = build()
    print(f"{VIEWERS} viewers, {FPS} frames a second, nothing pinned")
    for askers in (0, 1, 4):
        with ringcast(frames, pin=()) as pid:
            asking = [subprocess.Popen([sys.executable, "-c", _ASK]) for _ in range(askers)]
            try:
                load = watch(SERVER_PORT, "/stream", pid, VIEWERS, SECONDS).load
            finally:
                for process in asking:
                    process.kill()
        latency = load["latency_ms"]
        print(
            f"{askers} clients asking: {load['frames'] / load['seconds'] / VIEWERS:.1f} fps each, "
            f"{load['missed']} of {load['frames']} frames missed, {load['torn']} torn, "
            f"p50 {latency['p50']:.1f} ms, p99 {latency['p99']:.1f} ms"
        )


if __name__ == "__main__":
    main()
