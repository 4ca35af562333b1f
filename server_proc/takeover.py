# SPDX-License-Identifier: MIT
"""The take-over: Waitress accepts, parses and answers; a stream's socket goes to the fan-out.

All that knows Waitress's inside stands here; `tests/test_takeover.py` fails when that inside moves.
It also gives Waitress what it lacks: a deadline for a request, and a thread that never waits for a
client. Written against waitress 3.0.2.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import socket
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.buffers import OverflowableBuffer
from waitress.channel import ClientDisconnected, HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.server import TcpWSGIServer
from waitress.task import WSGITask

from server_proc.live.ticket import Ticket
from server_proc.priority import step_back

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_log = logging.getLogger(__name__)

REQUEST_TIMEOUT_S = 10.0
"""A request that trickles in would hold its connection for ever otherwise."""
_SHUT_S = 0.5
"""How long the port is not looked at when nobody can be let in."""
_NOTHING_LEFT = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
"""What accept(2) says when whoever knocks can be neither let in nor sent away."""
_CURE = "raise the limit of open files (ulimit -n), or lower --max-viewers"
_IN_MEMORY_BYTES = 1 << 30
"""Waitress would put larger answers into temporary files."""
_TASK = "ringcast.task"
_THREADS = "waitress-"


class Task(WSGITask):
    """One request, in a Waitress thread. It can hand its connection over instead of answering."""

    _handed_over = False

    def get_environment(self) -> dict[str, Any]:
        """Return the WSGI environment; it leads from the application back to this task."""
        environ: dict[str, Any] = super().get_environment()
        environ[_TASK] = self
        return environ

    @property
    def has_body(self) -> bool:
        """Whether bytes follow the head: none after a HEAD, so no chunked coding is announced."""
        headless = self.request.command == "HEAD" and self.content_length is None
        return bool(super().has_body) and not headless

    def write(self, data: bytes) -> None:
        """Write to the connection, unless it was handed over: it is no longer this task's."""
        if not self._handed_over:
            super().write(data)

    def hand_over(self, ticket: Ticket) -> None:
        """Give the connection to the ticket's fan-out; Waitress closes only its own descriptor.

        `complete` stays as it is: a framework that answers twice must be told so by Waitress.
        """
        channel = self.channel
        with channel.outbuf_lock:
            if not channel.connected:
                raise ClientDisconnected
            connection = channel.socket.dup()
            unsent = b"".join(waiting.get(len(waiting)) for waiting in channel.outbufs)
            channel.outbufs = [OverflowableBuffer(channel.adj.outbuf_overflow)]
            channel.total_outbufs_len = 0
        self._handed_over = self.wrote_header = self.close_on_finish = True
        ticket.hand_over(connection, unsent, self._head())

    def _head(self) -> bytes:
        lines = [f"HTTP/{self.version} {self.status}"]
        lines += [f"{name.title()}: {value}" for name, value in self.response_headers]
        lines += ["Connection: close", "", ""]
        return "\r\n".join(lines).encode("latin-1")


class Parser(HTTPRequestParser):
    """A request as it comes in."""

    path = ""  # Waitress logs it of requests too broken to have one


class Channel(HTTPChannel):
    """One connection. It ends when a request takes too long, or its client reads nothing.

    Waitress's main thread reads and closes it, its other thread serves it.
    """

    task_class = Task
    parser_class = Parser
    _deadline: float | None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._deadline = time.monotonic() + REQUEST_TIMEOUT_S

    def received(self, data: bytes) -> bool:
        """Take what came; the deadline runs from a request's first byte to its last."""
        went_on: bool = super().received(data)
        if self.request is None:
            self._deadline = None
        elif self._deadline is None:
            self._deadline = time.monotonic() + REQUEST_TIMEOUT_S
        return went_on

    def service(self) -> None:
        """Serve one request. That the client is gone is no error, wherever it shows."""
        with contextlib.suppress(ClientDisconnected):
            super().service()

    def readable(self) -> bool:
        """Asked once per turn of the main loop, which makes it the place to look at the deadline."""
        if self._deadline is not None and time.monotonic() > self._deadline:
            self.will_close = True
        return bool(super().readable())

    def _flush_outbufs_below_high_watermark(self) -> None:
        """Close the connection of a client that does not read, where Waitress waits for it.

        A client that pipelines requests and reads nothing would hold the thread for ever.
        """
        if self.total_outbufs_len <= self.adj.outbuf_high_watermark:
            return
        with self.outbuf_lock:
            self._flush_exception(self._flush_some, do_close=False)
        if self.total_outbufs_len > self.adj.outbuf_high_watermark:
            self.will_close = True
            self.server.pull_trigger()
            raise ClientDisconnected


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
                    _log.warning("nobody new is let in for now: %s; %s", error.strerror, _CURE)
            raise
        self._told = False
        return came

    def fix_addr(self, addr: Any) -> tuple[str, int]:
        """Return a client's address and port; one of IPv4 on a socket of both families as it is known."""
        return addr[0].removeprefix("::ffff:"), addr[1]

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


class UnixDoor(Door):
    """A listening Unix socket: its clients have no address, and TCP's options mean nothing there."""

    def getsockname(self) -> tuple[str, str]:
        """Return what stands in for host and port."""
        return "unix", str(self.socket.getsockname())

    def set_socket_options(self, conn: socket.socket) -> None:
        """Set none."""

    def fix_addr(self, addr: Any) -> tuple[str, int]:
        """Return what stands in for a client's address and port."""
        return "unix", 0


def with_takeover(application: WSGIApplication) -> WSGIApplication:
    """Return an application that hands a connection over where `application` answers a ticket."""

    def application_with_takeover(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        answer = application(environ, start_response)
        if isinstance(answer, Ticket):
            try:
                environ[_TASK].hand_over(answer)
            except OSError as error:
                _log.warning("a viewer could not be taken over: %s; %s", error.strerror, _CURE)
                sentence = f"No new viewer can be served now: {error.strerror}; try again soon.\n".encode()
                headers = [("Content-Type", "text/plain"), ("Content-Length", str(len(sentence)))]
                start_response("503 Service Unavailable", [*headers, ("Retry-After", "5")], sys.exc_info())
                return (sentence,)
            finally:
                answer.close()
            return ()
        return answer

    return application_with_takeover


class WebServer:
    """Waitress on sockets that listen already. `run` is for the main thread."""

    def __init__(self, application: WSGIApplication, listening: Sequence[socket.socket]) -> None:
        self.turns = 0
        """Counts up at least once a second while the main loop is alive."""
        self._stopping = False
        self._map: dict[int, Any] = {}
        settings = Adjustments(
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
        dispatcher = None  # the first door makes it, and all share it
        for one in listening:
            door = (UnixDoor if one.family == socket.AF_UNIX else Door)(
                with_takeover(application),
                map=self._map,
                _sock=one,
                dispatcher=dispatcher,
                adj=settings,
                sockinfo=(one.family, one.type, one.proto, one.getsockname()),
                bind_socket=False,
            )
            dispatcher = door.task_dispatcher
        self._server = door

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
