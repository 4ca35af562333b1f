# SPDX-License-Identifier: MIT
"""One viewer over a real TCP connection on loopback, whose client reads when it is told to."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from server_proc.live.offer import Offer
from server_proc.live.viewer import Outcome, Viewer
from shm_ring.frame import Frame, FrameFacts

OPENING = b"HEAD\r\n\r\n--frame\r\n"


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """The server's end and the client's."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        client = socket.create_connection(listening.getsockname())
        server, _ = listening.accept()
    server.setblocking(False)
    client.settimeout(10)
    with client, server:
        yield server, client


def offer(sequence: int, length: int = 1000) -> Offer:
    facts = FrameFacts(captured_ns=0, captured_unix_ns=0, width_px=64, height_px=48)
    jpeg = b"\xff\xd8" + bytes(max(length, 4096)) + b"\xff\xd9"
    return Offer(Frame(sequence, facts, jpeg))


def start(viewer: Viewer, first: Offer, now_s: float = 0.0) -> None:
    """Do as the fan-out does at the first edge."""
    assert viewer.go_on(now_s) is Outcome.SENT
    assert viewer.offer(first, now_s) is Outcome.SENT


def viewer_on(connection: socket.socket, *, extra_headers: bool = False) -> Viewer:
    viewer = Viewer(connection, OPENING, address="127.0.0.1", extra_headers=extra_headers)
    viewer.admitted(1, now_s=0.0, seen_before=0)
    return viewer


def read_exactly(client: socket.socket, count: int) -> bytes:
    came = b""
    while len(came) < count:
        came += client.recv(count - len(came)) or pytest.fail(f"the end came after {len(came)} bytes")
    return came


def test_the_opening_and_the_newest_frame_go_out_at_the_first_edge(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    server, client = ends
    viewer = viewer_on(server)
    start(viewer, offer(5))
    expected = OPENING + offer(5).plain
    assert read_exactly(client, len(expected)) == expected
    assert (viewer.sequence, viewer.frames) == (5, 1)


def test_a_viewer_that_stops_reading_skips_frames_and_no_part_is_torn(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    server, client = ends
    viewer = viewer_on(server)
    viewer.go_on(0.0)
    sequence = 1
    while viewer.offer(last := offer(sequence, 300_000), 0.0) is Outcome.SENT:
        sequence += 1
    begun = viewer.sequence
    for _ in range(10):
        last = offer(sequence := sequence + 1, 300_000)
        assert viewer.offer(last, 0.0) is Outcome.BUSY
    came = b""
    while viewer.blocked or viewer.sequence != sequence:
        came += client.recv(1 << 20)
        if viewer.go_on(0.0) is Outcome.SENT and viewer.sequence != sequence:
            viewer.offer(last, 0.0)
    viewer.end()
    while rest := client.recv(1 << 20):
        came += rest
    expected = [offer(number, 300_000).plain for number in [*range(1, begun + 1), sequence]]
    assert came == OPENING + b"".join(expected)
    assert viewer.facts(2.0, seen=sequence).skipped == sequence - begun - 1


def test_an_opening_that_is_not_taken_blocks_the_viewer(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    """It must be let go after a while as any other that takes nothing."""
    server, _ = ends
    viewer = Viewer(server, bytes(20_000_000), address="127.0.0.1", extra_headers=False)
    viewer.admitted(1, now_s=0.0, seen_before=0)
    assert viewer.go_on(0.0) is Outcome.BUSY
    assert viewer.blocked


def test_a_repeat_is_sent_once_more_and_counts_as_no_frame(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    server, client = ends
    viewer = viewer_on(server)
    start(viewer, offer(1))
    assert viewer.repeat(offer(1), 1.0) is Outcome.SENT
    assert viewer.repeated
    expected = OPENING + offer(1).plain * 2
    assert read_exactly(client, len(expected)) == expected
    assert viewer.frames == 1
    viewer.offer(offer(2), 1.0)
    assert not viewer.repeated


def test_extra_headers_go_to_those_who_asked(ends: tuple[socket.socket, socket.socket]) -> None:
    server, client = ends
    viewer = viewer_on(server, extra_headers=True)
    start(viewer, offer(1))
    assert b"X-Sequence: 1\r\n" in read_exactly(client, 1000)


def test_a_client_that_went_is_found_gone(ends: tuple[socket.socket, socket.socket]) -> None:
    server, client = ends
    viewer = viewer_on(server)
    viewer.go_on(0.0)
    client.close()
    outcomes = [viewer.offer(offer(n), 0.0) for n in range(1, 50)]
    assert Outcome.GONE in outcomes


def test_the_end_is_a_fin_and_no_reset_whatever_the_client_said_meanwhile(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    """Chromium blanks the picture on a reset, and ffmpeg reports invalid data."""
    server, client = ends
    viewer = viewer_on(server)
    start(viewer, offer(1))
    client.sendall(b"GET /nobody-reads-this HTTP/1.1\r\n\r\n" * 100)
    viewer.end()
    expected = OPENING + offer(1).plain
    assert read_exactly(client, len(expected)) == expected
    assert client.recv(1) == b""


def test_a_frame_never_waits_for_another(ends: tuple[socket.socket, socket.socket]) -> None:
    """Without TCP_NODELAY the last small write of a frame waits 40 ms for an acknowledgement."""
    viewer_on(ends[0])
    assert ends[0].getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert ends[0].getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT) == 16 * 1024
    assert ends[0].getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
