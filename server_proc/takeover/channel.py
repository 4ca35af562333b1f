# SPDX-License-Identifier: MIT
"""One connection: with a deadline for a request, and never a thread that waits for a client."""

from __future__ import annotations

import contextlib
import time
from typing import Any

from waitress.channel import ClientDisconnected, HTTPChannel
from waitress.parser import HTTPRequestParser

from server_proc.takeover.task import Task

REQUEST_TIMEOUT_S = 10.0
"""A request that trickles in would hold its connection for ever otherwise."""


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
