# SPDX-License-Identifier: MIT
"""README says what is true: its options are the program's, its paths answer."""

from __future__ import annotations

import re

from capture_proc.options import CaptureCommands, CaptureOptions, Picamera2Options
from proc_start.options import options_of
from server_proc.live.wishes import Wishes
from server_proc.options import ServerOptions
from supervisor_proc.options import SupervisorOptions
from tests.fake_feeds import Client, FakeFeeds, outlook_of
from tests.running import CHECKOUT

README = (CHECKOUT / "README.md").read_text()
_SPANS = set(re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", README, flags=re.MULTILINE | re.DOTALL)))
_FOLDERS = {"/home"}
"""Of this machine, not of the server."""


def test_the_table_of_options_is_the_programs() -> None:
    rows = re.findall(r"^\| `(--[a-z-]+)` \| `([^`]+)` \| (.+) \|$", README, flags=re.MULTILINE)
    expected = [
        (flag, option.default, option.help)
        for table in (SupervisorOptions, CaptureOptions, CaptureCommands, Picamera2Options, ServerOptions)
        for flag, option in options_of(table).items()
    ]
    assert rows == expected


def test_the_test_command_of_the_readme_is_what_ci_runs() -> None:
    assert "\nmake test\n" in README
    assert "\nmake test\n" in (CHECKOUT / ".ci" / "run").read_text()


def test_every_path_that_it_names_is_answered() -> None:
    named = {
        span for span in _SPANS if re.fullmatch(r"/|/\?\S+|/(?:api/)?[a-z_]+(?:\.[a-z]+)?(?:\?\S*)?", span)
    }
    assert {"/", "/stream", "/snapshot", "/status", "/livez", "/readyz", "/?action=stream"} <= named
    client = Client(FakeFeeds(now=outlook_of()))
    found = {path: client.get(path).code for path in named - _FOLDERS}
    assert {path for path, code in found.items() if code != 200} == set()


def test_every_query_key_that_it_names_changes_the_answer() -> None:
    """A key that is not known is ignored, so an answer of 200 alone says nothing."""
    of_streams = re.findall(r"^\| `([a-z_]+=[^`]+)` \|", README, flags=re.MULTILINE)
    assert {one.partition("=")[0] for one in of_streams} >= {"fps", "key", "extra_headers", "advance_headers"}
    plain = _asked_for("/stream")
    assert [one for one in of_streams if _asked_for(f"/stream?{one}") == plain] == []
    of_snapshots = [span for span in _SPANS if span.startswith("/snapshot?") and "=" in span]
    assert {re.split("[?=]", one)[1] for one in of_snapshots} >= {"after", "max_age_ms"}
    assert [one for one in of_snapshots if _answer(one) == _answer("/snapshot")] == []


def _asked_for(target: str) -> Wishes:
    feeds = FakeFeeds(now=outlook_of())
    assert Client(feeds).get(target).code == 200
    return feeds.asked[-1]


def _answer(target: str) -> tuple[int, bool]:
    """Return the code, and whether one has to wait; the newest frame is half a second old, and the 41st."""
    found = Client(FakeFeeds(now=outlook_of(age_s=0.5))).get(target)
    return found.code, found.ticket is not None
