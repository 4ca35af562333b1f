# SPDX-License-Identifier: MIT
"""One frame: `/snapshot` and its other names.

There are three answers: the live picture; 503 and the placeholder if there is none; 503 and a line of text if
the live one is too old for the request. Nothing is drawn here: a client that needs a placeholder which is not
drawn yet waits for it as a guest of the fan-out, like a client that waits for a frame.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import falcon

from server_proc.live.admission import Refusal
from server_proc.live.head import Answer
from server_proc.live.multipart import padded, unix_seconds
from server_proc.live.outlook import Outlook
from server_proc.web.answers import never_keep, refuse_viewer
from server_proc.web.feeds import Feeds
from server_proc.web.status import ServiceFacts
from server_proc.web.wishes import flag_of, number_of, wishes_of
from shm_ring.frame import Frame

_FRAME_WAIT_S = 5.0
_PLACEHOLDER_WAIT_S = 2.0
_PLACEHOLDER_NS = 1_500_000_000
"""An older one shows a wrong time: they are drawn once a second."""
_TEXT = {"Content-Type": "text/plain; charset=utf-8"}
_AGAIN = {"Retry-After": "1"}


class OneFrame:
    """The resource."""

    def __init__(self, feeds: Feeds, service: ServiceFacts) -> None:
        self._feeds = feeds
        self._service = service

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer with the newest frame, or let the client wait for the one it asked for."""
        question, wishes = _question(req), wishes_of(req)
        outlook, now_ns = self._feeds.outlook(), time.monotonic_ns()
        never_keep(resp)
        resp.set_header("X-Instance", self._service.instance_id)
        may_wait = req.method != "HEAD"
        answer = question.answer(outlook, now_ns, may_wait)
        if may_wait and not outlook.is_newest:
            answer = None  # as a guest it gets the newest
        if answer is not None:
            resp.status = answer.status
            resp.set_headers(answer.headers)
            resp.data = answer.body
            return
        ticket = self._feeds.admit_waiting(wishes, question.answer, question.wait_s(outlook, now_ns))
        if isinstance(ticket, Refusal):
            refuse_viewer(req, resp, ticket, self._service)
            return
        resp.stream = ticket

    on_head = on_get


@dataclass(frozen=True, slots=True)
class Question:
    """What a client asks of a snapshot."""

    after: int | None = None
    """It has the frame of this sequence."""
    captured_after_ns: int | None = None
    """The frame must begin to be captured later (CLOCK_MONOTONIC)."""
    most_age_ms: int | None = None

    def wait_s(self, outlook: Outlook, now_ns: int) -> float:
        """Return how long to wait at most: for a slow camera, until it must have given a frame."""
        if self.after is None and self.captured_after_ns is None:
            return _PLACEHOLDER_WAIT_S
        return max(_FRAME_WAIT_S, 2 * outlook.period_s)

    def answer(self, outlook: Outlook, now_ns: int, may_wait: bool) -> Answer | None:
        """Return the answer, or None if a better one may come."""
        waits = may_wait and (self.after is not None or self.captured_after_ns is not None)
        frame = outlook.frame
        if frame is None or not outlook.is_live(now_ns):
            return None if waits else _no_live_picture(outlook, now_ns, may_wait)
        age_ms = max(0, now_ns - frame.facts.captured_ns) // 10**6
        if frame.sequence == self.after:  # a higher one is of another life of the service
            return None if waits else Answer("204 No Content", {"X-Sequence": str(frame.sequence)})
        if self.captured_after_ns is not None and frame.facts.captured_ns < self.captured_after_ns:
            sentence = f"No frame has been captured since the request; the newest is {age_ms} ms old.\n"
            return None if waits else _not_as_asked(sentence)
        if self.most_age_ms is not None and age_ms > self.most_age_ms:
            return _not_as_asked(
                f"The newest frame is {age_ms} ms old; you asked for at most {self.most_age_ms} ms.\n"
            )
        return _of_frame(frame, age_ms)


def _question(req: falcon.Request) -> Question:
    return Question(
        after=number_of(req, "after"),
        captured_after_ns=time.monotonic_ns() if flag_of(req, "fresh") else None,
        most_age_ms=number_of(req, "max_age_ms"),
    )


def _of_frame(frame: Frame, age_ms: int) -> Answer:
    facts = {
        "Content-Type": falcon.MEDIA_JPEG,
        "X-Sequence": str(frame.sequence),
        "X-Timestamp": unix_seconds(frame),
        "X-Age-Ms": str(age_ms),
    }
    return Answer("200 OK", facts, padded(frame.jpeg))


def _not_as_asked(sentence: str) -> Answer:
    return Answer("503 Service Unavailable", {**_TEXT, **_AGAIN}, sentence.encode())


def _no_live_picture(outlook: Outlook, now_ns: int, may_wait: bool) -> Answer | None:
    why = outlook.why_not_live(now_ns) or ""
    placeholder = outlook.placeholder
    if placeholder is not None and now_ns - placeholder.drawn_ns < _PLACEHOLDER_NS:
        headers = {"Content-Type": falcon.MEDIA_JPEG, "X-Reason": why, **_AGAIN}
        return Answer("503 Service Unavailable", headers, placeholder.jpeg)
    if may_wait:
        return None
    return Answer("503 Service Unavailable", {**_TEXT, "X-Reason": why, **_AGAIN}, f"{why}.\n".encode())
