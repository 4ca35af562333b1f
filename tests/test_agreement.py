# SPDX-License-Identifier: MIT
"""Five places say whether the picture is live, and in every drill of the camera they say the same.

`systemctl status` (the STATUS= that systemd gets), `/status`, `/readyz`, `/snapshot` and the stream: a driver
who looks at one and a monitor that asks another must not be told opposite things.
"""

from __future__ import annotations

import itertools
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from proc_start.drills import AT_EACH_START, END, FAULTS
from tests.conditions import eventually
from tests.drilling import drill
from tests.fake_systemd import Systemd, under
from tests.mjpeg import Audience
from tests.running import Ringcast

MOST_S = 1.2
"""The longest that they may disagree: frames grow old all the time, placeholders are sent once a second."""
ASK_S = 0.1

OF_CAMERAS = [fault for fault in FAULTS if fault.startswith(("camera-", "capture-"))]
FLOWS_ON = {
    "camera-slow",
    f"camera-slow{AT_EACH_START}",
    "camera-wrong-size",
    f"camera-wrong-size{AT_EACH_START}",
    "camera-frozen-scene",  # its one restart after ten seconds is over before the picture grows stale
    f"camera-frozen-scene{AT_EACH_START}",
}
"""Frames flow while the fault lasts."""
ENDS_NOTHING = ("camera-slow", "camera-wrong-size")
"""The capture process goes on, and the picture is live all the time."""
QUICK = {"capture-kill", "camera-crash", "camera-raise", "camera-exit", "camera-exit-0"}
"""Frames are back within a second, so the picture may stay live."""
IGNORES_STOP = {"camera-ignore-sigterm", f"camera-ignore-sigterm{AT_EACH_START}"}


class Said(NamedTuple):
    """A place's answer, and when it came."""

    at_s: float
    live: bool


class Panel:
    """Asks each place again and again, each in a thread of its own: a slow one delays no other."""

    def __init__(self, places: dict[str, Callable[[], bool]]) -> None:
        self.said: dict[str, list[Said]] = {name: [] for name in places}
        self._ended = threading.Event()
        self._threads = [
            threading.Thread(target=self._ask, args=(self.said[name], ask), name=name)
            for name, ask in places.items()
        ]

    def __enter__(self) -> Panel:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(10)

    def all_say(self, live: bool) -> bool:
        return all(said and said[-1].live is live for said in self.said.values())

    def since(self, at_s: float) -> dict[str, list[Said]]:
        """Return what each said since, and the last that it had said before."""
        found = {}
        for name, said in self.said.items():
            first = max((number for number, one in enumerate(said) if one.at_s <= at_s), default=0)
            found[name] = said[first:]
        return found

    def _ask(self, said: list[Said], ask: Callable[[], bool]) -> None:
        while not self._ended.wait(ASK_S):
            live = ask()
            said.append(Said(time.monotonic(), live))


def longest_disagreement_s(said: dict[str, list[Said]]) -> float:
    """Return the longest time for which not all said the same, each standing by its last answer."""
    answers = sorted((one.at_s, name, one.live) for name, of_one in said.items() for one in of_one)
    now: dict[str, bool] = {}
    longest_s, began_s = 0.0, None
    for at_s, at_once in itertools.groupby(answers, key=lambda answer: answer[0]):
        now |= {name: live for _, name, live in at_once}
        if began_s is not None:
            longest_s = max(longest_s, at_s - began_s)
        if len(now) < len(said) or len(set(now.values())) == 1:
            began_s = None
        elif began_s is None:
            began_s = at_s
    return longest_s


@contextmanager
def panel_of(folder: Path) -> Iterator[tuple[Ringcast, Panel]]:
    """Ask all five places of one service, which has a live picture."""
    systemd = Systemd(str(folder / "notify"))
    with under(systemd, "--camera=pattern") as service:
        service.ready()
        with Audience(service.port, 1) as audience:
            (viewer,) = audience.viewers
            eventually(lambda: viewer.seen, what="a part of the stream")
            places = {
                "systemctl status": lambda: systemd.last_status().startswith("live picture"),
                "/status": lambda: bool(service.status()["ready"]),
                "/readyz": lambda: service.get("/readyz")[0] == 200,
                "/snapshot": lambda: service.get("/snapshot")[0] == 200,
                "the stream": lambda: viewer.seen[-1].freshness != "placeholder",
            }
            with Panel(places) as panel:
                eventually(lambda: panel.all_say(True), what="five times live")
                yield service, panel
            audience.check()
    systemd.close()


def frames_flow(service: Ringcast) -> None:
    before = service.status()["frame"]["sequence"]
    eventually(lambda: service.status()["frame"]["sequence"] > before + 8, 20, "new frames")


@pytest.mark.process
@pytest.mark.parametrize("fault", OF_CAMERAS)
def test_all_five_agree_on_whether_the_picture_is_live(
    fault: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kind = fault.removesuffix(AT_EACH_START)
    with panel_of(tmp_path) as (service, panel):
        began_s = time.monotonic()
        assert drill(service, fault).returncode == 0
        if fault in FLOWS_ON:
            eventually(lambda: "drill: " in ((service.status()["camera"] or {}).get("name") or ""))
            frames_flow(service)
        elif fault in IGNORES_STOP:
            eventually(lambda: "drill: ignore-sigterm begins" in service.log)
            os.kill(service.pid, signal.SIGUSR1)  # which restarts the camera
        elif fault not in QUICK:
            eventually(lambda: panel.all_say(False), what="five times not live")
        if fault != kind:
            assert drill(service, END).returncode == 0
        if kind not in ENDS_NOTHING:
            eventually(lambda: "capture ended: " in service.log, 20, "the end of a process")
        frames_flow(service)
        eventually(lambda: panel.all_say(True), 20, "five times live")
        said = panel.since(began_s)
    longest_s = longest_disagreement_s(said)
    with capsys.disabled():
        print(f"\n{fault}: they disagreed for at most {longest_s:.2f} s ", end="")
    assert longest_s <= MOST_S, said
    if fault in ENDS_NOTHING:
        assert all(one.live for of_one in said.values() for one in of_one), said


@pytest.mark.process
def test_a_status_that_stands_still_is_found_out(tmp_path: Path) -> None:
    """So the test above can fail: a supervisor that is frozen tells systemd nothing new."""
    with panel_of(tmp_path) as (service, panel):
        capture = service.capture_pid()
        os.kill(service.pid, signal.SIGSTOP)
        os.kill(capture, signal.SIGSTOP)
        eventually(lambda: longest_disagreement_s(panel.said) > MOST_S)
        last = {name: said[-1].live for name, said in panel.said.items()}
        os.kill(capture, signal.SIGCONT)
        os.kill(service.pid, signal.SIGCONT)
    assert [name for name, live in last.items() if live] == ["systemctl status"]


@pytest.mark.parametrize(
    ("one", "other", "longest_s"),
    [
        ("111111", "111111", 0),
        ("111000", "110000", 1),
        ("100011", "111111", 3),
        ("101010", "010101", 5),
        ("111111", "000000", 5),
    ],
)
def test_the_longest_disagreement_is_what_it_says(one: str, other: str, longest_s: float) -> None:
    said = {
        name: [Said(float(at_s), live == "1") for at_s, live in enumerate(answers)]
        for name, answers in (("one", one), ("other", other))
    }
    assert longest_disagreement_s(said) == longest_s
