# SPDX-License-Identifier: MIT
"""Whose address counts where a proxy forwards requests, and which words `--trusted-proxy` takes."""

from __future__ import annotations

from typing import Any

import pytest

from proc_start.options import OptionsError, read_command_line
from server_proc.options import ServerOptions, TrustedProxy
from server_proc.web.doors.proxies import Proxies
from tests.fake_feeds import Answered, Client, FakeFeeds


def options(*argv: str) -> ServerOptions:
    return read_command_line(argv, ServerOptions, program="p", about="a").table(ServerOptions)


def trusting(*texts: str) -> tuple[TrustedProxy, ...]:
    return options(*(f"--trusted-proxy={text}" for text in texts)).trusted_proxy


@pytest.mark.parametrize(
    ("trusted", "peer", "forwarded_for", "client"),
    [
        # by no trusted proxy it is what anybody may claim
        ((), "10.0.0.1", "1.2.3.4", "10.0.0.1"),
        (("10.0.0.2",), "10.0.0.1", "1.2.3.4", "10.0.0.1"),
        (("unix",), "10.0.0.1", "1.2.3.4", "10.0.0.1"),
        ((), "unix", "1.2.3.4", "unix"),
        # by a trusted one the rightmost that is not trusted
        (("10.0.0.1",), "10.0.0.1", "1.2.3.4", "1.2.3.4"),
        (("10.0.0.1",), "10.0.0.1", "6.6.6.6, 1.2.3.4", "1.2.3.4"),
        (("10.0.0.1",), "10.0.0.1", "127.0.0.1,10.0.0.1 , 1.2.3.4", "1.2.3.4"),
        (("10.0.0.0/8",), "10.0.0.1", "6.6.6.6, 1.2.3.4, 10.9.9.9", "1.2.3.4"),
        (("10.0.0.1", "10.0.0.2"), "10.0.0.2", "6.6.6.6,1.2.3.4,10.0.0.1", "1.2.3.4"),
        (("10.0.0.0/8",), "10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        (("unix",), "unix", "6.6.6.6, 1.2.3.4", "1.2.3.4"),
        (("unix", "10.0.0.1"), "unix", "1.2.3.4, 10.0.0.1", "1.2.3.4"),
        (("unix",), "unix", "1.2.3.4, unix", "unix"),
        # ports, IPv6, and IPv4 in IPv6
        (("10.0.0.1",), "10.0.0.1", "1.2.3.4:5678", "1.2.3.4"),
        (("10.0.0.1",), "10.0.0.1", "[2001:db8::7]:5678", "2001:db8::7"),
        (("10.0.0.1",), "10.0.0.1", "[2001:db8::7]", "2001:db8::7"),
        (("10.0.0.1",), "10.0.0.1", "2001:DB8:0::7", "2001:db8::7"),
        (("10.0.0.1",), "::ffff:10.0.0.1", "1.2.3.4", "1.2.3.4"),
        (("10.0.0.0/8",), "10.0.0.1", "1.2.3.4, ::ffff:10.9.9.9", "1.2.3.4"),
        (("fd00::/8",), "fd00::1", "2001:db8::7, fd00::2", "2001:db8::7"),
        (("fd00::/8",), "10.0.0.1", "1.2.3.4", "10.0.0.1"),
        # what is no address ends the look to the left
        (("10.0.0.1",), "10.0.0.1", "", "10.0.0.1"),
        (("10.0.0.1",), "10.0.0.1", "unknown", "10.0.0.1"),
        (("10.0.0.1",), "10.0.0.1", "1.2.3.4, unknown", "10.0.0.1"),
        (("10.0.0.1",), "10.0.0.1", "1.2.3.4,", "10.0.0.1"),
        (("10.0.0.1",), "10.0.0.1", "1.2.3.4 5.6.7.8", "10.0.0.1"),
        (("10.0.0.1",), "10.0.0.1", "1.2.3.4:", "10.0.0.1"),
        (("10.0.0.1",), "10.0.0.1", "[x]", "10.0.0.1"),
        (("10.0.0.1",), "10.0.0.1", "_hidden, for=1.2.3.4", "10.0.0.1"),
        (("10.0.0.0/8",), "10.0.0.1", "1.2.3.4, ?, 10.0.0.2", "10.0.0.2"),
    ],
)
def test_the_rightmost_address_that_is_not_trusted_counts(
    trusted: tuple[str, ...], peer: str, forwarded_for: str, client: str
) -> None:
    feeds = FakeFeeds()
    headers = {"X-Forwarded-For": forwarded_for}
    Client(feeds, trusting(*trusted)).get("/stream", headers, peer=peer)
    assert [wishes.address for wishes in feeds.asked] == [client]


def test_without_the_header_the_proxy_itself_counts() -> None:
    feeds = FakeFeeds()
    Client(feeds, trusting("10.0.0.1")).get("/stream", peer="10.0.0.1")
    assert feeds.asked[0].address == "10.0.0.1"
    assert Proxies().client("10.0.0.1", "1.2.3.4") == "10.0.0.1", "also without the door"


def class_room(client: Client) -> list[Answered]:
    """Return the answers to seventeen pupils behind one proxy. Kept, they keep their places."""
    return [
        client.get("/stream", {"X-Forwarded-For": f"10.9.9.{pupil}"}, peer="192.168.1.2")
        for pupil in range(1, 18)
    ]


def test_seventeen_pupils_behind_a_trusted_proxy_are_seventeen() -> None:
    """All had the proxy's address, and the seventeenth was refused."""
    feeds = FakeFeeds()
    answers = class_room(Client(feeds, trusting("192.168.1.2")))
    assert [answer.code for answer in answers] == [200] * 17
    assert len({wishes.address for wishes in feeds.asked}) == 17
    assert feeds.admission.places_taken == 17


def test_behind_a_proxy_that_nobody_trusts_they_are_one() -> None:
    feeds = FakeFeeds()
    answers = class_room(Client(feeds))
    assert [answer.code for answer in answers] == [200] * 16 + [503]
    assert "places for your address, 192.168.1.2, are taken" in answers[-1].text
    assert {wishes.address for wishes in feeds.asked} == {"192.168.1.2"}


def test_one_client_behind_a_trusted_proxy_does_not_get_out_of_its_limit() -> None:
    """What it sends itself stands to the left of what the proxy says of it."""
    feeds = FakeFeeds()
    client = Client(feeds, trusting("192.168.1.2"))
    answers = [
        client.get("/stream", {"X-Forwarded-For": f"10.9.9.{claimed}, 10.0.0.7"}, peer="192.168.1.2")
        for claimed in range(17)
    ]
    assert [answer.code for answer in answers] == [200] * 16 + [503]


@pytest.mark.parametrize(
    ("text", "included", "not_included"),
    [
        ("10.0.0.1", ["10.0.0.1", "::ffff:10.0.0.1"], ["10.0.0.2", "unix", "::1", "", "x"]),
        ("10.0.0.0/8", ["10.0.0.1", "10.255.255.255"], ["11.0.0.1", "unix"]),
        ("10.1.2.3/8", ["10.0.0.1"], ["11.0.0.1"]),
        ("fd00::/8", ["fd00::1", "fdff::1"], ["fe00::1", "10.0.0.1", "unix"]),
        ("::1", ["::1"], ["127.0.0.1", "::2"]),
        ("0.0.0.0/0", ["1.2.3.4", "::ffff:1.2.3.4"], ["::1", "unix"]),
        ("unix", ["unix"], ["127.0.0.1", "::1", "", "Unix"]),
    ],
)
def test_a_trusted_proxy_is_an_address_a_network_or_unix(
    text: str, included: list[str], not_included: list[str]
) -> None:
    (proxy,) = trusting(text)
    assert all(map(proxy.includes, included))
    assert not any(map(proxy.includes, not_included))


def test_both_options_may_come_again() -> None:
    found = options("--trusted-proxy=unix", "--trusted-proxy", "10.0.0.1", "--allow-host=a", "--allow-host=b")
    assert len(found.trusted_proxy) == 2
    assert found.allow_host == ("a", "b")
    assert (options().trusted_proxy, options().allow_host) == ((), ())


@pytest.mark.parametrize("host", ["cam.example.org", "cam.example.org.", "CAM", "xn--caf-dma.example", "a_b"])
def test_a_host_to_allow_is_a_name(host: str) -> None:
    assert options(f"--allow-host={host}").allow_host == (host,)


def fault_of(*argv: str) -> Any:
    with pytest.raises(OptionsError) as caught:
        options(*argv)
    return caught.value.faults


@pytest.mark.parametrize(
    "host",
    ["", "a b", "a:5000", "http://a", "a/b", "*.example.org", "a..b", ".", ".a", "[::1]", "a,b", "café"],
)
def test_a_host_to_allow_that_is_no_name_is_a_fault(host: str) -> None:
    assert fault_of(f"--allow-host={host}") == (
        f"--allow-host expects a host name without a port, such as cam.example.org; {host!r} came",
    )


@pytest.mark.parametrize(
    "proxy", ["", "x", "proxy.lan", "10.0.0", "10.0.0.1/33", "10.0.0.1:80", "[::1]", "Unix"]
)
def test_a_proxy_to_trust_that_is_no_address_is_a_fault(proxy: str) -> None:
    assert fault_of(f"--trusted-proxy={proxy}") == (
        f"--trusted-proxy expects an address, a network such as 10.0.0.0/8, or unix; {proxy!r} came",
    )
