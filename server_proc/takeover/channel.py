# SPDX-License-Identifier: MIT
"""One connection, with a deadline for each request. No thread ever waits for its client."""

from __future__ import annotations

import contextlib
import time
from typing import Any

from waitress.channel import ClientDisconnected, HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError

from server_proc.live.admission import bucket_of
from server_proc.takeover.task import Task

REQUEST_TIMEOUT_S = 10.0
"""From a request's first byte to its last; one that trickles in must not hold its connection for ever."""
IDLE_S = 10.0
"""How long a connection without an answer is kept; blank lines are not requests."""


class Parser(HTTPRequestParser):
    """A request as it arrives."""

    path = ""  # Waitress logs the path even of requests too broken to have one

    def received(self, data: bytes) -> int:
        """Take what arrived; return how many bytes of it belong to this request."""
        consumed: int = super().received(data)
        if self.completed:  # Waitress would answer 100 and start the request again
            self.expect_continue = False
        return consumed

    def parse_header(self, header_plus: bytes) -> None:
        """Refuse a request that another parser could end elsewhere (RFC 9112, section 6.1).

        Raises:
            ParsingError: it is answered with 400, and the connection ends.
        """
        try:
            super().parse_header(header_plus)
        except ValueError as error:  # half an IPv6 address, a length of thousands of digits
            raise ParsingError("Malformed request") from error
        if "TRANSFER_ENCODING" in self.headers:
            raise ParsingError("Transfer-Encoding needs HTTP/1.1")
        if self.chunked and "CONTENT_LENGTH" in self.headers:
            raise ParsingError("Expected Transfer-Encoding or Content-Length, got both")


class Channel(HTTPChannel):
    """One connection.

    Waitress's main thread reads and closes it, its other thread serves it.
    """

    task_class = Task
    parser_class = Parser
    _deadline_s: float | None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.bucket = bucket_of(str(self.addr[0]))
        self.active_s = time.monotonic()
        self._deadline_s = self.active_s + REQUEST_TIMEOUT_S

    @property
    def is_idle(self) -> bool:
        """Whether nothing is being answered; a request that has not fully arrived does not count."""
        return not self.requests and not self.total_outbufs_len

    def is_overdue(self, now_s: float) -> bool:
        """Tell whether it must be closed: its request took too long, or no other came."""
        if self._deadline_s is not None:
            return now_s > self._deadline_s
        return not self.requests and now_s - self.active_s > IDLE_S

    def received(self, data: bytes) -> bool:
        """Take what arrived; a deadline runs from a request's first byte to its last."""
        before = self.request
        went_on: bool = super().received(data)
        if self.request is None:
            self._deadline_s = None
        elif self.request is not before and not (before and before.empty):
            self._deadline_s = time.monotonic() + REQUEST_TIMEOUT_S
        return went_on

    def service(self) -> None:
        """Serve one request. A client that has left is not an error, wherever it shows."""
        with self.server.worker.at_work(), contextlib.suppress(ClientDisconnected):
            super().service()
        self.active_s = time.monotonic()

    def _flush_some(self, do_close: bool = True) -> bool:
        took_some = bool(super()._flush_some(do_close=do_close))
        if took_some:
            self.active_s = time.monotonic()
        return took_some

    def _flush_outbufs_below_high_watermark(self) -> None:
        """Close the connection of a client that does not read, instead of waiting for it as Waitress does.

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
