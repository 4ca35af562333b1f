# SPDX-License-Identifier: MIT
"""The routes. A request is answered at once from the snapshot, or gets a ticket for the stream."""

from __future__ import annotations

import html
import importlib.resources
import json
import logging
import time
from typing import Protocol

import falcon

from server_proc.live.multipart import CONTENT_TYPE, padded, unix_seconds
from server_proc.live.snapshot import Snapshot
from server_proc.live.ticket import Ticket
from server_proc.web.status import ServiceFacts, age_s, status, why_not_ready

_log = logging.getLogger(__name__)


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
    app.set_error_serializer(_tell_error)
    app.req_options.strip_url_path_trailing_slash = True
    stream = _Stream(live, service)
    app.add_route("/", _Page(service))
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


def _no_live_picture(resp: falcon.Response, reason: str | None) -> None:
    _text(resp, falcon.HTTP_503, f"No live picture: {reason}.")
    resp.set_header("Retry-After", "1")


def _tell_error(req: falcon.Request, resp: falcon.Response, error: falcon.HTTPError) -> None:
    """Answer an HTTP error as a line of text."""
    resp.content_type = falcon.MEDIA_TEXT
    resp.text = f"{error.title}. The page at / lists what there is.\n"


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
                f"All places are taken (--max-viewers {self._service.max_viewers}); try again soon.",
            )
            resp.set_header("Retry-After", "5")
            _log.info("a viewer from %s found no place", req.remote_addr)
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
            _no_live_picture(resp, reason)
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
        resp.content_type = falcon.MEDIA_JSON
        told = status(self._live.snapshot, self._service, time.monotonic_ns())
        resp.text = json.dumps(told, indent=1)

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
            _no_live_picture(resp, reason)

    on_head = on_get


class _Page:
    def __init__(self, service: ServiceFacts) -> None:
        page = importlib.resources.files("server_proc.web") / "page.html"
        server = f"{service.instance_id} {service.server_pid}"
        self._page = page.read_text(encoding="utf-8").replace("{server}", server)

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        _never_keep(resp)
        resp.content_type = falcon.MEDIA_HTML
        resp.text = self._page.replace("{origin}", html.escape(req.prefix))

    on_head = on_get
