# SPDX-License-Identifier: MIT
"""The routes. A request is answered at once from the snapshot, or gets a ticket for the fan-out."""

from __future__ import annotations

import importlib.resources
import time
from typing import NamedTuple

import falcon

from server_proc.live.house import Refusal
from server_proc.live.multipart import CONTENT_TYPE
from server_proc.live.snapshot import Snapshot
from server_proc.web.answers import never_keep, refuse_viewer, say, tell_error
from server_proc.web.live import Live
from server_proc.web.pictures import Picture
from server_proc.web.status import ServiceFacts, status, status_text, why_not_ready
from server_proc.web.wishes import key_of, wishes_of

STREAM_PATHS = ("/stream", "/video", "/video_feed", "/stream.mjpg", "/stream.mjpeg", "/api/stream.mjpeg")
"""Ours and those by which other servers' clients know a stream: of the app that this one replaces, of
Flask's and picamera's examples, of go2rtc."""
PICTURE_PATHS = ("/snapshot", "/snapshot.jpg", "/shot.jpg", "/capture", "/api/frame.jpeg")
"""Ours and those of phone cameras, ESP32 cameras and go2rtc."""

_STATUS_NS = 20_000_000
"""How old what `/status` says may be."""


def create_app(live: Live, service: ServiceFacts) -> falcon.App[falcon.Request, falcon.Response]:
    """Return the WSGI application."""
    app = falcon.App()
    app.set_error_serializer(tell_error)
    app.req_options.strip_url_path_trailing_slash = True
    stream, picture, page = _Stream(live, service), Picture(live, service), _Page()
    for path in STREAM_PATHS:
        app.add_route(path, stream)
    for path in PICTURE_PATHS:
        app.add_route(path, picture)
    by_action = _ByAction(stream, picture, page)
    app.add_route("/", by_action)
    app.add_route("/webcam", by_action)
    app.add_route("/status", _Status(live, service))
    app.add_route("/livez", _Livez())
    app.add_route("/readyz", _Readyz(live))
    return app


class _Stream:
    def __init__(self, live: Live, service: ServiceFacts) -> None:
        self._live = live
        self._service = service

    def on_head(self, req: falcon.Request, resp: falcon.Response) -> None:
        never_keep(resp)
        resp.content_type = CONTENT_TYPE
        resp.set_header("X-Instance", self._service.instance_id)

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        ticket = self._live.admit(wishes_of(req))
        if isinstance(ticket, Refusal):
            refuse_viewer(req, resp, ticket, self._service)
            return
        self.on_head(req, resp)
        resp.stream = ticket


class _ByAction:
    """The page, and the paths of mjpg-streamer: `/?action=stream`, `/webcam/?action=snapshot`."""

    def __init__(self, stream: _Stream, picture: Picture, page: _Page) -> None:
        self._by_action: dict[str | None, _Stream | Picture] = {"stream": stream, "snapshot": picture}
        self._page = page

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        self._chosen(req).on_get(req, resp)

    def on_head(self, req: falcon.Request, resp: falcon.Response) -> None:
        self._chosen(req).on_head(req, resp)

    def _chosen(self, req: falcon.Request) -> _Stream | Picture | _Page:
        return self._by_action.get(req.get_param("action"), self._page)


class _Status:
    def __init__(self, live: Live, service: ServiceFacts) -> None:
        self._live = live
        self._service = service
        self._newest = _Texts(Snapshot(), -_STATUS_NS, {})

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        never_keep(resp)
        resp.content_type = falcon.MEDIA_JSON
        resp.text = self._newest_text(key_of(req))

    on_head = on_get

    def _newest_text(self, key: str) -> str:
        """Return what is made anew now and then: many who ask must not take the fan-out's time."""
        now_ns = time.monotonic_ns()
        if now_ns - self._newest.made_ns > _STATUS_NS:
            self._newest = _Texts(self._live.snapshot, now_ns, {})
        newest = self._newest
        if not any(viewer.key == key for viewer in newest.snapshot.viewers):
            key = ""  # so that keys that are made up cost no more than none
        if key not in newest.by_key:
            newest.by_key[key] = status_text(status(newest.snapshot, self._service, newest.made_ns, key))
        return newest.by_key[key]


class _Texts(NamedTuple):
    """What `/status` says of one moment, by the key of whoever asks."""

    snapshot: Snapshot
    made_ns: int
    by_key: dict[str, str]


class _Livez:
    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        say(resp, falcon.HTTP_200, "The server is up.")

    on_head = on_get


class _Readyz:
    def __init__(self, live: Live) -> None:
        self._live = live

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        reason = why_not_ready(self._live.snapshot, time.monotonic_ns())
        if reason is None:
            say(resp, falcon.HTTP_200, "There is a live picture.")
        else:
            say(resp, falcon.HTTP_503, f"No live picture: {reason}.")
            resp.set_header("Retry-After", "1")

    on_head = on_get


class _Page:
    def __init__(self) -> None:
        self._page = (importlib.resources.files("server_proc.web") / "page.html").read_text(encoding="utf-8")

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        never_keep(resp)
        if req.path == "/webcam":  # the page's URLs are relative to `/`, wherever a proxy shows that
            raise falcon.HTTPFound("../" if req.env["PATH_INFO"].endswith("/") else "./")
        resp.content_type = falcon.MEDIA_HTML
        resp.text = self._page

    on_head = on_get
