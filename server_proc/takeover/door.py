# SPDX-License-Identifier: MIT
"""A listening socket."""

from __future__ import annotations

import errno
import logging
import socket
import time
from typing import Any

from waitress.server import BaseWSGIServer, TcpWSGIServer, UnixWSGIServer

from server_proc.takeover.channel import Channel
from server_proc.takeover.connections import Connections
from server_proc.takeover.task import CURE
from server_proc.takeover.worker import Worker

_log = logging.getLogger(__name__)

UNIX = "unix"
"""The address of a client on a Unix socket."""
_SHUT_S = 0.5
"""How long the port is not looked at when no descriptor is left."""
_NOTHING_LEFT = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
"""What accept(2) says when a newcomer can be neither accepted nor refused."""


class Door(BaseWSGIServer):
    """A listening socket. For Waitress's main thread.

    When no descriptor is left, it stops accepting for half a second. Newcomers wait in the backlog, and the
    main loop does not spin on accepts that fail.
    """

    channel_class = Channel
    connections: Connections
    worker: Worker
    _shut_until_s = 0.0
    _warned = False

    def share(self, connections: Connections, worker: Worker) -> Door:
        """Share with the other doors what exists once."""
        self.connections, self.worker = connections, worker
        self.active_channels = connections.open
        return self

    def accept(self) -> tuple[socket.socket, Any] | None:
        """Accept a connection, if there is a place and a descriptor for it."""
        try:
            accepted: tuple[socket.socket, Any] | None = super().accept()
        except OSError as error:
            if error.errno in _NOTHING_LEFT:
                self._shut_until_s = time.monotonic() + _SHUT_S
                if not self._warned:
                    self._warned = True
                    _log.warning("cannot accept new connections for now: %s; %s", error.strerror, CURE)
            raise
        self._warned = False
        if accepted is not None and not self.connections.make_room(str(self.fix_addr(accepted[1])[0])):
            accepted[0].close()
            return None
        return accepted

    def readable(self) -> bool:
        """Tell whether to look for newcomers. Asked once per turn of the main loop."""
        is_shut = time.monotonic() < self._shut_until_s
        return bool(self.accepting) and not is_shut and self.connections.has_room()


class TcpDoor(Door, TcpWSGIServer):
    """A listening TCP socket."""

    def fix_addr(self, addr: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return the client's address; an IPv4 one as such, even on a socket of both families."""
        return (str(addr[0]).removeprefix("::ffff:"), *addr[1:])


class UnixDoor(Door, UnixWSGIServer):
    """A listening Unix socket."""

    def fix_addr(self, addr: object) -> tuple[str, None]:
        """Return `UNIX`: clients of a Unix socket have no address."""
        return (UNIX, None)
