# SPDX-License-Identifier: MIT
"""A phone that leaves the network: nothing comes back from it, not even an end. Needs root and iproute2."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.conditions import eventually
from tests.running import Ringcast

pytestmark = pytest.mark.process

SERVER, PHONE = "10.77.1.1", "10.77.1.2"
_WATCH = """
import socket, sys
phone = socket.create_connection((sys.argv[1], int(sys.argv[2])))
phone.sendall(b"GET /stream HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
while phone.recv(65536):
    pass
"""


@contextmanager
def two_hosts() -> Iterator[tuple[list[str], list[str]]]:
    """Make two network namespaces with a cable; yield the commands that run something there."""
    names = [f"ringcast-test-{side}-{os.getpid()}" for side in ("server", "phone")]

    def ip(*words: str) -> None:
        subprocess.run(["ip", *words], check=True)

    for name in names:
        ip("netns", "add", name)
    try:
        ip(
            "-n",
            names[0],
            "link",
            "add",
            "cable0",
            "type",
            "veth",
            "peer",
            "name",
            "cable1",
            "netns",
            names[1],
        )
        for name, device, address in zip(names, ("cable0", "cable1"), (SERVER, PHONE), strict=True):
            ip("-n", name, "addr", "add", f"{address}/24", "dev", device)
            ip("-n", name, "link", "set", device, "up")
            ip("-n", name, "link", "set", "lo", "up")
        yield ["ip", "netns", "exec", names[0]], ["ip", "netns", "exec", names[1]]
    finally:
        for name in names:
            ip("netns", "delete", name)


def test_a_phone_that_left_the_network_is_let_go_within_fifteen_seconds() -> None:
    """It costs a place in the house, and its address may be full; a phone that pauses has a minute."""
    with two_hosts() as (at_server, at_phone):
        command = (*at_server, sys.executable, "supervisor.py")
        with Ringcast("--camera=pattern", f"--listen={SERVER}:5000", command=command) as service:
            eventually(lambda: "capture is ready" in service.log, 20)
            with subprocess.Popen([*at_phone, sys.executable, "-c", _WATCH, SERVER, "5000"]) as phone:
                eventually(lambda: f"viewer #1 ({PHONE}) connected" in service.log)
                subprocess.run([*at_phone, "ip", "link", "set", "cable1", "down"], check=True)
                left_s = time.monotonic()
                told = f"viewer #1 ({PHONE}) disconnected: its machine has not responded for 10 s"
                eventually(lambda: told in service.log, 15, "the end of the viewer")
                assert time.monotonic() - left_s > 9, "a short break in the network is forgiven"
                phone.kill()
