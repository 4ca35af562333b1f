# SPDX-License-Identifier: MIT
"""By which names the service may be asked for.

A page whose name was pointed to 127.0.0.1 after it was loaded could watch, with the rights of our own page.
"""

from __future__ import annotations

import logging
import socket

import pytest

from server_proc.options import TrustedProxy, _proxy
from tests.fake_feeds import Client, FakeFeeds

ALLOWED = ("cam.example.org", "Roboter.Example.NET.")
OWN = socket.gethostname()

OURS = (
    "127.0.0.1", "127.0.0.1:5000", "192.168.1.7:80", "8.8.8.8", "[::1]", "[::1]:5000", "[FE80::1]:5000",
    "[::ffff:10.0.0.1]:80", "localhost", "localhost:5000", "raspberrypi", "RaspberryPi:5000", "pi_4-b",
    OWN, f"{OWN}:5000", OWN.upper(), "octopi.local", "OCTOPI.LOCAL:5000", "octopi.local.", "a.b.local",
    "car.lan", "car.fritz.home.arpa", "car.internal", "cam.example.org", "CAM.example.org.:443",
    "roboter.example.net",
)  # fmt: skip

FOREIGN = (
    "evil.example", "evil.example:5000", "EVIL.example.", "127.0.0.1.nip.io", "127.0.0.1.nip.io:5000",
    "octopi.local.evil.example", "xlocal.example", "evil.notlan", "example.org", "www.cam.example.org",
    "cam.example.org.evil.example", "1.2.3.4.5", "256.1.1.1", "0x7f.1", "localhost.evil.example",
)  # fmt: skip

GARBAGE = (
    "", " ", ":", ":5000", "a b", "x@y", "user:word@127.0.0.1", "evil.example, 127.0.0.1",
    "127.0.0.1, evil.example", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:123456", "[::1", "::1", "[]", "[::1]x",
    "127.0.0.1/path", "http://127.0.0.1", "127.0.0.1\t", "caf\xe9.local", "a\x9b31m.example", ".", "..",
    "$(reboot).example", "a;b.local",
)  # fmt: skip


@pytest.fixture
def client() -> Client:
    return Client(FakeFeeds(), allowed=ALLOWED)


@pytest.mark.parametrize("host", OURS)
def test_our_names_are_served(client: Client, host: str) -> None:
    assert client.get("/livez", host=host).code == 200


@pytest.mark.parametrize("host", FOREIGN)
def test_other_names_are_refused_with_the_cure(client: Client, host: str) -> None:
    answer = client.get("/livez", host=host)
    name = host.removesuffix(":5000").rstrip(".").lower()
    assert answer.status == "421 Misdirected Request"
    assert answer.text == (
        f"This service is not known as '{name}'; if it should be, add --allow-host {name}.\n"
    )
    assert answer.headers["content-type"].startswith("text/plain")
    assert "no-store" in answer.headers["cache-control"]


@pytest.mark.parametrize("host", GARBAGE)
def test_what_is_no_host_is_a_bad_request(
    client: Client, host: str, caplog: pytest.LogCaptureFixture
) -> None:
    answer = client.get("/livez", host=host)
    assert answer.code == 400
    assert answer.text.startswith("Host expects a name or an address; ")
    assert answer.text.count("\n") == 1
    assert caplog.messages == [], "nobody may write to the log what he likes"


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", "/"), ("GET", "/stream"), ("GET", "/no/such/path"), ("HEAD", "/snapshot"), ("OPTIONS", "/"),
        ("OPTIONS", "/status"), ("OPTIONS", "/no/such/path"), ("POST", "/stream"), ("PUT", "/x"),
        ("GET", "/status?key=%00"),
    ],
)  # fmt: skip
def test_the_name_is_looked_at_before_the_path(method: str, target: str) -> None:
    feeds = FakeFeeds()
    answer = Client(feeds).ask(method, target, host="evil.example")
    assert answer.code == 421
    assert "allow" not in answer.headers
    assert feeds.asked == []


def test_only_http_1_0_needs_no_host(client: Client) -> None:
    answer = client.get("/livez", host=None)
    assert (answer.code, answer.text) == (400, "HTTP/1.1 expects a Host header; got none\n")
    assert client.get("/livez", host=None, version="1.0").code == 200
    assert client.get("/livez", host="evil.example", version="1.0").code == 421


def test_a_name_is_logged_once_and_not_without_end(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever asks with names without end must fill neither the log nor the memory."""
    for _ in range(3):
        client.get("/livez", host="evil.example:5000")
    assert caplog.messages == [
        "refused a request: this service is not known as 'evil.example'; if it should be, add "
        "--allow-host evil.example (logged once for each name)"
    ]
    assert caplog.records[0].levelno == logging.WARNING
    for number in range(200):
        assert client.get("/livez", host=f"n{number}.evil.example").code == 421
    assert len(caplog.messages) == 50


def test_a_name_is_logged_cut_short(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    assert client.get("/livez", host="x" * 5000 + ".example").code == 421
    assert len(caplog.messages[0]) < 400


@pytest.mark.parametrize(
    ("trusted", "forwarded", "host", "status"),
    [
        (("10.0.0.1",), "evil.example", "127.0.0.1", 421),
        (("10.0.0.1",), "cam.example.org", "127.0.0.1:5000", 200),
        (("10.0.0.1",), "cam.example.org, 127.0.0.1", "127.0.0.1", 200),  # two proxies in a chain
        (("10.0.0.1",), "evil.example, 127.0.0.1", "127.0.0.1", 421),
        (("10.0.0.1",), "127.0.0.1", "evil.example", 421),  # the page's own word, which the proxy let through
        (("10.0.0.1",), None, "evil.example", 421),
        ((), "evil.example", "127.0.0.1", 200),
        ((), "127.0.0.1", "evil.example", 421),
        (("10.0.0.2",), "127.0.0.1", "evil.example", 421),
    ],
)
def test_a_forwarded_host_counts_only_by_a_trusted_proxy(
    trusted: tuple[str, ...], forwarded: str | None, host: str, status: int
) -> None:
    proxies: tuple[TrustedProxy, ...] = tuple(map(_proxy, trusted))
    client = Client(FakeFeeds(), proxies, ALLOWED)
    headers = {} if forwarded is None else {"X-Forwarded-Host": forwarded}
    assert client.get("/livez", headers, host=host, peer="10.0.0.1").code == status
