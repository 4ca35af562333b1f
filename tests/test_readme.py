# SPDX-License-Identifier: MIT
"""The documents say what is true: options are the program's, paths answer, links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from capture_proc.options import CaptureCommands, CaptureOptions, Picamera2Options
from proc_start.options import options_of
from server_proc.live.wishes import Wishes
from server_proc.options import ServerOptions
from supervisor_proc.options import SupervisorOptions
from tests.fake_feeds import Client, FakeFeeds, outlook_of
from tests.running import CHECKOUT

README = CHECKOUT / "README.md"
OPTIONS = CHECKOUT / "docs" / "options.md"
SERVICE = CHECKOUT / "docs" / "service.md"
RASPBERRY_PI = CHECKOUT / "docs" / "raspberry-pi.md"
_FOLDERS = {"/home"}
"""Of this machine, not of the server."""
_MOST_IN_README = 8
_FIRST_SCREEN_LINES = 45


def _spans(document: Path) -> set[str]:
    """Return what a document shows as code within its sentences."""
    prose = re.sub(r"^```.*?^```", "", document.read_text(), flags=re.MULTILINE | re.DOTALL)
    return set(re.findall(r"`([^`\n]+)`", prose))


def _table_of_options(document: Path) -> list[tuple[str, str, str]]:
    return re.findall(r"^\| `(--[a-z-]+)` \| `([^`]+)` \| (.+) \|$", document.read_text(), flags=re.MULTILINE)


def _anchors(document: Path) -> set[str]:
    """Return where a link into a document can lead: its headings, as GitHub names them."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_page_of_options_has_all_of_the_programs() -> None:
    assert _table_of_options(OPTIONS) == [
        (flag, option.default, option.help)
        for table in (CaptureOptions, CaptureCommands, Picamera2Options, ServerOptions, SupervisorOptions)
        for flag, option in options_of(table).items()
    ]


def test_the_readme_repeats_a_few_of_them() -> None:
    """A newcomer reads eight options, and one who needs another looks it up."""
    few = _table_of_options(README)
    assert {"--camera", "--size", "--fps", "--listen"} <= {flag for flag, _, _ in few}
    assert len(few) <= _MOST_IN_README
    assert set(few) <= set(_table_of_options(OPTIONS))


def test_the_first_screen_has_the_picture_the_commands_and_the_way_on() -> None:
    """A newcomer finds the service, the size and what a hang does within two clicks of it."""
    screen = "\n".join(README.read_text().splitlines()[:_FIRST_SCREEN_LINES])
    assert "](docs/placeholder.jpg)" in screen
    assert "**Nothing has been tried\non a Raspberry Pi yet**" in screen
    assert "\nsudo apt install git make python3-venv\n" in screen
    assert "\ngit clone URL-OF-THIS-REPOSITORY ringcast && cd ringcast\nmake run\n" in screen
    assert {"(docs/service.md)", "(#when-the-camera-hangs)", "(#options)"} <= set(
        re.findall(r"(?<=\])\([^)]+\)", screen)
    )


def test_the_test_command_of_the_readme_is_what_ci_runs() -> None:
    assert "\nmake test\n" in README.read_text()
    assert "\nmake test\n" in (CHECKOUT / ".ci" / "run").read_text()


@pytest.mark.parametrize("document", [README, OPTIONS, SERVICE, RASPBERRY_PI], ids=lambda path: path.name)
def test_every_link_in_the_checkout_leads_somewhere(document: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", document.read_text())
    assert links
    targets = [(document.parent / path if path else document, anchor) for path, anchor in links]
    assert [target for target, _ in targets if not target.exists()] == []
    assert [anchor for target, anchor in targets if anchor and anchor not in _anchors(target)] == []


def test_every_path_that_they_name_is_answered() -> None:
    named = {
        span
        for span in _spans(README) | _spans(OPTIONS) | _spans(SERVICE)
        if re.fullmatch(r"/|/\?\S+|/(?:api/)?[a-z_]+(?:\.[a-z]+)?(?:\?\S*)?", span)
    }
    assert {"/", "/stream", "/snapshot", "/status", "/livez", "/readyz", "/?action=stream"} <= named
    client = Client(FakeFeeds(now=outlook_of()))
    codes = {path: client.get(path).code for path in named - _FOLDERS}
    assert {path for path, code in codes.items() if code != 200} == set()


def test_every_query_key_that_they_name_changes_the_answer() -> None:
    """A key that is not known is ignored, so an answer of 200 alone says nothing."""
    of_streams = re.findall(r"^\| `([a-z_]+=[^`]+)` \|", OPTIONS.read_text(), flags=re.MULTILINE)
    assert {query.partition("=")[0] for query in of_streams} == {
        "fps",
        "key",
        "extra_headers",
        "placeholder",
        "advance_headers",
    }
    plain = _asked_for("/stream")
    assert [query for query in of_streams if _asked_for(f"/stream?{query}") == plain] == []
    of_snapshots = [span for span in _spans(OPTIONS) if span.startswith("/snapshot?") and "=" in span]
    assert {re.split("[?=]", path)[1] for path in of_snapshots} == {"fresh", "after", "max_age_ms"}
    assert [path for path in of_snapshots if _answer(path) == _answer("/snapshot")] == []


def _asked_for(target: str) -> Wishes:
    feeds = FakeFeeds(now=outlook_of())
    assert Client(feeds).get(target).code == 200
    return feeds.asked[-1]


def _answer(target: str) -> tuple[int, bool]:
    """Return the code, and whether one has to wait; the newest frame is half a second old, and the 41st."""
    answer = Client(FakeFeeds(now=outlook_of(age_s=0.5))).get(target)
    return answer.code, answer.ticket is not None
