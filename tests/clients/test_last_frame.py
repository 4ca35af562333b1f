# SPDX-License-Identifier: MIT
"""A frame that no other follows is shown at once: browsers wait for the delimiter behind it."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import simplejpeg

from tests.clients import programs
from tests.clients.numbered_camera import FOLDER_VARIABLE, Orders
from tests.clients.picture_code import draw, read_jpeg
from tests.clients.watching import Client, all_show
from tests.conditions import eventually
from tests.mjpeg import Audience
from tests.running import Ringcast

pytestmark = [pytest.mark.process, pytest.mark.client]

BROWSERS = pytest.mark.parametrize("start", [programs.chromium, programs.firefox])
Start = Callable[[str, Path, float], Client]


@BROWSERS
def test_a_browser_shows_the_last_frame_at_once(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It needs no repeat for that: most of five frames are shown before theirs is sent.

    Not all of them, since a busy machine may be late with a picture.
    """
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    orders = Orders(tmp_path)
    with (
        Ringcast("--camera=tests.clients.numbered_camera:NumberedCamera", "--stall-timeout-s=30") as service,
        contextlib.closing(start(f"http://127.0.0.1:{service.port}/", tmp_path, 0.0)) as browser,
        Audience(service.port, 1) as audience,
    ):
        service.ready()
        all_show([browser])
        last = []
        for _ in range(5):
            last.append(orders.number + 10)
            orders.hang(after=last[-1])
            eventually(lambda: browser.sights[-1].number == last[-1])
            eventually(lambda: audience.viewers[0].seen[-1].freshness != "live")
            orders.go_on()
        wall_ahead_s = time.time() - time.monotonic()
        repeated = {
            read_jpeg(audience.jpegs[one.sequence]).number: one.at_s + wall_ahead_s
            for one in reversed(audience.viewers[0].seen)
            if one.freshness == "repeat"
        }
        shown = {one.number: one.at_unix_s for one in reversed(browser.sights)}
        assert browser.faults == []
        assert sum(shown[number] < repeated[number] for number in last) >= 3


@BROWSERS
def test_without_a_delimiter_behind_it_a_browser_shows_the_frame_before(start: Start, tmp_path: Path) -> None:
    """So the test above can fail."""
    with server_of_three(tmp_path) as url, contextlib.closing(start(url, tmp_path, 0.0)) as browser:
        eventually(lambda: 2 in {one.number for one in browser.sights}, 60)
        with pytest.raises(AssertionError, match="the third frame did not come"):
            eventually(lambda: 3 in {one.number for one in browser.sights}, 2, "the third frame")
        assert not browser.ended, browser.log


@contextlib.contextmanager
def server_of_three(folder: Path) -> Iterator[str]:
    """Serve a page with a stream that ends in the third frame's last byte, and stays open."""
    parts = b"".join(
        b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%b\r\n" % (len(jpeg), jpeg)
        for jpeg in (simplejpeg.encode_jpeg(draw(number), quality=90) for number in (1, 2, 3))
    )
    stream = b"multipart/x-mixed-replace; boundary=frame\r\n\r\n" + parts.removesuffix(b"\r\n")
    page = b'text/html\r\nConnection: close\r\n\r\n<!doctype html><img src="/stream">'
    opened: list[socket.socket] = []

    def answer() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listening.accept()
                opened.append(connection)
                asked = connection.recv(4096)
                wanted = stream if asked.startswith(b"GET /stream") else page
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: " + wanted)
                if wanted is page:
                    connection.close()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=answer, daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
        listening.shutdown(socket.SHUT_RDWR)
        for connection in opened:
            connection.close()
