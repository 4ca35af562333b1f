# SPDX-License-Identifier: MIT
"""What several answers share."""

from __future__ import annotations

import html
import logging

import falcon

from server_proc.live.admission import Refusal
from server_proc.web.status import ServiceFacts

_log = logging.getLogger(__name__)

NEVER_KEEP = {
    "Cache-Control": "no-store, no-cache, must-revalidate, max-age=0",
    "Pragma": "no-cache",
    "Expires": "0",
    "X-Content-Type-Options": "nosniff",
    "X-Accel-Buffering": "no",
}
"""No cache or proxy may keep or delay such an answer: it is true at this moment only."""


def never_keep(resp: falcon.Response) -> None:
    """Forbid caches and proxies to keep or delay this answer."""
    resp.set_headers(NEVER_KEEP)


def say(resp: falcon.Response, status_code: str, sentence: str) -> None:
    """Answer with a line of text."""
    never_keep(resp)
    resp.status = status_code
    resp.content_type = falcon.MEDIA_TEXT
    resp.text = sentence + "\n"


def refuse_viewer(
    req: falcon.Request, resp: falcon.Response, refusal: Refusal, service: ServiceFacts
) -> None:
    """Answer 503 to a client that was not admitted, with a page if it accepts HTML."""
    sentence = {
        Refusal.SERVER_FULL: f"All {service.max_viewers} places are taken (--max-viewers); try again soon.",
        Refusal.ADDRESS_FULL: f"All {service.max_viewers_per_address} places for your address, "
        f"{req.context.address}, are taken (--max-viewers-per-address); close a stream and try again.",
        Refusal.STOPPING: "The server is stopping; try again soon.",
    }[refusal]
    say(resp, falcon.HTTP_503, sentence)
    resp.set_header("Retry-After", "5")
    if "text/html" in (req.get_header("Accept") or ""):
        resp.content_type = falcon.MEDIA_HTML
        resp.text = (
            '<!doctype html><html lang="en"><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1"><title>Ringcast</title>'
            f"<p>{html.escape(sentence)}</p></html>\n"
        )


def tell_error(req: falcon.Request, resp: falcon.Response, error: falcon.HTTPError) -> None:
    """Answer an HTTP error as a line of text."""
    never_keep(resp)
    resp.content_type = falcon.MEDIA_TEXT
    sentence = error.description or f"{error.title}. See / for every path."
    resp.text = f"{sentence}\n"


def tell_failure(req: falcon.Request, resp: falcon.Response, error: Exception, params: object) -> None:
    """Answer 500, and log what failed, without the query, which may hold secrets."""
    _log.error("%s %s failed; please report it", req.method, req.path, exc_info=error)
    say(resp, falcon.HTTP_500, "The server could not answer this request; its log says why.")
