# SPDX-License-Identifier: MIT
"""The contract with Waitress: a real Waitress on loopback, and what of its inside is relied on."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import inspect
import logging
import os
import re
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from email.utils import parsedate_to_datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from waitress import channel, parser, server, task, wasyncore

from server_proc.live.connection import Connection, Outcome
from server_proc.live.head import Answer, Head
from server_proc.live.ticket import Ticket
from server_proc.takeover import channel as our_channel
from server_proc.takeover import connections, web_server
from server_proc.takeover.channel import Channel
from server_proc.takeover.door import Door, TcpDoor, UnixDoor
from server_proc.takeover.task import Task, with_takeover
from server_proc.takeover.web_server import WebServer
from server_proc.takeover.worker import Worker
from tests.conditions import eventually
from tests.fakes import FakeSeat

FILLER = b"x" * 100_000


class App:
    """`/stream` answers a ticket, `/large` 100 kB, `/huge` 4 MB, `/word` and `/` a word.

    `/hang` answers once it is `released`.
    """

    def __init__(self) -> None:
        self.viewers: list[Connection] = []
        self.given_back = 0
        self.answered = 0
        self.environ: dict[str, Any] = {}
        self.released = threading.Event()

    def give_back(self) -> None:
        self.given_back += 1

    def ticket(self) -> Ticket:
        return Ticket(FakeSeat(self.give_back), self.take)

    def take(self, connection: socket.socket, unsent: bytes, head: Head) -> None:
        opening = unsent + head.encode() + b"--frame\r\n"
        self.viewers.append(Connection(connection, opening, seat=FakeSeat()))

    def __call__(self, environ: Any, start_response: Callable[..., Any]) -> Iterable[bytes]:
        self.answered += 1
        self.environ = environ
        path = environ["PATH_INFO"]
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD", "POST"):
            start_response("405 Method Not Allowed", [("Content-Length", "0")])
            return []
        if path == "/stream":
            start_response("200 OK", [("content-type", "multipart/x"), ("x-accel-buffering", "no")])
            return self.ticket()
        if path == "/head":
            start_response("200 OK", [("content-type", "multipart/x")])
            return []
        if path == "/hang":
            self.released.wait(20)
        body = {"/large": FILLER, "/huge": 40 * FILLER}.get(path, b"word")
        found = path in ("/", "/word", "/large", "/huge", "/hang")
        start_response("200 OK" if found else "404 Not Found", [("Content-Length", str(len(body)))])
        return [body]


@contextlib.contextmanager
def serving(app: Any, *listening: socket.socket, **settings: Any) -> Iterator[WebServer]:
    web = WebServer(app, listening, **settings)
    thread = threading.Thread(target=web.run, daemon=True)
    thread.start()
    try:
        yield web
    finally:
        web.stop()
        thread.join(10)
        for one in listening:
            one.close()
    assert not thread.is_alive()


@pytest.fixture
def app() -> Iterator[App]:
    app = App()
    yield app
    app.released.set()


@pytest.fixture
def listening() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0))


@pytest.fixture
def web(app: App, listening: socket.socket) -> Iterator[WebServer]:
    with serving(app, listening) as web:
        yield web
        app.released.set()


@pytest.fixture
def port(web: WebServer, listening: socket.socket) -> int:
    return int(listening.getsockname()[1])


def ask(port: int, *requests: str, of: str = "127.0.0.1") -> socket.socket:
    client = socket.create_connection(("127.0.0.1", port), timeout=15, source_address=(of, 0))
    client.sendall(b"".join(f"{request}\r\n\r\n".encode() for request in requests))
    return client


def read_to_the_end(client: socket.socket) -> bytes:
    came = b""
    while more := client.recv(1 << 16):
        came += more
    return came


def read_word(client: socket.socket) -> bytes:
    """Return one answer on a connection that stays."""
    came = b""
    while not came.endswith(b"word"):
        came += client.recv(1000)
        assert came, "the connection was closed"
    return came


def finish(viewer: Connection) -> None:
    """Do what the fan-out does, on its own: send the opening and end the stream."""
    viewer.admitted(0.0)
    while viewer.go_on(0.0) is Outcome.BUSY:
        pass
    viewer.close()


def a_turn_later(port: int) -> None:
    """Let the main loop turn: it lets somebody in, answers and looks at all connections."""
    for _ in range(3):
        read_to_the_end(ask(port, "GET /word HTTP/1.0"))


def leave_answers_to_waitress(listening: socket.socket) -> None:
    """Make the kernel's buffers small, so that most of `/huge` stays in Waitress's; see tcp(7)."""
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 64 * 1024)


def without_date(head: bytes) -> bytes:
    return re.sub(rb"(?m)^Date: [^\r]+", b"Date: now", head)


def waits_until(moment_s: float) -> None:
    """Wait for a moment that a test is about; nothing is to happen until then."""
    time.sleep(max(0.0, moment_s - time.monotonic()))


def open_channels(web: WebServer) -> list[Channel]:
    """Return what Waitress has open, to give it another idea of the time of day."""
    return [one for one in list(web._map.values()) if isinstance(one, Channel)]


@pytest.fixture
def nice_before() -> int:
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_a_streams_connection_lives_on_outside_waitress(app: App, port: int, version: str) -> None:
    client = ask(port, f"GET /stream HTTP/{version}")
    eventually(lambda: app.viewers)
    finish(app.viewers[0])
    assert (
        without_date(read_to_the_end(client))
        == (
            f"HTTP/{version} 200 OK\r\nContent-Type: multipart/x\r\nX-Accel-Buffering: no\r\n"
            "Server: ringcast\r\nDate: now\r\nConnection: close\r\n\r\n--frame\r\n"
        ).encode()
    )
    assert app.given_back == 0, "the place is the viewer's"


def test_what_the_application_writes_after_the_hand_over_goes_nowhere(
    app: App, listening: socket.socket
) -> None:
    """WSGI's write() would put bytes in the middle of the stream."""
    writers = []

    def writing(environ: Any, start_response: Callable[..., Any]) -> Iterable[bytes]:
        writers.append(start_response("200 OK", [("content-type", "multipart/x")]))
        return app.ticket()

    with serving(writing, listening):
        client = ask(listening.getsockname()[1], "GET / HTTP/1.1")
        eventually(lambda: app.viewers)
        writers[0](b"in the middle of the stream")
        finish(app.viewers[0])
        assert read_to_the_end(client).endswith(b"Connection: close\r\n\r\n--frame\r\n")


def test_unsent_answers_of_earlier_requests_go_out_first(app: App, port: int) -> None:
    client = ask(port, "GET /large HTTP/1.1", "GET /word HTTP/1.1", "GET /stream HTTP/1.1")
    eventually(lambda: app.viewers)
    finish(app.viewers[0])
    came = read_to_the_end(client)
    assert came.count(b"HTTP/1.1 200 OK") == 3
    assert FILLER in came
    assert came.endswith(b"--frame\r\n")


def test_what_is_pipelined_after_a_stream_is_never_answered(app: App, port: int) -> None:
    client = ask(port, "GET /stream HTTP/1.1", "GET /word HTTP/1.1")
    eventually(lambda: app.viewers)
    finish(app.viewers[0])
    assert read_to_the_end(client).endswith(b"Connection: close\r\n\r\n--frame\r\n")


def test_a_large_picture_needs_no_disk(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Waitress would put it into a temporary file, on a card that may be full."""
    monkeypatch.setattr("tempfile.tempdir", "/proc/self/task")
    client = ask(port, "GET /huge HTTP/1.1\r\nConnection: close")
    assert read_to_the_end(client).endswith(b"\r\n\r\n" + 40 * FILLER)


def test_a_head_request_gets_a_head_and_no_body(app: App, port: int) -> None:
    client = ask(port, "HEAD /head HTTP/1.1")
    came = read_to_the_end(client)
    assert came.endswith(b"\r\n\r\n")
    assert came.count(b"\r\n\r\n") == 1
    assert b"chunked" not in came


def test_ordinary_answers_stay_waitress_s(app: App, port: int) -> None:
    client = ask(port, "GET /word HTTP/1.1", "GET /word HTTP/1.1\r\nConnection: close")
    assert read_to_the_end(client).count(b"word") == 2


def test_a_request_that_trickles_in_is_cut_off(app: App, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Waitress waits for the rest of a head for ever as long as a byte comes now and then."""
    monkeypatch.setattr(our_channel, "REQUEST_TIMEOUT_S", 0.3)
    clients = [ask(port) for _ in range(2)]
    clients[1].sendall(b"GET /word HT")
    assert [read_to_the_end(client) for client in clients] == [b"", b""]
    assert app.answered == 0


def test_a_connection_that_asked_is_kept_for_the_next_request(
    app: App, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(our_channel, "REQUEST_TIMEOUT_S", 0.3)
    idle, client = ask(port), ask(port, "GET /word HTTP/1.1")
    assert b"200 OK" in client.recv(1000)
    assert read_to_the_end(idle) == b"", "its time is over, and so would be the other's"
    client.sendall(b"GET /word HTTP/1.1\r\nConnection: close\r\n\r\n")
    assert b"word" in read_to_the_end(client)


def test_the_second_requests_deadline_is_its_own(
    app: App, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It began in the packet that ended the first, and was cut off at the first one's limit."""
    monkeypatch.setattr(our_channel, "REQUEST_TIMEOUT_S", 2.0)
    client = ask(port)
    began_s = time.monotonic()
    client.sendall(b"GET /word HT")
    waits_until(began_s + 1.5)
    client.sendall(b"TP/1.1\r\n\r\nGET /word HT")
    read_word(client)
    waits_until(began_s + 2.5)
    a_turn_later(port)
    client.sendall(b"TP/1.1\r\nConnection: close\r\n\r\n")
    assert b"word" in read_to_the_end(client)


def test_a_request_that_begins_late_has_its_whole_time(
    app: App, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rest of a browser's request arrived just after its connection had been idle for long enough."""
    monkeypatch.setattr(our_channel, "IDLE_S", 1.5)
    client = ask(port, "GET /word HTTP/1.1")
    read_word(client)
    began_s = time.monotonic()
    waits_until(began_s + 1.0)
    client.sendall(b"GET /word HT")
    waits_until(began_s + 2.0)
    a_turn_later(port)
    client.sendall(b"TP/1.1\r\nConnection: close\r\n\r\n")
    assert b"word" in read_to_the_end(client)


@pytest.mark.parametrize(
    "blank",
    [b"\r\n\r\n", b"\r\n", b"\r\n\r\n\r"],
    ids=["blank requests", "single lines", "each begins another"],
)
def test_blank_lines_keep_no_connection(
    app: App, port: int, monkeypatch: pytest.MonkeyPatch, blank: bytes
) -> None:
    """A client that sent one now and then was never asked to leave."""
    monkeypatch.setattr(our_channel, "REQUEST_TIMEOUT_S", 0.5)
    monkeypatch.setattr(our_channel, "IDLE_S", 0.5)
    client = ask(port)
    client.settimeout(0.05)
    give_up_s = time.monotonic() + 10

    def is_closed() -> bool:
        try:
            client.sendall(blank)
            return not client.recv(1000)
        except TimeoutError:
            return False
        except ConnectionError:
            return True

    while not is_closed():
        assert time.monotonic() < give_up_s
    assert app.answered == 0


def test_the_oldest_idle_connection_makes_room(app: App, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MOST", 3)
    kept = [ask(port) for _ in range(3)]
    for client in (kept[1], kept[0], kept[2]):
        client.sendall(b"GET /word HTTP/1.1\r\n\r\n")
        read_word(client)
    newcomer = ask(port, "GET /word HTTP/1.1")
    read_word(newcomer)
    assert read_to_the_end(kept[1]) == b""
    for client in (kept[0], kept[2], newcomer):
        client.sendall(b"GET /word HTTP/1.1\r\n\r\n")
        read_word(client)


def test_newcomers_wait_outside_while_all_connections_are_busy(
    app: App, web: WebServer, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "MOST", 2)
    busy = ask(port, "GET /hang HTTP/1.0"), ask(port, "GET /word HTTP/1.0")
    eventually(lambda: [one.is_idle for one in open_channels(web)] == [False, False])
    newcomer = ask(port, "GET /word HTTP/1.0")
    app.released.set()
    for client in (*busy, newcomer):
        assert b"word" in read_to_the_end(client)


def test_an_address_with_too_many_loses_its_oldest_idle_connection(
    app: App, listening: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """256 connections of one client, each with a request every 9 s, shut the port for everybody else."""
    monkeypatch.setattr(connections, "MOST_PER_ADDRESS", 2)
    for module in (connections, our_channel):
        monkeypatch.setattr(module, "bucket_of", lambda address: address)  # loopback has no limit
    with serving(app, listening, is_proxy=lambda address: address == "127.0.0.4"):
        port = listening.getsockname()[1]
        kept = []
        for address in ("127.0.0.3", "127.0.0.2", "127.0.0.2", "127.0.0.2", *["127.0.0.4"] * 3):
            kept.append(ask(port, "GET /word HTTP/1.1", of=address))
            read_word(kept[-1])
        assert read_to_the_end(kept.pop(1)) == b""
        for client in kept:
            client.sendall(b"GET /word HTTP/1.1\r\n\r\n")
            read_word(client)


@pytest.mark.parametrize("step_s", [3600.0, -3600.0], ids=["forward", "back"])
def test_the_wall_clock_closes_and_keeps_nothing(
    app: App,
    listening: socket.socket,
    web: WebServer,
    port: int,
    monkeypatch: pytest.MonkeyPatch,
    step_s: float,
) -> None:
    """A Pi has no clock of its own: its time steps, usually forward, while the first viewers are there."""
    leave_answers_to_waitress(listening)
    kept, begun, reading = ask(port, "GET /word HTTP/1.1"), ask(port), ask(port, "GET /huge HTTP/1.0")
    read_word(kept)
    begun.sendall(b"GET /word HT")
    eventually(lambda: sum(one.total_outbufs_len for one in open_channels(web)) > 10 * len(FILLER))
    stepped = SimpleNamespace(time=lambda: time.time() + step_s, monotonic=time.monotonic)
    for module in (channel, server):
        monkeypatch.setattr(module, "time", stepped)
    for one in open_channels(web):
        one.last_activity += -step_s
    a_turn_later(port)
    kept.sendall(b"GET /word HTTP/1.0\r\n\r\n")
    begun.sendall(b"TP/1.0\r\n\r\n")
    assert b"word" in read_to_the_end(kept)
    assert b"word" in read_to_the_end(begun)
    assert read_to_the_end(reading).endswith(40 * FILLER)


def test_a_connection_of_which_nothing_is_left_is_closed_whatever_the_time_of_day(
    app: App, web: WebServer, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clock that was set back spared an idle connection as long."""
    monkeypatch.setattr(our_channel, "IDLE_S", 0.3)
    client = ask(port, "GET /word HTTP/1.1")
    read_word(client)
    for one in open_channels(web):
        one.last_activity = time.time() + 3600
    assert read_to_the_end(client) == b""


def test_a_worker_says_when_it_is_at_work() -> None:
    at = Worker()
    assert (at.busy, at.done) == (False, 0)
    with at.at_work():
        assert (at.busy, at.done) == (True, 0)
    with contextlib.suppress(KeyError), at.at_work():
        raise KeyError
    assert (at.busy, at.done) == (False, 2), "a request that failed is over"


def test_a_stuck_worker_stops_the_heartbeat(
    app: App, web: WebServer, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Connections were accepted and never answered, and supervisor and watchdog were content for ever."""
    monkeypatch.setattr(our_channel, "REQUEST_TIMEOUT_S", 0.1)

    def stands_still() -> bool:
        before = web.turns
        read_to_the_end(ask(port))  # it is cut off by the main loop, which does turn
        return web.turns == before

    assert not stands_still()
    client = ask(port, "GET /hang HTTP/1.0")
    eventually(lambda: app.answered == 1)
    eventually(stands_still)
    assert stands_still()
    before = web.turns
    app.released.set()
    assert b"word" in read_to_the_end(client)
    eventually(lambda: web.turns > before)


def test_a_worker_that_gets_on_is_not_stuck(app: App, web: WebServer, port: int) -> None:
    """Somebody who asks without a break keeps it busy whenever the heartbeat is looked at."""
    worker = web._worker
    worker.busy = True
    before = web.turns
    a_turn_later(port)
    worker.busy = True
    assert web.turns > before


def test_a_stop_finishes_the_answers_that_were_begun(
    app: App, listening: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_server, "_FINISH_S", 10.0)
    leave_answers_to_waitress(listening)
    with serving(app, listening) as web:
        port = listening.getsockname()[1]
        client = ask(port, "GET /huge HTTP/1.1")
        idle = ask(port, "GET /word HTTP/1.1")
        read_word(idle)
        assert sum(one.total_outbufs_len for one in open_channels(web)) > 10 * len(FILLER)
        web.stop()
        came = b""
        while not came.endswith(b"\r\n\r\n" + 40 * FILLER):
            came += client.recv(1 << 20)
            assert len(came) < 50 * len(FILLER)
        done_s = time.monotonic()
    assert time.monotonic() - done_s < 5, "an idle connection is not waited for"


def test_a_stop_waits_neither_for_a_stuck_worker_nor_for_a_client_that_does_not_read(
    app: App, listening: socket.socket
) -> None:
    """The supervisor kills after 2 s, and a planned stop would be reported as a kill."""
    leave_answers_to_waitress(listening)
    with serving(app, listening) as web:
        port = listening.getsockname()[1]
        clients = [ask(port, "GET /huge HTTP/1.1")]
        eventually(lambda: app.answered == 1)
        clients.append(ask(port, "GET /hang HTTP/1.1"))
        eventually(lambda: app.answered == 2)
        clients.append(ask(port, "GET /word HTTP/1.1"))
        web.stop()
        began_s = time.monotonic()
    assert time.monotonic() - began_s < 1.5
    for client in clients:
        client.close()


def test_one_server_listens_at_several_places(app: App, tmp_path: Path) -> None:
    """Behind a proxy on the same machine, a Unix socket is the way; streams are handed over there as well."""
    by_path = socket.socket(socket.AF_UNIX)
    by_path.bind(str(tmp_path / "web"))
    places = [*(socket.create_server(("127.0.0.1", 0)) for _ in range(2)), by_path]
    with serving(app, *places):
        for count, place in enumerate(places, 1):
            client = socket.socket(place.family)
            client.settimeout(15)
            client.connect(place.getsockname())
            client.sendall(b"GET /word HTTP/1.1\r\n\r\nGET /stream HTTP/1.1\r\n\r\n")
            eventually(lambda count=count: len(app.viewers) == count)  # type: ignore[misc]
            assert app.environ["REMOTE_ADDR"] == ("unix" if place is by_path else "127.0.0.1")
            finish(app.viewers[-1])
            came = read_to_the_end(client)
            assert came.count(b"HTTP/1.1 200 OK") == 2
            assert came.endswith(b"--frame\r\n")


@pytest.mark.parametrize(
    ("request_head", "host"),
    [
        ("GET http://evil.example:80/word HTTP/1.1\r\nHost: 127.0.0.1", "evil.example:80"),
        ("GET http://evil.example HTTP/1.1\r\nHost: 127.0.0.1", "evil.example"),
        ("GET http://evil.example/word HTTP/1.0", "evil.example"),
        ("GET /word HTTP/1.1\r\nHost: 127.0.0.1", "127.0.0.1"),
    ],
)
def test_the_authority_of_an_absolute_target_is_the_host(
    app: App, port: int, request_head: str, host: str
) -> None:
    """Waitress takes it off the target; Host alone would be believed."""
    read_to_the_end(ask(port, f"{request_head}\r\nConnection: close"))
    assert app.environ["HTTP_HOST"] == host


def test_a_head_merges_what_was_decided_before_with_an_answer() -> None:
    head = Head("1.0", "200 OK", (("content-type", "multipart/x"), ("access-control-allow-origin", "*")))
    answer = Answer("503 Service Unavailable", {"Content-Type": "text/plain", "retry-after": "5"}, b"away\n")
    assert without_date(head.with_answer(answer)).decode().split("\r\n") == [
        "HTTP/1.0 503 Service Unavailable",
        "Content-Type: text/plain",
        "Access-Control-Allow-Origin: *",
        "Retry-After: 5",
        "Content-Length: 5",
        "Server: ringcast",
        "Date: now",
        "Connection: close",
        "",
        "away\n",
    ]
    assert b"content-length" not in head.with_answer(Answer("304 Not Modified")).lower()


def test_a_head_tells_the_time_of_the_answer() -> None:
    """RFC 9110, section 6.6.1."""
    date = re.search(r"^Date: (.+ GMT)\r$", Head("1.1", "200 OK").encode().decode(), re.MULTILINE)
    assert date
    assert abs(parsedate_to_datetime(date[1]).timestamp() - time.time()) < 60


def test_requests_stand_behind_frames(nice_before: int, port: int) -> None:
    """Each thread that computes delays the fan-out, which gives the interpreter lock away at every send."""
    workers = [thread for thread in threading.enumerate() if thread.name.startswith("waitress-")]
    assert workers
    for thread in workers:
        assert thread.native_id is not None
        eventually(lambda thread=thread: os.getpriority(os.PRIO_PROCESS, thread.native_id) == 10)  # type: ignore[misc]
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == nice_before


def test_clients_that_pipeline_and_do_not_read_hold_no_thread(
    app: App, port: int, caplog: pytest.LogCaptureFixture
) -> None:
    """One of them would hold Waitress's thread for ever."""
    greedy = [ask(port, *["GET /large HTTP/1.1"] * 200) for _ in range(5)]
    eventually(lambda: app.answered >= 5 * 10)
    client = ask(port, "GET /word HTTP/1.1\r\nConnection: close")
    assert b"word" in read_to_the_end(client)
    for one in greedy:
        one.close()
    assert "Traceback" not in caplog.text
    assert not [record for record in caplog.records if record.exc_info]


def test_a_ticket_that_cannot_be_handed_over_gives_its_place_back(app: App) -> None:
    def broken(environ: Any, start_response: Any) -> Iterable[bytes]:
        return app.ticket()

    class Gone:
        def hand_over(self, ticket: Ticket) -> None:
            raise channel.ClientDisconnected

    with pytest.raises(channel.ClientDisconnected):
        with_takeover(broken)({"ringcast.task": Gone()}, lambda *_: lambda _: None)
    assert app.given_back == 1


class OutOfDescriptors:
    """A task that cannot hand its connection over, until it can."""

    def __init__(self) -> None:
        self.error: OSError | None = OSError(errno.EMFILE, "Too many open files")

    def hand_over(self, ticket: Ticket) -> None:
        if self.error:
            raise self.error


def test_refused_take_overs_are_logged_once_until_one_succeeds(
    app: App, caplog: pytest.LogCaptureFixture
) -> None:
    """Each page that found the house full filled the log with a line a second."""
    answers: list[str] = []
    serve = with_takeover(lambda *_: app.ticket())
    at = OutOfDescriptors()

    def asked() -> None:
        serve({"ringcast.task": at}, lambda status, *_: answers.append(status) or (lambda _: None))  # type: ignore[func-returns-value]

    for _ in range(3):
        asked()
    assert answers == 3 * ["503 Service Unavailable"]
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "Too many open files" in caplog.text
    at.error, error = None, at.error
    asked()
    at.error = error
    asked()
    asked()
    assert len(caplog.records) == 2
    assert app.given_back == 6


def test_a_refused_take_over_is_answered(app: App, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Task, "hand_over", OutOfDescriptors().hand_over)
    came = read_to_the_end(ask(port, "GET /stream HTTP/1.1\r\nConnection: close"))
    assert came.startswith(b"HTTP/1.1 503 ")
    assert b"multipart" not in came
    assert came.endswith(b"Cannot serve new viewers now: Too many open files; try again soon.\n")


WORD = b"GET /word HTTP/1.0\r\n\r\n"
CHUNKED = b"POST /word HTTP/1.1\r\nTransfer-Encoding: chunked\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\n\r\n"
BAD_REQUESTS: dict[str, tuple[bytes, list[int]]] = {
    # What one reader takes for a body is a second request for another.
    "length and coding": (CHUNKED + b"Content-Length: 34\r\n\r\n0\r\n\r\n" + SMUGGLED, [400]),
    "coding of HTTP 1.0": (
        b"POST /word HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n" + SMUGGLED,
        [400],
    ),
    "two lengths": (
        b"POST /word HTTP/1.1\r\nContent-Length: 0\r\nContent-Length: 31\r\n\r\n" + SMUGGLED,
        [400],
    ),
    "two lengths in one": (b"POST /word HTTP/1.1\r\nContent-Length: 0, 31\r\n\r\n" + SMUGGLED, [400]),
    "a signed length": (b"POST /word HTTP/1.1\r\nContent-Length: +0\r\n\r\n" + SMUGGLED, [400]),
    "a folded length": (b"POST /word HTTP/1.1\r\nContent-Length: 3\r\n 1\r\n\r\n" + SMUGGLED, [400]),
    "a space before the colon": (b"POST /word HTTP/1.1\r\nContent-Length : 31\r\n\r\n" + SMUGGLED, [400]),
    "another coding": (
        b"POST /word HTTP/1.1\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + SMUGGLED,
        [501],
    ),
    "a coding with a control": (
        b"POST /word HTTP/1.1\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
        [400],
    ),
    "a chunk of no size": (CHUNKED + b"\r\nzz\r\nword\r\n0\r\n\r\n" + SMUGGLED, [400]),
    "a signed chunk": (CHUNKED + b"\r\n-1\r\nword\r\n0\r\n\r\n" + SMUGGLED, [400]),
    "a chunk too long": (CHUNKED + b"\r\n2\r\nword\r\n0\r\n\r\n" + SMUGGLED, [400]),
    "a chunk that never ends": (CHUNKED + b"\r\nffffffffffffffffff\r\nword", []),
    "a bare LF in a chunk's extension": (CHUNKED + b"\r\n2;\n\r\nxx\r\n0\r\n\r\n" + SMUGGLED, [400]),
    "bare LF line ends": (b"GET /word HTTP/1.1\nHost: here\n\n", []),
    "a bare LF in the head": (b"GET /word HTTP/1.1\r\nA: b\nContent-Length: 31\r\n\r\n" + SMUGGLED, [400]),
    "a bare CR in the head": (b"GET /word HTTP/1.1\r\nA: b\rHost: x\r\n\r\n" + SMUGGLED, [400]),
    # RFC 9112, section 5.2 lets a server read a fold as spaces
    "a folded line": (b"GET /word HTTP/1.1\r\nA: b\r\n c\r\nConnection: close\r\n\r\n", [200]),
    "a fold of nothing": (b"GET /word HTTP/1.1\r\n c\r\n\r\n", [400]),
    "no colon": (b"GET /word HTTP/1.1\r\nnonsense\r\n\r\n", [400]),
    "no version": (b"GET /word\r\n\r\n", [200]),  # as HTTP/1.0
    "no request": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", [400]),  # TLS begins so
    "a head of 17 KiB": (b"GET /word HTTP/1.1\r\nA: " + 17 * 1024 * b"a" + b"\r\n\r\n", [431]),
    "a head of 17 KiB that goes on": (b"GET /word HTTP/1.1\r\nA: " + 17 * 1024 * b"a", [431]),
    "a body of 65 KiB": (b"POST /word HTTP/1.1\r\nContent-Length: 66560\r\n\r\n" + 66560 * b"a", [413]),
    "a chunked body of 65 KiB": (CHUNKED + b"\r\n10400\r\n" + 66560 * b"a" + b"\r\n0\r\n\r\n", [413]),
    "a length of 5000 digits": (
        b"POST /word HTTP/1.1\r\nContent-Length: " + 5000 * b"1" + b"\r\n\r\n",
        [400],
    ),
    # every server has to take it (RFC 9112, section 3.2.2)
    "an absolute target": (b"GET http://here/word HTTP/1.0\r\n\r\n", [200]),
    "half an address in brackets": (b"GET http://[ HTTP/1.1\r\n\r\n", [400]),
    "an empty port": (b"GET http://here:/word HTTP/1.0\r\n\r\n", [200]),
    "only slashes": (b"GET ////word HTTP/1.0\r\n\r\n", [200]),
    "a NUL in the path": (b"GET /w\x00rd HTTP/1.0\r\n\r\n", [404]),
    "an escaped NUL": (b"GET /w%00rd HTTP/1.0\r\n\r\n", [404]),
    "half an escape": (b"GET /word%f HTTP/1.0\r\n\r\n", [404]),
    "bytes that are no ASCII": (b"GET /w\xff\xfe HTTP/1.0\r\n\r\n", [400]),
    "an escape that is no UTF-8": (b"GET /w%ff HTTP/1.0\r\n\r\n", [404]),
    "a path in small steps up": (b"GET /../../etc/passwd HTTP/1.0\r\n\r\n", [404]),
    "the preface of HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", [405]),
    "a method of 10 KiB": (10240 * b"A" + b" /word HTTP/1.0\r\n\r\n", [405]),
    "a method of 17 KiB": (17 * 1024 * b"A" + b" /word HTTP/1.0\r\n\r\n", [431]),
    "a small method": (b"get /word HTTP/1.1\r\n\r\n" + SMUGGLED, [400]),
    "an expectation without a body": (
        b"GET /word HTTP/1.1\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n",
        [200],
    ),
    "an expectation and a body that never arrives": (
        b"POST /word HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n",
        [100],
    ),
    "an expectation of a body too large": (
        b"POST /word HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 66560\r\n\r\n",
        [413],
    ),
    "an expectation and a bad length": (
        b"POST /word HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: x\r\n\r\n" + SMUGGLED,
        [400],
    ),
    "an upgrade": (b"GET /word HTTP/1.1\r\nUpgrade: h2c\r\nConnection: close, upgrade\r\n\r\n", [200]),
}


def statuses(port: int, sent: bytes, at_a_time: int = 1 << 20) -> list[int]:
    """Return the statuses of all answers to bytes, once the connection has ended."""
    client = ask(port)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    came = b""
    with contextlib.suppress(ConnectionError):  # what was left unread makes the end a reset
        for at in range(0, len(sent), at_a_time):
            client.sendall(sent[at : at + at_a_time])
    with contextlib.suppress(ConnectionError):
        while more := client.recv(1 << 16):
            came += more
    return [int(status) for status in re.findall(rb"HTTP/1\.[01] ([0-9]{3}) ", came)]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(our_channel, "REQUEST_TIMEOUT_S", 0.5)
    monkeypatch.setattr(our_channel, "IDLE_S", 0.5)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(("sent", "expected"), BAD_REQUESTS.values(), ids=BAD_REQUESTS.keys())
def test_a_bad_request_gets_one_answer_or_none(
    app: App, port: int, sent: bytes, expected: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody behind it waits, no byte of it is taken for a request of its own, and the log keeps calm."""
    assert statuses(port, sent) == expected
    assert app.environ.get("PATH_INFO") != "/smuggled"
    assert statuses(port, WORD) == [200]
    assert not [record for record in caplog.records if record.exc_info or record.levelno > logging.WARNING]


@pytest.mark.parametrize("at_a_time", [1, 7], ids=["byte by byte", "in sevens"])
@pytest.mark.parametrize(
    "name",
    ["length and coding", "two lengths", "a signed chunk", "a chunk too long", "a bare LF in the head"],
)
def test_a_bad_request_in_pieces_is_as_bad(app: App, port: int, name: str, at_a_time: int) -> None:
    sent, expected = BAD_REQUESTS[name]
    assert statuses(port, sent, at_a_time) == expected
    assert app.environ.get("PATH_INFO") != "/smuggled"


READ = {
    channel.HTTPChannel.__init__: "a194769af3fd2e35",
    channel.HTTPChannel.received: "08d6df73fb69da84",
    channel.HTTPChannel.readable: "e4722238ce60c915",
    channel.HTTPChannel.writable: "d0cbd4ae1b3ba2a3",
    channel.HTTPChannel.handle_write: "6c900f395b306f09",
    channel.HTTPChannel.handle_close: "8f59b9aaa45566bb",
    channel.HTTPChannel.add_channel: "235de3cdfd2c3e8a",
    channel.HTTPChannel.del_channel: "a018ed85e5e518cd",
    channel.HTTPChannel.service: "f73afa13748e1128",
    channel.HTTPChannel.write_soon: "20eedb92a8237c47",
    channel.HTTPChannel._flush_some: "fe7a9a752a419402",
    channel.HTTPChannel._flush_exception: "c9f3751ffdb057b7",
    channel.HTTPChannel._flush_outbufs_below_high_watermark: "27a2b75117abd0d7",
    parser.HTTPRequestParser.parse_header: "c2c093b901782da6",
    parser.HTTPRequestParser.received: "b466c02de37d4a01",
    server.BaseWSGIServer.__init__: "e70a16b5b63c0a98",
    server.BaseWSGIServer.handle_accept: "69bfcf0fc140592a",
    server.BaseWSGIServer.readable: "4eea9c1036b55b41",
    server.UnixWSGIServer.__init__: "612ea36ec2828909",
    task.Task.build_response_header: "2cf70b88816fabc1",
    task.Task.finish: "9bc080ca74743a10",
    task.Task.has_body: "e412f4c3b4931988",
    task.Task.service: "d96bb4019c488cca",
    task.Task.write: "f9a97135b3b5d691",
    task.ThreadedTaskDispatcher.shutdown: "f2550ddbfb8d46b9",
    task.ThreadedTaskDispatcher.start_new_thread: "c51d5c8f2415c093",
    task.WSGITask.execute: "207afc60fcf3181f",
    task.WSGITask.get_environment: "3bb57be6c7db4e59",
    wasyncore.dispatcher.accept: "f74c690fd884a018",
    wasyncore.poll2: "f2ea2bd150ff2600",
}
"""What is overridden or relied on in Waitress 3.0.2: the first 16 digits of each source's SHA-256."""


@pytest.mark.parametrize(
    ("function", "read"), READ.items(), ids=[getattr(one, "__qualname__", "has_body") for one in READ]
)
def test_waitress_is_the_one_that_was_read(function: Any, read: str) -> None:
    """Its inside is no interface, so a new Waitress is read before it is allowed."""
    source = inspect.getsource(getattr(function, "fget", function))
    found = hashlib.sha256(source.encode()).hexdigest()[:16]
    assert found == read, (
        "not as in Waitress 3.0.2: read what changed, mend server_proc/takeover, put this hash"
    )


@pytest.mark.parametrize(
    ("ours", "theirs", "names"),
    [
        (
            Channel,
            channel.HTTPChannel,
            ("received", "service", "_flush_some", "_flush_outbufs_below_high_watermark", "task_class"),
        ),
        (Door, server.TcpWSGIServer, ("accept", "readable", "channel_class")),
        (UnixDoor, server.UnixWSGIServer, ("fix_addr",)),
        (Task, task.WSGITask, ("get_environment", "has_body", "write")),
    ],
)
def test_what_is_overridden_exists_in_waitress(ours: type, theirs: type, names: Iterable[str]) -> None:
    for name in names:
        assert name in vars(ours)
        assert hasattr(theirs, name)


def test_ours_come_before_waitress_s() -> None:
    """A door of either kind takes its methods from ours first."""
    for kind in (TcpDoor, UnixDoor):
        assert kind.accept is Door.accept
        assert kind.readable is Door.readable
