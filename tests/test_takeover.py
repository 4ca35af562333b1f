# SPDX-License-Identifier: MIT
"""The contract with Waitress: a real Waitress on loopback, and what of its inside is relied on."""

from __future__ import annotations

import inspect
import os
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from waitress import channel, server, task

from server_proc import takeover
from server_proc.live.connection import Connection, Outcome
from server_proc.live.ticket import Ticket
from server_proc.takeover import Channel, Door, Task, WebServer
from tests.conditions import eventually
from tests.fakes import FakeSeat

FILLER = b"x" * 100_000


class App:
    """`/stream` answers a ticket, `/large` 100 kB, `/huge` 4 MB, anything else a word."""

    def __init__(self) -> None:
        self.viewers: list[Connection] = []
        self.given_back = 0
        self.answered = 0

    def give_back(self) -> None:
        self.given_back += 1

    def ticket(self) -> Ticket:
        return Ticket(FakeSeat(self.give_back), self.take)

    def take(self, connection: socket.socket, unsent: bytes, head: bytes) -> None:
        self.viewers.append(Connection(connection, unsent + head + b"--frame\r\n", seat=FakeSeat()))

    def __call__(self, environ: Any, start_response: Callable[..., Any]) -> Iterable[bytes]:
        self.answered += 1
        if environ["PATH_INFO"] == "/stream":
            start_response("200 OK", [("content-type", "multipart/x"), ("x-accel-buffering", "no")])
            return self.ticket()
        if environ["PATH_INFO"] == "/head":
            start_response("200 OK", [("content-type", "multipart/x")])
            return []
        body = {"/large": FILLER, "/huge": 40 * FILLER}.get(environ["PATH_INFO"], b"word")
        start_response("200 OK", [("Content-Length", str(len(body)))])
        return [body]


@pytest.fixture
def app() -> App:
    return App()


@pytest.fixture
def port(app: App) -> Iterator[int]:
    listening = socket.create_server(("127.0.0.1", 0))
    web = WebServer(app, [listening])
    thread = threading.Thread(target=web.run, daemon=True)
    thread.start()
    yield listening.getsockname()[1]
    web.stop()
    thread.join(10)
    assert not thread.is_alive()


def ask(port: int, *requests: str) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", port), timeout=15)
    client.sendall(b"".join(f"{request}\r\n\r\n".encode() for request in requests))
    return client


def read_to_the_end(client: socket.socket) -> bytes:
    came = b""
    while more := client.recv(1 << 16):
        came += more
    return came


def finish(viewer: Connection) -> None:
    """Do what the fan-out does, on its own: send the opening and end the stream."""
    viewer.admitted(0.0)
    while viewer.go_on(0.0) is Outcome.BUSY:
        pass
    viewer.end()


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_a_streams_connection_lives_on_outside_waitress(app: App, port: int, version: str) -> None:
    client = ask(port, f"GET /stream HTTP/{version}")
    eventually(lambda: app.viewers)
    finish(app.viewers[0])
    assert (
        read_to_the_end(client)
        == (
            f"HTTP/{version} 200 OK\r\nContent-Type: multipart/x\r\nX-Accel-Buffering: no\r\n"
            "Connection: close\r\n\r\n--frame\r\n"
        ).encode()
    )
    assert app.given_back == 0, "the place is the viewer's"


def test_what_the_application_writes_after_the_hand_over_goes_nowhere(app: App) -> None:
    """WSGI's write() would put bytes in the middle of the stream."""
    writers = []

    def writing(environ: Any, start_response: Callable[..., Any]) -> Iterable[bytes]:
        writers.append(start_response("200 OK", [("content-type", "multipart/x")]))
        return app.ticket()

    listening = socket.create_server(("127.0.0.1", 0))
    web = WebServer(writing, [listening])
    thread = threading.Thread(target=web.run, daemon=True)
    thread.start()
    client = ask(listening.getsockname()[1], "GET / HTTP/1.1")
    eventually(lambda: app.viewers)
    writers[0](b"in the middle of the stream")
    finish(app.viewers[0])
    assert read_to_the_end(client).endswith(b"Connection: close\r\n\r\n--frame\r\n")
    web.stop()
    thread.join(10)


def test_all_sockets_are_served_those_of_unix_too(app: App, tmp_path: Path) -> None:
    listening = [socket.create_server(("127.0.0.1", 0)), socket.create_server(("127.0.0.1", 0))]
    listening.append(socket.socket(socket.AF_UNIX))
    listening[-1].bind(str(tmp_path / "http"))
    web = WebServer(app, listening)
    thread = threading.Thread(target=web.run, daemon=True)
    thread.start()
    for number, one in enumerate(listening, 1):
        client = socket.socket(one.family)
        client.settimeout(15)
        client.connect(one.getsockname())
        client.sendall(b"GET /word HTTP/1.1\r\n\r\nGET /stream HTTP/1.1\r\n\r\n")
        eventually(lambda number=number: len(app.viewers) == number)  # type: ignore[misc]
        finish(app.viewers[-1])
        came = read_to_the_end(client)
        assert came.startswith(b"HTTP/1.1 200 OK")
        assert came.endswith(b"--frame\r\n")
    web.stop()
    thread.join(10)
    assert not thread.is_alive()


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
    monkeypatch.setattr(takeover, "REQUEST_TIMEOUT_S", 0.3)
    clients = [ask(port) for _ in range(2)]
    clients[1].sendall(b"GET /word HT")
    assert [read_to_the_end(client) for client in clients] == [b"", b""]
    assert app.answered == 0


def test_a_connection_that_asked_is_kept_for_the_next_request(
    app: App, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(takeover, "REQUEST_TIMEOUT_S", 0.3)
    idle, client = ask(port), ask(port, "GET /word HTTP/1.1")
    assert b"200 OK" in client.recv(1000)
    assert read_to_the_end(idle) == b"", "its time is over, and so would be the other's"
    client.sendall(b"GET /word HTTP/1.1\r\nConnection: close\r\n\r\n")
    assert b"word" in read_to_the_end(client)


def test_requests_stand_behind_frames(port: int) -> None:
    """Each thread that computes delays the fan-out, which gives the interpreter lock away at every send."""
    workers = [thread for thread in threading.enumerate() if thread.name.startswith("waitress-")]
    assert workers
    for thread in workers:
        assert thread.native_id is not None
        eventually(lambda thread=thread: os.getpriority(os.PRIO_PROCESS, thread.native_id) == 10)  # type: ignore[misc]
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == 0


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
        takeover.with_takeover(broken)({"ringcast.task": Gone()}, lambda *_: lambda _: None)
    assert app.given_back == 1


@pytest.mark.parametrize(
    ("where", "what"),
    [
        (channel.HTTPChannel.service, "task = self.task_class(self, request)"),
        (channel.HTTPChannel.service, "if task.close_on_finish:"),
        (channel.HTTPChannel.service, "self.close_when_flushed = True"),
        (channel.HTTPChannel.write_soon, "self._flush_outbufs_below_high_watermark()"),
        (channel.HTTPChannel.handle_write, "if self.will_close:"),
        (channel.HTTPChannel.received, "self.request = None"),
        (task.WSGITask.execute, "self.channel.server.application(environ, start_response)"),
        (task.WSGITask.execute, "environ = self.get_environment()"),
        (task.Task.finish, "if not self.wrote_header:"),
        (task.Task.build_response_header, "if self.has_body:"),
        (server.BaseWSGIServer.handle_accept, "self.channel_class(self, conn, addr, self.adj, map="),
        (server.BaseWSGIServer.handle_accept, "except OSError:"),
        (server.BaseWSGIServer.readable, "self.next_channel_cleanup = now + self.adj.cleanup_interval"),
        (server.BaseWSGIServer.maintenance, "channel.last_activity < cutoff"),
        (server.create_server, "bind_socket=False,"),
    ],
)  # fmt: skip
def test_waitress_s_inside_is_as_the_take_over_knows_it(where: Callable[..., Any], what: str) -> None:
    """A new Waitress that differs here must be read before it is allowed."""
    assert what in inspect.getsource(where)


def test_what_is_overridden_exists_in_waitress() -> None:
    for name in ("received", "readable", "_flush_outbufs_below_high_watermark", "task_class"):
        assert name in vars(Channel)
        assert hasattr(channel.HTTPChannel, name)
    for name in ("accept", "readable", "channel_class"):
        assert name in vars(Door)
        assert hasattr(server.TcpWSGIServer, name)
    for name in ("get_environment", "has_body"):
        assert name in vars(Task)
        assert hasattr(task.WSGITask, name)
