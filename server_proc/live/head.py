# SPDX-License-Identifier: MIT
"""The head of an HTTP answer on a connection that was taken over. Waitress writes all other heads."""

from __future__ import annotations

from dataclasses import dataclass, field
from email.utils import formatdate

SERVER = "ringcast"


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, and what belongs to it."""

    status: str
    """Such as "200 OK"."""
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Head:
    """What the web side decided of an answer before its connection was taken over."""

    version: str
    """Of HTTP: 1.0 or 1.1."""
    status: str
    headers: tuple[tuple[str, str], ...] = ()

    def encode(self) -> bytes:
        """Return the head as bytes. The connection ends with the answer, so there is no length to tell."""
        own = (("Server", SERVER), ("Date", formatdate(usegmt=True)), ("Connection", "close"))
        lines = [f"HTTP/{self.version} {self.status}"]
        lines += [f"{name.title()}: {value}" for name, value in (*self.headers, *own)]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")

    def with_answer(self, answer: Answer) -> bytes:
        """Return a whole answer: its own headers override those that were decided before."""
        headers = {name.title(): value for name, value in self.headers}
        headers |= {name.title(): value for name, value in answer.headers.items()}
        if answer.body:
            headers["Content-Length"] = str(len(answer.body))
        else:
            headers.pop("Content-Type", None)
        return Head(self.version, answer.status, tuple(headers.items())).encode() + answer.body
