# SPDX-License-Identifier: MIT
"""Whom a request really comes from, where a proxy that is trusted forwards it."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence

import falcon

from server_proc.options import TrustedProxy

_WITH_PORT = re.compile(r"\[(?P<v6>[^\]]+)\](?::\d+)?|(?P<v4>[\d.]+):\d+")


class Proxies:
    """The proxies that are trusted (`--trusted-proxy`). Without one, X-Forwarded-For is what anybody may
    claim."""

    def __init__(self, trusted: Sequence[TrustedProxy] = ()) -> None:
        self._trusted = trusted

    def trusts(self, address: str) -> bool:
        """Tell whether an address, or "unix" for whoever comes by a Unix socket, is a trusted proxy's."""
        return any(proxy.includes(address) for proxy in self._trusted)

    def client(self, peer: str, forwarded_for: str) -> str:
        """Return the client's address: the rightmost of X-Forwarded-For that is no trusted proxy's.

        What stands to the left of it is only what the client says of itself.
        """
        client = peer
        for hop in reversed(forwarded_for.split(",")):
            address = _address(hop)
            if not self.trusts(client) or not address:
                break
            client = address
        return client


class ProxiesDoor:
    """Falcon's middleware that notes in the context the client's address, and each host that was asked
    for."""

    def __init__(self, proxies: Proxies) -> None:
        self._proxies = proxies

    def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Look at who asks."""
        peer = req.remote_addr
        by_proxy = self._proxies.trusts(peer)
        forwarded_for = req.get_header("X-Forwarded-For", default="")
        req.context.address = self._proxies.client(peer, forwarded_for)
        hosts = [req.env["HTTP_HOST"]] if "HTTP_HOST" in req.env else []
        if by_proxy and (forwarded := req.get_header("X-Forwarded-Host")):
            hosts += [host.strip() for host in forwarded.split(",")]
        req.context.hosts = hosts


def _address(hop: str) -> str:
    """Return the address of an entry of X-Forwarded-For, which may have a port; nothing where it is none."""
    text = hop.strip()
    found = _WITH_PORT.fullmatch(text)
    if found:
        text = found["v6"] or found["v4"]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return ""
    return str(getattr(address, "ipv4_mapped", None) or address)
