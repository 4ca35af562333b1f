# SPDX-License-Identifier: MIT
"""The routes against a stand-in for the fan-out: streams, status, probes, errors, the page."""

from __future__ import annotations

import ast
import json
import logging
import re
import time
from dataclasses import replace
from typing import Any

import pytest

from server_proc.live.admission import Kind, Refusal
from server_proc.live.offer import PartForm
from server_proc.live.outlook import Outlook
from server_proc.live.viewer import ViewerFacts
from server_proc.live.wishes import Wishes
from server_proc.web.app import PATHS
from shm_ring.board import Reading
from tests.conditions import eventually
from tests.fake_feeds import AGENT, Client, FakeFeeds, outlook_of
from tests.rows import capture_status, supervisor_status
from tests.running import CHECKOUT

CHROME = {"Accept": "image/avif,*/*", "User-Agent": "Mozilla/5.0 Chrome/156.0"}
SECRET = "hunter2-客厅"  # noqa: S105  a key of nobody
SECRET_IN_QUERY = "hunter2-%E5%AE%A2%E5%8E%85"  # noqa: S105

VIEWER = ViewerFacts(
    id=3, address="10.0.0.9", user_agent="curl", since_unix_s=1.7e9, watched_s=12.5, frames=250, skipped=4,
    thinned=1, bytes=5000, fps=20.0, behind_ms=7, freshness="live", quiet_s=0.1,
)  # fmt: skip


class BrokenFeeds(FakeFeeds):
    """A fault of ours, wherever it is asked."""

    def outlook(self) -> Outlook:
        raise RuntimeError("a fault of ours")

    def admit(self, wishes: Wishes) -> Any:
        return self.outlook()


@pytest.fixture
def feeds() -> FakeFeeds:
    return FakeFeeds(now=outlook_of(0.1, stale_after_s=60.0))


@pytest.fixture
def client(feeds: FakeFeeds) -> Client:
    return Client(feeds)


STREAMS = (
    "/stream", "/video", "/video/", "/stream?1712345=&bypassCache=2", "/video_feed", "/stream.mjpg",
    "/stream.mjpeg", "/api/stream.mjpeg", "/?action=stream", "/webcam/?action=stream",
    "/webcam?action=stream&1712345", "/?action=stream?nonce_dashboard=1700000000000",
    "/webcam/?action=stream?1700000000000", "/?action=stream_0", "/webcam?action=stream_0?17",
)  # fmt: skip


@pytest.mark.parametrize("path", STREAMS)
def test_a_stream_is_answered_with_a_ticket(feeds: FakeFeeds, client: Client, path: str) -> None:
    """By all the paths that clients of other servers ask for; OctoPrint's plugins send a second `?`."""
    answer = client.get(path, {"Range": "bytes=0-"})
    assert answer.code == 200
    assert answer.headers["content-type"] == "multipart/x-mixed-replace; boundary=frame"
    assert answer.headers["cache-control"] == "no-store, no-cache, must-revalidate, max-age=0"
    assert answer.headers["x-accel-buffering"] == "no"
    assert answer.headers["x-instance"] == "5eed"
    assert feeds.asked == [Wishes("127.0.0.1", user_agent=AGENT)]
    assert answer.ticket
    assert feeds.admission.places_taken == 1
    answer.ticket.close()
    assert feeds.admission.places_taken == 0, "nobody took the connection over, so the place came back"


@pytest.mark.parametrize(
    ("query", "headers", "expected"),
    [
        ("extra_headers=1", {}, {"form": PartForm.FACTS}),
        ("advance_headers=1", {}, {"form": PartForm.ADVANCED}),
        ("extra_headers=1&advance_headers=1", {}, {"form": PartForm.FACTS}),
        ("extra_headers=0", {}, {}),
        ("fps=2.5&key=car-7", {}, {"fps": 2.5, "key": "car-7"}),
        ("fps=3&fps=4", {}, {"fps": 4.0}),
        ("fps=3?key=car", {}, {"fps": 3.0, "key": "car"}),
        ("placeholder=0", {}, {"placeholder": False}),
        ("placeholder=1", {}, {"placeholder": True}),
        ("placeholder=0&placeholder=1", {}, {"placeholder": True}),
        ("no_such_key=1", {}, {}),
        ("", CHROME, {"form": PartForm.ADVANCED, "user_agent": CHROME["User-Agent"]}),
        ("advance_headers=0", CHROME, {"user_agent": CHROME["User-Agent"]}),
        ("", {**CHROME, "Accept": "text/html,image/avif"}, {"user_agent": CHROME["User-Agent"]}),
        ("", {**CHROME, "User-Agent": "Firefox/153.0"}, {"user_agent": "Firefox/153.0"}),
        ("", {"User-Agent": "é" * 200}, {"user_agent": "?" * 120}),
        ("", {"User-Agent": "a\nforged line"}, {"user_agent": "a?forged line"}),
    ],
)
def test_what_a_client_wishes_is_heard(
    feeds: FakeFeeds, client: Client, query: str, headers: dict[str, str], expected: dict[str, Any]
) -> None:
    assert client.get(f"/stream?{query}", headers).ticket
    assert feeds.asked == [Wishes("127.0.0.1", **{"user_agent": AGENT, **expected})]


def test_two_keys_in_another_script_stay_two(feeds: FakeFeeds, client: Client) -> None:
    """Both became `??` once, and two tablets threw each other out for ever."""
    kept = [
        client.get(f"/stream?key={key}") for key in ("%E5%AE%A2%E5%8E%85", "%E5%8E%A8%E6%88%BF", "%3F%3F")
    ]
    assert [wishes.key for wishes in feeds.asked] == ["客厅", "厨房", "??"]
    assert feeds.admission.places_taken == len(kept)


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("/stream?fps=fast", "fps expects frames a second from 0.1 to 240; got 'fast'\n"),
        ("/stream?fps=0", "fps expects frames a second from 0.1 to 240; got '0'\n"),
        ("/stream?fps=nan", "fps expects frames a second from 0.1 to 240; got 'nan'\n"),
        ("/stream?extra_headers=yes", "extra_headers expects 0 or 1; got 'yes'\n"),
        ("/stream?placeholder=no", "placeholder expects 0 or 1; got 'no'\n"),
        (f"/stream?key={'k' * 65}", "key expects up to 64 characters; got 65\n"),
        (f"/status?key={'k' * 65}", "key expects up to 64 characters; got 65\n"),
        ("/snapshot?fresh=2", "fresh expects 0 or 1; got '2'\n"),
        ("/snapshot?after=-1", "after expects a whole number, 0 or more; got '-1'\n"),
        ("/snapshot?after=%D9%A1", "after expects a whole number, 0 or more; got '\u0661'\n"),
        ("/snapshot?max_age_ms=x", "max_age_ms expects a whole number, 0 or more; got 'x'\n"),
        (
            f"/snapshot?max_age_ms={'9' * 5000}",
            f"max_age_ms expects a whole number, 0 or more; got '{'9' * 40}'\n",
        ),
    ],
)
def test_a_value_that_means_nothing_is_told(client: Client, path: str, sentence: str) -> None:
    answer = client.get(path)
    assert (answer.code, answer.text) == (400, sentence)


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("/?action=stream_1", "action expects stream or snapshot; got 'stream_1'\n"),
        ("/webcam?action=command", "action expects stream or snapshot; got 'command'\n"),
        ("/?action=snapshot_1?17", "action expects stream or snapshot; got 'snapshot_1'\n"),
        ("/?action=stream_00", "action expects stream or snapshot; got 'stream_00'\n"),
        ("/streams", "There is nothing at this path; did you mean /stream?\n"),
        ("/snapshot.jpeg", "There is nothing at this path; did you mean /snapshot.jpg?\n"),
        ("/redyz", "There is nothing at this path; did you mean /readyz?\n"),
        ("/etc/passwd", "There is nothing at this path; see / for every path.\n"),
        (f"/{'stream' * 2500}", "There is nothing at this path; see / for every path.\n"),
    ],
)
def test_what_is_not_there_is_said_with_what_is(client: Client, path: str, sentence: str) -> None:
    """An action that meant nothing got the page once, as the picture of an `<img>`."""
    for accept in ("*/*", "application/xml", "text/html"):
        answer = client.get(path, {"Accept": accept})
        assert (answer.code, answer.text) == (404, sentence)
        assert answer.headers["content-type"].startswith("text/plain")
    assert client.head(path).code == 404


def test_head_takes_no_place_even_when_none_is_left() -> None:
    feeds = FakeFeeds(most=1)
    seat = feeds.admission.enter(Kind.VIEWER, "10.0.0.1")
    assert not isinstance(seat, Refusal)
    answer = Client(feeds).head("/stream")
    assert (answer.code, answer.body, answer.ticket) == (200, b"", None)
    assert answer.headers["content-type"].startswith("multipart/")
    assert feeds.asked == []


@pytest.mark.parametrize(
    ("most", "peer", "sentence"),
    [
        (1, "10.0.0.1", "All 1 places are taken (--max-viewers); try again soon."),
        (
            9,
            "10.0.0.1",
            "All 1 places for your address, 10.0.0.1, are taken (--max-viewers-per-address); "
            "close a stream and try again.",
        ),
    ],
)
def test_a_full_server_says_so(most: int, peer: str, sentence: str) -> None:
    feeds = FakeFeeds(most=most, most_per_address=1)
    client = Client(feeds)
    first = client.get("/stream", peer=peer if most > 1 else "10.0.0.2")
    answer = client.get("/stream", peer=peer)
    assert first.ticket
    assert (answer.code, answer.text) == (503, sentence + "\n")
    assert answer.headers["retry-after"] == "5"
    page = client.get("/stream", {"Accept": "text/html,*/*"}, peer=peer)
    assert page.code == 503
    assert page.headers["content-type"].startswith("text/html")
    assert f"<p>{sentence}</p>" in page.text


def test_options_are_answered(client: Client) -> None:
    for path in PATHS:
        assert client.ask("OPTIONS", path).headers["allow"] == "GET, HEAD"


def test_an_old_picture_is_never_passed_off_as_ready(feeds: FakeFeeds, client: Client) -> None:
    """A person may be driving a car by it."""
    feeds.now = Outlook()
    answer = client.get("/readyz")
    assert answer.code == 503
    assert "no frame yet; camera process: unknown" in answer.text
    feeds.now = outlook_of(1.5)
    answer = client.get("/readyz")
    assert answer.code == 503
    assert answer.headers["retry-after"] == "1"
    assert re.fullmatch(
        r"No live picture: the newest frame is \d+\.\d s old; camera process: backoff, "
        r"last ended: killed by SIGKILL\.\n",
        answer.text,
    )


def test_ready_with_a_fresh_frame_and_alive_without(feeds: FakeFeeds, client: Client) -> None:
    assert client.get("/readyz").code == 200
    feeds.now = Outlook()
    assert client.get("/livez").code == 200


def status_of(client: Client, query: str = "") -> Any:
    return json.loads(client.get(f"/status{query}").text)


def test_status_tells_everything_as_json(feeds: FakeFeeds, client: Client) -> None:
    now_ns = time.monotonic_ns()
    feeds.now = outlook_of(
        0.2,
        stale_after_s=60.0,
        capture=Reading(capture_status(dropped={"unusable": 2}), now_ns - 4 * 10**9),
        supervisor=Reading(
            supervisor_status(
                restarts={"killed by SIGKILL": 1},
                next_start_ns=now_ns + 3 * 10**9,
                since_ns=now_ns - 5 * 10**9,
            ),
            now_ns,
        ),
        dropped_busy=1,
        dropped_too_big=5,
    )
    answer = client.get("/status")
    assert answer.headers["content-type"] == "application/json"
    assert "no-store" in answer.headers["cache-control"]
    told = json.loads(answer.text)
    assert (told["instance"], told["ready"], told["reason"]) == ("5eed", True, None)
    assert told["frame"]["sequence"] == 41
    assert 200 <= told["frame"]["age_ms"] < 5000
    assert told["dropped"] == {"unusable": 2, "busy": 1, "too_big": 5}
    assert told["camera"]["name"] == "fake"
    assert told["camera"]["board_age_s"] == pytest.approx(4.0, abs=0.5)
    assert "dropped" not in told["camera"]
    assert told["server"]["pid"] == 77
    camera = told["supervisor"]["capture"]
    assert camera["restarts"] == {"killed by SIGKILL": 1}
    assert camera["next_start_in_s"] == pytest.approx(3.0, abs=0.5)
    assert camera["for_s"] == pytest.approx(5.0, abs=0.5)
    eventually(lambda: status_of(client)["frame"]["age_ms"] > told["frame"]["age_ms"])
    assert status_of(client)["dropped"] == told["dropped"], "what is known is not changed"


def test_status_before_anything_is_known(feeds: FakeFeeds, client: Client) -> None:
    feeds.now = Outlook()
    told = status_of(client)
    assert (told["ready"], told["frame"], told["camera"], told["supervisor"]) == (False, None, None, None)
    assert told["reason"] == "no frame yet; camera process: unknown"
    assert told["dropped"] == {"busy": 0, "too_big": 0}


def test_status_counts_those_who_left_and_those_who_watch(feeds: FakeFeeds, client: Client) -> None:
    """Counters that fall when somebody leaves are none."""
    feeds.watching = [
        (Wishes("10.0.0.9"), VIEWER),
        (Wishes("10.0.0.8"), VIEWER._replace(id=4, address="10.0.0.8", frames=10, thinned=30)),
    ]
    totals = feeds.totals
    totals.viewers, totals.sent, totals.skipped, totals.thinned, totals.bytes = 5, 1000, 20, 300, 10**6
    totals.disconnected.update({"left": 2, "stopped reading for 60 s": 1})
    seats = [feeds.admission.enter(Kind.WAITING, "10.0.0.7") for _ in range(18)]
    told = status_of(client)["viewers"]
    listed = told.pop("list")
    assert told == {
        "count": 2,
        "max": 64,
        "max_per_address": 16,
        "places_taken": 16,
        "refused": {"address full": 2},
        "total": 5,
        "disconnected": {"left": 2, "stopped reading for 60 s": 1},
        "frames_sent": 1260,
        "frames_skipped": 28,
        "frames_thinned": 331,
        "bytes_sent": 1_010_000,
    }
    assert listed[0] == {**VIEWER._asdict(), "mine": False}
    assert [one["id"] for one in listed] == [3, 4]
    assert len(seats) == 18


def mine(client: Client, query: str) -> list[int]:
    return [one["id"] for one in status_of(client, query)["viewers"]["list"] if one["mine"]]


def test_only_the_one_whose_key_is_named_is_mine(feeds: FakeFeeds, client: Client) -> None:
    """Also right after somebody else asked: an answer that is reused is for the same key only."""
    keys = (SECRET, "car", "car ", "", "")
    feeds.watching = [
        (Wishes("10.0.0.9", key=key), VIEWER._replace(id=number)) for number, key in enumerate(keys)
    ]
    for _ in range(20):
        assert mine(client, f"?key={SECRET_IN_QUERY}") == [0]
        assert mine(client, "?key=car") == [1]
        assert mine(client, "") == [], "with no key nothing is mine"
        assert mine(client, "?key=") == []
        assert mine(client, "?key=CAR") == []
        assert mine(client, "?key=car%20") == [2]


def test_a_status_is_not_reused_for_long(feeds: FakeFeeds, client: Client) -> None:
    assert status_of(client)["frame"]["sequence"] == 41
    assert feeds.now.frame
    feeds.now = replace(feeds.now, frame=feeds.now.frame._replace(sequence=42))
    eventually(lambda: status_of(client)["frame"]["sequence"] == 42, 1.0)


@pytest.mark.parametrize(
    "target",
    [
        "/status?", "/stream?", "/snapshot?", "/?", "/webcam?", "/livez?", "/readyz?", "/nothing?",
        "/snapshot?after=41&", "/snapshot?max_age_ms=0&", "/stream?fps=x&", "/?action=none&",
        f"/stream?key={'k' * 50}",
    ],
)  # fmt: skip
def test_a_key_is_in_no_answer_and_no_log(
    feeds: FakeFeeds, client: Client, target: str, caplog: pytest.LogCaptureFixture
) -> None:
    """With it anybody could throw the driver out."""
    caplog.set_level(logging.DEBUG)
    feeds.watching = [(Wishes("10.0.0.9", key=SECRET), VIEWER)]
    query = SECRET_IN_QUERY if "key" in target else f"key={SECRET_IN_QUERY}"
    for asked in (target + query, target.rstrip("?&")):
        for method in ("GET", "HEAD", "POST", "OPTIONS"):
            answer = client.ask(method, asked)
            told = answer.body + repr((answer.status, answer.headers, answer.errors)).encode()
            assert b"hunter2" not in told
    assert "hunter2" not in caplog.text


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", "/status"), ("HEAD", "/status"), ("GET", "/snapshot"), ("HEAD", "/snapshot"),
        ("GET", "/readyz"), ("GET", "/stream"), ("GET", "/?action=stream"), ("HEAD", "/?action=snapshot"),
    ],
)  # fmt: skip
def test_a_fault_of_ours_goes_to_the_log_and_nowhere_else(
    method: str, target: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Falcon's own way wrote it, with the query, to stderr: past the log, and it blocked if nobody read."""
    query = f"{'&' if '?' in target else '?'}token=hunter2&key=hunter3"
    answer = Client(BrokenFeeds()).ask(method, target + query)
    assert answer.code == 500
    sentence = "The server could not answer this request; its log says why.\n"
    assert answer.text == (sentence if method == "GET" else "")
    assert answer.headers["content-type"].startswith("text/plain")
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.name.startswith("server_proc.")
    assert record.getMessage() == f"{method} {target.partition('?')[0]} failed; please report it"
    assert "RuntimeError: a fault of ours" in caplog.text
    assert "hunter" not in caplog.text
    assert answer.errors == ""
    assert capfd.readouterr() == ("", "")


def test_after_a_fault_of_ours_the_next_is_served() -> None:
    client = Client(BrokenFeeds())
    assert client.get("/status").code == 500
    assert client.get("/livez").code == 200


@pytest.mark.parametrize(
    ("method", "target", "more", "code"),
    [
        ("GET", "/stream?fps=x", {}, 400),
        ("HEAD", "/snapshot?after=x", {}, 400),
        ("GET", "/livez", {"host": None}, 400),
        ("BREW", "/stream", {}, 400),
        ("GET", "/nothing", {}, 404),
        ("POST", "/nothing", {}, 404),
        ("OPTIONS", "/nothing", {}, 404),
        ("GET", "/?action=none", {}, 404),
        ("POST", "/stream", {}, 405),
        ("DELETE", "/", {}, 405),
        ("GET", "/stream", {"host": "evil.example"}, 421),
        ("GET", "/status", {}, 500),
        ("GET", "/stream", {}, 500),
    ],
)
def test_an_error_is_a_line_of_text_that_nobody_keeps(
    method: str, target: str, more: dict[str, Any], code: int
) -> None:
    answer = Client(BrokenFeeds()).ask(method, target, **more)
    assert answer.code == code
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.headers["cache-control"].startswith("no-store")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.text.count("\n") == (method != "HEAD")


@pytest.mark.parametrize("target", ["/stream", "/readyz", "/snapshot?after=1", "/snapshot?max_age_ms=0"])
def test_a_503_is_kept_by_nobody_and_says_when_to_come_again(target: str) -> None:
    feeds = FakeFeeds(most=0, now=outlook_of(0.5 if "max_age" in target else None))
    answer = Client(feeds).get(target)
    assert answer.code == 503
    assert answer.headers["cache-control"].startswith("no-store")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert int(answer.headers["retry-after"]) >= 1


@pytest.mark.parametrize("path", ["/", "/snapshot", "/status", "/livez", "/readyz", "/nothing"])
def test_head_is_what_get_is_without_the_body(client: Client, path: str) -> None:
    got, head = client.get(path), client.head(path)
    assert (head.code, head.body) == (got.code, b"")
    assert len(got.body) > 0
    length = int(head.headers["content-length"])
    assert length == pytest.approx(len(got.body), abs=9 if path == "/status" else 0)  # it has ages
    assert head.headers["content-type"] == got.headers["content-type"]
    assert head.headers.keys() == got.headers.keys()


def test_nothing_is_changed_by_a_post(feeds: FakeFeeds, client: Client) -> None:
    for path in PATHS:
        answer = client.ask("POST", path)
        assert (answer.code, answer.headers["allow"]) == (405, "GET, HEAD, OPTIONS")
    assert feeds.asked == []


def test_the_page_has_relative_urls_only(client: Client) -> None:
    """It works below any prefix; `/webcam`, mjpg-streamer's name for it, leads to where they lead from."""
    for path in ("/", "/?action="):
        answer = client.get(path)
        assert answer.code == 200
        assert answer.headers["content-type"].startswith("text/html")
        assert answer.headers["cache-control"].startswith("no-store")
    assert '<noscript><img src="stream"' in answer.text
    for path in ("stream", "video", "snapshot", "status", "livez", "readyz"):
        assert f'href="{path}"' in answer.text
    assert not re.findall(r"""(?:src|href|fetch\()=?["'](?:/|http)""", answer.text)
    for path, to in (("/webcam", "./"), ("/webcam/", "../")):
        answer = client.get(path)
        assert (answer.code, answer.headers["location"]) == (302, to)
        assert "no-store" in answer.headers["cache-control"]


def test_nothing_is_drawn_where_requests_are_answered() -> None:
    """There is one thread for all requests, and a picture takes tens of milliseconds."""
    files = sorted((CHECKOUT / "server_proc" / "web").rglob("*.py"))
    assert len(files) > 5
    imported = set()
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                imported |= {name.name for name in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported |= {f"{node.module}.{name.name}" for name in node.names}
    assert "server_proc.live.outlook.Outlook" in imported, "it is seen what they import"
    drawing = ("PIL", "simplejpeg", "numpy", "server_proc.live.placeholder", "server_proc.live.placeholders")
    assert not {name for name in imported if any(f"{name}.".startswith(f"{one}.") for one in drawing)}
