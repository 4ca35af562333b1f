# SPDX-License-Identifier: MIT
"""A client that behaves badly, by mistake or on purpose. Beside it no viewer loses anything.

Each comes from loopback, which has no limit of its own, so nothing but the server's own rules holds it back.
"""

from __future__ import annotations

import contextlib
import itertools
import select
import selectors
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.conditions import eventually
from tests.mjpeg import Audience, share_of_all
from tests.processes import descriptors_of
from tests.running import Ringcast

pytestmark = pytest.mark.process

VIEWERS = 20
ANSWERED_S = 1.0
GAP_S = 1.0
GONE_S = 15.0
"""How long a connection that does nothing more may last."""
FLOOD_S = 5.0


class Caller:
    """Somebody who asks whether it is up and begins to watch, ten times a second, on new connections."""

    def __init__(self, port: int) -> None:
        self.answered_s: list[float] = []
        """How long each answer took, or each failure."""
        self.failures: list[str] = []
        self._port = port
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run, name="caller", daemon=True)

    def __enter__(self) -> Caller:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._thread.join(10)

    def _run(self) -> None:
        while not self._ends.wait(0.1):
            for target in ("/livez", "/stream"):
                began_s = time.monotonic()
                try:
                    self._ask(target)
                except OSError as error:
                    self.failures.append(f"{target}: {error!r}")
                self.answered_s.append(time.monotonic() - began_s)

    def _ask(self, target: str) -> None:
        with socket.create_connection(("127.0.0.1", self._port), timeout=5) as client:
            client.sendall(request(target, "Connection: close"))
            answer = client.recv(4096)
            if not answer.startswith(b"HTTP/1.1 200 OK\r\n"):
                self.failures.append(f"{target}: answered {answer!r}")


def request(target: str, *headers: str) -> bytes:
    return "\r\n".join((f"GET {target} HTTP/1.1", "Host: x", *headers, "", "")).encode()


def sockets_of(pid: int) -> int:
    return sum(target.startswith("socket:") for target in descriptors_of(pid).values())


@contextmanager
def beside_viewers() -> Iterator[Ringcast]:
    """Let twenty viewers watch; yield the service. They must not notice anything."""
    with Ringcast("--camera=pattern") as service:
        server = service.ready()["server"]["pid"]
        with Audience(service.port, VIEWERS) as audience:
            eventually(lambda: all(len(viewer.frames) > 20 for viewer in audience.viewers), 20)
            eventually(lambda: sockets_of(server) == VIEWERS + 1, 15, "only the port and the viewers")
            before = len(descriptors_of(server))
            with Caller(service.port) as caller:
                yield service
            eventually(lambda: len(descriptors_of(server)) <= before, 1, "the descriptors of before")
            eventually(lambda: service.status()["viewers"]["count"] == VIEWERS, 5, "only its viewers")
            listed = service.status()["viewers"]["list"]
            audience.check()
            for viewer in audience.viewers:
                at_s = [seen.at_s for seen in viewer.frames]
                assert max(later - one for one, later in itertools.pairwise(at_s)) < GAP_S
                # a busy machine makes the server late for a frame, which then nobody sees
                assert share_of_all([seen.sequence for seen in viewer.frames]) > 0.95
        assert [viewer["skipped"] for viewer in listed] == [0] * VIEWERS
        assert lost_by_some(audience) == set(), "none loses what another is shown"
        assert caller.failures == []
        assert len(caller.answered_s) > 20
        print(f"\n  {len(caller.answered_s)} answers, the slowest took {max(caller.answered_s):.3f} s")
        assert max(caller.answered_s) < ANSWERED_S
        assert service.server_pid() == server
    assert "Traceback" not in service.log
    assert " ERROR " not in service.log


def lost_by_some(audience: Audience) -> set[int]:
    """Return the frames that some viewers saw and others did not, while all of them watched."""
    seen = [{one.sequence for one in viewer.frames} for viewer in audience.viewers]
    first, last = max(map(min, seen)), min(map(max, seen))
    return {one for one in set().union(*seen) if first <= one <= last and not all(one in its for its in seen)}


def nothing_is_left(service: Ringcast) -> None:
    """See all connections go but those of the viewers, and of the caller."""
    service.get("/livez")  # all that came before it were let in before it
    server = service.server_pid()
    eventually(lambda: sockets_of(server) <= VIEWERS + 3, GONE_S, "the end of its connections")


def connect(port: int, count: int, stack: ExitStack) -> list[socket.socket]:
    return [stack.enter_context(socket.create_connection(("127.0.0.1", port), 5)) for _ in range(count)]


def answers(clients: list[socket.socket], within_s: float) -> list[bytes]:
    """Return what each is sent until its connection ends; fail if one has not ended in time."""
    told, deadline_s = dict.fromkeys(clients, b""), time.monotonic() + within_s
    with selectors.DefaultSelector() as selector:
        for client in clients:
            selector.register(client, selectors.EVENT_READ, client)
        while selector.get_map():
            assert time.monotonic() < deadline_s, f"{len(selector.get_map())} have not ended"
            for key, _ in selector.select(0.1):
                came = b""
                with contextlib.suppress(ConnectionError):
                    came = key.data.recv(65536)
                told[key.data] += came
                if not came:
                    selector.unregister(key.data)
    return list(told.values())


@pytest.mark.parametrize("what", ["after", "fresh"])
def test_a_hundred_snapshots_of_one_key_that_replace_each_other(what: str) -> None:
    """A page that asks again without an end, because each answer is an error to it."""
    with beside_viewers() as service:
        outcomes: dict[bytes, int] = {}
        until_s = time.monotonic() + FLOOD_S
        while time.monotonic() < until_s:
            sequence = service.status()["frame"]["sequence"]
            query = f"after={sequence}" if what == "after" else "fresh=1"
            with ExitStack() as stack:
                clients = connect(service.port, 100, stack)
                for client in clients:
                    client.sendall(request(f"/snapshot?{query}&key=x", "Connection: close"))
                for answer in answers(clients, GONE_S):
                    outcomes[answer[:12]] = outcomes.get(answer[:12], 0) + 1
        assert set(outcomes) <= {b"HTTP/1.1 200", b"HTTP/1.1 503"}, outcomes
        print(f"\n  {outcomes}", service.status()["viewers"]["refused"])


def test_connections_on_which_nothing_is_said() -> None:
    """More than there are places: the oldest go for the newer, and the rest when their time is over."""
    with beside_viewers() as service, ExitStack() as stack:
        clients = connect(service.port, 300, stack)
        assert answers(clients, GONE_S) == [b""] * 300


def test_requests_that_trickle_in() -> None:
    """Slowloris (https://en.wikipedia.org/wiki/Slowloris_(cyber_attack)): each byte is activity."""
    with beside_viewers() as service, ExitStack() as stack:
        clients = connect(service.port, 200, stack)
        head = iter(request("/livez", "X-Padding: " + "x" * 100))
        ended = set[socket.socket]()
        began_s = time.monotonic()
        while len(ended) < len(clients):
            assert time.monotonic() - began_s < GONE_S, f"{len(clients) - len(ended)} are still taken"
            byte = bytes([next(head)])
            for client in set(clients) - ended:
                try:
                    client.sendall(byte)
                except ConnectionError:
                    ended.add(client)
            byte_s = time.monotonic()
            eventually(lambda: time.monotonic() > byte_s + 0.5)  # noqa: B023  within this turn


def has_ended(client: socket.socket) -> bool:
    """Tell whether the server has ended a connection, without reading from it."""
    watched = select.poll()
    watched.register(client, select.POLLRDHUP)
    return bool(watched.poll(0))


@pytest.mark.parametrize(
    ("target", "count"),
    [
        ("/livez", 1),
        ("/livez", 20),
        ("/status", 20),
        ("/snapshot", 1),
        ("/snapshot", 20),
        ("/snapshot?fresh=1", 20),
    ],
)
def test_pipelined_requests_whose_answers_nobody_reads(target: str, count: int) -> None:
    """For as long as it floods, each connection that is ended is followed by another."""
    with beside_viewers() as service, ExitStack() as stack:
        clients, came = list[socket.socket](), 0
        until_s = time.monotonic() + FLOOD_S
        while time.monotonic() < until_s:
            clients = [client for client in clients if not has_ended(client)]
            for client in connect(service.port, count - len(clients), stack):
                client.setblocking(False)
                with contextlib.suppress(BlockingIOError, ConnectionError):
                    client.send(request(target) * 500)
                clients.append(client)
                came += 1
            time.sleep(0.02)  # the pace of its flood
        print(f"\n  {came} connections")
        nothing_is_left(service)
