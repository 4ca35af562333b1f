# SPDX-License-Identifier: MIT
"""Waitress on sockets that are already listening: its settings, its main loop, its stop."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.task import ThreadedTaskDispatcher

from server_proc.live.head import SERVER
from server_proc.priority import step_back
from server_proc.takeover.connections import MOST, Connections
from server_proc.takeover.door import Door, TcpDoor, UnixDoor
from server_proc.takeover.task import with_takeover
from server_proc.takeover.worker import Worker

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

_IN_MEMORY_BYTES = 1 << 30
"""Waitress would put larger answers into temporary files."""
_THREADS = "waitress-"
_FINISH_S = 0.5
"""How long a stop waits for answers to go out."""
_WORKER_STOP_S = 0.3


class WebServer:
    """Waitress. `run` is for the main thread."""

    def __init__(
        self,
        application: WSGIApplication,
        listening: Sequence[socket.socket],
        *,
        is_proxy: Callable[[str], bool] = lambda address: False,
    ) -> None:
        """`is_proxy` tells whether an address speaks for many clients; then its connections have no limit."""
        self._turns = self._turns_reported = self._done_seen = 0
        self._stopping = False
        self._map: dict[int, Any] = {}
        self._connections = Connections(is_proxy)
        self._worker = Worker()
        self._dispatcher = ThreadedTaskDispatcher()
        self._dispatcher.set_thread_count(
            1
        )  # no request ever waits, and each thread that computes delays the fan-out
        settings = Adjustments(
            ident=SERVER,
            backlog=1024,  # Waitress calls listen() again
            connection_limit=MOST,
            channel_request_lookahead=0,
            clear_untrusted_proxy_headers=False,  # server_proc/web/doors looks at them
            max_request_header_size=16 * 1024,
            max_request_body_size=64 * 1024,
            outbuf_high_watermark=64 * 1024,  # sent bytes stay in memory until it has passed
            outbuf_overflow=_IN_MEMORY_BYTES,
            asyncore_use_poll=True,
            log_socket_errors=False,  # a phone that leaves the network is not our error
        )
        application = with_takeover(application)
        self._doors = [self._door(application, listener, settings) for listener in listening]

    @property
    def turns(self) -> int:
        """A number that grows at least once a second while the main loop and the worker are alive.

        A worker is alive if it is idle or has finished a request since this was last read.
        """
        if not self._worker.busy or self._worker.done != self._done_seen:
            self._turns_reported, self._done_seen = self._turns, self._worker.done
        return self._turns_reported

    def run(self) -> None:
        """Serve until `stop`, at a lower priority than the thread that serves viewers: frames cannot wait."""
        for thread in threading.enumerate():
            if thread is threading.current_thread() or thread.name.startswith(_THREADS):
                step_back(thread)
        while not self._stopping:
            self._turns += 1
            self._turn(1.0)
        for door in self._doors:
            door.accepting = False
        deadline_s = time.monotonic() + _FINISH_S
        while time.monotonic() < deadline_s and not all(
            connection.is_idle for connection in self._connections.open.values()
        ):
            self._turn(0.05)
        self._dispatcher.shutdown(timeout=_WORKER_STOP_S)

    def stop(self) -> None:
        """Stop serving. May be called by a signal handler: it sets a flag and writes a byte."""
        self._stopping = True
        self._doors[0].pull_trigger()

    def _turn(self, wait_s: float) -> None:
        wasyncore.loop(timeout=wait_s, use_poll=True, map=self._map, count=1)
        self._connections.tend()

    def _door(self, application: WSGIApplication, listening: socket.socket, settings: Adjustments) -> Door:
        kind = UnixDoor if listening.family == socket.AF_UNIX else TcpDoor
        door: Door = kind(
            application,
            map=self._map,
            _sock=listening,
            dispatcher=self._dispatcher,
            adj=settings,
            sockinfo=(listening.family, listening.type, listening.proto, listening.getsockname()),
            bind_socket=False,
        )
        return door.share(self._connections, self._worker)
