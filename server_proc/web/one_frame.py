# SPDX-License-Identifier: MIT
"""One picture: the newest frame, or 503 with the picture that says that there is none."""

from __future__ import annotations

import time
from http import HTTPStatus

import falcon

from server_proc.live.admission import Refusal
from server_proc.live.multipart import padded, unix_seconds
from server_proc.live.outage import headline, remedy
from server_proc.live.outlook import Outlook
from server_proc.live.placeholder import UNDRAWABLE, draw_placeholder
from server_proc.web.answers import NEVER_KEEP, refuse_viewer
from server_proc.web.feeds import Feeds
from server_proc.web.status import ServiceFacts, age_s, is_live, why_not_ready
from server_proc.web.wishes import number_of, wishes_of
from shm_ring.frame import Frame

_Answer = tuple[HTTPStatus, dict[str, str], bytes]


class OneFrame:
    """`/snapshot` and its other names."""

    def __init__(self, feeds: Feeds, service: ServiceFacts) -> None:
        self._feeds = feeds
        self._service = service

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer with the newest frame, or wait for one in the fan-out with `?after=`."""
        after, most_age_ms = number_of(req, "after"), number_of(req, "max_age_ms")
        outlook = self._feeds.outlook
        waits = after is not None and (not is_live(outlook, time.monotonic_ns()) or _has(outlook, after))
        if not waits or req.method == "HEAD":
            self._fill(resp, self._answer(outlook.frame, most_age_ms))
            return
        ticket = self._feeds.admit_waiting(wishes_of(req), after or 0, self._respond)
        if isinstance(ticket, Refusal):
            refuse_viewer(req, resp, ticket, self._service)
            return
        resp.stream = ticket

    on_head = on_get

    @staticmethod
    def _fill(resp: falcon.Response, answer: _Answer) -> None:
        status, headers, body = answer
        resp.status = f"{status.value} {status.phrase}"
        resp.set_headers(headers)
        resp.data = body

    def _respond(self, frame: Frame | None) -> bytes:
        """Return the whole answer to a request that waited, as bytes."""
        status, headers, body = self._answer(frame, None)
        lines = [
            f"HTTP/1.1 {status.value} {status.phrase}",
            *(f"{name}: {value}" for name, value in headers.items()),
        ]
        lines += [f"Content-Length: {len(body)}", "Connection: close", "", ""]
        return "\r\n".join(lines).encode("latin-1") + body

    def _answer(self, frame: Frame | None, most_age_ms: int | None) -> _Answer:
        outlook, now_ns = self._feeds.outlook, time.monotonic_ns()
        headers = {"Content-Type": falcon.MEDIA_JPEG, **NEVER_KEEP, "X-Instance": self._service.instance_id}
        if frame is None or not is_live(outlook, now_ns) or _too_old(frame, most_age_ms, now_ns):
            why = why_not_ready(outlook, now_ns) or "the newest frame is older than was asked for"
            headers |= {"Retry-After": "1", "X-Reason": why}
            return HTTPStatus.SERVICE_UNAVAILABLE, headers, self._placeholder(outlook, now_ns)
        facts = {
            "X-Sequence": str(frame.sequence),
            "X-Timestamp": unix_seconds(frame),
            "X-Age-Ms": str(_age_ms(frame, now_ns)),
        }
        return HTTPStatus.OK, {**headers, **facts}, padded(frame.jpeg)

    def _placeholder(self, outlook: Outlook, now_ns: int) -> bytes:
        frame = outlook.frame
        quiet_s = age_s(outlook, now_ns)
        if quiet_s is None:
            quiet_s = (now_ns - self._service.started_ns) / 1e9
        lines = [headline(quiet_s, had_frames=frame is not None), remedy(outlook.supervisor, now_ns)]
        size = (frame.facts.width_px, frame.facts.height_px) if frame else self._service.expected_size
        try:
            return padded(draw_placeholder(frame and frame.jpeg, size, tuple(line for line in lines if line)))
        except UNDRAWABLE:
            return b""  # the head of the answer says why there is no live picture


def _has(outlook: Outlook, after: int) -> bool:
    """Tell whether the newest frame is the one that somebody has already."""
    return outlook.frame is not None and outlook.frame.sequence == after


def _age_ms(frame: Frame, now_ns: int) -> int:
    return max(0, now_ns - frame.facts.captured_ns) // 10**6


def _too_old(frame: Frame, most_age_ms: int | None, now_ns: int) -> bool:
    return most_age_ms is not None and _age_ms(frame, now_ns) > most_age_ms
