# SPDX-License-Identifier: MIT
"""A client that runs, and what it shows. Here: the forms in which clients hand on what they show.

Not here: which clients there are, and what is expected of them.
"""

from __future__ import annotations

import http.client
import itertools
import json
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Protocol, TypeAlias

import numpy as np

from tests.clients.picture_code import HEIGHT, WIDTH, Told, read_jpeg, read_pixels, read_spots
from tests.conditions import eventually
from tests.running import environment

_LONGEST_S = 150
"""Some clients never end and ignore SIGTERM; should this process die, they do not stay for ever."""
_PICTURE_BYTES = WIDTH * HEIGHT * 3


@dataclass(frozen=True, slots=True)
class Sight:
    """One picture that a client showed, and when it was seen."""

    at_unix_s: float
    number: int
    live: bool


Shown: TypeAlias = tuple[float, Callable[[], Told]]
"""When a picture was seen, and what reads it."""


class Form(Protocol):
    """How pictures come out of a client: reads its stdout until that ends."""

    def __call__(self, output: IO[bytes]) -> Iterator[Shown]: ...


class Client:
    """One client, from its start until it is closed; its thread notes what it shows."""

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        form: Form,
        folder: Path,
        changes: Mapping[str, str] | None = None,
    ) -> None:
        """Start `command`; `changes` are made to its environment, and `folder` takes what it logs."""
        self.name = name
        self.sights: list[Sight] = []
        self.faults: list[str] = []
        self.ended = False
        """Whether it ended by itself."""
        self._form = form
        self._closing = False
        self._log = folder / f"{name}.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                ["timeout", "--kill-after=2", str(_LONGEST_S), *command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                env=environment(**(changes or {})),
            )
        self._thread = threading.Thread(target=self._watch, name=name, daemon=True)
        self._thread.start()

    @property
    def log(self) -> str:
        """What it printed to stderr, at most the end of it."""
        return self._log.read_text(errors="replace")[-4000:]

    def close(self) -> None:
        """End it: by SIGTERM, and where that does not help within two seconds by SIGKILL."""
        self._closing = True
        self._process.terminate()
        self._process.wait(10)
        self._thread.join(10)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _watch(self) -> None:
        assert self._process.stdout is not None
        try:
            for at_unix_s, tell in self._form(self._process.stdout):
                self._note(at_unix_s, tell)
        except (ValueError, OSError) as error:
            self.faults.append(f"it handed on what is no picture: {error!r}")
        self.ended = not self._closing

    def _note(self, at_unix_s: float, tell: Callable[[], Told]) -> None:
        try:
            told = tell()
        except ValueError as error:
            self.faults.append(f"after {self.sights[-1:]}: {error}")
        else:
            self.sights.append(Sight(at_unix_s, told.number, told.live))


def raw_video(output: IO[bytes], *, order: int = 1) -> Iterator[Shown]:
    """Read pictures of three bytes a pixel: RGB, or BGR where `order` is -1."""
    while len(raw := output.read(_PICTURE_BYTES)) == _PICTURE_BYTES:
        yield _pixels(raw, order)


def vlc_video(output: IO[bytes]) -> Iterator[Shown]:
    """Read what VLC's vout `yuv` writes: a line, then each picture as RGB behind `FRAME`."""
    head = output.readline()
    if not head.startswith(b"RV24 W640 H480 "):
        raise ValueError(f"expected VLC's head of a video, got {head[:80]!r}")
    while output.readline() == b"FRAME\n":
        raw = output.read(_PICTURE_BYTES)
        if len(raw) == _PICTURE_BYTES:
            yield _pixels(raw, 1)


def _pixels(raw: bytes, order: int) -> Shown:
    picture = np.frombuffer(raw, dtype=np.uint8).reshape(HEIGHT, WIDTH, 3)[..., ::order]
    return time.time(), partial(read_pixels, picture)


def jpegs_with_lengths(output: IO[bytes]) -> Iterator[Shown]:
    """Read JPEGs, each behind its length in four bytes."""
    while length := output.read(4):
        jpeg = output.read(int.from_bytes(length, "little"))
        yield time.time(), partial(read_jpeg, jpeg)


def http_answer(output: IO[bytes]) -> Iterator[Shown]:
    """Read an answer with its head, as `curl -i` prints it."""
    status = output.readline()
    if status not in (b"HTTP/1.1 200 OK\r\n", b""):
        raise ValueError(f"answered {status!r}")
    while output.readline().strip():
        pass
    yield from _parts(output)


def proxied(output: IO[bytes]) -> Iterator[Shown]:
    """Read a stream from loopback's port that comes first."""
    port = int(output.readline())
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", "/")
    try:
        with connection.getresponse() as answer:
            yield from _parts(answer)
    except http.client.IncompleteRead:
        pass  # the proxy was ended
    finally:
        connection.close()


def _parts(stream: IO[bytes] | http.client.HTTPResponse) -> Iterator[Shown]:
    while delimiter := stream.readline():
        if delimiter != b"--frame\r\n":
            raise ValueError(f"expected a delimiter, got {delimiter[:80]!r}")
        lines = list(itertools.takewhile(bytes.strip, iter(stream.readline, None)))
        head = dict(line.split(b": ", 1) for line in lines if line.endswith(b"\r\n"))
        jpeg = stream.read(int(head.get(b"Content-Length", 0)))
        if jpeg[-2:] != b"\xff\xd9":
            return  # it was ended in the middle
        yield time.time(), partial(read_jpeg, jpeg)
        stream.readline()


def jpeg_files(output: IO[bytes]) -> Iterator[Shown]:
    """Read the JPEGs that motion says it has written."""
    for line in output:
        written = re.search(rb"Writing image to file: (.+\.jpg)$", line.strip())
        if written:
            file = Path(written[1].decode())
            yield file.stat().st_mtime, partial(read_jpeg, file.read_bytes())
            file.unlink()


def browser_lines(output: IO[bytes]) -> Iterator[Shown]:
    """Read what browser.cjs prints."""
    for line in output:
        at_unix_s, spots = json.loads(line)
        yield at_unix_s, partial(read_spots, np.array(spots))


def all_show(clients: list[Client], within_s: float = 60.0) -> None:
    """Wait until each client has shown a picture; fail with the reason of those that did not."""

    def late() -> list[Client]:
        return [client for client in clients if not client.sights]

    try:
        eventually(lambda: not late() or any(client.ended for client in late()), within_s)
    finally:
        reasons = {client.name: (client.faults[:3], client.log) for client in late()}
        assert not reasons, f"nothing was shown within {within_s} s by {reasons}"
