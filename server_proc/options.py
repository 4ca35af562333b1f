# SPDX-License-Identifier: MIT
"""The options of the server process. Standard library only: the supervisor checks them too."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from proc_start.options import number, option


@dataclass(frozen=True, slots=True)
class TrustedProxy:
    """A client that is trusted to say for whom it forwards requests."""

    network: ipaddress.IPv4Network | ipaddress.IPv6Network | None
    """None: any client of a Unix socket."""

    def includes(self, address: str) -> bool:
        """Tell whether a client's address, or "unix", is this proxy's."""
        if self.network is None or address == "unix":
            return self.network is None and address == "unix"
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        return (getattr(parsed, "ipv4_mapped", None) or parsed) in self.network


def _proxy(text: str) -> TrustedProxy:
    return TrustedProxy(None if text == "unix" else ipaddress.ip_network(text, strict=False))


def _host(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?", text):
        raise ValueError(text)
    return text


@dataclass(frozen=True, kw_only=True)
class ServerOptions:
    """What you can choose about serving."""

    max_viewers: int = option(
        "64",
        expects="a number of viewers from 1 to 10000",
        help="streams open at once; any more get 503",
        parse=number(int, 1, 10_000),
    )
    max_viewers_per_address: int = option(
        "16",
        expects="a number of viewers from 1 to 10000",
        help="streams open at once from one address; this machine itself has no such limit",
        parse=number(int, 1, 10_000),
    )
    allow_host: tuple[str, ...] = option(
        "none",
        expects="a host name without a port, such as cam.example.org",
        help="host name that browsers may use, besides IP addresses and local names; repeatable",
        parse=_host,
        repeatable=True,
    )
    trusted_proxy: tuple[TrustedProxy, ...] = option(
        "none",
        expects="an address, a network such as 10.0.0.0/8, or unix",
        help="proxy whose X-Forwarded-For and X-Forwarded-Host are trusted: an address, a network, or unix "
        "for clients of a Unix socket; repeatable",
        parse=_proxy,
        repeatable=True,
    )
    stale_after: float | None = option(
        "auto",
        expects="seconds from 0.2 to 3600",
        help="age in seconds, 0.2 to 3600, at which a frame no longer counts as live; auto: 1, or 3 frame "
        "periods if that is more; never less than 2 periods",
        parse=number(float, 0.2, 3600, auto=True),
    )


@dataclass(frozen=True, kw_only=True)
class ServerDescriptors:
    """What the supervisor passes on; 0 and empty if the process was started by hand."""

    listen_fd: tuple[int, ...] = option(
        "none", expects="a descriptor", help="a listening socket", parse=int, repeatable=True
    )
    frames_fd: int = option("0", expects="a descriptor", help="the frames ring", parse=int)
    doorbell_fd: int = option("0", expects="a descriptor", help="the doorbell", parse=int)
    capture_board_fd: int = option("0", expects="a descriptor", help="capture's board", parse=int)
    supervisor_board_fd: int = option("0", expects="a descriptor", help="supervisor's board", parse=int)
    server_board_fd: int = option("0", expects="a descriptor", help="the server's board", parse=int)
    expected_size: str = option(
        "640x480", expects="WIDTHxHEIGHT", help="size of pictures until the first frame", parse=str
    )
    drill_file: str = option(
        "", expects="a file", help="file that names the fault which SIGUSR2 begins", parse=str
    )
    instance_id: str = option("", expects="a word", help="names this run of the service", parse=str)
