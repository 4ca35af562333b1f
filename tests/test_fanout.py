# SPDX-License-Identifier: MIT
"""The fan-out over real sockets and a real ring, without Waitress and Falcon.

Nearly all of it under a clock that moves when it is told to, turn by turn in the test's own thread.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import simplejpeg

from server_proc.live.admission import Admission, Refusal
from server_proc.live.fanout import FanOut, Rings
from server_proc.live.feed import FeedRings
from server_proc.live.head import Answer, Head
from server_proc.live.offer import PartForm
from server_proc.live.outlook import Outlook
from server_proc.live.ticket import Ticket
from server_proc.live.viewer import ViewerFacts
from server_proc.live.wishes import Wishes
from shm_ring.board import BoardReader, BoardWriter
from shm_ring.doorbell import Doorbell
from shm_ring.frame import FrameFacts
from shm_ring.ring import RingReader, RingWriter
from shm_ring.segment import Segment
from shm_ring.status import CaptureStatus, ServerStatus, SupervisorStatus
from tests.conditions import eventually
from tests.fakes import FakeClock, jpeg_of, noise
from tests.mjpeg import StreamViewer
from tests.rows import capture_status, supervisor_status

HEAD = Head("1.1", "200 OK")
PHONE = "192.168.1.7"
SOMEBODY = Wishes("10.0.0.1")
JPEG = jpeg_of(noise(size=(256, 192)))
LARGE = jpeg_of(noise(size=(1024, 768)), 95)


class Client(StreamViewer):
    """A client's end of a connection, which reads when it is asked to."""

    def read(self) -> Client:
        """Take what has arrived."""
        while not self.ended:
            try:
                came = self.connection.recv(1 << 18)
            except BlockingIOError:
                break
            except OSError:
                came = b""
            if came:
                self.take(came, self.jpegs)
            else:
                self.ended = True
        return self

    def leave(self) -> None:
        """Reset the connection."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.connection.close()
        self.ended = True

    @property
    def freshness(self) -> list[str]:
        """What it was shown, in order."""
        return [seen.freshness for seen in self.read().seen]


class Rig:
    """A fan-out, and the writers of its rings."""

    def __init__(
        self, new_segment: Callable[..., int], max_viewers: int = 4, max_per_address: int = 16
    ) -> None:
        frames, capture, supervisor, server = (
            new_segment(slot_bytes=1 << 20), new_segment(), new_segment(), new_segment(),
        )  # fmt: skip
        bell = Doorbell.create()
        self.clock = FakeClock()
        self.unix_ahead_ns = time.time_ns() - self.clock.now_ns + 10**9
        self.frames = RingWriter(Segment(frames), [bell])
        self.capture = BoardWriter[CaptureStatus](RingWriter(Segment(capture)), self.clock.monotonic_ns)
        self.supervisor = BoardWriter[SupervisorStatus](
            RingWriter(Segment(supervisor)), self.clock.monotonic_ns
        )
        self.server_board = BoardReader(RingReader(Segment(server)), ServerStatus)
        self.turns = 0
        self.clients: list[socket.socket] = []
        """Kept, because a socket that is forgotten is closed."""
        self.readers: list[Client] = []
        self.admission = Admission(most=max_viewers, most_per_address=max_per_address, clock=self._now_s)
        self.fan_out = FanOut(
            Rings(
                FeedRings(
                    RingReader(Segment(frames)),
                    bell,
                    BoardReader(RingReader(Segment(capture)), CaptureStatus),
                ),
                BoardReader(RingReader(Segment(supervisor)), SupervisorStatus),
                BoardWriter(RingWriter(Segment(server))),
            ),
            self.admission,
            expected_size=(320, 240),
            web_turns=lambda: self.turns,
            clock=self._now_s,
        )

    def _now_s(self) -> float:
        return self.clock.now_ns / 1e9

    def turn(self) -> None:
        """Let the fan-out do what there is to do now, and those who read take what arrived."""
        quiet = 0
        while quiet < 2:
            self.fan_out.serve_once(0.001)
            self.fan_out._feed.placeholders._painter.submit(lambda: None).result()  # it has drawn
            before = [len(client.seen) for client in self.readers]
            seen = [len(client.read().seen) for client in self.readers]
            quiet = quiet + 1 if seen == before else 0

    def wait(self, seconds: float) -> None:
        """Let time pass in steps, as the fan-out would wake up, with Waitress alive."""
        end_ns = self.clock.now_ns + round(seconds * 1e9)
        while self.clock.now_ns < end_ns:
            self.clock.now_ns = min(end_ns, self.clock.now_ns + 50_000_000)
            self.turns += 1
            self.turn()

    def until(self, condition: Callable[[], Any]) -> None:
        """Go on without letting time pass: for what another thread or the kernel has to do."""

        def turned() -> Any:
            self.turn()
            return condition()

        eventually(turned)

    def publish(self, age_s: float = 0.0, jpeg: bytes = JPEG) -> None:
        captured_ns = self.clock.now_ns - round(age_s * 1e9)
        facts = FrameFacts(captured_ns, self.unix_ahead_ns + captured_ns, 256, 192)
        self.frames.publish(jpeg, facts.pack())
        self.turn()

    def connected(self) -> tuple[socket.socket, socket.socket]:
        """Return a client's end of a connection, and the server's."""
        with socket.create_server(("127.0.0.1", 0)) as listening:
            client = socket.create_connection(listening.getsockname())
            connection, _ = listening.accept()
        client.setblocking(False)
        self.clients.append(client)
        return client, connection

    def watch(self, *, reading: bool = True, **wishes: Any) -> Client:
        """Take a place and watch, or read nothing unless the test does."""
        client, connection = self.connected()
        ticket = self.fan_out.admit(Wishes(**{"address": PHONE, "form": PartForm.FACTS, **wishes}))
        assert isinstance(ticket, Ticket)
        ticket.hand_over(connection, b"", HEAD)
        viewer = Client(client)
        if reading:
            self.readers.append(viewer)
        self.turn()
        return viewer

    def wait_for_a_frame(self, after: int, key: str = "") -> socket.socket:
        """Return a client that waits for a frame; earlier answers on its connection left bytes unsent."""

        def ask(outlook: Outlook, _now_ns: int, may_wait: bool) -> Answer | None:
            if outlook.frame and outlook.frame.sequence != after:
                return Answer("200 OK", {"X-Sequence": str(outlook.frame.sequence)}, b"a frame")
            return None if may_wait else Answer("204 No Content")

        client, connection = self.connected()
        ticket = self.fan_out.admit_waiting(Wishes(PHONE, key=key), ask, 5.0)
        assert isinstance(ticket, Ticket)
        ticket.hand_over(connection, b"unsent", HEAD)
        self.turn()
        return client

    def facts(self) -> list[ViewerFacts]:
        return [facts for _, facts in self.fan_out.census().viewers]


def received(client: socket.socket) -> bytes:
    """Return what has arrived, and the mark `<end>` where the connection has ended."""
    came = b""
    while True:
        try:
            more = client.recv(1 << 16)
        except BlockingIOError:
            return came
        if not more:
            return came + b"<end>"
        came += more


@pytest.fixture
def rig(new_segment: Callable[..., int]) -> Rig:
    return Rig(new_segment)


def test_a_viewer_gets_the_newest_frame_at_once_and_then_each_new_one(rig: Rig) -> None:
    rig.publish()
    viewer = rig.watch()
    assert viewer.freshness == ["live"]
    for _ in range(4):
        rig.wait(0.05)
        rig.publish()
    assert [seen.sequence for seen in viewer.read().frames] == [1, 2, 3, 4, 5]
    assert viewer.fault is None


def test_without_a_new_frame_the_last_is_repeated_once(rig: Rig) -> None:
    """Chromium shows a frame when the next one starts: without it the last is never seen."""
    rig.publish()
    viewer = rig.watch()
    rig.wait(0.2)
    assert viewer.freshness == ["live"]
    rig.wait(0.1)
    assert viewer.freshness == ["live", "repeat"]
    live, repeat = viewer.seen
    assert (live.sequence, live.timestamp) == (repeat.sequence, repeat.timestamp)
    rig.wait(0.6)
    assert viewer.freshness == ["live", "repeat"]


def test_while_a_slow_camera_is_live_something_is_sent_every_second(rig: Rig) -> None:
    """Motion gives up after three seconds, Home Assistant after ten; a camera may take ten for a frame."""
    rig.capture.write(capture_status(period_s=10.0))
    rig.publish()
    viewer = rig.watch()
    thinned = rig.watch(fps=0.1)
    for _ in range(10):
        rig.wait(1.1)
    assert viewer.freshness == ["live"] + ["repeat"] * (len(viewer.seen) - 1)
    assert len(viewer.seen) >= 10
    assert len(thinned.read().seen) >= 10


def test_a_thinned_viewer_is_sent_something_every_second_while_frames_flow(rig: Rig) -> None:
    viewer = rig.watch(fps=0.2)
    for _ in range(100):
        rig.wait(0.05)
        rig.publish()
    assert viewer.freshness.count("live") == 1
    assert viewer.freshness.count("repeat") >= 3


def test_a_healthy_camera_is_never_called_dead_between_its_frames(rig: Rig) -> None:
    """`--fps 0.5 --stale-after 1` showed NO LIVE VIDEO every other second."""
    rig.fan_out._feed._asked_stale_after_s = 1.0
    rig.capture.write(capture_status(period_s=2.0))
    rig.publish()
    viewer = rig.watch()
    for _ in range(5):
        rig.wait(2.0)
        rig.publish()
    assert set(viewer.freshness) == {"live", "repeat"}


def test_places_are_counted_from_the_decision_on(rig: Rig) -> None:
    """Between the 200 and the hand-over a place must be neither lost nor given twice."""
    tickets = [rig.fan_out.admit(SOMEBODY) for _ in range(5)]
    assert tickets.pop() is Refusal.SERVER_FULL
    assert isinstance(tickets[0], Ticket)
    tickets[0].close()
    tickets[0].close()
    assert isinstance(rig.fan_out.admit(SOMEBODY), Ticket), "it was dropped at once"
    tickets.clear()
    viewers = [rig.watch() for _ in range(4)]
    assert rig.fan_out.admit(SOMEBODY) is Refusal.SERVER_FULL
    viewers[0].leave()
    rig.until(lambda: isinstance(rig.fan_out.admit(SOMEBODY), Ticket))


def test_ids_count_up_and_the_log_says_who_came_and_went(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    rig.publish()
    first = rig.watch(user_agent="VLC/3.0")
    rig.watch()
    assert "viewer #1 (192.168.1.7) connected with VLC/3.0" in caplog.text
    assert "viewer #2 (192.168.1.7) connected" in caplog.text
    rig.wait(2.5)
    first.leave()
    rig.until(lambda: "viewer #1 (192.168.1.7) disconnected: closed the connection" in caplog.text)
    assert "; watched 2.5 s, 1 frames, 0 skipped" in caplog.text


def test_the_outlook_and_the_facts_are_all_that_others_may_know(rig: Rig) -> None:
    rig.capture.write(capture_status(period_s=0.1))
    rig.publish()
    rig.watch()
    rig.wait(1.0)
    outlook = rig.fan_out.outlook()
    assert outlook.frame is not None
    assert outlook.frame.jpeg == JPEG
    assert outlook.period_s == 0.1
    assert outlook.capture is not None
    assert outlook.capture.row.name == "fake"
    assert [(facts.id, facts.frames, facts.skipped) for facts in rig.facts()] == [(1, 1, 0)]


def test_skipped_frames_are_counted_exactly(rig: Rig) -> None:
    """The first skip was hidden by the frame that a newcomer finds, and others by thinned ones."""
    rig.publish(jpeg=LARGE)
    stalled = rig.watch(reading=False)
    published = 1
    while rig.facts()[0].skipped < 5:
        rig.wait(0.05)
        rig.publish(jpeg=LARGE)
        published += 1
        assert published < 100
    sent = rig.facts()[0].frames
    assert sent + 5 + 1 == published, "all but the newest, which it may still get"
    rig.until(lambda: stalled.read() and len(stalled.frames) == sent + 1)
    assert stalled.frames[-1].sequence == published
    assert rig.facts()[0].skipped == 5


def test_the_heartbeat_stops_while_waitress_does(rig: Rig) -> None:
    """A server whose main loop or worker hangs answers nobody: it must be found hung."""
    rig.publish()
    rig.wait(1.1)
    turns = rig.turns

    def alive_ns() -> int:
        reading = rig.server_board.read()
        assert reading is not None
        return reading.row.alive_ns

    def without_waitress(seconds: int) -> int:
        for _ in range(20 * seconds):
            rig.clock.sleep(0.05)
            rig.publish()
        return alive_ns()

    assert without_waitress(2) == without_waitress(3), "a last beat, and none after it"
    assert rig.turns == turns
    before_ns = alive_ns()
    rig.wait(0.5)
    assert alive_ns() > before_ns


def test_the_board_says_at_once_that_the_picture_is_live_or_is_not(rig: Rig) -> None:
    """`systemctl status` said `live picture` for as long as the capture process ran."""

    def live() -> bool | None:
        reading = rig.server_board.read()
        return reading.row.live if reading else None

    rig.wait(1.0)
    assert live() is False
    rig.publish()
    assert live() is True
    rig.wait(0.95)
    assert live() is True
    rig.wait(0.1)
    assert live() is False
    rig.publish()
    rig.wait(0.55)
    assert live() is True


def test_while_nobody_watches_the_doorbell_wakes_nobody(rig: Rig) -> None:
    """It was most of what the server does all day."""
    rig.publish()
    rig.wait(3.0)
    rig.publish()
    rig.clock.sleep(0.01)
    assert rig.fan_out._epoll.poll(0.0) == []
    assert not rig.fan_out.outlook().is_newest
    rig.publish()
    viewer = rig.watch()
    assert viewer.freshness == ["live"]
    assert viewer.seen[0].sequence == 3, "a newcomer gets the newest all the same"
    assert rig.fan_out.outlook().is_newest


def test_an_outage_from_its_first_second_to_its_end(rig: Rig) -> None:
    """A person may be driving a car by it: an old picture must never look live."""
    rig.supervisor.write(supervisor_status(state="starting", tries=2, restarts={"stalled": 2}))
    rig.publish()
    viewer = rig.watch()
    rig.wait(0.95)
    assert viewer.freshness == ["live", "repeat"]
    rig.wait(0.1)
    assert viewer.freshness.count("placeholder") == 1
    rig.wait(3.0)
    assert 3 <= viewer.freshness.count("placeholder") <= 4, "once a second"
    live, repeat, *placeholders = viewer.seen
    assert (live.freshness, repeat.freshness) == ("live", "repeat")
    assert {seen.freshness for seen in placeholders} == {"placeholder"}
    assert {(seen.sequence, seen.timestamp) for seen in placeholders} == {(live.sequence, live.timestamp)}
    assert len({seen.digest for seen in placeholders}) == len(placeholders), "each says how long it has been"
    late = rig.watch()
    rig.until(lambda: late.freshness)
    assert late.freshness == ["placeholder"], "for who joins meanwhile too"
    rig.publish()
    assert viewer.freshness[-1] == late.freshness[-1] == "live"
    assert viewer.frames[-1].sequence == late.frames[-1].sequence == 2


def test_who_wants_no_placeholder_gets_the_last_frame_again_each_second(rig: Rig) -> None:
    """A detector raises an alarm on a drawn picture, and a recorder keeps it."""
    viewer = rig.watch(placeholder=False)
    rig.publish()
    rig.wait(5.5)
    rig.turn()
    assert viewer.freshness[0] == "live"
    assert set(viewer.freshness[1:]) == {"repeat"}
    assert 5 <= len(viewer.seen) <= 7
    assert len({(seen.digest, seen.timestamp) for seen in viewer.seen}) == 1
    late = rig.watch(placeholder=False)
    assert late.freshness == ["repeat"]
    assert late.seen[0].digest == viewer.seen[0].digest
    rig.publish()
    assert viewer.freshness[-1] == late.freshness[-1] == "live"


def test_before_any_frame_there_is_a_placeholder_of_the_size_that_is_expected(rig: Rig) -> None:
    viewer = rig.watch()
    rig.wait(0.3)
    rig.until(lambda: viewer.freshness)
    assert (viewer.seen[0].sequence, viewer.seen[0].freshness) == (0, "placeholder")
    assert simplejpeg.decode_jpeg_header(viewer.jpegs[0])[:2] == (240, 320)
    assert abs(viewer.seen[0].timestamp - time.time()) < 30


@pytest.mark.parametrize("size", [(65535, 65535), (64, 48)])
def test_no_bytes_of_a_picture_end_the_server(rig: Rig, size: tuple[int, int]) -> None:
    """Pillow calls a large size a bomb, by an exception that was expected of nobody; and it came again and
    again, because the next server found the same frame."""
    height_width = size[1].to_bytes(2, "big") + size[0].to_bytes(2, "big")
    bomb = JPEG.replace(b"\x00\xc0\x01\x00", height_width, 1)
    assert bomb != JPEG
    viewer = rig.watch()
    rig.publish(jpeg=bomb)
    rig.wait(1.1)
    rig.until(lambda: "placeholder" in viewer.freshness)


def test_a_key_replaces_its_own_ghost(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    """An app that lost its Wi-Fi comes back before its old connection is found dead."""
    caplog.set_level("INFO")
    rig.publish()
    ghost, other = rig.watch(key="car"), rig.watch()
    again = rig.watch(key="car", address="192.168.1.99")
    assert ghost.read().ended
    assert again.freshness == ["live"]
    rig.publish()
    assert other.freshness == ["live", "live"]
    assert not other.ended
    assert "viewer #1 (192.168.1.7) disconnected: replaced by a newer connection with its key" in caplog.text
    assert "car" not in caplog.text.replace("car,", "")


def test_where_an_address_is_full_its_quietest_viewer_makes_room(
    new_segment: Callable[..., int], caplog: pytest.LogCaptureFixture
) -> None:
    """Safari leaves zombies: connections that nobody reads."""
    caplog.set_level("INFO")
    rig = Rig(new_segment, max_viewers=9, max_per_address=2)
    rig.watch(reading=False)
    viewer = rig.watch()
    assert rig.fan_out.admit(Wishes(PHONE)) is Refusal.ADDRESS_FULL
    for _ in range(150):
        rig.wait(0.05)
        rig.publish(jpeg=LARGE)
    assert rig.facts()[0].quiet_s > 5
    newcomer = rig.watch()
    assert "disconnected: stopped reading, and a new client from its address needed the place" in caplog.text
    rig.publish()
    assert newcomer.freshness[-1] == "live"
    assert viewer.freshness[-1] == "live"
    assert [facts.id for facts in rig.facts()] == [2, 3]


def test_totals_outlive_viewers(rig: Rig) -> None:
    rig.publish()
    viewers = [rig.watch() for _ in range(2)]
    rig.publish()
    viewers[0].leave()
    rig.until(lambda: len(rig.facts()) == 1)
    totals = rig.fan_out.census().totals
    assert (totals.frames, totals.viewers, totals.watching, totals.sent) == (2, 2, 1, 2)
    assert totals.bytes > 2 * len(JPEG)
    assert totals.disconnected == {"closed the connection": 1}


def test_who_waits_for_a_frame_gets_it_and_nothing_else(rig: Rig) -> None:
    rig.publish()
    client = rig.wait_for_a_frame(after=1)
    rig.wait(0.5)
    assert received(client) == b"unsent"
    rig.publish()
    came = received(client)
    assert came.startswith(
        b"HTTP/1.1 200 OK\r\nX-Sequence: 2\r\nContent-Length: 7\r\nServer: ringcast\r\nDate: "
    )
    assert came.endswith(b"Connection: close\r\n\r\na frame<end>")
    assert rig.admission.places_taken == 0


def test_who_waits_in_vain_is_answered_at_the_deadline(rig: Rig) -> None:
    rig.publish()
    client = rig.wait_for_a_frame(after=1)
    rig.wait(4.9)
    assert received(client) == b"unsent"
    rig.wait(0.4)
    came = received(client)
    assert came.startswith(b"HTTP/1.1 204 No Content\r\n")
    assert came.endswith(b"\r\n\r\n<end>")


def test_who_waits_and_is_replaced_is_told_so(rig: Rig) -> None:
    rig.publish()
    viewer = rig.watch(key="car")
    first = rig.wait_for_a_frame(after=1, key="car")
    second = rig.wait_for_a_frame(after=1, key="car")
    came = received(first)
    assert came.startswith(b"unsentHTTP/1.1 503 Service Unavailable\r\n")
    assert came.endswith(b"No answer: replaced by a newer connection with its key.\n<end>")
    rig.publish()
    assert received(second).endswith(b"a frame<end>")
    assert not viewer.read().ended


def test_a_client_that_waits_and_leaves_is_forgotten(rig: Rig) -> None:
    clients = [rig.wait_for_a_frame(after=0) for _ in range(4)]
    assert rig.fan_out.admit(SOMEBODY) is Refusal.SERVER_FULL
    for client in clients:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # a reset
        client.close()
    rig.until(lambda: isinstance(rig.fan_out.admit(SOMEBODY), Ticket))


def test_who_joins_a_little_late_is_told_how_old_the_frame_is(rig: Rig) -> None:
    rig.publish(age_s=0.4)
    late = rig.watch().read()
    assert late.seen[0].age_ms == 400


def test_a_client_that_half_closes_is_served_on(rig: Rig) -> None:
    """Some tools close their sending side when they have asked."""
    viewer = rig.watch()
    viewer.connection.shutdown(socket.SHUT_WR)
    for number in range(1, 4):
        rig.publish()
        assert len(viewer.read().frames) == number


def test_who_left_while_the_camera_is_away_is_forgotten(rig: Rig) -> None:
    """Nothing is sent then, so nothing fails; the house would fill with viewers that are gone."""
    viewers = [rig.watch() for _ in range(4)]
    for viewer in viewers:
        viewer.connection.shutdown(socket.SHUT_RDWR)
        viewer.connection.close()
    rig.wait(30)
    assert rig.facts() == []
    assert isinstance(rig.fan_out.admit(SOMEBODY), Ticket)


def test_no_newcomer_gets_the_events_of_a_connection_that_ended(rig: Rig) -> None:
    """A descriptor is used again at once."""
    rig.publish()
    for _ in range(50):
        viewers = [rig.watch() for _ in range(2)]
        viewers[0].leave()
        rig.publish()
        assert viewers[1].read().frames
        viewers[1].leave()
        rig.until(lambda: rig.facts() == [])


def test_a_fan_out_without_guests_never_spins(rig: Rig) -> None:
    """A repeat that was due to somebody who has left kept it awake, a thousand turns a second."""
    rig.publish()
    viewer = rig.watch()
    viewer.leave()
    rig.until(lambda: rig.facts() == [])
    for _ in range(20):
        rig.wait(0.05)
        rig.publish()
        now_s = rig.clock.now_ns / 1e9
        assert min(rig.fan_out._look_due_s, rig.fan_out._feed.repeat_due_s) > now_s


def test_a_live_camera_is_not_called_dead_while_nobody_watches(rig: Rig) -> None:
    rig.fan_out._feed._asked_stale_after_s = 0.25
    rig.capture.write(capture_status(period_s=0.1))
    rig.publish()
    rig.wait(3.0)
    for number in range(40):
        rig.wait(0.05)
        if number % 2:
            rig.publish()
        if number > 10:
            assert rig.fan_out.outlook().is_live(rig.clock.now_ns)


@pytest.mark.parametrize(("asked_s", "stale_after_s"), [(None, 3.0), (0.5, 0.5)])
def test_a_frame_grows_stale_later_where_the_camera_is_slow_unless_it_is_asked_for(
    rig: Rig, asked_s: float | None, stale_after_s: float
) -> None:
    """A driver who asks for half a second gets it in the dark as well."""
    rig.fan_out._feed._asked_stale_after_s = asked_s
    rig.capture.write(capture_status(period_s=1.0, nominal_period_s=0.05))
    rig.publish()
    rig.wait(0.2)
    assert rig.fan_out.outlook().stale_after_s == stale_after_s


def test_the_first_viewer_after_a_while_is_shown_what_is_so_now(rig: Rig) -> None:
    """Neither a frame that grew stale unnoticed, nor a placeholder of the outage's first seconds."""
    rig.publish()
    first = rig.watch()
    rig.wait(2.0)
    rig.until(lambda: "placeholder" in first.freshness)
    first.leave()
    rig.wait(60.0)
    drawn = rig.fan_out._feed.placeholders.number
    late = rig.watch()
    rig.wait(0.3)
    rig.until(lambda: late.freshness)
    assert late.freshness[0] == "placeholder"
    assert rig.fan_out._feed.placeholders.number == drawn + 1


class Running:
    """The same fan-out in its own thread, and on the real clock."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.thread = threading.Thread(target=rig.fan_out.run, daemon=True)

    def __enter__(self) -> Rig:
        self.rig.fan_out._clock = time.monotonic
        self.rig.clock.now_ns = time.monotonic_ns()
        self.rig.turn = lambda: None  # type: ignore[method-assign]
        self.thread.start()
        return self.rig

    def __exit__(self, *_: object) -> None:
        self.rig.fan_out.stop()
        self.thread.join(10)
        assert not self.thread.is_alive()


@pytest.fixture
def running(rig: Rig) -> Iterator[Rig]:
    with Running(rig) as running:
        yield running


def test_in_its_own_thread_it_serves_until_it_is_stopped(running: Rig) -> None:
    viewer = running.watch()
    for number in range(1, 6):
        running.clock.now_ns = time.monotonic_ns()
        running.publish()
        eventually(lambda number=number: len(viewer.read().frames) == number)  # type: ignore[misc]
    assert viewer.fault is None


def test_a_stop_ends_streams_after_a_whole_part_whoever_else_does_not_read(running: Rig) -> None:
    """Who reads must not wait for who does not, and who waits for a frame is told why there is none."""
    stalled = [running.watch(reading=False) for _ in range(2)]
    viewer = running.watch()
    waiting = running.wait_for_a_frame(after=0)
    for _ in range(20):
        running.clock.now_ns = time.monotonic_ns()
        running.publish(jpeg=LARGE)
    eventually(lambda: viewer.read().frames)
    running.clock.now_ns = time.monotonic_ns()
    running.publish(jpeg=LARGE)
    waits_on = running.wait_for_a_frame(after=21)
    running.fan_out.stop()
    eventually(lambda: viewer.read().ended)
    assert viewer.fault is None
    assert not viewer.unfinished
    assert received(waiting).endswith(b"a frame<end>")
    eventually(lambda: b"the server is stopping.\n<end>" in received(waits_on))
    eventually(lambda: all(one.read().ended for one in stalled))
