# SPDX-License-Identifier: MIT
"""The routes. A request is answered at once from the outlook, or gets a ticket for the fan-out."""

from __future__ import annotations

import difflib
import importlib.resources
import re
import time
from typing import Any, NamedTuple

import falcon

from server_proc.live.admission import Refusal
from server_proc.live.fanout import Census
from server_proc.live.multipart import CONTENT_TYPE
from server_proc.live.outlook import Outlook
from server_proc.web.answers import never_keep, refuse_viewer, say, tell_error, tell_failure
from server_proc.web.doors.host import HostDoor
from server_proc.web.doors.proxies import ProxiesDoor
from server_proc.web.feeds import Feeds
from server_proc.web.one_frame import OneFrame
from server_proc.web.status import ServiceFacts, status, status_text
from server_proc.web.wishes import key_of, wishes_of

STREAM_PATHS = ("/stream", "/video", "/video_feed", "/stream.mjpg", "/stream.mjpeg", "/api/stream.mjpeg")
"""Ours, and those that clients of other servers use: the app that this one replaces, Flask's and picamera's
examples, go2rtc."""
PICTURE_PATHS = ("/snapshot", "/snapshot.jpg", "/shot.jpg", "/capture", "/api/frame.jpeg")
"""Ours, and those of phone cameras, ESP32 cameras and go2rtc."""
PATHS = ("/", "/webcam", "/status", "/livez", "/readyz", *STREAM_PATHS, *PICTURE_PATHS)

_STATUS_NS = 20_000_000
"""The longest that a `/status` answer is reused."""


class Request(falcon.Request):
    """A request. A second `?` in its query separates like `&`.

    OctoPrint's plugins append their cache busters that way, and mjpg-streamer, which compares prefixes,
    accepts them (https://github.com/j7126/OctoPrint-Dashboard/issues/377).
    """

    def __init__(self, env: dict[str, Any], options: falcon.RequestOptions | None = None) -> None:
        env["QUERY_STRING"] = env.get("QUERY_STRING", "").replace("?", "&")
        super().__init__(env, options=options)


def create_app(
    feeds: Feeds, service: ServiceFacts, proxies: ProxiesDoor, host: HostDoor
) -> falcon.App[Request, falcon.Response]:
    """Return the WSGI application behind its doors."""
    doors: list[Any] = [proxies, host]
    app = falcon.App(request_type=Request, middleware=doors)
    app.set_error_serializer(tell_error)
    app.add_error_handler(Exception, tell_failure)
    app.req_options.strip_url_path_trailing_slash = True
    stream, one_frame = _Stream(feeds, service), OneFrame(feeds, service)
    for path in STREAM_PATHS:
        app.add_route(path, stream)
    for path in PICTURE_PATHS:
        app.add_route(path, one_frame)
    by_action = _ByAction(stream, one_frame, _Page())
    app.add_route("/", by_action)
    app.add_route("/webcam", by_action)
    app.add_route("/status", _Status(feeds, service))
    app.add_route("/livez", _Livez())
    app.add_route("/readyz", _Readyz(feeds))
    app.add_sink(_not_found)
    return app


def _not_found(req: falcon.Request, resp: falcon.Response, **_: Any) -> None:
    near = difflib.get_close_matches(req.path, PATHS, n=1)
    hint = f"did you mean {near[0]}?" if near else "see / for every path."
    raise falcon.HTTPNotFound(description=f"There is nothing at this path; {hint}")


class _Stream:
    def __init__(self, feeds: Feeds, service: ServiceFacts) -> None:
        self._feeds = feeds
        self._service = service

    def on_head(self, req: falcon.Request, resp: falcon.Response) -> None:
        never_keep(resp)
        resp.content_type = CONTENT_TYPE
        resp.set_header("X-Instance", self._service.instance_id)

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        ticket = self._feeds.admit(wishes_of(req))
        if isinstance(ticket, Refusal):
            refuse_viewer(req, resp, ticket, self._service)
            return
        self.on_head(req, resp)
        resp.stream = ticket


class _ByAction:
    """The page, and the paths of mjpg-streamer: `/?action=stream`, `/webcam/?action=snapshot_0`."""

    def __init__(self, stream: _Stream, one_frame: OneFrame, page: _Page) -> None:
        self._by_action: dict[str, _Stream | OneFrame | _Page] = {
            "stream": stream,
            "snapshot": one_frame,
            "": page,
        }

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        self._chosen(req).on_get(req, resp)

    def on_head(self, req: falcon.Request, resp: falcon.Response) -> None:
        self._chosen(req).on_head(req, resp)

    def _chosen(self, req: falcon.Request) -> _Stream | OneFrame | _Page:
        action = req.get_param("action", default="")
        chosen = self._by_action.get(re.sub("_0$", "", action))  # its first input, which is our one camera
        if chosen is None:
            sentence = f"action expects stream or snapshot; got {action[:40]!r}"
            raise falcon.HTTPNotFound(description=sentence)
        return chosen


class _Moment(NamedTuple):
    """What `/status` says of one moment, by the key in the request."""

    made_ns: int
    outlook: Outlook
    census: Census
    text_by_key: dict[str, str]


class _Status:
    def __init__(self, feeds: Feeds, service: ServiceFacts) -> None:
        self._feeds = feeds
        self._service = service
        self._moment: _Moment | None = None

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        never_keep(resp)
        resp.content_type = falcon.MEDIA_JSON
        resp.text = self._text_for(key_of(req))

    on_head = on_get

    def _text_for(self, key: str) -> str:
        """Return an answer that is reused for a moment: many requests must not take the fan-out's time."""
        now_ns, moment = time.monotonic_ns(), self._moment
        if moment is None or now_ns - moment.made_ns > _STATUS_NS:
            moment = self._moment = _Moment(now_ns, self._feeds.outlook(), self._feeds.census(), {})
        if not any(wishes.key == key for wishes, _ in moment.census.viewers):
            key = ""  # made-up keys cost no more than none
        if key not in moment.text_by_key:
            facts = status(moment.outlook, moment.census, self._service, moment.made_ns, key)
            moment.text_by_key[key] = status_text(facts)
        return moment.text_by_key[key]


class _Livez:
    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        say(resp, falcon.HTTP_200, "The server is up.")

    on_head = on_get


class _Readyz:
    def __init__(self, feeds: Feeds) -> None:
        self._feeds = feeds

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        reason = self._feeds.outlook().why_not_live(time.monotonic_ns())
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
