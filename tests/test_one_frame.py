# SPDX-License-Identifier: MIT
"""`/snapshot`: what it answers as a pure table, and who has to wait."""

from __future__ import annotations

import itertools
import re
import time
from dataclasses import replace
from typing import Any

import pytest

from server_proc.live.head import Answer, Head
from server_proc.live.outlook import Outlook
from server_proc.web.one_frame import Question
from shm_ring.board import Reading
from tests.fake_feeds import AGENT, JPEG, Client, FakeFeeds, frame_of, outlook_of, placeholder_of
from tests.fakes import jpeg_of, rgb
from tests.rows import supervisor_status

NOW_NS = 10**12
DEAD = Reading(supervisor_status(state="backoff", last_reason="killed by SIGKILL"), NOW_NS)
STALE_WHY = "the newest frame is 3.0 s old; camera process: backoff, last ended: killed by SIGKILL"
NONE_WHY = "no frame yet; camera process: backoff, last ended: killed by SIGKILL"
WAITS, LAST = True, False
"""Whether the client may wait on, or it is its last moment."""

LIVE = Outlook(frame=frame_of(NOW_NS, 0.3), supervisor=DEAD)
STALE = replace(LIVE, frame=frame_of(NOW_NS, 3.0))
NEVER = replace(LIVE, frame=None)
SLOW = replace(LIVE, period_s=10.0, stale_after_s=30.0)


def drawn(outlook: Outlook, age_s: float) -> Outlook:
    return replace(outlook, placeholder=placeholder_of(NOW_NS, age_s))


PICTURE = ("200 OK", "image/jpeg", JPEG, "41")
PLACEHOLDER = ("503 Service Unavailable", "image/jpeg", placeholder_of(NOW_NS).jpeg, None)
NOTHING_NEW = ("204 No Content", None, b"", "41")


def sentence(text: str) -> tuple[str, str, bytes, None]:
    return ("503 Service Unavailable", "text/plain; charset=utf-8", text.encode() + b"\n", None)


TOO_OLD = sentence("The newest frame is 300 ms old; you asked for at most 200 ms.")
NONE_SINCE = sentence("No frame has been captured since the request; the newest is 300 ms old.")

TABLE: list[tuple[Outlook, dict[str, int], bool, Any]] = [
    # a live picture
    (LIVE, {}, WAITS, PICTURE),
    (LIVE, {}, LAST, PICTURE),
    (drawn(LIVE, 0.1), {}, WAITS, PICTURE),
    # no live picture: the placeholder, if it is of this moment
    (drawn(STALE, 0.1), {}, WAITS, PLACEHOLDER),
    (drawn(STALE, 1.4), {}, WAITS, PLACEHOLDER),
    (drawn(NEVER, 0.1), {}, LAST, PLACEHOLDER),
    (drawn(STALE, 1.6), {}, WAITS, None),
    (STALE, {}, WAITS, None),
    (NEVER, {}, WAITS, None),
    (drawn(STALE, 1.6), {}, LAST, sentence(STALE_WHY + ".")),
    (STALE, {}, LAST, sentence(STALE_WHY + ".")),
    (NEVER, {}, LAST, sentence(NONE_WHY + ".")),
    # live, and older than was asked for: words, and never a picture that denies the live one
    (LIVE, {"most_age_ms": 300}, WAITS, PICTURE),
    (
        LIVE,
        {"most_age_ms": 299},
        WAITS,
        sentence("The newest frame is 300 ms old; you asked for at most 299 ms."),
    ),
    (LIVE, {"most_age_ms": 200}, WAITS, TOO_OLD),
    (drawn(LIVE, 0.1), {"most_age_ms": 200}, LAST, TOO_OLD),
    (drawn(STALE, 0.1), {"most_age_ms": 200}, WAITS, PLACEHOLDER),
    (drawn(STALE, 0.1), {"most_age_ms": 9000}, WAITS, PLACEHOLDER),
    # a frame after one that the client has
    (LIVE, {"after": 40}, WAITS, PICTURE),
    (LIVE, {"after": 99}, WAITS, PICTURE),  # of another life of the service
    (LIVE, {"after": 41}, WAITS, None),
    (LIVE, {"after": 41}, LAST, NOTHING_NEW),
    (SLOW, {"after": 41}, LAST, NOTHING_NEW),
    (drawn(STALE, 0.1), {"after": 7}, WAITS, None),
    (drawn(STALE, 0.1), {"after": 7}, LAST, PLACEHOLDER),
    (LIVE, {"after": 40, "most_age_ms": 200}, WAITS, TOO_OLD),
    # a frame that was captured after the request
    (LIVE, {"captured_after_ns": NOW_NS - 300_000_000}, WAITS, PICTURE),
    (LIVE, {"captured_after_ns": NOW_NS - 299_999_999}, WAITS, None),
    (LIVE, {"captured_after_ns": NOW_NS - 1}, LAST, NONE_SINCE),
    (drawn(STALE, 0.1), {"captured_after_ns": NOW_NS - 1}, WAITS, None),
    (drawn(STALE, 0.1), {"captured_after_ns": NOW_NS - 1}, LAST, PLACEHOLDER),
]


def gist(answer: Answer | None) -> Any:
    if answer is None:
        return None
    told = answer.headers
    return answer.status, told.get("Content-Type"), answer.body, told.get("X-Sequence")


@pytest.mark.parametrize(("outlook", "asked", "may_wait", "expected"), TABLE)
def test_each_case_has_its_answer(
    outlook: Outlook, asked: dict[str, int], may_wait: bool, expected: Any
) -> None:
    """A live picture that was not as asked was once answered with "NO LIVE VIDEO": somebody drives by it."""
    answer = Question(**asked).answer(outlook, NOW_NS, may_wait)
    if expected in (PICTURE, PLACEHOLDER):
        assert answer is not None, "there is one"  # and not a diff of two JPEGs
        assert gist(answer) == expected, (answer.status, answer.headers)
    assert gist(answer) == expected
    if answer and answer.status.startswith("503"):
        assert answer.headers["Retry-After"] == "1"
        is_live = outlook.is_live(NOW_NS)
        assert ("X-Reason" in answer.headers) is not is_live, "a reason why it is not live, and only then"


def test_no_case_is_left_without_an_answer_in_the_end() -> None:
    """Whoever waits is answered at its deadline, whatever it asked, and a live picture is never denied."""
    outlooks = [
        drawn(base, age_s) if age_s else base
        for base in (LIVE, STALE, NEVER, SLOW)
        for age_s in (0, 0.1, 2.0)
    ]
    choices = itertools.product(
        outlooks, (None, 40, 41, 99), (None, NOW_NS - 1, NOW_NS - 10**10), (None, 0, 10_000)
    )
    for outlook, after, captured_after_ns, most_age_ms in choices:
        answer = Question(after, captured_after_ns, most_age_ms).answer(outlook, NOW_NS, LAST)
        assert answer is not None
        assert (b"NO LIVE VIDEO" in answer.body) <= (not outlook.is_live(NOW_NS))
        assert answer.status.startswith("200") <= outlook.is_live(NOW_NS)


@pytest.mark.parametrize(
    ("asked", "period_s", "wait_s"),
    [
        ({}, 0.05, 2.0),
        ({"most_age_ms": 1}, 0.05, 2.0),
        ({}, 10.0, 2.0),
        ({"after": 41}, 0.05, 5.0),
        ({"after": 0}, 10.0, 20.0),
        ({"captured_after_ns": 1}, 0.05, 5.0),
        ({"captured_after_ns": 1}, 10.0, 20.0),
    ],
)
def test_a_slow_camera_is_waited_for_as_long_as_it_needs(
    asked: dict[str, int], period_s: float, wait_s: float
) -> None:
    assert Question(**asked).wait_s(replace(LIVE, period_s=period_s), NOW_NS) == wait_s


PICTURES = (
    "/snapshot", "/snapshot.jpg", "/shot.jpg", "/capture", "/api/frame.jpeg", "/snapshot/?1712345",
    "/?action=snapshot", "/webcam/?action=snapshot", "/webcam?action=snapshot", "/?action=snapshot?17",
    "/?action=snapshot_0", "/webcam/?action=snapshot_0?1700000000000",
)  # fmt: skip


@pytest.fixture
def feeds() -> FakeFeeds:
    return FakeFeeds(now=outlook_of(0.1, stale_after_s=60.0))


@pytest.fixture
def client(feeds: FakeFeeds) -> Client:
    return Client(feeds)


@pytest.mark.parametrize("path", PICTURES)
def test_a_snapshot_is_the_newest_frame_with_its_facts(feeds: FakeFeeds, client: Client, path: str) -> None:
    """By all the paths that clients of other servers ask for; OctoPrint's plugins send a second `?`."""
    answer = client.get(path)
    assert answer.code == 200
    assert answer.body == JPEG
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["content-length"] == str(len(JPEG))
    assert answer.headers["x-sequence"] == "41"
    assert answer.headers["x-timestamp"] == "1795346598.880931"
    assert 100 <= int(answer.headers["x-age-ms"]) < 60_000
    assert answer.headers["x-instance"] == "5eed"
    assert "no-store" in answer.headers["cache-control"]
    assert feeds.asked == [], "it takes no place"


def test_a_short_snapshot_is_made_up_as_in_a_stream(feeds: FakeFeeds, client: Client) -> None:
    now = feeds.now
    assert now.frame
    feeds.now = replace(now, frame=now.frame._replace(jpeg=jpeg_of(rgb())))
    assert len(client.get("/snapshot").body) >= 4096


def test_a_live_frame_that_is_too_old_is_refused_in_words(feeds: FakeFeeds, client: Client) -> None:
    now_ns = time.monotonic_ns()
    feeds.now = outlook_of(0.3, stale_after_s=60.0, placeholder=placeholder_of(now_ns))
    answer = client.get("/snapshot?max_age_ms=200")
    assert answer.code == 503
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.headers["retry-after"] == "1"
    assert re.fullmatch(r"The newest frame is \d+ ms old; you asked for at most 200 ms\.\n", answer.text)
    assert "x-reason" not in answer.headers
    assert client.get("/readyz").code == 200, "it is live, and said so"
    young = client.get("/snapshot?max_age_ms=60000")
    assert (young.code, young.body == JPEG) == (200, True)
    assert 300 <= int(young.headers["x-age-ms"]) <= 60_000


def test_without_a_live_picture_the_placeholder_comes_at_once(feeds: FakeFeeds, client: Client) -> None:
    """Browsers show it, and OctoPrint and Home Assistant take it for the failure that it is."""
    feeds.now = outlook_of(1.5, placeholder=placeholder_of(time.monotonic_ns()))
    answer = client.get("/snapshot")
    assert answer.code == 503
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["retry-after"] == "1"
    why = r"the newest frame is \d+\.\d s old; camera process: backoff, last ended: killed by SIGKILL"
    assert re.fullmatch(why, answer.headers["x-reason"])
    assert "x-sequence" not in answer.headers
    assert "no-store" in answer.headers["cache-control"]
    assert b"NO LIVE VIDEO" in answer.body
    assert feeds.waiting == []


def asked_of(feeds: FakeFeeds) -> Question:
    """Return the question of the one who waits."""
    (question,) = {getattr(ask, "__self__", None) for ask, _ in feeds.waiting}
    assert isinstance(question, Question)
    return question


def test_a_placeholder_that_is_not_drawn_yet_is_waited_for_as_a_guest(
    feeds: FakeFeeds, client: Client
) -> None:
    feeds.now = outlook_of(None)
    answer = client.get("/snapshot?key=car")
    assert answer.ticket
    assert feeds.asked[0].key == "car"
    assert feeds.asked[0].user_agent == AGENT
    assert [wait_s for _, wait_s in feeds.waiting] == [2.0]
    assert asked_of(feeds) == Question()


def test_whoever_has_the_newest_waits_for_a_newer_one(feeds: FakeFeeds, client: Client) -> None:
    """No thread waits for it: it is a guest of the fan-out."""
    assert client.get("/snapshot?after=40").headers["x-sequence"] == "41"
    assert client.get("/snapshot?after=99").headers["x-sequence"] == "41", "of another life of the service"
    assert feeds.waiting == []
    assert client.get("/snapshot?after=41").ticket
    assert asked_of(feeds) == Question(after=41)
    assert [wait_s for _, wait_s in feeds.waiting] == [5.0]
    feeds.now = replace(feeds.now, period_s=10.0)
    assert client.get("/snapshot?after=41").ticket
    assert feeds.waiting[-1][1] == 20.0


def test_a_fresh_snapshot_shows_what_was_after_the_request(feeds: FakeFeeds, client: Client) -> None:
    """A time-lapse with a parked print head shook: its pictures were of the moment before."""
    before_ns = time.monotonic_ns()
    assert client.get("/snapshot?fresh=1").ticket
    question = asked_of(feeds)
    assert question.captured_after_ns is not None
    assert before_ns <= question.captured_after_ns <= time.monotonic_ns()
    assert client.get("/snapshot?fresh=0").body == JPEG
    assert len(feeds.waiting) == 1


@pytest.mark.parametrize("path", ["/snapshot", "/snapshot?max_age_ms=1", "/snapshot?after=40"])
def test_where_a_newer_frame_may_be_in_the_ring_the_client_gets_that(
    feeds: FakeFeeds, client: Client, path: str
) -> None:
    """While nobody watches, the ring is only looked at now and then."""
    feeds.now = replace(feeds.now, is_newest=False)
    assert client.get(path).ticket
    assert len(feeds.waiting) == 1


@pytest.mark.parametrize(
    ("path", "differs", "status"),
    [
        ("/snapshot", {}, 200),
        ("/snapshot", {"is_newest": False}, 200),
        ("/snapshot", {"frame": None}, 503),
        ("/snapshot?after=41", {}, 204),
        ("/snapshot?fresh=1", {}, 503),
        ("/snapshot?max_age_ms=1", {}, 503),
    ],
)
def test_head_never_waits(
    feeds: FakeFeeds, client: Client, path: str, differs: dict[str, Any], status: int
) -> None:
    feeds.now = replace(feeds.now, **differs)
    answer = client.head(path)
    assert (answer.code, answer.body, answer.ticket) == (status, b"", None)
    assert feeds.asked == []


def test_a_full_house_refuses_those_who_would_wait_and_serves_the_others() -> None:
    feeds = FakeFeeds(most=1, now=outlook_of(0.1, stale_after_s=60.0))
    client = Client(feeds)
    waiting = client.get("/snapshot?after=41")
    refused = client.get("/snapshot?after=41")
    assert (waiting.ticket is not None, refused.code) == (True, 503)
    assert refused.text == "All 1 places are taken (--max-viewers); try again soon.\n"
    assert client.get("/snapshot").code == 200


def test_what_a_guest_is_answered_is_whole_and_says_its_own_type(feeds: FakeFeeds, client: Client) -> None:
    """The head that Falcon made for a ticket must not shine through."""
    answer = client.get("/snapshot?after=41")
    head = Head("1.0", answer.status, tuple(answer.headers.items()))
    now_ns = time.monotonic_ns()
    ask, _ = feeds.waiting[0]
    for outlook, may_wait, expected in (
        (outlook_of(frame=frame_of(now_ns, sequence=42)), True, b"200 OK"),
        (outlook_of(), False, b"204 No Content"),
        (outlook_of(None), False, b"503 Service Unavailable"),
    ):
        given = ask(outlook, now_ns, may_wait)
        assert given
        first, _, body = head.with_answer(given).partition(b"\r\n\r\n")
        assert first.startswith(b"HTTP/1.0 " + expected + b"\r\n")
        assert b"\r\nX-Instance: 5eed\r\n" in first
        assert b"\r\nCache-Control: no-store" in first
        if given.body:
            assert b"\r\nContent-Type: " + given.headers["Content-Type"].encode() + b"\r\n" in first
        assert first.count(b"\r\nContent-Type:") == bool(given.body)
        assert first.count(b"\r\nContent-Length: %d" % len(given.body)) == (1 if given.body else 0)
        assert body == given.body
