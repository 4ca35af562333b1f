# SPDX-License-Identifier: MIT
"""From a clean clone to the picture: real clients are judged by the pixels that they show."""

from __future__ import annotations

import io
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import simplejpeg
from PIL import Image
from selenium import webdriver
from selenium.webdriver.common.by import By

from tests.conditions import eventually
from tests.footage import PEDESTRIANS_FRAMES, PEDESTRIANS_SIZE, which_frame
from tests.mjpeg import Audience, StreamViewer
from tests.running import Ringcast

pytestmark = [pytest.mark.process, pytest.mark.client, pytest.mark.install]

FPS = 20
VIEWERS = 20


@pytest.fixture(scope="module")
def service(clone: Path) -> Iterator[Ringcast]:
    """`make run` in a clean clone, on the footage."""
    arguments = ("--camera=tests/footage/pedestrians.avi", f"--fps={FPS}", "--listen=127.0.0.1:0")
    with Ringcast(
        *arguments,
        command=("make", "run", "PYTHON=/usr/bin/python3"),
        cwd=clone,
        python_path="",
    ) as running:
        supervisor = running.ready()["supervisor"]["pid"]
        yield running
        os.kill(supervisor, signal.SIGTERM)
        assert running.wait() == 0


def _index(sequence: int) -> int:
    """Which frame of the footage a sequence is: it plays in a loop and none is dropped."""
    return (sequence - 1) % PEDESTRIANS_FRAMES


def _newest(service: Ringcast) -> int:
    return int(service.status()["frame"]["sequence"])


def _check_shows(picture: np.ndarray, earliest: int, latest: int) -> None:
    """Check that a picture shows one of the frames that were published from `earliest` to `latest`."""
    assert which_frame(picture) in {_index(sequence) for sequence in range(earliest, latest + 1)}


@pytest.fixture
def browser() -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    options.page_load_strategy = "none"  # a stream never ends loading
    for argument in (
        "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        "--disable-dev-shm-usage", "--window-size=1100,1000", "--force-device-scale-factor=1",
    ):  # fmt: skip
        options.add_argument(argument)
    driver = webdriver.Chrome(options, webdriver.ChromeService("/usr/bin/chromedriver"))
    yield driver
    driver.quit()


def test_chromium_shows_the_frame_that_was_published(service: Ringcast, browser: webdriver.Chrome) -> None:
    browser.get(f"http://127.0.0.1:{service.port}/")
    image = eventually(lambda: browser.find_elements(By.TAG_NAME, "img"), 20, "the picture's element")[0]
    eventually(lambda: browser.execute_script("return arguments[0].naturalWidth", image), 20)
    seen = set()
    for _ in range(3):
        earliest = _newest(service) - 2  # it shows a frame when the next one starts
        shot = image.screenshot_as_png
        picture = np.asarray(Image.open(io.BytesIO(shot)).convert("RGB"))
        assert picture.shape[1::-1] == PEDESTRIANS_SIZE, "the page shows the picture in its own size"
        _check_shows(picture, earliest, _newest(service))
        seen.add(shot)
    assert len(seen) > 1, "the picture stood still"


def test_ffmpeg_shows_every_frame_in_order(service: Ringcast) -> None:
    width, height = PEDESTRIANS_SIZE
    frames = 40
    earliest = _newest(service) - 1
    shown = subprocess.run(
        ["ffmpeg", "-v", "warning", "-i", f"http://127.0.0.1:{service.port}/stream",
         "-frames:v", str(frames), "-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"],
        capture_output=True, timeout=60, check=True,
    )  # fmt: skip
    latest = _newest(service)
    assert b"rror" not in shown.stderr, shown.stderr
    pictures = np.frombuffer(shown.stdout, dtype=np.uint8).reshape(frames, height, width, 3)
    _check_shows(pictures[0], earliest, latest)
    first = which_frame(pictures[0])
    indices = [which_frame(picture) for picture in pictures]
    assert indices == [(first + number) % PEDESTRIANS_FRAMES for number in range(frames)]


def test_opencv_shows_the_frame_that_was_published(service: Ringcast, tmp_path: Path) -> None:
    program = (
        "import cv2, sys\n"
        "video = cv2.VideoCapture(sys.argv[1])\n"
        "for _ in range(20):\n"
        "    there, picture = video.read()\n"
        "    assert there, 'no picture'\n"
        "cv2.imwrite(sys.argv[2], picture)\n"
    )
    shot = tmp_path / "shot.png"
    earliest = _newest(service)
    url = f"http://127.0.0.1:{service.port}/stream"
    subprocess.run(["/usr/bin/python3", "-c", program, url, shot], check=True, timeout=60)
    _check_shows(np.asarray(Image.open(shot).convert("RGB")), earliest, _newest(service))


def test_curl_gets_whole_parts(service: Ringcast) -> None:
    port = service.port
    got = subprocess.run(
        ["curl", "-s", "-i", "-m", "2", f"http://127.0.0.1:{port}/video?extra_headers=1"],
        capture_output=True, timeout=30, check=False,
    )  # fmt: skip
    assert got.returncode == 28, "curl ends it by its own time limit"
    viewer, jpegs = StreamViewer(None), {}  # type: ignore[var-annotated, arg-type]
    viewer.take(got.stdout, jpegs)
    assert viewer.fault is None
    assert len(viewer.frames) > 1.5 * FPS
    for sequence, jpeg in jpegs.items():
        _check_shows(simplejpeg.decode_jpeg(jpeg), sequence, sequence)


def test_many_watch_at_once_and_each_gets_the_frames_whole_and_in_order(
    service: Ringcast, browser: webdriver.Chrome
) -> None:
    """The old app gave the second viewer 0 bytes."""
    stream = f"http://127.0.0.1:{service.port}/stream"
    others = [
        subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for command in (
            ["curl", "-s", stream],
            ["ffmpeg", "-v", "quiet", "-i", stream, "-f", "null", "-"],
            ["/usr/bin/python3", "-c",
             f"import cv2\nvideo = cv2.VideoCapture({stream!r})\nwhile video.read()[0]: pass"],
        )
    ]  # fmt: skip
    try:
        browser.get(f"http://127.0.0.1:{service.port}/")
        count = VIEWERS + len(others) + 1
        with Audience(service.port, VIEWERS) as audience:
            eventually(lambda: service.status()["viewers"]["count"] == count, 20, f"{count} viewers")
            enough = 10 * FPS
            eventually(lambda: all(len(viewer.frames) > enough for viewer in audience.viewers), 40)
            told = service.status()["viewers"]["list"]
            audience.check()
            for viewer in audience.viewers:
                published = viewer.frames[-1].sequence - viewer.frames[0].sequence + 1
                assert len(viewer.frames) >= 0.95 * published
        ids = [viewer["id"] for viewer in told]
        assert ids == sorted(ids)
        assert len(set(ids)) == count
        assert all(viewer["frames"] > 0 for viewer in told)
        chosen = sorted(audience.jpegs)[:: len(audience.jpegs) // 20]
        for sequence in chosen:
            _check_shows(simplejpeg.decode_jpeg(audience.jpegs[sequence]), sequence, sequence)
    finally:
        for other in others:
            other.kill()
            other.wait(10)
    browser.get("about:blank")
    eventually(lambda: service.status()["viewers"]["count"] == 0, 10, "all left viewers forgotten")
    assert service.log.count(" came from 127.0.0.1 (") == service.log.count(" from 127.0.0.1 left after ")
