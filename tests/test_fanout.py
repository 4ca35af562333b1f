# SPDX-License-Identifier: MIT
"""The fan-out in its thread, over real sockets and a real ring, without Waitress and Falcon."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from server_proc.live.fanout import FanOut, Rings
from shm_ring.board import BoardReader, BoardWriter
from shm_ring.doorbell import Doorbell
from shm_ring.frame import FrameFacts
from shm_ring.ring import RingReader, RingWriter
from shm_ring.segment import Segment
from tests.conditions import eventually
from tests.fakes import jpeg_of, noise
from tests.mjpeg import StreamViewer

OPENING = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n--frame\r\n"
JPEG = jpeg_of(noise(size=(256, 192)))


class Rig:
    """A fan-out that runs, and the writers of its rings."""

    def __init__(self, new_segment: Callable[..., int], max_viewers: int = 4) -> None:
        frames, capture, supervisor, server = (
            new_segment(slot_bytes=1 << 20), new_segment(), new_segment(), new_segment(),
        )  # fmt: skip
        bell = Doorbell.create()
        self.frames = RingWriter(Segment(frames), [bell])
        self.capture = BoardWriter(RingWriter(Segment(capture)))
        self.server_board = BoardReader(RingReader(Segment(server)))
        self.turns = 0
        self.fan_out = FanOut(
            Rings(
                RingReader(Segment(frames)),
                bell,
                BoardReader(RingReader(Segment(capture))),
                BoardReader(RingReader(Segment(supervisor))),
                BoardWriter(RingWriter(Segment(server))),
            ),
            max_viewers=max_viewers,
            main_loop_turns=lambda: self.turns,
        )
        self.thread = threading.Thread(target=self.fan_out.run, daemon=True)
        self.thread.start()

    def publish(self, age_s: float = 0.0, jpeg: bytes = JPEG) -> None:
        age_ns = round(age_s * 1e9)
        facts = FrameFacts(time.monotonic_ns() - age_ns, time.time_ns() - age_ns, 256, 192)
        self.frames.publish(jpeg, facts.pack())

    def watch(self, *, reading: bool = True) -> StreamViewer:
        """Take a place and watch in a thread, or do not read at all."""
        with socket.create_server(("127.0.0.1", 0)) as listening:
            client = socket.create_connection(listening.getsockname())
            connection, _ = listening.accept()
        connection.setblocking(False)
        ticket = self.fan_out.admit(address="192.168.1.7", extra_headers=True)
        assert ticket is not None
        ticket.hand_over(connection, OPENING)
        viewer = StreamViewer(client)

        def read() -> None:
            with contextlib.suppress(OSError):  # a test closed its own end
                while came := client.recv(1 << 18):
                    viewer.take(came, {})
            viewer.ended = True

        if reading:
            threading.Thread(target=read, daemon=True).start()
        return viewer


@pytest.fixture
def rig(new_segment: Callable[..., int]) -> Iterator[Rig]:
    made = Rig(new_segment)
    yield made
    made.fan_out.stop()
    made.thread.join(10)
    assert not made.thread.is_alive()


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
    tickets = [rig.fan_out.admit(address="a", extra_headers=False) for _ in range(5)]
    assert [ticket is not None for ticket in tickets] == [True] * 4 + [False]
    assert tickets[0] is not None
    tickets[0].close()
    tickets[0].close()
    assert rig.fan_out.admit(address="a", extra_headers=False) is not None, "it was dropped at once"
    tickets.clear()
    viewers = [rig.watch() for _ in range(4)]
    assert rig.fan_out.admit(address="a", extra_headers=False) is None
    viewers[0].connection.shutdown(socket.SHUT_RDWR)
    viewers[0].connection.close()

    def freed() -> bool:
        rig.publish()
        return rig.fan_out.admit(address="a", extra_headers=False) is not None

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
    rig.capture.write({"period_s": 0.1, "camera": "fake"})
    rig.publish()
    viewer = rig.watch()
    eventually(lambda: viewer.frames and rig.fan_out.snapshot.viewers)
    eventually(lambda: rig.fan_out.snapshot.viewers[0].frames == 1)
    snapshot = rig.fan_out.snapshot
    assert snapshot.frame is not None
    assert snapshot.frame.jpeg == JPEG
    assert snapshot.period_s == 0.1
    assert snapshot.capture is not None
    assert snapshot.capture.status["camera"] == "fake"
    assert (snapshot.viewers[0].id, snapshot.viewers[0].skipped) == (1, 0)


def test_the_board_moves_only_while_waitress_moves_too(rig: Rig) -> None:
    """A server whose main loop hangs accepts nobody: it must be found hung."""
    for writes in (1, 2):
        rig.turns += 1
        eventually(lambda writes=writes: rig.server_board.writes == writes)  # type: ignore[misc]
    looks = rig.fan_out.snapshot
    eventually(lambda: rig.fan_out.snapshot is not looks, what="the fan-out's next look")
    assert rig.server_board.writes == 2


def test_who_joins_while_the_camera_is_away_is_not_shown_an_old_picture(rig: Rig) -> None:
    """A person may be driving a car by it."""
    rig.publish(age_s=2.0)
    viewer = rig.watch()
    eventually(lambda: viewer.head)
    looks = rig.fan_out.snapshot
    eventually(lambda: rig.fan_out.snapshot is not looks, what="the fan-out's next look")
    assert viewer.seen == []
    rig.publish()
    eventually(lambda: viewer.seen)
    assert (viewer.seen[0].sequence, viewer.seen[0].freshness) == (2, "live")


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
    eventually(lambda: len(rig.fan_out.snapshot.viewers) == 4)
    for viewer in viewers:
        viewer.connection.shutdown(socket.SHUT_RDWR)
        viewer.connection.close()
    eventually(lambda: rig.fan_out.snapshot.viewers == (), 30, "the end of all viewers")
    assert rig.fan_out.admit(address="a", extra_headers=False) is not None


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
