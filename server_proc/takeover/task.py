# SPDX-License-Identifier: MIT
"""One request: it can hand its connection over instead of answering."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from waitress.buffers import OverflowableBuffer
from waitress.channel import ClientDisconnected
from waitress.task import WSGITask

from server_proc.live.head import Head
from server_proc.live.ticket import Ticket

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_log = logging.getLogger(__name__)

CURE = "raise the limit of open files (ulimit -n), or lower --max-viewers"
_TASK = "ringcast.task"


class Task(WSGITask):
    """One request, in a Waitress thread. It can hand its connection over instead of answering."""

    _handed_over = False

    def get_environment(self) -> dict[str, Any]:
        """Return the WSGI environment, in which the application's answer finds this task.

        The authority of an absolute target takes the place of Host (RFC 9112, section 3.2.2).
        """
        environ: dict[str, Any] = super().get_environment()
        environ[_TASK] = self
        if self.request.proxy_netloc:
            environ["HTTP_HOST"] = self.request.proxy_netloc
        return environ

    @property
    def has_body(self) -> bool:
        """Whether bytes follow the head: none after a HEAD, so no chunked coding is announced."""
        headless = self.request.command == "HEAD" and self.content_length is None
        return bool(super().has_body) and not headless

    def write(self, data: bytes) -> None:
        """Write to the connection, unless it was handed over and is no longer this task's."""
        if not self._handed_over:
            super().write(data)

    def hand_over(self, ticket: Ticket) -> None:
        """Give the connection to the ticket's fan-out; Waitress closes only its own descriptor.

        `complete` stays as it is, so Waitress still reports a framework that answers twice.

        Raises:
            ClientDisconnected: the client has left.
            OSError: there is no descriptor left.
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
        ticket.hand_over(connection, unsent, Head(self.version, self.status, tuple(self.response_headers)))


def with_takeover(application: WSGIApplication) -> WSGIApplication:
    """Return an application that hands the connection over if `application` answers with a ticket."""
    warned = False

    def application_with_takeover(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        nonlocal warned
        answer = application(environ, start_response)
        if not isinstance(answer, Ticket):
            return answer
        try:
            environ[_TASK].hand_over(answer)
            warned = False
        except OSError as error:
            if not warned:
                warned = True
                _log.warning("cannot serve new viewers for now: %s; %s", error.strerror, CURE)
            sentence = f"Cannot serve new viewers now: {error.strerror}; try again soon.\n".encode()
            headers = [("Content-Type", "text/plain"), ("Content-Length", str(len(sentence)))]
            start_response("503 Service Unavailable", [*headers, ("Retry-After", "5")], sys.exc_info())
            return (sentence,)
        finally:
            answer.close()
        return ()

    return application_with_takeover
