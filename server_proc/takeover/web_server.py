# SPDX-License-Identifier: MIT
"""Waitress on a socket that is bound already: its settings, its main loop, its stop."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING, Any

from waitress import wasyncore
from waitress.adjustments import Adjustments

from server_proc.priority import step_back
from server_proc.takeover.door import Door
from server_proc.takeover.task import with_takeover

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

_IN_MEMORY_BYTES = 1 << 30
"""Waitress would put larger answers into temporary files."""
_THREADS = "waitress-"


class WebServer:
    """Waitress on a socket that is bound already. `run` is for the main thread."""

    def __init__(self, application: WSGIApplication, listening: socket.socket) -> None:
        self.turns = 0
        """Counts up at least once a second while the main loop is alive."""
        self._stopping = False
        self._map: dict[int, Any] = {}
        settings = Adjustments(
            sockets=[listening],
            ident="ringcast",
            threads=1,  # none ever waits, and each that computes delays the fan-out
            backlog=1024,  # Waitress calls listen() again
            connection_limit=256,
            channel_request_lookahead=0,
            max_request_header_size=16 * 1024,
            max_request_body_size=64 * 1024,
            outbuf_high_watermark=64 * 1024,  # sent bytes stay in memory until it has passed
            outbuf_overflow=_IN_MEMORY_BYTES,
            asyncore_use_poll=True,
            channel_timeout=10,  # idle connections keep others out, and Waitress allows them 120 s
            cleanup_interval=2,
            log_socket_errors=False,  # a phone that left the network is no error of ours
        )
        self._server = Door(
            with_takeover(application),
            map=self._map,
            _sock=listening,
            adj=settings,
            sockinfo=(listening.family, listening.type, listening.proto, listening.getsockname()),
            bind_socket=False,
        )

    def run(self) -> None:
        """Serve until `stop`, behind the thread that serves viewers: requests can wait, and frames cannot."""
        for thread in threading.enumerate():
            if thread is threading.current_thread() or thread.name.startswith(_THREADS):
                step_back(thread)
        while not self._stopping:
            self.turns += 1
            wasyncore.loop(timeout=1, use_poll=True, map=self._map, count=1)
        self._server.task_dispatcher.shutdown(timeout=1)

    def stop(self) -> None:
        """Stop serving. May be called by a signal handler: it sets a flag and writes a byte."""
        self._stopping = True
        self._server.pull_trigger()
