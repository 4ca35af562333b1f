# SPDX-License-Identifier: MIT
"""The routes against a stand-in for the fan-out."""

from __future__ import annotations

import time
from typing import Any

import falcon.testing
import pytest

from server_proc.live.snapshot import Snapshot
from server_proc.live.ticket import Ticket
from server_proc.live.viewer import Viewer, ViewerFacts
from server_proc.web.app import create_app
from server_proc.web.status import ServiceFacts
from shm_ring.board import Reading
from shm_ring.frame import Frame, FrameFacts
from tests.fakes import jpeg_of, noise, rgb


class FakeLive:
    """A snapshot that the test sets, and places that it counts."""

    def __init__(self) -> None:
        self.snapshot = Snapshot()
        self.places = 1
        self.asked: dict[str, Any] = {}
        self.viewers: list[Viewer] = []

    def admit(self, *, address: str, extra_headers: bool) -> Ticket | None:
        self.asked = {"address": address, "extra_headers": extra_headers}
        if not self.places:
            return None
        self.places -= 1
        return Ticket(self.viewers.append, self._give_back, address=address, extra_headers=extra_headers)

    def _give_back(self) -> None:
        self.places += 1

    def show(self, age_s: float = 0.0, jpeg: bytes | None = None) -> Frame:
        captured_ns = time.monotonic_ns() - round(age_s * 1e9)
        facts = FrameFacts(captured_ns, 1_795_346_598_880_931_000, 64, 48)
        frame = Frame(41, facts, jpeg_of(noise(size=(128, 96))) if jpeg is None else jpeg)
        supervisor = Reading({"capture": {"state": "backoff", "last_reason": "killed by SIGKILL"}}, 0)
        self.snapshot = Snapshot(frame=frame, supervisor=supervisor)
        return frame


@pytest.fixture
def live() -> FakeLive:
    return FakeLive()


@pytest.fixture
def client(live: FakeLive) -> falcon.testing.TestClient:
    service = ServiceFacts("5eed", server_pid=77, max_viewers=1, started_ns=time.monotonic_ns())
    return falcon.testing.TestClient(create_app(live, service))


@pytest.mark.parametrize("path", ["/stream", "/video", "/video/", "/stream?1712345=&bypassCache=2"])
def test_a_stream_is_answered_with_a_ticket(
    live: FakeLive, client: falcon.testing.TestClient, path: str
) -> None:
    answer = client.simulate_get(path, headers={"Range": "bytes=0-"})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "multipart/x-mixed-replace; boundary=frame"
    assert answer.headers["cache-control"] == "no-store, no-cache, must-revalidate, max-age=0"
    assert answer.headers["x-accel-buffering"] == "no"
    assert answer.headers["x-instance"] == "5eed"
    assert live.asked == {"address": "127.0.0.1", "extra_headers": False}
    assert live.places == 1, "nobody took the connection over here, so the place came back"


def test_extra_headers_must_be_asked_for(live: FakeLive, client: falcon.testing.TestClient) -> None:
    client.simulate_get("/stream?extra_headers=1")
    assert live.asked["extra_headers"]


def test_head_takes_no_place_even_when_none_is_left(
    live: FakeLive, client: falcon.testing.TestClient
) -> None:
    live.places = 0
    answer = client.simulate_head("/stream")
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-type"].startswith("multipart/")
    assert live.asked == {}


def test_a_full_house_says_so(live: FakeLive, client: falcon.testing.TestClient) -> None:
    live.places = 0
    answer = client.simulate_get("/stream")
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "5"
    assert answer.text.startswith("All places are taken (--max-viewers 1)")


def test_a_snapshot_is_the_newest_frame_with_its_facts(
    live: FakeLive, client: falcon.testing.TestClient
) -> None:
    frame = live.show(age_s=0.1)
    answer = client.simulate_get("/snapshot")
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


@pytest.mark.parametrize("path", ["/snapshot", "/readyz"])
def test_an_old_picture_is_never_passed_off_as_live(
    live: FakeLive, client: falcon.testing.TestClient, path: str
) -> None:
    """A person may be driving a car by it."""
    answer = client.simulate_get(path)
    assert answer.status_code == 503
    assert "no frame yet; camera process: unknown" in answer.text
    live.show(age_s=1.5)
    answer = client.simulate_get(path)
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    assert answer.text == (
        "No live picture: the newest frame is 1.5 s old; camera process: backoff, "
        "last ended: killed by SIGKILL.\n"
    )


def test_ready_with_a_fresh_frame_and_alive_without(
    live: FakeLive, client: falcon.testing.TestClient
) -> None:
    assert client.simulate_get("/livez").status_code == 200
    live.show()
    assert client.simulate_get("/readyz").status_code == 200


def test_status_tells_everything_as_json(live: FakeLive, client: falcon.testing.TestClient) -> None:
    frame = live.show(age_s=0.2)
    now_ns = time.monotonic_ns()
    live.snapshot = Snapshot(
        frame=frame,
        viewers=(ViewerFacts(3, "10.0.0.9", 12.5, 250, 4),),
        capture=Reading({"name": "fake", "dropped": {"unusable": 2}}, now_ns - 4 * 10**9),
        supervisor=Reading(
            {"capture": {"restarts": {"killed by SIGKILL": 1}, "next_start_ns": now_ns + 3 * 10**9}}, now_ns
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
        "max": 1,
        "list": [{"id": 3, "address": "10.0.0.9", "watched_s": 12.5, "frames": 250, "skipped": 4}],
    }
    assert told["dropped"] == {"unusable": 2, "busy": 1, "too_big": 5}
    assert told["camera"] == {"name": "fake", "board_age_s": pytest.approx(4.0, abs=0.5)}
    assert told["server"]["pid"] == 77
    assert told["supervisor"]["capture"] == {
        "restarts": {"killed by SIGKILL": 1},
        "next_start_in_s": pytest.approx(3.0, abs=0.5),
    }
    assert client.simulate_get("/status").json["dropped"] == told["dropped"], "a snapshot is not changed"


def test_the_page_shows_the_picture_and_the_urls(client: falcon.testing.TestClient) -> None:
    answer = client.simulate_get("/", host='robot"><script>')
    assert answer.headers["content-type"].startswith("text/html")
    assert '<img src="/stream"' in answer.text
    assert 'robot"><script>' not in answer.text, "what a request says of itself is not trusted"
    assert 'let server = "5eed 77"' in answer.text, "it must notice even a server that dies at once"
    for path in ("/stream", "/video", "/snapshot", "/status", "/livez", "/readyz"):
        assert f'href="{path}"' in answer.text


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
