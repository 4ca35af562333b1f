# SPDX-License-Identifier: MIT
"""The bytes on the wire, from a whole service. Each rule says who breaks without it."""

from __future__ import annotations

import itertools
import os
import re
import select
import signal
import socket
import statistics
import time
from collections.abc import Iterator

import pytest
import simplejpeg

from tests.conditions import eventually
from tests.running import Ringcast

pytestmark = pytest.mark.process

HEAD = (
    "HTTP/1.1 200 OK\r\n"
    "Content-Type: multipart/x-mixed-replace; boundary=frame\r\n"
    "Cache-Control: no-store, no-cache, must-revalidate, max-age=0\r\n"
    "Pragma: no-cache\r\n"
    "Expires: 0\r\n"
    "Connection: close\r\n"
    "X-Content-Type-Options: nosniff\r\n"
    "X-Accel-Buffering: no\r\n"
    "Server: ringcast\r\n"
)
PART = re.compile(
    rb"Content-Type: image/jpeg\r\nContent-Length: (\d+)\r\nX-Timestamp: (\d+\.\d{6})\r\n\r\n", re.DOTALL
)
DELIMITER = b"--frame\r\n"
LEAST_PATIENCE_S = 3.0
"""After so long without a byte motion gives up, and nobody sooner."""


@pytest.fixture(scope="module")
def service() -> Iterator[Ringcast]:
    with Ringcast("--camera=pattern", "--fps=20") as running:
        running.ready()
        yield running


def ask(port: int, request: str) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", port), timeout=10)
    client.sendall(request.replace("\n", "\r\n").encode())
    return client


def read_until(client: socket.socket, condition: object, within_s: float = 10) -> bytes:
    """Read until `condition(bytes)` holds, or to the end."""
    assert callable(condition)
    came, deadline = b"", time.monotonic() + within_s
    while not condition(came):
        assert time.monotonic() < deadline, came[:2000]
        more = client.recv(1 << 16)
        if not more:
            break
        came += more
    return came


def parts_of(stream: bytes) -> list[tuple[float, bytes]]:
    """Return (timestamp, JPEG) of each whole part, and fail at the first byte that is out of place."""
    assert stream.startswith(DELIMITER), "no preamble: go2rtc and Fluidd take the first line for the boundary"
    at, found = len(DELIMITER), []
    while head := PART.match(stream, at):
        end = head.end() + int(head[1])
        if len(stream) < end + 2 + len(DELIMITER):
            break
        assert stream[end : end + 2 + len(DELIMITER)] == b"\r\n" + DELIMITER
        found.append((float(head[2]), stream[head.end() : end]))
        at = end + 2 + len(DELIMITER)
    assert len(stream) - at < 2_000_000
    assert b"Content-Type: image/jpeg\r\n".startswith(stream[at : at + 26]), stream[at : at + 200]
    return found


def stream_of(port: int, request: str, parts: int) -> tuple[str, list[tuple[float, bytes]]]:
    """Return an answer's head and its first parts."""
    with ask(port, request) as client:
        came = read_until(client, lambda came: came.count(b"\r\n" + DELIMITER) > parts)
    head, _, body = came.partition(b"\r\n\r\n")
    return head.decode() + "\r\n", parts_of(body)


def test_a_stream_is_answered_with_exactly_these_bytes(service: Ringcast) -> None:
    """Exact lengths for go2rtc, Mainsail, motionEye; image/jpeg for ffmpeg, OpenCV, VLC, GStreamer; never
    chunked for Synology and Android; the exact case of names for motionEye."""
    head, parts = stream_of(service.port, "GET /stream HTTP/1.1\nHost: x\n\n", 5)
    own = re.findall(
        r"(?:X-Instance: [0-9a-f]{8}|Date: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT)\r\n", head
    )
    assert len(own) == 2
    assert sorted(head.splitlines()) == sorted([*HEAD.splitlines(), *(line.strip() for line in own)])
    for _, jpeg in parts:
        assert (jpeg[:2], jpeg[-2:]) == (b"\xff\xd8", b"\xff\xd9"), "nothing before, nothing after"
        assert len(jpeg) >= 4096, "OctoEverywhere and CFNetwork hold back what is shorter"
        assert simplejpeg.decode_jpeg_header(jpeg)[:2] == (480, 640)
        assert b"Exif" not in jpeg[:64]
    stamps = [stamp for stamp, _ in parts]
    assert stamps == sorted(stamps)
    assert abs(stamps[-1] - time.time()) < 5


@pytest.mark.parametrize(
    "request_",
    [
        "GET /stream HTTP/1.0\n\n",  # motionEye
        "GET /?action=stream HTTP/1.1\nHost: x\nRange: bytes=0-\n\n",
        "GET /stream?1712345=&bypassCache=7 HTTP/1.1\nHost: x\nConnection: keep-alive\n\n",
    ],
)
def test_requests_as_clients_make_them_are_served(service: Ringcast, request_: str) -> None:
    head, parts = stream_of(service.port, request_, 2)
    assert head.split(" ", 1)[1].startswith("200 OK\r\n")
    assert "\r\nConnection: close\r\n" in head
    assert "Transfer-Encoding" not in head
    assert len(parts) >= 2


def test_head_gives_the_head_and_no_stream(service: Ringcast) -> None:
    with ask(service.port, "HEAD /stream HTTP/1.1\nHost: x\nConnection: close\n\n") as client:
        came = read_until(client, lambda _: False)
    assert came.startswith(b"HTTP/1.1 200 OK\r\n")
    assert came.endswith(b"\r\n\r\n")
    assert b"Content-Type: multipart/x-mixed-replace; boundary=frame\r\n" in came


def test_chromium_is_sent_the_next_head_with_each_frame(service: Ringcast) -> None:
    """Its <img> shows a frame when the head of the next one arrives: else a period late."""
    request = "GET /stream HTTP/1.1\nHost: x\nAccept: image/avif,*/*\nUser-Agent: Mozilla/5.0 Chrome/156\n\n"
    between = b"\r\n" + DELIMITER + b"Content-Type: image/jpeg\r\n\r\n"
    with ask(service.port, request) as client:
        came = read_until(client, lambda came: came.count(between) >= 4)
    body = came.partition(b"\r\n\r\n")[2]
    first, *frames, _ = (b"\r\n" + body).split(between)
    assert first == b""
    assert len(frames) >= 3
    for jpeg in frames:
        assert simplejpeg.decode_jpeg_header(jpeg)[:2] == (480, 640)
        assert b"\r\nContent-Length" not in jpeg


def test_a_thinned_stream_has_the_rate_that_was_asked_for(service: Ringcast) -> None:
    """By the times at which its frames were captured, and not by when a busy machine got round to them."""
    _, parts = stream_of(service.port, "GET /stream?fps=5 HTTP/1.1\nHost: x\n\n", 15)
    gaps_s = [later - earlier for (earlier, _), (later, _) in itertools.pairwise(parts)]
    assert 0.175 < statistics.median(gaps_s) < 0.225, "every fourth of 20 frames a second"


def test_the_end_of_a_stream_is_a_fin_after_a_whole_part() -> None:
    """Chromium blanks the picture on a reset, ffmpeg reports invalid data; no closing delimiter."""
    with Ringcast("--camera=pattern") as service:
        service.ready()
        with ask(service.port, "GET /stream HTTP/1.1\nHost: x\n\n") as client:
            began = read_until(client, lambda came: came.count(DELIMITER) > 3)
            client.sendall(b"what a viewer says is not heard\r\n" * 100)
            service.process.send_signal(signal.SIGTERM)
            stream = began + read_until(client, lambda _: False)
    assert stream.endswith(b"\r\n" + DELIMITER)
    assert b"--frame--" not in stream
    assert len(parts_of(stream.partition(b"\r\n\r\n")[2])) >= 3


def test_without_a_camera_the_head_comes_at_once_and_a_part_every_second() -> None:
    """motion gives up after 3 s, Home Assistant after 10, OpenCV after 30; and only ever a JPEG, for
    Chromium and WebKit stop for good at anything else."""
    with Ringcast("--camera=tests.fakes:NoCamera", "--size=320x240") as service:
        eventually(lambda: service.get("/livez")[0] == 200)
        asked_s = time.monotonic()
        with ask(service.port, "GET /stream HTTP/1.1\nHost: x\n\n") as client:
            came = read_until(client, lambda came: DELIMITER in came)
            times_s = [asked_s, time.monotonic()]
            for _ in range(5):
                came += read_until(client, lambda more: DELIMITER in more)
                times_s.append(time.monotonic())
    gaps_s = [later - earlier for earlier, later in itertools.pairwise(times_s)]
    assert statistics.median(gaps_s[2:]) < 1.5, "every second"
    assert max(gaps_s) < LEAST_PATIENCE_S
    shown = parts_of(came.partition(b"\r\n\r\n")[2])
    assert len({stamp for stamp, _ in shown}) == 1, "the time of the service's start"
    for _, jpeg in shown:
        assert len(jpeg) >= 4096
        assert simplejpeg.decode_jpeg_header(jpeg)[:2] == (240, 320)


def test_fifty_who_wait_for_a_frame_hold_no_thread() -> None:
    """Waitress has one thread for requests: one who waits in it would shut the house."""
    with Ringcast("--camera=pattern", "--stall-timeout-s=30") as service:
        service.ready()
        os.kill(service.capture_pid(), signal.SIGSTOP)
        newest = eventually(lambda: (now := service.status())["frame"]["age_ms"] > 1100 and now)["frame"][
            "sequence"
        ]
        request = f"GET /snapshot?after={newest} HTTP/1.1\nHost: x\n\n"
        waiting = [ask(service.port, request) for _ in range(50)]
        assert [service.get("/livez")[0] for _ in range(10)] == [200] * 10
        assert select.select(waiting, [], [], 0)[0] == [], "all fifty still wait"
        os.kill(service.capture_pid(), signal.SIGCONT)
        answers = [read_until(client, lambda _: False) for client in waiting]
    assert {answer.split(b"\r\n")[0] for answer in answers} == {b"HTTP/1.1 200 OK"}
    sequences = {int(re.search(rb"X-Sequence: (\d+)", answer)[1]) for answer in answers}  # type: ignore[index]
    assert min(sequences) > newest


def test_requests_that_were_queued_when_the_server_died_are_answered_by_the_next() -> None:
    """The supervisor holds the listening socket, and with it whoever waits there."""
    with Ringcast("--camera=pattern") as service:
        server = service.ready()["server"]["pid"]
        os.kill(server, signal.SIGSTOP)
        queued = [
            ask(service.port, "GET /livez HTTP/1.1\nHost: x\nConnection: close\n\n") for _ in range(100)
        ]
        os.kill(server, signal.SIGKILL)
        answers = [read_until(client, lambda _: False) for client in queued]
    assert all(answer.startswith(b"HTTP/1.1 200 OK\r\n") for answer in answers)
