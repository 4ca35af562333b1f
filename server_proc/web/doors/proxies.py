# SPDX-License-Identifier: MIT
"""Who really sent a request that a trusted proxy forwards."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence

import falcon

from server_proc.options import TrustedProxy

_WITH_PORT = re.compile(r"\[(?P<v6>[^\]]+)\](?::\d+)?|(?P<v4>[\d.]+):\d+")


class Proxies:
    """The proxies that are trusted (`--trusted-proxy`). Without one, anybody could write X-Forwarded-For."""

    def __init__(self, trusted: Sequence[TrustedProxy] = ()) -> None:
        self._trusted = trusted

    def trusts(self, address: str) -> bool:
        """Tell whether an address, or "unix" for a client of a Unix socket, is a trusted proxy's."""
        return any(proxy.includes(address) for proxy in self._trusted)

    def client(self, peer: str, forwarded_for: str) -> str:
        """Return the client's address: the rightmost of X-Forwarded-For that is not a trusted proxy's.

        Whatever is to the left of it is only the client's own claim.
        """
        client = peer
        for hop in reversed(forwarded_for.split(",")):
            address = _address(hop)
            if not self.trusts(client) or not address:
                break
            client = address
        return client


class ProxiesDoor:
    """Falcon's middleware that puts the client's address and each requested host into the context."""

    def __init__(self, proxies: Proxies) -> None:
        self._proxies = proxies

    def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Note the client's address and the hosts."""
        peer = req.remote_addr
        by_proxy = self._proxies.trusts(peer)
        forwarded_for = req.get_header("X-Forwarded-For", default="")
        req.context.address = self._proxies.client(peer, forwarded_for)
        hosts = [req.env["HTTP_HOST"]] if "HTTP_HOST" in req.env else []
        if by_proxy and (forwarded := req.get_header("X-Forwarded-Host")):
            hosts += [host.strip() for host in forwarded.split(",")]
        req.context.hosts = hosts


def _address(hop: str) -> str:
    """Return the address of an entry of X-Forwarded-For, which may have a port; empty if it is none."""
    text = hop.strip()
    match = _WITH_PORT.fullmatch(text)
    if match:
        text = match["v6"] or match["v4"]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return ""
    return str(getattr(address, "ipv4_mapped", None) or address)
