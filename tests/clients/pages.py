# SPDX-License-Identifier: MIT
"""A real browser with Ringcast's page in its tabs: what the page says, and what its picture shows."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tests.clients.picture_code import SPOT_PX, SPOTS, NotOursError, read_spots
from tests.clients.programs import FROM_NPM
from tests.running import environment

PROGRAMS = {"chromium": ("chrome", "/usr/bin/chromium"), "firefox": ("firefox", "/usr/bin/firefox-esr")}
_LONGEST_S = 250


@dataclass(frozen=True, slots=True)
class PageSight:
    """A page at one moment."""

    at_s: float
    """CLOCK_MONOTONIC."""
    state: str
    words: str
    source: str
    """The URL of its picture's stream."""
    number: int | None
    """What its picture tells; None where there is none, or no live one."""


class Browser:
    """One browser with one profile. Use it as a context. For one thread."""

    def __init__(self, name: str, folder: Path, preferences: dict[str, Any] | None = None) -> None:
        """Start it; what it logs goes into `folder`. `preferences` are Firefox's."""
        kind, program = PROGRAMS[name]
        assert FROM_NPM.is_dir(), "the clients from npm are not there; type: make test"
        self._log = folder / "browser.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                ["timeout", "--kill-after=2", str(_LONGEST_S), "node", Path(__file__).parent / "pages.cjs",
                 kind, program, str(SPOT_PX), json.dumps(SPOTS),
                 json.dumps(preferences or {})],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
                env=environment(NODE_PATH=str(FROM_NPM), HOME=str(folder)),
            )  # fmt: skip

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        last_resort = threading.Timer(10, self._process.terminate)
        last_resort.start()
        self._process.wait(20)
        last_resort.cancel()

    def open(self, url: str, *, first: str = "") -> Tab:
        """Return a new tab in front that shows `url`; the script `first` runs before those of the page."""
        tab = Tab(self, self.order("new", text=first))
        self.order("go", tab.number, url)
        return tab

    def order(self, what: str, tab: int = 0, text: str = "") -> Any:
        """Give an order to pages.cjs; return its answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"what": what, "tab": tab, "text": text}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, self._log.read_text(errors="replace")[-4000:]
        answer = json.loads(line)
        assert "error" not in answer, answer["error"]
        return answer.get("told")


@dataclass(frozen=True, slots=True)
class Tab:
    """One tab of a browser."""

    browser: Browser
    number: int

    def look(self) -> PageSight:
        """Return what it shows now."""
        state, words, source, spots = self.browser.order("look", self.number)
        return PageSight(time.monotonic(), state, words, source or "", _number(spots))

    def evaluate(self, script: str) -> Any:
        """Return what a script in it comes to."""
        return self.browser.order("evaluate", self.number, script)

    def bring_to_front(self) -> None:
        """Show it, and hide the others."""
        self.browser.order("front", self.number)

    def asked(self) -> list[str]:
        """Return the URLs that it has asked for."""
        return list(self.browser.order("asked", self.number))

    def photograph(self, file: Path) -> None:
        """Write what it looks like into a PNG file."""
        self.browser.order("photograph", self.number, str(file))


def _number(spots: list[list[float]] | None) -> int | None:
    if spots is None:
        return None
    try:
        told = read_spots(np.array(spots))
    except NotOursError:
        return None
    return told.number if told.live else None
