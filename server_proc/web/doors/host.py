# SPDX-License-Identifier: MIT
"""By which host names clients may reach this service.

A website that somebody opens on this machine can point its own name to 127.0.0.1 ("DNS rebinding") and read
the video as if it were its own. It cannot choose which name the browser sends, and that name is checked
here.
"""

from __future__ import annotations

import ipaddress
import logging
import re
import socket
from collections.abc import Iterable

import falcon

_log = logging.getLogger(__name__)

_LOCAL_ENDS = (".local", ".lan", ".home.arpa", ".internal")
"""Names that no public DNS has: RFC 6762, RFC 8375, ICANN's reservation of .internal (2024); .lan by
custom."""
_NAME = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_-][A-Za-z0-9_.-]*)(?::\d{1,5})?")
_MOST_LOGGED = 50


class HostDoor:
    """Falcon's middleware that answers 421 to requests for other names, before they are routed."""

    def __init__(self, allowed: Iterable[str] = ()) -> None:
        """`allowed` are the names of `--allow-host`."""
        self._own = {name.lower().rstrip(".") for name in (*allowed, socket.gethostname())}
        self._logged: set[str] = set()

    def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Look at each host that is asked for: the client's, and the one that a trusted proxy forwards.

        Raises:
            falcon.HTTPBadRequest: there is none, or it is no host.
            falcon.HTTPError: 421, it is not one of ours.
        """
        if not req.context.hosts and req.env.get("SERVER_PROTOCOL") != "HTTP/1.0":
            raise falcon.HTTPBadRequest(description="HTTP/1.1 expects a Host header; got none")
        for host in req.context.hosts:  # none in HTTP/1.0, which no browser sends
            match = _NAME.fullmatch(host)
            if not match:
                raise falcon.HTTPBadRequest(
                    description=f"Host expects a name or an address; got {host[:100]!r}"
                )
            name = match["name"].lower().rstrip(".")
            if not self._is_ours(name):
                self._refuse(name[:100])

    def _is_ours(self, name: str) -> bool:
        try:
            ipaddress.ip_address(name.strip("[]"))
        except ValueError:
            has_a_dot = "." in name or name.startswith("[")
            return not has_a_dot or name in self._own or name.endswith(_LOCAL_ENDS)
        return True

    def _refuse(self, name: str) -> None:
        sentence = f"this service is not known as {name!a}; if it should be, add --allow-host {name}"
        if name not in self._logged and len(self._logged) < _MOST_LOGGED:
            self._logged.add(name)
            _log.warning("refused a request: %s (logged once for each name)", sentence)
        raise falcon.HTTPError(
            "421 Misdirected Request", description=sentence[0].upper() + sentence[1:] + "."
        )
