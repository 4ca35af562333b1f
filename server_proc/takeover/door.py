# SPDX-License-Identifier: MIT
"""The listening socket."""

from __future__ import annotations

import errno
import logging
import socket
import time
from typing import Any

from waitress.server import TcpWSGIServer

from server_proc.takeover.channel import Channel
from server_proc.takeover.task import CURE

_log = logging.getLogger(__name__)

_SHUT_S = 0.5
"""How long the port is not looked at when nobody can be let in."""
_NOTHING_LEFT = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
"""What accept(2) says when whoever knocks can be neither let in nor sent away."""


class Door(TcpWSGIServer):
    """The listening socket. For Waitress's main thread.

    When there is no descriptor left for whoever knocks, it does not look for a moment: they wait in the
    backlog, and the main loop would do nothing but try and fail.
    """

    channel_class = Channel
    next_channel_cleanup: float
    _shut_until_s = 0.0
    _told = False

    def accept(self) -> tuple[socket.socket, Any] | None:
        """Let one in, if there is a descriptor for it."""
        try:
            came: tuple[socket.socket, Any] | None = super().accept()
        except OSError as error:
            if error.errno in _NOTHING_LEFT:
                self._shut_until_s = time.monotonic() + _SHUT_S
                if not self._told:
                    self._told = True
                    _log.warning("nobody new is let in for now: %s; %s", error.strerror, CURE)
            raise
        self._told = False
        return came

    def readable(self) -> bool:
        """Asked once per turn of the main loop, and Waitress's place to end idle connections.

        It measures them by the wall clock, so one that was set back would spare them as long.
        """
        now_s = time.time()
        if self.next_channel_cleanup > now_s + self.adj.cleanup_interval:
            self.next_channel_cleanup = now_s
            for channel in self.active_channels.values():
                channel.last_activity = min(channel.last_activity, now_s)
        return bool(super().readable()) and time.monotonic() >= self._shut_until_s
