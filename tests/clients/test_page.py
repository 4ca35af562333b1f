# SPDX-License-Identifier: MIT
"""The page says so when its picture is old, and shows a live one again by itself. In real browsers."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.clients.numbered_camera import FOLDER_VARIABLE
from tests.clients.pages import PROGRAMS, Browser, PageSight, Tab
from tests.clients.relay import Relay
from tests.conditions import eventually
from tests.drilling import drill
from tests.mjpeg import Audience
from tests.running import Ringcast

pytestmark = [pytest.mark.process, pytest.mark.client]

SAYS_SO_S, LIVE_AGAIN_S = 3.5, 10.0
EACH_BROWSER = pytest.mark.parametrize("name", PROGRAMS)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ringcast]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(FOLDER_VARIABLE, str(tmp_path_factory.mktemp("camera")))
        with Ringcast("--camera=tests.clients.numbered_camera:NumberedCamera") as running:
            running.ready()
            yield running


@pytest.fixture
def chromium(tmp_path: Path) -> Iterator[Browser]:
    with Browser("chromium", tmp_path) as browser:
        yield browser


def page_of(port: int) -> str:
    return f"http://127.0.0.1:{port}/"


def live(tab: Tab) -> PageSight:
    """Wait until a page says that it is live and shows a picture."""
    sights: list[PageSight] = []
    eventually(lambda: seen(tab, sights).state == "live" and sights[-1].number is not None, 20, "a live page")
    return sights[-1]


def seen(tab: Tab, sights: list[PageSight]) -> PageSight:
    """Return what a page shows now, and add it to `sights`."""
    sights.append(tab.look())
    return sights[-1]


def heals(tab: Tab, fault: Callable[[], object]) -> None:
    """Check that after a fault a page never says live for long above a picture that stands, and heals."""
    sights = [live(tab)]
    fault()
    at_s = time.monotonic()

    def healed() -> bool:
        last = seen(tab, sights)
        new = [one.number for one in sights if one.source != sights[0].source and one.number is not None]
        return last.state == "live" and len(set(new)) > 1

    eventually(healed, LIVE_AGAIN_S, "a live picture of a new stream")
    said = [one.at_s - at_s for one in sights if one.state != "live"]
    print(
        f"says so after {said[0]:.1f} s" if said else "healed before it was to be said",
        f"live again after {sights[-1].at_s - at_s:.1f} s",
        f"a picture stood as live for {stood_s(sights):.1f} s",
        sep=", ",
    )
    assert stood_s(sights) < SAYS_SO_S


def stood_s(sights: list[PageSight]) -> float:
    """Return for how long at most one picture stood on a page that said it was live, in seconds."""
    longest_s, since = 0.0, sights[0]
    for sight in sights:
        if sight.number != since.number:
            since = sight
        if sight.state == "live":
            longest_s = max(longest_s, sight.at_s - since.at_s)
    return longest_s


@EACH_BROWSER
@pytest.mark.parametrize("fault", ["swallow", "end"])
def test_a_stream_that_is_lost_on_its_way(service: Ringcast, tmp_path: Path, name: str, fault: str) -> None:
    """A phone that changed its Wi-Fi: the connection seems to be there, and everything else goes through."""
    with Relay(service.port) as relay, Browser(name, tmp_path) as browser:
        heals(browser.open(page_of(relay.port)), getattr(relay, fault))


@EACH_BROWSER
def test_a_place_that_was_given_away(service: Ringcast, tmp_path: Path, name: str) -> None:
    """The server ends the stream as if it were complete: no browser calls that an error."""
    with Browser(name, tmp_path) as browser, contextlib.ExitStack() as others:
        tab = browser.open(page_of(service.port))
        key = parse_qs(urlsplit(live(tab).source).query)["key"][0]
        heals(
            tab, lambda: others.enter_context(Audience(service.port, 1, f"/stream?extra_headers=1&key={key}"))
        )


@EACH_BROWSER
def test_a_server_that_was_killed(service: Ringcast, tmp_path: Path, name: str) -> None:
    with Browser(name, tmp_path) as browser:
        heals(browser.open(page_of(service.port)), lambda: drill(service, "server-kill"))


def test_a_browser_without_timeouts_of_signals(service: Ringcast, chromium: Browser) -> None:
    """`AbortSignal.timeout` is missing in Safari before 16, Chrome before 103 and Firefox before 100."""
    tab = chromium.open(page_of(service.port), first="delete AbortSignal.timeout")
    assert live(tab).words == ""
    heals(tab, lambda: drill(service, "server-kill"))


def test_a_camera_that_hangs(service: Ringcast, chromium: Browser) -> None:
    tab = chromium.open(page_of(service.port))
    sights = [live(tab)]
    drill(service, "camera-hang")
    at_s = time.monotonic()
    eventually(lambda: seen(tab, sights).state == "stale", SAYS_SO_S + 1)
    print(f"says so after {sights[-1].at_s - at_s:.1f} s")
    assert sights[-1].words.startswith("No live picture: the newest frame is ")
    assert stood_s(sights) < SAYS_SO_S
    live(tab)


@pytest.mark.parametrize("page", ["/cam/", "/cam", "/cam/webcam", "/cam/webcam/"])
def test_below_a_prefix(service: Ringcast, chromium: Browser, page: str) -> None:
    """One `location /cam/` in nginx is enough."""
    from tests.clients.prefix_proxy import PrefixProxy  # aiohttp is not there wherever tests are collected

    with PrefixProxy("/cam", service.port) as proxy:
        root = f"http://127.0.0.1:{proxy.port}/cam/"
        tab = chromium.open(f"http://127.0.0.1:{proxy.port}{page}")
        live(tab)
        assert proxy.outside == []
        printed = tab.evaluate("[...document.querySelectorAll('dd a')].map((link) => link.textContent)")
        assert printed == [root + one for one in ("stream", "video", "snapshot", "status", "livez", "readyz")]


@pytest.mark.parametrize("camera", ["--camera=tests.clients.still_camera:StillCamera", "--fps=0.4"])
def test_a_picture_that_stands_rightly_is_live_all_the_same(chromium: Browser, camera: str) -> None:
    """A dark room, a slow camera: it is compared with the newest one, and its stream is left alone."""
    with Ringcast(camera) as service:
        service.ready()
        tab = chromium.open(page_of(service.port))
        sights: list[PageSight] = []
        eventually(lambda: seen(tab, sights).state == "live")
        del sights[:-1]
        eventually(lambda: seen(tab, sights).at_s > sights[0].at_s + 3 * SAYS_SO_S, 4 * SAYS_SO_S)
        assert {(one.state, one.source) for one in sights} == {("live", sights[0].source)}


def test_a_look_at_the_server_that_waits_spoils_no_live_picture(service: Ringcast, chromium: Browser) -> None:
    """Six streams in six windows: the browser has no connection left, and the server is all right."""
    waits = "(_, { signal }) => new Promise((_, fail) => { signal.onabort = () => fail(signal.reason); })"
    tab = chromium.open(page_of(service.port), first=f"window.fetch = {waits}")
    sights = [live(tab)]
    eventually(lambda: seen(tab, sights).at_s > sights[0].at_s + 2 * SAYS_SO_S)
    assert {(one.state, one.source) for one in sights} == {("live", sights[0].source)}
    assert stood_s(sights) < 1


def test_a_browser_that_gives_noise_for_pixels(service: Ringcast, tmp_path: Path) -> None:
    """As LibreWolf and the Tor Browser do: what the server says of the page's stream must do."""
    with Browser("firefox", tmp_path, {"privacy.resistFingerprinting": True}) as browser:
        tab = browser.open(page_of(service.port))
        sights: list[PageSight] = []
        eventually(lambda: seen(tab, sights).state == "live")
        first = sights[-1]
        eventually(lambda: seen(tab, sights).at_s > first.at_s + 2 * SAYS_SO_S)
        assert {one.source for one in sights if one.state == "live"} == {first.source}
        assert sights[-1].state == "live"
        drill(service, "server-kill")
        eventually(lambda: seen(tab, sights).source != first.source)
        eventually(lambda: seen(tab, sights).state == "live")


def test_a_full_house_says_so(chromium: Browser) -> None:
    """It asks again when the server said, and not each second."""
    with (
        Ringcast("--max-viewers=1") as service,
        Audience(service.port, 1) as audience,
    ):
        service.ready()
        tab = chromium.open(page_of(service.port))
        words = "All 1 places are taken (--max-viewers); try again soon."
        eventually(lambda: tab.look().words == words, 5)
        asked = len(tab.asked())
        until_s = time.monotonic() + 4
        eventually(lambda: time.monotonic() > until_s)
        again = [url for url in tab.asked()[asked:] if "/stream" in url]
        assert len(again) <= 1, again
        assert tab.look().words == words
        audience.viewers[0].connection.shutdown(2)
        eventually(lambda: tab.look().state == "live", 10)


def test_six_tabs(service: Ringcast, chromium: Browser) -> None:
    """They use up a browser's connections to a host, so a look at the server waits for one."""
    tabs = [chromium.open(page_of(service.port)) for _ in range(6)]
    sights: list[PageSight] = []

    def one_viewer_is_left() -> bool:
        sights.extend(tab.look() for tab in tabs)
        return len(service.status()["viewers"]["list"]) == 1

    eventually(one_viewer_is_left, 15, "the streams of hidden tabs given up")
    tabs.append(chromium.open(page_of(service.port)))
    live(tabs[-1])
    eventually(one_viewer_is_left, 15)
    tabs[0].bring_to_front()
    live(tabs[0])
    eventually(one_viewer_is_left, 15)
    assert not {one.words for one in sights if "answer" in one.words}
