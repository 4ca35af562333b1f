# SPDX-License-Identifier: MIT
"""What several answers have in common."""

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
"""Nobody may keep or hold back such an answer: it is of this moment."""


def never_keep(resp: falcon.Response) -> None:
    """Say that nobody may keep or hold back this answer."""
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
    """Answer 503 to whom the house has no place for, as a page to those who read pages."""
    sentence = {
        Refusal.HOUSE_FULL: f"All {service.max_viewers} places are taken (--max-viewers); try again soon.",
        Refusal.ADDRESS_FULL: f"All {service.max_viewers_per_address} places for one address are taken "
        f"(--max-viewers-per-address), and this one is {req.context.address}; close a stream and try again.",
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
    what = error.description or f"{error.title}. See / for every path."
    resp.text = f"{what}\n"


def tell_failure(req: falcon.Request, resp: falcon.Response, error: Exception, params: object) -> None:
    """Answer 500, and log what failed: without the query, which may hold secrets, and not past the log."""
    _log.error("%s %s failed; please report it", req.method, req.path, exc_info=error)
    say(resp, falcon.HTTP_500, "The server failed to answer this; its log says why.")
