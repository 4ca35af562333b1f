# SPDX-License-Identifier: MIT
"""Behind the real nginx: whose address counts, what is held back, who is gone, and which names pass."""

from __future__ import annotations

import http.client
import json
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.clients.nginx import USUAL, Nginx
from tests.conditions import eventually
from tests.running import Ringcast

pytestmark = [pytest.mark.process, pytest.mark.client]

PUPILS = [f"127.0.0.{number}" for number in range(2, 19)]
"""Seventeen: one more than there are places for one address."""
NAMED_BY_THE_TEST = USUAL.replace("$proxy_add_x_forwarded_for", "$http_x_test_address")
"""Clients with public addresses: loopback's own are not limited."""
HELD_BACK_S = 0.25


@dataclass(frozen=True)
class Behind:
    """A service behind nginx."""

    service: Ringcast
    port: int
    """Of nginx."""

    def ask(
        self, path: str, *, address: str = "127.0.0.1", headers: dict[str, str] | None = None
    ) -> http.client.HTTPResponse:
        """Ask nginx from an address of loopback. The connection stays open while the answer is not closed."""
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10, source_address=(address, 0))
        client.request("GET", path, headers={"Connection": "close", **(headers or {})})
        return client.getresponse()

    def viewers(self) -> list[str]:
        """Return the addresses of all who watch."""
        return sorted(viewer["address"] for viewer in self.service.status()["viewers"]["list"])


@contextmanager
def behind_nginx(way: str, folder: Path, *options: str, settings: str = USUAL) -> Iterator[Behind]:
    file = folder / "http.sock"
    listen = ("--listen=127.0.0.1:0", f"--listen=unix:{file}")
    with Ringcast("--camera=pattern", *listen, *options) as service:
        service.ready()
        to = f"unix:{file}" if way == "unix" else f"127.0.0.1:{service.port}"
        with Nginx(folder, to, settings) as nginx:
            yield Behind(service, nginx.port)
    assert "Traceback" not in service.log


EACH_WAY = pytest.mark.parametrize(("way", "peer"), [("tcp", "127.0.0.1"), ("unix", "unix")])


@EACH_WAY
def test_those_behind_a_trusted_nginx_have_addresses_of_their_own(
    way: str, peer: str, tmp_path: Path
) -> None:
    with behind_nginx(way, tmp_path, f"--trusted-proxy={peer}") as behind, ExitStack() as stack:
        for address in PUPILS:
            answer = stack.enter_context(behind.ask("/stream", address=address))
            assert answer.status == 200
        eventually(lambda: behind.viewers() == sorted(PUPILS), what="a viewer of each address")
        for address in PUPILS:
            eventually(lambda: f"({address}) connected" in behind.service.log)  # noqa: B023  within this turn


@EACH_WAY
def test_those_behind_an_nginx_that_nobody_trusts_are_one(way: str, peer: str, tmp_path: Path) -> None:
    with behind_nginx(way, tmp_path) as behind, ExitStack() as stack:
        for address in PUPILS:
            assert stack.enter_context(behind.ask("/stream", address=address)).status == 200
        eventually(lambda: behind.viewers() == [peer] * len(PUPILS), what="viewers of one address")


@EACH_WAY
def test_the_limit_of_an_address_holds_behind_a_trusted_nginx(way: str, peer: str, tmp_path: Path) -> None:
    trusted = f"--trusted-proxy={peer}"
    with behind_nginx(way, tmp_path, trusted, settings=NAMED_BY_THE_TEST) as behind, ExitStack() as stack:

        def watch(address: str) -> http.client.HTTPResponse:
            answer = behind.ask("/stream", headers={"X-Test-Address": address})
            return stack.enter_context(answer)

        assert [watch("203.0.113.7").status for _ in range(16)] == [200] * 16
        refused = watch("203.0.113.7")
        assert refused.status == 503
        assert b"places for your address, 203.0.113.7, are taken" in refused.read()
        assert watch("203.0.113.8").status == 200
        assert [watch(f"198.51.100.{number}").status for number in range(17)] == [200] * 17


@EACH_WAY
def test_one_who_leaves_nginx_is_gone_within_five_seconds(way: str, peer: str, tmp_path: Path) -> None:
    with behind_nginx(way, tmp_path, f"--trusted-proxy={peer}") as behind:
        with behind.ask("/stream", address="127.0.0.2") as answer:
            answer.read(10_000)
            eventually(lambda: behind.viewers() == ["127.0.0.2"])
        eventually(lambda: behind.viewers() == [], 5, "the end of the viewer")
        eventually(lambda: "(127.0.0.2) disconnected: closed the connection" in behind.service.log)


@pytest.mark.parametrize("settings", [USUAL, ""], ids=["usual", "none"])
@EACH_WAY
def test_nginx_holds_no_part_of_a_frame_back(way: str, peer: str, settings: str, tmp_path: Path) -> None:
    """Its buffers are 4 KiB, and at two frames a second what waits for the next one is half a second old.

    The stream's X-Accel-Buffering says the same as `proxy_buffering off`, which most people do not know.
    """
    with (
        behind_nginx(way, tmp_path, "--fps=2", settings=settings) as behind,
        behind.ask("/stream?extra_headers=1") as answer,
    ):
        assert answer.headers["Content-Type"] == "multipart/x-mixed-replace; boundary=frame"
        ages_s = [age_s for _, age_s in zip(range(8), arrivals(answer), strict=False)]
    print(f"\n  {max(ages_s[1:]):.3f} s old at most")
    assert max(ages_s[1:]) < HELD_BACK_S, ages_s


def arrivals(answer: http.client.HTTPResponse) -> Iterator[float]:
    """Return the age in seconds of each frame when its last byte is here."""
    while True:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += answer.read(1)
        names = dict(re.findall(r"(\S+): (.+)\r\n", head.decode()))
        jpeg = answer.read(int(names["Content-Length"]))
        now_s = time.time()
        assert jpeg.startswith(b"\xff\xd8")
        assert names["X-Freshness"] == "live"
        yield now_s - float(names["X-Timestamp"])


HOST_AS_ASKED = USUAL.replace("X-Forwarded-Host", "Host")


@pytest.mark.parametrize(
    ("settings", "trusts"), [(USUAL, True), (HOST_AS_ASKED, False)], ids=["X-Forwarded-Host", "Host"]
)
@EACH_WAY
def test_a_foreign_name_is_refused_behind_nginx_unless_it_is_allowed(
    way: str, peer: str, settings: str, trusts: bool, tmp_path: Path
) -> None:
    trusted = [f"--trusted-proxy={peer}"] if trusts else []
    options = ("--allow-host=cam.example.org", *trusted)
    with behind_nginx(way, tmp_path, *options, settings=settings) as behind:
        for host, code in (("evil.example", 421), ("cam.example.org", 200), ("robot.local", 200)):
            with behind.ask("/snapshot", headers={"Host": host}) as answer:
                assert answer.status == code, host
        eventually(lambda: "--allow-host evil.example" in behind.service.log)


@EACH_WAY
def test_below_a_prefix_of_nginx(way: str, peer: str, tmp_path: Path) -> None:
    with behind_nginx(way, tmp_path, f"--trusted-proxy={peer}") as behind:
        with behind.ask("/cam/") as page:
            assert page.status == 200
            assert b"<html" in page.read()
        with behind.ask("/cam/status") as status:
            told: dict[str, Any] = json.loads(status.read())
        assert told["ready"]
        with behind.ask("/cam/stream") as stream:
            assert stream.status == 200
            assert stream.read(2000).count(b"Content-Type: image/jpeg") == 1
        with behind.ask("/cam/webcam/") as moved:
            assert (moved.status, moved.headers["Location"]) == (302, "../")
