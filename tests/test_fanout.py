# SPDX-License-Identifier: MIT
"""The fan-out in its thread, over real sockets and a real ring, without Waitress and Falcon."""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import simplejpeg

from server_proc.live.admission import Admission, Refusal
from server_proc.live.boards import Rings
from server_proc.live.fanout import FanOut
from server_proc.live.offer import PartForm
from server_proc.live.ticket import Ticket
from server_proc.live.viewer import Wishes
from shm_ring.board import BoardReader, BoardWriter
from shm_ring.doorbell import Doorbell
from shm_ring.frame import FrameFacts
from shm_ring.ring import RingReader, RingWriter
from shm_ring.segment import Segment
from shm_ring.status import CaptureStatus, ServerStatus, SupervisorStatus
from tests.conditions import eventually
from tests.fakes import jpeg_of, noise
from tests.mjpeg import StreamViewer
from tests.rows import capture_status, supervisor_status

HEAD = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
SOMEBODY = Wishes("a")
JPEG = jpeg_of(noise(size=(256, 192)))


class Rig:
    """A fan-out that runs, and the writers of its rings."""

    def __init__(
        self, new_segment: Callable[..., int], max_viewers: int = 4, max_per_address: int = 16
    ) -> None:
        frames, capture, supervisor, server = (
            new_segment(slot_bytes=1 << 20), new_segment(), new_segment(), new_segment(),
        )  # fmt: skip
        bell = Doorbell.create()
        self.frames = RingWriter(Segment(frames), [bell])
        self.capture = BoardWriter[CaptureStatus](RingWriter(Segment(capture)))
        self.supervisor = BoardWriter[SupervisorStatus](RingWriter(Segment(supervisor)))
        self.server_board = BoardReader(RingReader(Segment(server)), ServerStatus)
        self.turns = 0
        self.fan_out = FanOut(
            Rings(
                RingReader(Segment(frames)),
                bell,
                BoardReader(RingReader(Segment(capture)), CaptureStatus),
                BoardReader(RingReader(Segment(supervisor)), SupervisorStatus),
                BoardWriter(RingWriter(Segment(server))),
            ),
            Admission(most=max_viewers, most_per_address=max_per_address),
            expected_size=(320, 240),
            main_loop_turns=lambda: self.turns,
        )
        self.thread = threading.Thread(target=self.fan_out.run, daemon=True)
        self.thread.start()

    def end(self) -> None:
        self.fan_out.stop()
        self.thread.join(10)
        assert not self.thread.is_alive()

    def publish(self, age_s: float = 0.0, jpeg: bytes = JPEG) -> None:
        age_ns = round(age_s * 1e9)
        facts = FrameFacts(time.monotonic_ns() - age_ns, time.time_ns() - age_ns, 256, 192)
        self.frames.publish(jpeg, facts.pack())

    def connected(self) -> tuple[socket.socket, socket.socket]:
        """Return a client's end of a connection, and the server's."""
        with socket.create_server(("127.0.0.1", 0)) as listening:
            client = socket.create_connection(listening.getsockname())
            connection, _ = listening.accept()
        return client, connection

    def wait_for_a_frame(self, after: int) -> socket.socket:
        """Return a client that waits for a frame; earlier answers on its connection left bytes unsent."""
        client, connection = self.connected()
        ticket = self.fan_out.admit_waiting(
            Wishes("192.168.1.7"), after, lambda frame: b"frame %d" % frame.sequence if frame else b"no frame"
        )
        assert isinstance(ticket, Ticket)
        ticket.hand_over(connection, b"unsent", b"a head that does not fit")
        return client

    def watch(
        self, *, reading: bool = True, jpegs: dict[int, bytes] | None = None, **wishes: Any
    ) -> StreamViewer:
        """Take a place and watch in a thread, or do not read at all."""
        client, connection = self.connected()
        wishes = {"address": "192.168.1.7", "form": PartForm.FACTS, **wishes}
        ticket = self.fan_out.admit(Wishes(**wishes))
        assert isinstance(ticket, Ticket)
        ticket.hand_over(connection, b"", HEAD)
        viewer = StreamViewer(client)

        def read() -> None:
            with contextlib.suppress(OSError):  # a test closed its own end
                while came := client.recv(1 << 18):
                    viewer.take(came, {} if jpegs is None else jpegs)
            viewer.ended = True

        if reading:
            threading.Thread(target=read, daemon=True).start()
        return viewer


@pytest.fixture
def rig(new_segment: Callable[..., int]) -> Iterator[Rig]:
    made = Rig(new_segment)
    yield made
    made.end()


def test_a_viewer_gets_the_newest_frame_at_once_and_then_each_new_one(rig: Rig) -> None:
    rig.publish()
    viewer = rig.watch()
    eventually(lambda: len(viewer.frames) == 1)
    for number in range(2, 6):
        rig.publish()
        eventually(lambda number=number: len(viewer.frames) == number)  # type: ignore[misc]
    assert [seen.sequence for seen in viewer.frames] == [1, 2, 3, 4, 5]
    assert viewer.fault is None


def test_without_a_new_frame_the_last_is_repeated_once(rig: Rig) -> None:
    """Chromium shows a frame when the next one starts: without it the last is never seen."""
    viewer = rig.watch()
    rig.publish()
    eventually(lambda: len(viewer.seen) == 2)
    live, repeat = viewer.seen
    assert (live.freshness, repeat.freshness) == ("live", "repeat")
    assert (live.sequence, live.timestamp) == (repeat.sequence, repeat.timestamp)
    assert 0.2 < repeat.at_s - live.at_s < 1.0
    late = rig.watch()
    eventually(lambda: len(late.seen) == 2)
    assert len(viewer.seen) == 2


def test_places_are_counted_from_the_decision_on(rig: Rig) -> None:
    """Between the 200 and the hand-over a place must be neither lost nor given twice."""
    tickets = [rig.fan_out.admit(SOMEBODY) for _ in range(5)]
    assert tickets.pop() is Refusal.HOUSE_FULL
    assert isinstance(tickets[0], Ticket)
    tickets[0].close()
    tickets[0].close()
    assert isinstance(rig.fan_out.admit(SOMEBODY), Ticket), "it was dropped at once"
    tickets.clear()
    viewers = [rig.watch() for _ in range(4)]
    assert rig.fan_out.admit(SOMEBODY) is Refusal.HOUSE_FULL
    viewers[0].connection.shutdown(socket.SHUT_RDWR)
    viewers[0].connection.close()

    def freed() -> bool:
        rig.publish()
        return isinstance(rig.fan_out.admit(SOMEBODY), Ticket)

    eventually(freed)


def test_ids_count_up_and_the_log_tells_who_came_and_went(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    rig.publish()
    first = rig.watch()
    eventually(lambda: first.frames)
    second = rig.watch()
    eventually(lambda: second.frames)
    assert "viewer #1 came from 192.168.1.7 (1 viewer)" in caplog.text
    assert "viewer #2 came from 192.168.1.7 (2 viewers)" in caplog.text
    first.connection.shutdown(socket.SHUT_RDWR)
    first.connection.close()

    def told() -> bool:
        rig.publish()
        return "viewer #1 from 192.168.1.7 left after" in caplog.text

    eventually(told)
    assert "(1 viewer)" in caplog.text.rsplit("left after", 1)[1]


def test_the_snapshot_tells_all_that_others_may_know(rig: Rig) -> None:
    rig.capture.write(capture_status(period_s=0.1))
    rig.publish()
    viewer = rig.watch()
    eventually(lambda: viewer.frames and rig.fan_out.outlook.viewers)
    eventually(lambda: rig.fan_out.outlook.viewers[0].frames == 1)
    outlook = rig.fan_out.outlook
    assert outlook.frame is not None
    assert outlook.frame.jpeg == JPEG
    assert outlook.period_s == 0.1
    assert outlook.capture is not None
    assert outlook.capture.row.name == "fake"
    assert (outlook.viewers[0].id, outlook.viewers[0].skipped) == (1, 0)


def test_the_board_moves_only_while_waitress_moves_too(rig: Rig) -> None:
    """A server whose main loop hangs accepts nobody: it must be found hung."""
    for writes in (1, 2):
        rig.turns += 1
        eventually(lambda writes=writes: rig.server_board.writes == writes)  # type: ignore[misc]
    looks = rig.fan_out.outlook
    eventually(lambda: rig.fan_out.outlook is not looks, what="the fan-out's next look")
    assert rig.server_board.writes == 2


def test_an_outage_from_its_first_second_to_its_end(rig: Rig) -> None:
    """A person may be driving a car by it: an old picture must never look live."""
    rig.supervisor.write(supervisor_status(state="starting", tries=2, restarts={"stalled": 2}))
    viewer = rig.watch()
    rig.publish()
    eventually(lambda: len([seen for seen in viewer.seen if seen.freshness == "placeholder"]) == 3)
    live, repeat, *placeholders = viewer.seen
    assert (live.freshness, repeat.freshness) == ("live", "repeat")
    assert {seen.freshness for seen in placeholders} == {"placeholder"}
    assert {(seen.sequence, seen.timestamp) for seen in placeholders} == {(live.sequence, live.timestamp)}
    assert 1.0 <= placeholders[0].at_s - live.at_s < 2.0
    for earlier, later in itertools.pairwise(placeholders):
        assert 0.7 < later.at_s - earlier.at_s < 1.5, "once a second"
    assert len({seen.digest for seen in placeholders}) == 3, "each says how long it has been"
    late = rig.watch()
    eventually(lambda: late.seen, 0.9, "a placeholder for who joins")
    assert late.seen[0].freshness == "placeholder"
    rig.publish()
    eventually(lambda: viewer.frames[-1].sequence == late.seen[-1].sequence == 2)
    assert viewer.seen[-1].freshness == late.seen[-1].freshness == "live"


def test_before_any_frame_there_is_a_placeholder_of_the_size_that_is_expected(rig: Rig) -> None:
    viewer, jpegs = rig.watch(), dict[int, bytes]()
    viewer_of_bytes = rig.watch(jpegs=jpegs)
    eventually(lambda: viewer.seen and viewer_of_bytes.seen)
    assert (viewer.seen[0].sequence, viewer.seen[0].freshness) == (0, "placeholder")
    assert simplejpeg.decode_jpeg_header(jpegs[0])[:2] == (240, 320)
    assert abs(viewer.seen[0].timestamp - time.time()) < 5


def test_a_key_replaces_its_own_ghost(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    """An app that lost its Wi-Fi comes back before its old connection is found dead."""
    caplog.set_level("INFO")
    rig.publish()
    ghost, other = rig.watch(key="car"), rig.watch()
    eventually(lambda: ghost.seen and other.seen)
    again = rig.watch(key="car", address="192.168.1.99")
    eventually(lambda: ghost.ended and again.seen)
    assert not other.ended
    assert "viewer #1 from 192.168.1.7 was replaced by a viewer with its key after" in caplog.text


def test_where_an_address_is_full_its_quietest_viewer_makes_room(
    new_segment: Callable[..., int], caplog: pytest.LogCaptureFixture
) -> None:
    """Safari leaves zombies: connections that nobody reads."""
    caplog.set_level("INFO")
    rig = Rig(new_segment, max_viewers=9, max_per_address=2)
    zombie, viewer = rig.watch(reading=False), rig.watch()
    large = jpeg_of(noise(size=(1024, 768)), 95)
    assert rig.fan_out.admit(Wishes("192.168.1.7")) is Refusal.ADDRESS_FULL

    def is_quiet() -> bool:
        rig.publish(jpeg=large)
        return any(one.quiet_s > 5 for one in rig.fan_out.outlook.viewers)

    eventually(is_quiet, 20, "a viewer that takes nothing")
    newcomer = rig.watch()
    eventually(lambda: "took nothing and gave its place to another of its address" in caplog.text)
    rig.publish()
    eventually(lambda: newcomer.frames and viewer.frames)
    eventually(lambda: [one.id for one in rig.fan_out.outlook.viewers] == [2, 3])
    assert not zombie.ended
    rig.end()


def test_whoever_waits_for_a_frame_gets_it_and_nothing_else(rig: Rig) -> None:
    rig.publish()
    client = rig.wait_for_a_frame(after=1)
    looks = rig.fan_out.outlook
    eventually(lambda: rig.fan_out.outlook is not looks, what="the fan-out's next look")
    assert client.recv(100) == b"unsent"
    client.settimeout(0.1)
    with pytest.raises(TimeoutError):
        client.recv(1)
    client.settimeout(10)
    rig.publish()
    assert b"".join(iter(lambda: client.recv(1 << 16), b"")) == b"frame 2"
    assert isinstance(rig.fan_out.admit(SOMEBODY), Ticket)


def test_whoever_waits_in_vain_is_told_after_five_seconds(rig: Rig) -> None:
    client, asked_s = rig.wait_for_a_frame(after=1), time.monotonic()
    rig.publish()
    assert b"".join(iter(lambda: client.recv(1 << 16), b"")) == b"unsent" + b"no frame"
    assert 5.0 <= time.monotonic() - asked_s < 6.5


def test_a_client_that_waits_and_leaves_is_forgotten(rig: Rig) -> None:
    clients = [rig.wait_for_a_frame(after=0) for _ in range(4)]
    assert rig.fan_out.admit(SOMEBODY) is Refusal.HOUSE_FULL
    for client in clients:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # a reset
        client.close()
    eventually(lambda: isinstance(rig.fan_out.admit(SOMEBODY), Ticket))


def test_who_joins_a_little_late_is_told_how_old_the_frame_is(rig: Rig) -> None:
    rig.publish(age_s=0.4)
    late = rig.watch()
    eventually(lambda: late.seen)
    assert 400 <= late.seen[0].age_ms < 900


def test_a_client_that_half_closes_is_served_on(rig: Rig) -> None:
    """Some tools close their sending side when they have asked."""
    viewer = rig.watch()
    viewer.connection.shutdown(socket.SHUT_WR)
    for number in range(1, 4):
        rig.publish()
        eventually(lambda number=number: len(viewer.frames) == number)  # type: ignore[misc]


def test_who_left_while_the_camera_is_away_is_forgotten(rig: Rig) -> None:
    """Nothing is sent then, so nothing fails; the house would fill with viewers that are gone."""
    viewers = [rig.watch() for _ in range(4)]
    eventually(lambda: len(rig.fan_out.outlook.viewers) == 4)
    for viewer in viewers:
        viewer.connection.shutdown(socket.SHUT_RDWR)
        viewer.connection.close()
    eventually(lambda: rig.fan_out.outlook.viewers == (), 30, "the end of all viewers")
    assert isinstance(rig.fan_out.admit(SOMEBODY), Ticket)


def test_a_stop_ends_streams_after_a_whole_part_whoever_else_does_not_read(rig: Rig) -> None:
    """Whoever reads must not wait for whoever does not."""
    large = jpeg_of(noise(size=(1024, 768)), 95)
    stalled = [rig.watch(reading=False) for _ in range(2)]
    viewer = rig.watch()
    for _ in range(20):
        rig.publish(jpeg=large)
    eventually(lambda: viewer.frames)
    rig.publish(jpeg=large)
    rig.fan_out.stop()
    eventually(lambda: viewer.ended)
    assert viewer.fault is None
    assert not viewer._waiting
    assert not stalled[0].ended
