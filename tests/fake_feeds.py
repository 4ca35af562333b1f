# SPDX-License-Identifier: MIT
"""A stand-in for the fan-out, and requests to the application without a server.

Requests are plain WSGI calls: Falcon's own test client takes the body of an answer to HEAD away, and with it
the fault that a test looks for.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import falcon.testing

from server_proc.live.admission import Admission, Kind, Refusal
from server_proc.live.fanout import Census
from server_proc.live.outlook import Outlook, Placeholder
from server_proc.live.ticket import Ticket
from server_proc.live.totals import Totals
from server_proc.live.viewer import ViewerFacts
from server_proc.live.waiting import Ask
from server_proc.live.wishes import Wishes
from server_proc.options import TrustedProxy
from server_proc.web.app import create_app
from server_proc.web.doors.host import HostDoor
from server_proc.web.doors.proxies import Proxies, ProxiesDoor
from server_proc.web.status import ServiceFacts
from shm_ring.board import Reading
from shm_ring.frame import Frame, FrameFacts
from tests.fakes import jpeg_of, noise
from tests.rows import supervisor_status

AGENT = falcon.testing.DEFAULT_UA
JPEG = jpeg_of(noise(size=(128, 96)))
UNIX_NS = 1_795_346_598_880_931_000


@dataclass
class FakeFeeds:
    """What a test sets, with real places: whoever gets a ticket has one until the ticket is closed."""

    most: int = 64
    most_per_address: int = 16
    now: Outlook = field(default_factory=Outlook)
    watching: list[tuple[Wishes, ViewerFacts]] = field(default_factory=list)
    totals: Totals = field(default_factory=Totals)
    asked: list[Wishes] = field(default_factory=list)
    waiting: list[tuple[Ask, float]] = field(default_factory=list)
    """What those who wait ask, and for how many seconds."""

    def __post_init__(self) -> None:
        self.admission = Admission(most=self.most, most_per_address=self.most_per_address)

    def outlook(self) -> Outlook:
        return self.now

    def census(self) -> Census:
        return Census(self.watching, self.totals)

    def admit(self, wishes: Wishes) -> Ticket | Refusal:
        return self._ticket(Kind.VIEWER, wishes)

    def admit_waiting(self, wishes: Wishes, ask: Ask, wait_s: float) -> Ticket | Refusal:
        self.waiting.append((ask, wait_s))
        return self._ticket(Kind.WAITING, wishes)

    def _ticket(self, kind: Kind, wishes: Wishes) -> Ticket | Refusal:
        self.asked.append(wishes)
        seat = self.admission.enter(kind, wishes.address, wishes.key)
        return seat if isinstance(seat, Refusal) else Ticket(seat, lambda *_: None)


def frame_of(now_ns: int, age_s: float = 0.0, jpeg: bytes = JPEG, sequence: int = 41) -> Frame:
    """Return a frame that was captured `age_s` before `now_ns`."""
    return Frame(sequence, FrameFacts(now_ns - round(age_s * 1e9), UNIX_NS, 128, 96), jpeg)


def placeholder_of(now_ns: int, age_s: float = 0.0) -> Placeholder:
    """Return a placeholder that was drawn `age_s` before `now_ns`."""
    return Placeholder(b"\xff\xd8 NO LIVE VIDEO \xff\xd9", now_ns - round(age_s * 1e9))


def outlook_of(age_s: float | None = 0.0, **differs: Any) -> Outlook:
    """Return an outlook of this moment, with a frame of that age; None for none. The camera was killed."""
    now_ns = time.monotonic_ns()
    killed = supervisor_status(state="backoff", last_reason="killed by SIGKILL")
    usual = {
        "began_ns": now_ns,
        "frame": None if age_s is None else frame_of(now_ns, age_s),
        "supervisor": Reading(killed, now_ns),
    }
    return Outlook(**{**usual, **differs})


@dataclass
class Answered:
    """An answer as WSGI knows it."""

    status: str
    headers: dict[str, str]
    body: bytes
    ticket: Ticket | None = None
    """Kept here it keeps its place."""
    errors: str = ""
    """What was written past the log, to wsgi.errors."""

    @property
    def code(self) -> int:
        return int(self.status[:3])

    @property
    def text(self) -> str:
        return self.body.decode()


class Client:
    """Somebody who asks an application."""

    def __init__(
        self, feeds: FakeFeeds, trusted: tuple[TrustedProxy, ...] = (), allowed: tuple[str, ...] = ()
    ) -> None:
        service = ServiceFacts(
            instance_id="5eed",
            server_pid=77,
            admission=feeds.admission,
            max_viewers=feeds.most,
            max_viewers_per_address=feeds.most_per_address,
            started_ns=time.monotonic_ns(),
        )
        self.app = create_app(feeds, service, ProxiesDoor(Proxies(trusted)), HostDoor(allowed))

    def get(self, target: str, headers: dict[str, str] | None = None, **differs: Any) -> Answered:
        return self.ask("GET", target, headers, **differs)

    def head(self, target: str, headers: dict[str, str] | None = None, **differs: Any) -> Answered:
        return self.ask("HEAD", target, headers, **differs)

    def ask(
        self,
        method: str,
        target: str,
        headers: dict[str, str] | None = None,
        *,
        host: str | None = "127.0.0.1:5000",
        peer: str = "127.0.0.1",
        version: str = "1.1",
    ) -> Answered:
        """Ask as `peer`; the target is everything behind the host, and a `host` of None sends none."""
        path, _, query = target.partition("?")
        errors = io.StringIO()
        environ = falcon.testing.create_environ(
            path, query, version, headers=headers, method=method, remote_addr=peer, wsgierrors=errors
        )
        environ.pop("HTTP_HOST", None)
        if host is not None:
            environ["HTTP_HOST"] = host
        started: list[tuple[str, list[tuple[str, str]]]] = []

        def start_response(
            status: str, its_headers: list[tuple[str, str]], exc_info: Any = None, /
        ) -> Callable[[bytes], object]:
            started.append((status, its_headers))
            return lambda written: None

        answer = self.app(environ, start_response)
        ((status, its_headers),) = started
        ticket = answer if isinstance(answer, Ticket) else None
        body = b"" if ticket else b"".join(answer)
        named = {name.lower(): value for name, value in its_headers}
        assert len(named) == len(its_headers), "each header once"
        return Answered(status, named, body, ticket, errors.getvalue())
