# SPDX-License-Identifier: MIT
"""A whole service on every kind of socket. Network namespaces need root and iproute2."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.conditions import eventually
from tests.running import CHECKOUT, Ringcast, environment

pytestmark = pytest.mark.process


class OverUnix(http.client.HTTPConnection):
    """HTTP by way of a file."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=10)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def at(where: str | Path, port: int = 0) -> http.client.HTTPConnection:
    return OverUnix(where) if isinstance(where, Path) else http.client.HTTPConnection(where, port, timeout=10)


def status(connection: http.client.HTTPConnection) -> Any:
    connection.request("GET", "/status")
    told = json.loads(connection.getresponse().read())
    connection.close()
    return told


def watches(connection: http.client.HTTPConnection) -> None:
    """See a few frames of a live picture, and leave."""
    connection.request("GET", "/stream?extra_headers=1")
    answer = connection.getresponse()
    assert answer.status == 200
    came, frames = b"", 0
    while frames < 3:
        came += answer.read1()
        frames = came.count(b"X-Freshness: live")
    answer.close()
    connection.close()


def test_it_is_watched_over_ipv6() -> None:
    with Ringcast("--camera=pattern", "--listen=[::1]:0") as service:
        assert service.urls() == [f"http://[::1]:{service.port}/"]
        watches(at("::1", service.port))
        eventually(lambda: "viewer #1 (::1) connected" in service.log)


def test_one_port_serves_both_families_and_a_viewer_has_the_address_that_it_is_known_by() -> None:
    """A name leads to its IPv6 address first, and some clients try no other."""
    with Ringcast("--camera=pattern", "--listen=:0") as service:
        assert service.urls()[0] == f"http://127.0.0.1:{service.port}/"
        watches(at("127.0.0.1", service.port))
        watches(at("::1", service.port))
        eventually(lambda: "viewer #2 (::1) connected" in service.log)
        assert "viewer #1 (127.0.0.1) connected" in service.log


def test_the_status_names_viewers_of_both_families_as_people_do() -> None:
    """For the kernel an IPv4 client of such a socket is ::ffff:127.0.0.1."""
    with Ringcast("--camera=pattern", "--listen=:0") as service:
        both = [at("127.0.0.1", service.port), at("::1", service.port)]
        for connection in both:
            connection.request("GET", "/stream")
        kept = [connection.getresponse() for connection in both]  # they own the sockets
        assert [answer.status for answer in kept] == [200, 200]
        eventually(lambda: len(service.status()["viewers"]["list"]) == 2, what="both of them")
        listed = service.status()["viewers"]["list"]
        assert {viewer["address"] for viewer in listed} == {"127.0.0.1", "::1"}


def test_it_is_watched_over_a_unix_socket_until_it_stops(tmp_path: Path) -> None:
    file = tmp_path / "http.sock"
    with Ringcast("--camera=pattern", f"--listen=unix:{file}") as service:
        assert service.urls() == [f"unix:{file}"]
        watches(at(file))
        eventually(lambda: not status(at(file))["viewers"]["list"], what="an empty house")
        service.process.send_signal(signal.SIGTERM)
        assert service.wait() == 0
    assert not file.exists()
    assert "Traceback" not in service.log


def test_a_killed_service_leaves_no_unix_socket_that_stands_in_the_way(tmp_path: Path) -> None:
    file = tmp_path / "http.sock"
    with Ringcast("--camera=pattern", f"--listen=unix:{file}") as first:
        first.urls()
        first.process.kill()
    assert file.is_socket()
    with Ringcast("--camera=pattern", f"--listen=unix:{file}") as second:
        second.urls()
        watches(at(file))
        with Ringcast("--camera=pattern", f"--listen=unix:{file}") as third:
            assert third.wait() == os.EX_UNAVAILABLE
        assert f"{file} is held by another program; stop it" in third.log
        watches(at(file))


def test_all_sockets_outlive_the_server(tmp_path: Path) -> None:
    """Loopback for the robot's own programs, a Unix socket for its proxy."""
    file = tmp_path / "http.sock"
    with Ringcast("--camera=pattern", "--listen=127.0.0.1:0", f"--listen=unix:{file}") as service:
        before = service.ready()["server"]["pid"]
        watches(at(file))
        os.kill(before, signal.SIGKILL)
        watches(at("127.0.0.1", service.port))
        watches(at(file))
        assert status(at(file))["server"]["pid"] != before


@contextmanager
def own_network() -> Iterator[list[str]]:
    """Make a network namespace whose loopback is up; yield the command that runs something there."""
    name = f"ringcast-test-listen-{os.getpid()}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        within = ["ip", "netns", "exec", name]
        subprocess.run([*within, "ip", "link", "set", "lo", "up"], check=True)
        yield within
    finally:
        subprocess.run(["ip", "netns", "delete", name], check=True)


def answers(within: list[str], url: str) -> bool:
    told = subprocess.run(
        [*within, "curl", "--silent", "--globoff", "--noproxy", "*", "--max-time", "5", url],
        stdout=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    return told.returncode == 0


def test_without_ipv4_it_names_urls_that_lead_to_it() -> None:
    with own_network() as within:
        for words in (("del", "127.0.0.1/8"), ("add", "fd77:2::1/128")):
            subprocess.run([*within, "ip", "addr", *words, "dev", "lo"], check=True)
        command = (*within, sys.executable, "supervisor.py")
        with Ringcast("--camera=pattern", "--listen=[::]:5000", command=command) as service:
            urls = service.urls()
            assert urls[:-1] == ["http://[::1]:5000/", "http://[fd77:2::1]:5000/"]
            assert all(answers(within, f"{url}livez") for url in urls[:-1])


@pytest.mark.parametrize(
    ("address", "host"), [("10.77.2.1/32", "10.77.2.1"), ("fd77:2::1/128", "[fd77:2::1]")]
)
def test_an_address_that_comes_up_later_is_served_then(address: str, host: str) -> None:
    """After a boot the service is earlier than Wi-Fi, and nobody logs in to start it again."""
    with own_network() as within:
        command = (*within, sys.executable, "supervisor.py")
        with Ringcast("--camera=pattern", f"--listen={host}:5000", command=command) as service:
            assert service.urls() == [f"http://{host}:5000/"]
            assert f"does not have the address {host.strip('[]')} yet" in service.log
            assert not answers(within, f"http://{host}:5000/livez")
            subprocess.run([*within, "ip", "addr", "add", address, "dev", "lo"], check=True)
            eventually(lambda: answers(within, f"http://{host}:5000/livez"), what="an answer")


_WATCH_FROM = """
import socket, sys
server, *addresses = sys.argv[1:]
kept = []
for address in addresses:
    client = socket.create_connection((server, 5000), 10, source_address=(address, 0))
    client.sendall(b"GET /stream HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
    kept.append(client)
    print(client.recv(4096).split()[1].decode())
"""


def test_all_addresses_of_one_64_are_one_client() -> None:
    """Each host has a /64, and takes another address of it when it likes (RFC 8981)."""
    server, of_one, of_another = "fd77:2::1", [f"fd77:2:0:1::{n:x}" for n in range(1, 18)], "fd77:2:0:2::1"
    with own_network() as within:
        for address in (server, *of_one, of_another):
            subprocess.run([*within, "ip", "addr", "add", f"{address}/128", "dev", "lo"], check=True)
        command = (*within, sys.executable, "supervisor.py")
        with Ringcast("--camera=pattern", f"--listen=[{server}]:5000", command=command) as service:
            eventually(lambda: "capture is ready" in service.log, 20)
            watch = [*within, sys.executable, "-c", _WATCH_FROM, server, *of_one, of_another]
            codes = subprocess.run(watch, capture_output=True, text=True, check=True).stdout.split()
        assert codes == [*["200"] * 16, "503", "200"]


@pytest.fixture(scope="module")
def without_ipv6(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """A command that runs another as on a kernel without IPv6."""
    library = tmp_path_factory.mktemp("library") / "without_ipv6.so"
    source = CHECKOUT / "tests" / "without_ipv6.c"
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, source], check=True, env=environment())
    return ("env", f"LD_PRELOAD={library}")


def test_a_kernel_without_ipv6_is_served_over_ipv4(without_ipv6: tuple[str, ...]) -> None:
    command = (*without_ipv6, sys.executable, "supervisor.py")
    with Ringcast("--camera=pattern", "--listen=:0", command=command) as service:
        assert service.urls()[0] == f"http://127.0.0.1:{service.port}/"
        watches(at("127.0.0.1", service.port))
    with Ringcast("--camera=pattern", "--listen=[::1]:0", command=command) as service:
        assert service.wait() == os.EX_UNAVAILABLE
    assert re.search(r"this kernel has no IPv6, which --listen \[::1\]:0 needs; choose another", service.log)
