# SPDX-License-Identifier: MIT
"""The routes against a stand-in for the fan-out."""

from __future__ import annotations

import re
import time
from typing import Any

import falcon.testing
import pytest
import simplejpeg

from server_proc.live.house import Refusal
from server_proc.live.offer import PartForm
from server_proc.live.snapshot import Snapshot
from server_proc.live.ticket import Ticket
from server_proc.live.viewer import ViewerFacts, Wishes
from server_proc.live.waiting import Respond
from server_proc.web.app import create_app
from server_proc.web.status import ServiceFacts
from shm_ring.board import Reading
from shm_ring.frame import Frame, FrameFacts
from tests.fakes import FakeSeat, jpeg_of, noise, rgb

AGENT = falcon.testing.DEFAULT_UA
CHROME = {"Accept": "image/avif,*/*", "User-Agent": "Mozilla/5.0 Chrome/156.0"}


class FakeLive:
    """A snapshot that the test sets, and places that it counts."""

    def __init__(self) -> None:
        self.snapshot = Snapshot()
        self.places = 1
        self.refusal = Refusal.HOUSE_FULL
        self.asked: list[Wishes] = []
        self.waits_after: int | None = None
        self.respond: Respond | None = None

    def admit(self, wishes: Wishes) -> Ticket | Refusal:
        self.asked.append(wishes)
        if not self.places:
            return self.refusal
        self.places -= 1
        return Ticket(FakeSeat(self._give_back), lambda *_: None)

    def admit_waiting(self, wishes: Wishes, after: int, respond: Respond) -> Ticket | Refusal:
        self.waits_after, self.respond = after, respond
        return self.admit(wishes)

    def _give_back(self) -> None:
        self.places += 1

    def show(self, age_s: float = 0.0, jpeg: bytes | None = None) -> Frame:
        captured_ns = time.monotonic_ns() - round(age_s * 1e9)
        facts = FrameFacts(captured_ns, 1_795_346_598_880_931_000, 64, 48)
        frame = Frame(41, facts, jpeg_of(noise(size=(128, 96))) if jpeg is None else jpeg)
        camera = {
            "state": "backoff",
            "tries": 1,
            "restarts": {"killed by SIGKILL": 1},
            "last_reason": "killed by SIGKILL",
            "next_start_ns": None,
            "since_ns": 0,
        }
        self.snapshot = Snapshot(frame=frame, supervisor=Reading({"capture": camera}, time.monotonic_ns()))
        return frame


@pytest.fixture
def live() -> FakeLive:
    return FakeLive()


@pytest.fixture
def client(live: FakeLive) -> falcon.testing.TestClient:
    service = ServiceFacts(
        "5eed",
        server_pid=77,
        max_viewers=64,
        max_viewers_per_address=16,
        expected_size=(320, 240),
        started_ns=time.monotonic_ns(),
    )
    return falcon.testing.TestClient(create_app(live, service))


STREAMS = (
    "/stream", "/video", "/video/", "/stream?1712345=&bypassCache=2", "/video_feed", "/stream.mjpg",
    "/stream.mjpeg", "/api/stream.mjpeg", "/?action=stream", "/webcam/?action=stream",
    "/webcam?action=stream&1712345",
)  # fmt: skip
PICTURES = (
    "/snapshot", "/snapshot.jpg", "/shot.jpg", "/capture", "/api/frame.jpeg", "/?action=snapshot",
    "/webcam/?action=snapshot", "/webcam?action=snapshot",
)  # fmt: skip


@pytest.mark.parametrize("path", STREAMS)
def test_a_stream_is_answered_with_a_ticket(
    live: FakeLive, client: falcon.testing.TestClient, path: str
) -> None:
    """By all the paths that clients of other servers ask for."""
    answer = client.simulate_get(path, headers={"Range": "bytes=0-"})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "multipart/x-mixed-replace; boundary=frame"
    assert answer.headers["cache-control"] == "no-store, no-cache, must-revalidate, max-age=0"
    assert answer.headers["x-accel-buffering"] == "no"
    assert answer.headers["x-instance"] == "5eed"
    assert live.asked == [Wishes("127.0.0.1", user_agent=AGENT)]
    assert live.places == 1, "nobody took the connection over here, so the place came back"


@pytest.mark.parametrize(
    ("query", "headers", "expected"),
    [
        ("extra_headers=1", {}, {"form": PartForm.FACTS}),
        ("advance_headers=1", {}, {"form": PartForm.ADVANCED}),
        ("extra_headers=1&advance_headers=1", {}, {"form": PartForm.FACTS}),
        ("extra_headers=0", {}, {}),
        ("fps=2.5&key=car-7", {}, {"fps": 2.5, "key": "car-7"}),
        ("fps=3&fps=4", {}, {"fps": 4.0}),
        ("key=%0Aforged", {}, {"key": "?forged"}),
        ("", CHROME, {"form": PartForm.ADVANCED, "user_agent": CHROME["User-Agent"]}),
        ("advance_headers=0", CHROME, {"user_agent": CHROME["User-Agent"]}),
        ("", {**CHROME, "Accept": "text/html,image/avif"}, {"user_agent": CHROME["User-Agent"]}),
        ("", {**CHROME, "User-Agent": "Firefox/153.0"}, {"user_agent": "Firefox/153.0"}),
        ("", {"User-Agent": "é" * 200}, {"user_agent": "?" * 120}),
    ],
)
def test_what_a_client_wishes_is_heard(
    live: FakeLive,
    client: falcon.testing.TestClient,
    query: str,
    headers: dict[str, str],
    expected: dict[str, Any],
) -> None:
    client.simulate_get("/stream", query_string=query, headers=headers)
    assert live.asked == [Wishes("127.0.0.1", **{"user_agent": AGENT, **expected})]


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("/stream?fps=fast", "fps expects frames a second from 0.1 to 240; 'fast' came\n"),
        ("/stream?fps=0", "fps expects frames a second from 0.1 to 240; '0' came\n"),
        ("/stream?fps=nan", "fps expects frames a second from 0.1 to 240; 'nan' came\n"),
        ("/stream?extra_headers=yes", "extra_headers expects 0 or 1; 'yes' came\n"),
        (f"/stream?key={'k' * 65}", "key expects up to 64 characters; 65 came\n"),
        ("/snapshot?after=-1", "after expects a whole number from 0 on; '-1' came\n"),
        (
            "/snapshot?max_age_ms=x",
            "max_age_ms expects a whole number from 0 on; 'x' came\n",
        ),
    ],
)
def test_a_value_that_means_nothing_is_told(
    client: falcon.testing.TestClient, path: str, sentence: str
) -> None:
    answer = client.simulate_get(path)
    assert (answer.status_code, answer.text) == (400, sentence)


def test_head_takes_no_place_even_when_none_is_left(
    live: FakeLive, client: falcon.testing.TestClient
) -> None:
    live.places = 0
    answer = client.simulate_head("/stream")
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-type"].startswith("multipart/")
    assert live.asked == []


@pytest.mark.parametrize(
    ("refusal", "sentence"),
    [
        (Refusal.HOUSE_FULL, "All 64 places are taken (--max-viewers); try again soon."),
        (
            Refusal.ADDRESS_FULL,
            "All 16 places for one address are taken (--max-viewers-per-address), and this one is 127.0.0.1; "
            "close a stream and try again.",
        ),
    ],
)
def test_a_full_house_says_so(
    live: FakeLive, client: falcon.testing.TestClient, refusal: Refusal, sentence: str
) -> None:
    live.places, live.refusal = 0, refusal
    answer = client.simulate_get("/stream")
    assert (answer.status_code, answer.text) == (503, sentence + "\n")
    assert answer.headers["retry-after"] == "5"
    page = client.simulate_get("/stream", headers={"Accept": "text/html,*/*"})
    assert page.headers["content-type"].startswith("text/html")
    assert f"<p>{sentence}</p>" in page.text


def test_options_are_answered(client: falcon.testing.TestClient) -> None:
    assert client.simulate_options("/stream").headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize("path", PICTURES)
def test_a_snapshot_is_the_newest_frame_with_its_facts(
    live: FakeLive, client: falcon.testing.TestClient, path: str
) -> None:
    frame = live.show(age_s=0.1)
    answer = client.simulate_get(path)
    assert (answer.status_code, answer.content) == (200, frame.jpeg)
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["content-length"] == str(len(frame.jpeg))
    assert answer.headers["x-sequence"] == "41"
    assert answer.headers["x-timestamp"] == "1795346598.880931"
    assert 100 <= int(answer.headers["x-age-ms"]) < 1000
    assert "no-store" in answer.headers["cache-control"]


def test_a_short_snapshot_is_made_up_as_in_a_stream(
    live: FakeLive, client: falcon.testing.TestClient
) -> None:
    live.show(jpeg=jpeg_of(rgb()))
    assert len(client.simulate_get("/snapshot").content) >= 4096


def test_an_old_picture_is_never_passed_off_as_ready(
    live: FakeLive, client: falcon.testing.TestClient
) -> None:
    """A person may be driving a car by it."""
    answer = client.simulate_get("/readyz")
    assert answer.status_code == 503
    assert "no frame yet; camera process: unknown" in answer.text
    live.show(age_s=1.5)
    answer = client.simulate_get("/readyz")
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    assert answer.text == (
        "No live picture: the newest frame is 1.5 s old; camera process: backoff, "
        "last ended: killed by SIGKILL.\n"
    )


def test_without_a_live_picture_a_snapshot_says_so_as_a_picture(
    live: FakeLive, client: falcon.testing.TestClient
) -> None:
    """Browsers show it, and OctoPrint and Home Assistant take it for the failure that it is."""
    for size in ((320, 240), (64, 48)):
        answer = client.simulate_get("/snapshot")
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "1"
        assert answer.headers["content-type"] == "image/jpeg"
        assert "x-sequence" not in answer.headers
        assert len(answer.content) >= 4096
        assert simplejpeg.decode_jpeg_header(answer.content)[1::-1] == size
        live.show(age_s=1.5, jpeg=jpeg_of(rgb()))
    assert answer.headers["x-reason"].startswith("the newest frame is 1.5 s old; camera process: backoff")


def test_a_snapshot_older_than_wanted_is_refused(live: FakeLive, client: falcon.testing.TestClient) -> None:
    live.show(age_s=0.3)
    assert client.simulate_get("/snapshot?max_age_ms=200").status_code == 503
    assert client.simulate_get("/snapshot?max_age_ms=900").status_code == 200


def test_a_snapshot_waits_for_a_frame_that_is_newer(
    live: FakeLive, client: falcon.testing.TestClient
) -> None:
    """No thread waits for it: it is a ticket of one frame."""
    frame = live.show()
    assert client.simulate_get("/snapshot?after=40").headers["x-sequence"] == "41"
    assert client.simulate_get("/snapshot?after=99").headers["x-sequence"] == "41", (
        "of another life of the service"
    )
    assert live.respond is None
    client.simulate_get("/snapshot?after=41")
    assert live.waits_after == 41
    assert live.respond is not None
    head, _, body = live.respond(frame).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\n")
    assert b"\r\nX-Sequence: 41\r\n" in head
    assert head.endswith(b"\r\nContent-Length: %d\r\nConnection: close" % len(frame.jpeg))
    assert body == frame.jpeg
    head = live.respond(None).partition(b"\r\n\r\n")[0]
    assert head.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    assert b"\r\nRetry-After: 1\r\n" in head
    live.show(age_s=9.0)
    client.simulate_get("/snapshot?after=7")
    assert live.waits_after == 7, "an old frame is not what it waits for"


def test_ready_with_a_fresh_frame_and_alive_without(
    live: FakeLive, client: falcon.testing.TestClient
) -> None:
    assert client.simulate_get("/livez").status_code == 200
    live.show()
    assert client.simulate_get("/readyz").status_code == 200


def test_status_tells_everything_as_json(live: FakeLive, client: falcon.testing.TestClient) -> None:
    frame = live.show(age_s=0.2)
    now_ns = time.monotonic_ns()
    viewer = ViewerFacts(3, "10.0.0.9", "curl", "car", 1.7e9, 12.5, 250, 4, 99, 20.0, 0, "live", 0.1)
    live.snapshot = Snapshot(
        frame=frame,
        viewers=(viewer,),
        capture=Reading({"name": "fake", "dropped": {"unusable": 2}}, now_ns - 4 * 10**9),
        supervisor=Reading(
            {
                "capture": {
                    "restarts": {"killed by SIGKILL": 1},
                    "next_start_ns": now_ns + 3 * 10**9,
                    "since_ns": now_ns - 5 * 10**9,
                }
            },
            now_ns,
        ),
        dropped_busy=1,
        dropped_too_big=5,
    )
    told = client.simulate_get("/status").json
    assert (told["instance"], told["ready"], told["reason"]) == ("5eed", True, None)
    assert told["frame"]["sequence"] == 41
    assert 200 <= told["frame"]["age_ms"] < 1000
    assert told["viewers"] == {
        "count": 1,
        "max": 64,
        "max_per_address": 16,
        "list": [{**without_key(viewer), "mine": False}],
    }
    assert told["dropped"] == {"unusable": 2, "busy": 1, "too_big": 5}
    assert told["camera"] == {"name": "fake", "board_age_s": pytest.approx(4.0, abs=0.5)}
    assert told["server"]["pid"] == 77
    assert told["supervisor"]["capture"] == {
        "restarts": {"killed by SIGKILL": 1},
        "next_start_in_s": pytest.approx(3.0, abs=0.5),
        "for_s": pytest.approx(5.0, abs=0.5),
    }
    assert client.simulate_get("/status").json["dropped"] == told["dropped"], "a snapshot is not changed"


def without_key(viewer: ViewerFacts) -> dict[str, Any]:
    return {name: fact for name, fact in viewer._asdict().items() if name != "key"}


def test_a_viewer_finds_itself_by_its_key_and_no_answer_has_one(
    live: FakeLive, client: falcon.testing.TestClient
) -> None:
    """Whoever knows a key can take its viewer's place; all ask within the time that an answer is kept."""
    viewers = [
        ViewerFacts(number, "10.0.0.9", "curl", key, 1.7e9, 12.5, 250, 4, 99, 20.0, 0, "live", 0.1)
        for number, key in enumerate(("car", "wall", ""))
    ]
    live.snapshot = Snapshot(viewers=tuple(viewers))

    def mine(query: str) -> list[int]:
        told = client.simulate_get("/status", query_string=query)
        assert not {"car", "wall", '"key"'} & set(re.findall(r'"?\w+"?', told.text))
        return [viewer["id"] for viewer in told.json["viewers"]["list"] if viewer["mine"]]

    for _ in range(2):
        assert [mine(query) for query in ("key=car", "key=wall", "key=", "key=Car", "")] == [
            [0],
            [1],
            [],
            [],
            [],
        ]
    assert client.simulate_get(f"/status?key={'k' * 65}").status_code == 400


def test_the_page_has_relative_urls_only(client: falcon.testing.TestClient) -> None:
    """It works below any prefix; `/webcam`, mjpg-streamer's name for it, leads to where they lead from."""
    answer = client.simulate_get("/", host='robot"><script>')
    assert answer.headers["content-type"].startswith("text/html")
    assert 'robot"><script>' not in answer.text, "what a request says of itself is not trusted"
    assert '<noscript><img src="stream"' in answer.text
    for path in ("stream", "video", "snapshot", "status", "livez", "readyz"):
        assert f'href="{path}"' in answer.text
    assert not re.findall(r"""(?:src|href|fetch\()=?["'](?:/|http)""", answer.text)
    for path, to in (("/webcam", "./"), ("/webcam/", "../")):
        answer = client.simulate_get(path)
        assert (answer.status_code, answer.headers["location"]) == (302, to)
        assert "no-store" in answer.headers["cache-control"]


@pytest.mark.parametrize("path", ["/", "/snapshot", "/status", "/livez", "/readyz"])
def test_head_is_answered_everywhere(live: FakeLive, client: falcon.testing.TestClient, path: str) -> None:
    live.show()
    answer = client.simulate_head(path)
    assert (answer.status_code, answer.content) == (200, b"")


def test_nothing_is_changed_by_a_post(client: falcon.testing.TestClient) -> None:
    assert client.simulate_post("/stream").status_code == 405
    missing = client.simulate_get("/etc/passwd", headers={"Accept": "application/xml"})
    assert missing.status_code == 404
    assert missing.text == "404 Not Found. The page at / lists what there is.\n"
