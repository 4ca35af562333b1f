# SPDX-License-Identifier: MIT
"""The routes. A request is answered at once from the snapshot, or gets a ticket for the stream."""

from __future__ import annotations

import html
import importlib.resources
import time
from typing import Protocol

import falcon

from server_proc.live.multipart import CONTENT_TYPE, padded, unix_seconds
from server_proc.live.snapshot import Snapshot
from server_proc.live.ticket import Ticket
from server_proc.web.status import ServiceFacts, age_s, status, why_not_ready


class Live(Protocol):
    """What the web side needs of the fan-out."""

    @property
    def snapshot(self) -> Snapshot:
        """All that may be known, as it was at one moment."""

    def admit(self, *, address: str, extra_headers: bool) -> Ticket | None:
        """Reserve a place for a viewer; None when all are taken."""


def create_app(live: Live, service: ServiceFacts) -> falcon.App[falcon.Request, falcon.Response]:
    """Return the WSGI application."""
    app = falcon.App()
    app.req_options.strip_url_path_trailing_slash = True
    stream = _Stream(live, service)
    app.add_route("/", _Page())
    app.add_route("/stream", stream)
    app.add_route("/video", stream)  # its older name
    app.add_route("/snapshot", _Snapshot(live, service))
    app.add_route("/status", _Status(live, service))
    app.add_route("/livez", _Livez())
    app.add_route("/readyz", _Readyz(live))
    return app


def _never_keep(resp: falcon.Response) -> None:
    """Say that nobody may keep or hold back this answer: it is of this moment."""
    resp.set_headers(
        {
            "Cache-Control": "no-store, no-cache, must-revalidate, max-age=0",
            "Pragma": "no-cache",
            "Expires": "0",
            "X-Content-Type-Options": "nosniff",
            "X-Accel-Buffering": "no",
        }
    )


def _text(resp: falcon.Response, status_code: str, sentence: str) -> None:
    _never_keep(resp)
    resp.status = status_code
    resp.content_type = falcon.MEDIA_TEXT
    resp.text = sentence + "\n"


class _Stream:
    def __init__(self, live: Live, service: ServiceFacts) -> None:
        self._live = live
        self._service = service

    def on_head(self, req: falcon.Request, resp: falcon.Response) -> None:
        _never_keep(resp)
        resp.content_type = CONTENT_TYPE
        resp.set_header("X-Instance", self._service.instance_id)

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        ticket = self._live.admit(
            address=req.remote_addr, extra_headers=req.params.get("extra_headers") == "1"
        )
        if ticket is None:
            _text(
                resp,
                falcon.HTTP_503,
                f"All {self._service.max_viewers} places are taken. Try again soon, or restart the "
                "service with a larger --max-viewers.",
            )
            resp.set_header("Retry-After", "5")
            return
        self.on_head(req, resp)
        resp.stream = ticket


class _Snapshot:
    def __init__(self, live: Live, service: ServiceFacts) -> None:
        self._live = live
        self._service = service

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        snapshot, now_ns = self._live.snapshot, time.monotonic_ns()
        frame, age = snapshot.frame, age_s(snapshot, now_ns)
        reason = why_not_ready(snapshot, now_ns)
        if frame is None or age is None or reason is not None:
            _text(resp, falcon.HTTP_503, f"No live picture: {reason}.")
            resp.set_header("Retry-After", "1")
            return
        _never_keep(resp)
        resp.content_type = falcon.MEDIA_JPEG
        resp.data = padded(frame.jpeg)
        resp.set_headers(
            {
                "X-Sequence": str(frame.sequence),
                "X-Timestamp": unix_seconds(frame),
                "X-Age-Ms": str(round(age * 1000)),
                "X-Instance": self._service.instance_id,
            }
        )

    on_head = on_get


class _Status:
    def __init__(self, live: Live, service: ServiceFacts) -> None:
        self._live = live
        self._service = service

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        _never_keep(resp)
        resp.media = status(self._live.snapshot, self._service, time.monotonic_ns())

    on_head = on_get


class _Livez:
    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        _text(resp, falcon.HTTP_200, "The server is up.")

    on_head = on_get


class _Readyz:
    def __init__(self, live: Live) -> None:
        self._live = live

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        reason = why_not_ready(self._live.snapshot, time.monotonic_ns())
        if reason is None:
            _text(resp, falcon.HTTP_200, "There is a live picture.")
        else:
            _text(resp, falcon.HTTP_503, f"No live picture: {reason}.")
            resp.set_header("Retry-After", "1")

    on_head = on_get


class _Page:
    def __init__(self) -> None:
        page = importlib.resources.files("server_proc.web") / "page.html"
        self._page = page.read_text(encoding="utf-8")

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        _never_keep(resp)
        resp.content_type = falcon.MEDIA_HTML
        resp.text = self._page.replace("{origin}", html.escape(req.prefix))

    on_head = on_get
