# SPDX-License-Identifier: MIT
"""Real clients watch one camera at once, through a restart of it with 20 s without a picture."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from tests.clients import programs
from tests.clients.numbered_camera import FOLDER_VARIABLE, Orders
from tests.clients.picture_code import read_jpeg
from tests.clients.watching import Client, Sight, all_show
from tests.conditions import eventually
from tests.mjpeg import Audience
from tests.running import Ringcast

pytestmark = [pytest.mark.process, pytest.mark.client]

FPS = 20
LIVE_S, STALL_S, AGAIN_S = 10, 20, 4
BEHIND_S = 0.3
"""A player that chooses what it looks at shows a picture of at most so long ago, most of the time."""
VLC_BEHIND_S = 1.4
"""VLC keeps a second of what it got (its option `network-caching`), from whatever server."""
SPOILT_BY_ITSELF = {"mjpeg-consumer": 0.01}
"""It looks for one SOI, one EOI and one length in each chunk that it is given (lib/mjpeg-consumer.js, 2.0.0).
Where a chunk ends amidst the digits of a length, it hands on a torn picture, from whatever server."""

Start: TypeAlias = Callable[[str, Path], Client]
READERS: dict[str, Start] = {
    "ffmpeg": programs.ffmpeg,
    "opencv": programs.opencv,
    "gstreamer": programs.gstreamer,
    "curl": programs.curl,
    "aiohttp": programs.aiohttp,
    "mjpeg-consumer": programs.mjpeg_consumer,
    "node-mjpeg-proxy": programs.node_mjpeg_proxy,
}
"""They hand on every frame that they get."""
PLAYERS: dict[str, Start] = {"vlc": programs.vlc, "motion": programs.motion}
"""They decide themselves how often they look."""
BROWSERS: dict[str, Start] = {"chromium": programs.chromium, "firefox": programs.firefox}
"""As players; it is Ringcast's page that opens their stream."""
EVERYONE = [*READERS, *PLAYERS, *BROWSERS]


@dataclass(frozen=True)
class Watched:
    """All that was seen, and what there was to see."""

    clients: dict[str, Client]
    captured_unix_s: dict[int, float]
    """When each numbered picture was taken."""
    live: range
    """The numbers of the ten seconds before the stall."""
    again: range
    """Those after it."""
    before: dict[str, Any]
    after: dict[str, Any]
    """`/status` at the beginning of the ten seconds, and at the end of all."""
    came: tuple[int, int]
    """How many viewers had come by then, says the log."""

    def behind_s(self, name: str) -> float:
        """Return the median age of what a client showed in the ten seconds."""
        return statistics.median(
            one.at_unix_s - self.captured_unix_s[one.number]
            for one in self.sights(name, self.live[: -2 * FPS])
        )

    def sights(self, name: str, numbers: range, *, live: bool = True) -> list[Sight]:
        """Return what a client saw of some numbers."""
        return [one for one in self.clients[name].sights if one.number in numbers and one.live is live]


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    folder = tmp_path_factory.mktemp("clients")
    orders = Orders(folder)
    camera = "--camera=tests.clients.numbered_camera:NumberedCamera"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(FOLDER_VARIABLE, str(folder))
        with Ringcast(camera, f"--fps={FPS}") as service:
            service.ready()
            with Audience(service.port, 1) as audience:
                yield _watch(service, audience, orders, folder)


def _watch(service: Ringcast, audience: Audience, orders: Orders, folder: Path) -> Watched:
    base = f"http://127.0.0.1:{service.port}"
    starts = {**READERS, **PLAYERS}
    clients = {name: start(f"{base}/stream?key={name}", folder) for name, start in starts.items()}
    clients |= {name: start(f"{base}/", folder) for name, start in BROWSERS.items()}
    reference = audience.viewers[0]

    def newest() -> int:
        return reference.frames[-1].sequence

    try:
        all_show(list(clients.values()))
        before = eventually(
            lambda: _with_viewers(service, len(clients) + 1), what="all viewers in the status"
        )
        came_before = service.log.count(") connected")
        first = newest()
        eventually(lambda: newest() >= first + LIVE_S * FPS, 2 * LIVE_S)
        orders.hang(for_s=STALL_S)
        eventually(lambda: service.status()["frame"]["age_ms"] > STALL_S / 2 * 1000, STALL_S)
        last = newest()
        eventually(lambda: newest() > last, STALL_S, "a picture after the stall")
        again = newest()
        eventually(lambda: newest() >= again + AGAIN_S * FPS, 2 * AGAIN_S)
        after, came_after = service.status(), service.log.count(") connected")
    finally:
        for client in clients.values():
            client.close()
    audience.check()
    seen = list(reference.frames)
    numbers = {sequence: read_jpeg(jpeg).number for sequence, jpeg in audience.jpegs.copy().items()}
    return Watched(
        clients,
        {numbers[one.sequence]: one.timestamp for one in seen},
        range(numbers[first], numbers[last] + 1),
        range(numbers[again], numbers[again + AGAIN_S * FPS]),
        before,
        after,
        (came_before, came_after),
    )


def _with_viewers(service: Ringcast, number: int) -> dict[str, Any]:
    """Return the status if it lists so many viewers by now, and nothing else: it is a second late."""
    status = service.status()
    return status if len(status["viewers"]["list"]) == number else {}


def shares(watched: Watched, name: str) -> tuple[float, float]:
    """Return which share of the pictures before and after the stall a client handed on."""
    before, after = (
        len({one.number for one in watched.sights(name, numbers)}) / len(numbers)
        for numbers in (watched.live, watched.again)
    )
    return before, after


@pytest.mark.parametrize("name", READERS)
def test_a_client_gets_the_frames(watched: Watched, name: str) -> None:
    before, after = shares(watched, name)
    assert before >= 0.95
    assert after >= 0.95


@pytest.mark.parametrize("name", [*PLAYERS, *BROWSERS])
def test_a_player_shows_the_newest(watched: Watched, name: str) -> None:
    assert watched.behind_s(name) < (VLC_BEHIND_S if name == "vlc" else BEHIND_S)
    assert min(shares(watched, name)) > 0.3, "it looks ten times a second or more often"


@pytest.mark.parametrize("name", EVERYONE)
def test_a_client_shows_what_was_sent(watched: Watched, name: str) -> None:
    """The right pixels, no mix of two frames, and none that is older than one before it."""
    client = watched.clients[name]
    spoilt = SPOILT_BY_ITSELF.get(name, 0.0) * len(client.sights)
    assert len(client.faults) <= spoilt, client.faults
    assert all(one.number <= next_one.number for one, next_one in itertools.pairwise(client.sights))


@pytest.mark.parametrize("name", EVERYONE)
def test_a_client_gets_through_a_restart(watched: Watched, name: str) -> None:
    """Twenty seconds without a frame: it says so at once and each second, then shows what comes."""
    client = watched.clients[name]
    assert not client.ended, client.log
    stalled = watched.sights(name, watched.live, live=False)
    assert len(stalled) >= STALL_S - 4
    assert stalled[0].number == watched.live[-1], "its last picture, dimmed"
    assert watched.sights(name, watched.again)[-1].at_unix_s > stalled[-1].at_unix_s


def test_nobody_connected_a_second_time(watched: Watched) -> None:
    before, after = (
        {viewer["id"] for viewer in status["viewers"]["list"]} for status in (watched.before, watched.after)
    )
    assert len(before) == len(EVERYONE) + 1
    assert after == before
    assert watched.came[1] == watched.came[0]
    assert watched.after["supervisor"]["capture"]["restarts"]["stalled (exit 75)"] >= 1
