# SPDX-License-Identifier: MIT
"""One viewer over a real TCP connection on loopback, whose client reads when it is told to."""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
from collections.abc import Iterator
from typing import Any, cast

import pytest

from server_proc.live.connection import Connection, Outcome
from server_proc.live.feed import Feed
from server_proc.live.freshness import Freshness
from server_proc.live.head import Head
from server_proc.live.offer import Offer, PartForm
from server_proc.live.totals import Totals
from server_proc.live.viewer import Viewer
from server_proc.live.wishes import Wishes
from shm_ring.frame import Frame, FrameFacts
from tests.conditions import eventually
from tests.fakes import FakeSeat

OPENING = b"HEAD\r\n\r\n--frame\r\n"


class FakeHead(Head):
    """One that does not change with the time."""

    def encode(self) -> bytes:
        return b"HEAD\r\n\r\n"


class FakePlaceholders:
    def __init__(self) -> None:
        self.current: Offer | None = None
        self.number = 0


class FakeFeed:
    """As much of a feed as a viewer looks at."""

    def __init__(self) -> None:
        self.newest: Offer | None = None
        self.live = True
        self.period_s = 0.05
        self.placeholders = FakePlaceholders()


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
    made = Offer(Frame(sequence, facts, jpeg))
    made.join()
    return made


def start(viewer: Viewer, first: Offer, now_s: float = 0.0) -> None:
    """Do as the fan-out does at the first edge."""
    assert viewer.go_on(now_s) is Outcome.SENT
    assert viewer.on_frame(first, now_s) is Outcome.SENT


def viewer_on(connection: socket.socket, feed: FakeFeed | None = None, **wishes: Any) -> Viewer:
    viewer = Viewer(
        connection,
        b"",
        FakeHead("1.1", "200 OK"),
        seat=FakeSeat(),
        wishes=Wishes("127.0.0.1", **wishes),
        feed=cast(Feed, feed or FakeFeed()),
        totals=Totals(),
    )
    viewer.welcome(0.0)
    return viewer


def _sequence(viewer: Viewer) -> int:
    assert viewer.shown is not None
    return viewer.shown.sequence


def read_exactly(client: socket.socket, count: int) -> bytes:
    came = b""
    while len(came) < count:
        came += client.recv(count - len(came)) or pytest.fail(f"the end came after {len(came)} bytes")
    return came


def opened(server: socket.socket, client: socket.socket, **wishes: Any) -> Viewer:
    """Return a viewer whose opening was read."""
    viewer = viewer_on(server, **wishes)
    assert viewer.go_on(0.0) is Outcome.SENT
    advanced = wishes.get("form") is PartForm.ADVANCED
    read_exactly(client, len(OPENING) + advanced * len(b"Content-Type: image/jpeg\r\n\r\n"))
    return viewer


def test_the_opening_and_the_newest_frame_go_out_at_the_first_edge(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    server, client = ends
    viewer = viewer_on(server)
    start(viewer, offer(5))
    expected = OPENING + offer(5).plain
    assert read_exactly(client, len(expected)) == expected
    assert (_sequence(viewer), viewer.frames) == (5, 1)


def test_a_viewer_that_stops_reading_skips_frames_and_no_part_is_torn(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    server, client = ends
    feed = FakeFeed()
    viewer = viewer_on(server, feed)
    viewer.go_on(0.0)
    sequence = 1
    while viewer.on_frame(last := offer(sequence, 300_000), 0.0) is Outcome.SENT:
        sequence += 1
    begun = _sequence(viewer)
    for _ in range(10):
        last = offer(sequence := sequence + 1, 300_000)
        assert viewer.on_frame(last, 0.0) is Outcome.BUSY
    came = b""
    feed.newest = last
    while viewer.blocked or _sequence(viewer) != sequence:
        came += client.recv(1 << 20)
        viewer.on_edge(0.0, ended=False, half_closed=False)
    viewer.end("test", 0.0)
    while rest := client.recv(1 << 20):
        came += rest
    expected = [offer(number, 300_000).plain for number in [*range(1, begun + 1), sequence]]
    assert came == OPENING + b"".join(expected)
    assert viewer.facts(2.0).skipped == sequence - begun - 1


def test_an_opening_that_is_not_taken_blocks_the_connection(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    """It must be disconnected after a while like any other that reads nothing."""
    server, _ = ends
    connection = Connection(server, bytes(20_000_000), seat=FakeSeat())
    connection.admitted(0.0)
    assert connection.go_on(0.0) is Outcome.BUSY
    assert connection.blocked


def test_a_repeat_is_sent_once_more_and_counts_as_no_frame(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    server, client = ends
    feed = FakeFeed()
    viewer = viewer_on(server, feed)
    feed.newest = offer(1)
    start(viewer, feed.newest)
    assert viewer.on_look(0.3) is Outcome.SENT
    assert viewer.freshness is Freshness.REPEAT
    expected = OPENING + offer(1).plain * 2
    assert read_exactly(client, len(expected)) == expected
    assert viewer.frames == 1
    viewer.on_frame(offer(2), 1.0)
    assert viewer.freshness.value == "live"


def test_extra_headers_go_to_those_who_asked(ends: tuple[socket.socket, socket.socket]) -> None:
    server, client = ends
    viewer = viewer_on(server, form=PartForm.FACTS)
    start(viewer, offer(1))
    assert b"X-Sequence: 1\r\n" in read_exactly(client, 1000)


def test_a_placeholder_counts_as_no_frame_and_keeps_the_last_sequence(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    server, client = ends
    feed = FakeFeed()
    viewer = viewer_on(server, feed, form=PartForm.FACTS)
    start(viewer, offer(3))
    feed.live = False
    feed.placeholders.current, feed.placeholders.number = offer(3), 1
    assert viewer.on_look(2.0) is Outcome.SENT
    assert viewer.on_look(2.1) is Outcome.SENT, "and not twice"
    came = read_exactly(client, len(OPENING) + 2 * len(offer(3).plain))
    assert came.count(b"X-Sequence: 3\r\n") == 2
    assert b"X-Freshness: placeholder\r\n" in came
    assert (viewer.frames, _sequence(viewer)) == (1, 3)
    assert viewer.freshness is Freshness.PLACEHOLDER


def test_the_next_head_goes_out_with_the_frame_before_it_where_it_is_wanted(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    server, client = ends
    viewer = opened(server, client, form=PartForm.ADVANCED)
    viewer.on_frame(offer(1), 0.0)
    jpeg = offer(1).frame.jpeg
    expected = jpeg + b"\r\n--frame\r\nContent-Type: image/jpeg\r\n\r\n"
    assert read_exactly(client, len(expected)) == expected


@pytest.mark.parametrize(("fps", "expected"), [(1, 11), (5, 51), (15, 151), (60, 200)])
def test_a_stream_is_thinned_to_the_rate_that_is_wanted(
    ends: tuple[socket.socket, socket.socket], fps: float, expected: int
) -> None:
    """Ten seconds of a camera with 20 frames a second that are up to 5 ms early or late."""
    server, client = ends
    viewer = opened(server, client, fps=fps)
    early = 0
    for number in range(200):
        now_s = 100 + number / 20 + (-0.005, 0.0, 0.005)[number % 3]
        outcome = viewer.on_frame(offer(number + 1), now_s)
        early += outcome is Outcome.EARLY
        if outcome is Outcome.SENT:
            read_exactly(client, len(offer(number + 1).plain))
    assert viewer.frames == pytest.approx(expected, abs=2)
    assert viewer.frames + early == 200


def test_facts_say_how_far_behind_a_viewer_is(ends: tuple[socket.socket, socket.socket]) -> None:
    server, client = ends
    feed = FakeFeed()
    viewer = opened(server, client, feed=feed, user_agent="curl", key="car")
    for number in range(1, 21):
        feed.newest = offer(number)
        viewer.on_frame(feed.newest, number / 20)
        read_exactly(client, len(offer(number).plain))
    viewer.on_look(1.0)
    feed.newest = offer(30)
    feed.newest.captured_ns = 700_000_000
    facts = viewer.facts(2.0)
    assert (facts.user_agent, facts.address) == ("curl", "127.0.0.1")
    assert (facts.frames, facts.skipped, facts.behind_ms) == (20, 0, 700)
    assert (facts.fps, facts.freshness, facts.quiet_s) == (20.0, "live", 1.0)
    assert facts.bytes == 20 * len(offer(1).plain) + len(OPENING)
    assert (facts.id, facts.watched_s) == (1, 2.0)
    assert "car" not in repr(facts)


class SilentSocket:
    """A socket whose peer acknowledges nothing: of struct tcp_info the two fields that count are set."""

    family = socket.AF_INET

    def __init__(self, unacknowledged: int, last_ack_ms: int) -> None:
        self._told = struct.pack("=24xI28xI", unacknowledged, last_ack_ms)

    def send(self, _content: bytes, _flags: int = 0) -> int:
        raise BlockingIOError

    def getsockopt(self, _level: int, _name: int, _length: int) -> bytes:
        return self._told


@pytest.mark.parametrize(
    ("unacknowledged", "last_ack_ms", "expected"), [(3, 10_000, True), (3, 9_999, False), (0, 60_000, False)]
)
def test_a_peer_is_silent_that_acknowledges_nothing_of_what_is_on_the_way(
    unacknowledged: int, last_ack_ms: int, expected: bool
) -> None:
    """The machine is off, or has left the network; test_lost_network.py has the real one."""
    silent = cast(socket.socket, SilentSocket(unacknowledged, last_ack_ms))
    assert Connection(silent, b"", seat=FakeSeat()).is_silent(10.0) is expected


def test_a_peer_that_only_pauses_is_not_silent(ends: tuple[socket.socket, socket.socket]) -> None:
    """It has acknowledged what its kernel has room for."""
    server, _ = ends
    connection = Connection(server, b"", seat=FakeSeat())
    connection.admitted(0.0)
    while connection.begin(bytes(1 << 20), 0.0) is Outcome.SENT:
        pass
    assert connection.blocked
    eventually(lambda: not connection.is_silent(0.0))


def test_who_pours_data_in_is_ended_all_the_same(ends: tuple[socket.socket, socket.socket]) -> None:
    """`cat /dev/zero` at the other end held the thread that serves everybody for as long as it liked."""
    server, client = ends
    viewer = viewer_on(server)
    client.settimeout(5)
    stop = threading.Event()

    def pour() -> None:
        with contextlib.suppress(OSError):
            while not stop.is_set():
                client.sendall(bytes(1 << 20))

    pouring = threading.Thread(target=pour, daemon=True)
    pouring.start()
    eventually(lambda: select.select([server], [], [], 0)[0])
    ending = threading.Thread(target=viewer.end, args=("test", 0.0), daemon=True)
    ending.start()
    ending.join(5)
    assert not ending.is_alive()
    stop.set()
    pouring.join(10)


def test_a_client_that_went_is_found_gone(ends: tuple[socket.socket, socket.socket]) -> None:
    server, client = ends
    viewer = viewer_on(server)
    viewer.go_on(0.0)
    client.close()
    outcomes = [viewer.on_frame(offer(n), 0.0) for n in range(1, 50)]
    assert Outcome.GONE in outcomes


def test_the_end_is_a_fin_and_no_reset_whatever_the_client_said_meanwhile(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    """Chromium blanks the picture on a reset, and ffmpeg reports invalid data."""
    server, client = ends
    viewer = viewer_on(server)
    start(viewer, offer(1))
    client.sendall(b"GET /nobody-reads-this HTTP/1.1\r\n\r\n" * 100)
    viewer.end("test", 0.0)
    expected = OPENING + offer(1).plain
    assert read_exactly(client, len(expected)) == expected
    assert client.recv(1) == b""


def test_a_frame_never_waits_for_another(ends: tuple[socket.socket, socket.socket]) -> None:
    """Without TCP_NODELAY the last small write of a frame waits 40 ms for an acknowledgement."""
    viewer_on(ends[0])
    assert ends[0].getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert ends[0].getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT) == 4096
    assert ends[0].getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


def test_a_viewer_on_a_unix_socket_gets_frames_and_is_never_called_silent() -> None:
    """Nginx on the same machine: TCP's options are unknown there, and nothing is acknowledged."""
    server, client = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    client.settimeout(10)
    with server, client:
        connection = Connection(server, OPENING, seat=FakeSeat())
        connection.admitted(0.0)
        assert connection.go_on(0.0) is Outcome.SENT
        assert read_exactly(client, len(OPENING)) == OPENING
        while connection.begin(bytes(1 << 20), 0.0) is Outcome.SENT:
            pass
        assert not connection.is_silent(0.0)
        assert connection.go_on(0.0) is Outcome.BUSY
        client.close()
        assert connection.go_on(0.0) is Outcome.GONE
