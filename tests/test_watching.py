# SPDX-License-Identifier: MIT
"""From a clean clone to the picture: real clients are judged by the pixels that they show."""

from __future__ import annotations

import io
import itertools
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import simplejpeg
from PIL import Image
from selenium import webdriver
from selenium.webdriver.common.by import By

from capture_proc.camera import Plane
from tests.conditions import eventually
from tests.footage import PEDESTRIANS_FRAMES, PEDESTRIANS_SIZE, which_frame
from tests.mjpeg import Audience, StreamViewer
from tests.running import Ringcast

pytestmark = [pytest.mark.process, pytest.mark.client, pytest.mark.install]

FPS = 10
VIEWERS = 20
FRESH_S = 2.0


@pytest.fixture(scope="module")
def service(clone: Path) -> Iterator[Ringcast]:
    """`make run` in a clean clone, on the footage."""
    arguments = ("--camera=tests/footage/pedestrians.avi", "--listen=127.0.0.1:0")
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


def _check_is_fresh(seen_s: float, picture: Plane, audience: Audience) -> None:
    """Check that what was seen at `seen_s` is a frame that was published in the two seconds before."""
    arrived_s = {seen.sequence: seen.at_s for seen in audience.viewers[0].frames}
    published = [
        _index(sequence) for sequence, at_s in arrived_s.items() if seen_s - FRESH_S < at_s < seen_s + 0.2
    ]
    assert len(published) < PEDESTRIANS_FRAMES / 2, "an older frame would be told from these"
    assert which_frame(picture) in published


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


@dataclass
class Shown:
    """Pictures that a client showed, each with the time when it was seen."""

    pictures: list[tuple[float, Plane]] = field(default_factory=list)
    errors: str = ""


def _watch_with_ffmpeg(url: str, frames: int) -> Shown:
    width, height = PEDESTRIANS_SIZE
    shown = Shown()
    with subprocess.Popen(
        ["ffmpeg", "-v", "warning", "-i", url, "-frames:v", str(frames), "-fps_mode", "passthrough",
         "-f", "rawvideo", "-pix_fmt", "rgb24", "-"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as ffmpeg:  # fmt: skip
        assert ffmpeg.stdout is not None
        assert ffmpeg.stderr is not None
        while raw := ffmpeg.stdout.read(width * height * 3):
            picture = np.frombuffer(raw, dtype=np.uint8).reshape(height, width, 3)
            shown.pictures.append((time.monotonic(), picture))
        shown.errors = ffmpeg.stderr.read().decode()
    assert ffmpeg.returncode == 0, shown.errors
    return shown


_OPENCV = """
import cv2, sys, time
video = cv2.VideoCapture(sys.argv[1])
for number in range(int(sys.argv[2])):
    there, picture = video.read()
    assert there, "no picture"
print(time.monotonic(), flush=True)
cv2.imwrite(sys.argv[3], picture)
"""


def _watch_with_opencv(url: str, frames: int, file: Path) -> Shown:
    told = subprocess.run(
        ["/usr/bin/python3", "-c", _OPENCV, url, str(frames), file],
        stdout=subprocess.PIPE, check=True, timeout=60,
    ).stdout  # fmt: skip
    return Shown([(float(told), np.asarray(Image.open(file).convert("RGB")))])


def _watch_with_curl(url: str, seconds: int) -> bytes:
    got = subprocess.run(
        ["curl", "-s", "-i", "-m", str(seconds), url], capture_output=True, timeout=60, check=False
    )
    assert got.returncode == 28, "curl ends it by its own time limit"
    return got.stdout


def _watch_with_chromium(driver: webdriver.Chrome, url: str) -> Shown:
    driver.get(url)
    image = eventually(lambda: driver.find_elements(By.TAG_NAME, "img"), 20, "the picture's element")[0]
    eventually(lambda: driver.execute_script("return arguments[0].naturalWidth", image), 20)
    shown = Shown()
    for _ in range(4):
        shot = image.screenshot_as_png
        shown.pictures.append((time.monotonic(), np.asarray(Image.open(io.BytesIO(shot)).convert("RGB"))))
    return shown


def test_all_watch_at_once_and_each_is_shown_what_was_published(
    service: Ringcast, browser: webdriver.Chrome, tmp_path: Path
) -> None:
    """The old app gave the second viewer 0 bytes."""
    base = f"http://127.0.0.1:{service.port}"
    with Audience(service.port, VIEWERS) as audience, ThreadPoolExecutor() as pool:
        eventually(lambda: all(viewer.frames for viewer in audience.viewers))
        ffmpeg = pool.submit(_watch_with_ffmpeg, f"{base}/stream", 10 * FPS)
        opencv = pool.submit(_watch_with_opencv, f"{base}/stream", 10 * FPS, tmp_path / "opencv.png")
        curl = pool.submit(_watch_with_curl, f"{base}/video?extra_headers=1", 10)
        chromium = pool.submit(_watch_with_chromium, browser, f"{base}/")
        count = VIEWERS + 4
        listed = eventually(
            lambda: (told := service.status()["viewers"])["count"] == count and told["list"],
            20,
            f"{count} viewers",
        )
        shown = {"ffmpeg": ffmpeg.result(), "opencv": opencv.result(), "chromium": chromium.result()}
        by_curl = curl.result()
        audience.check()

    for viewer in audience.viewers:
        published = viewer.frames[-1].sequence - viewer.frames[0].sequence + 1
        assert published > 10 * FPS
        assert len(viewer.frames) >= 0.95 * published
    for sequence in sorted(audience.jpegs)[::5]:
        assert which_frame(simplejpeg.decode_jpeg(audience.jpegs[sequence])) == _index(sequence)

    # ffmpeg probes before it shows the first, and may skip a frame while it does not read; where the
    # camera itself was late, everybody was sent a frame twice
    indices = [which_frame(picture) for _, picture in shown["ffmpeg"].pictures]
    assert len(indices) == 10 * FPS
    steps = [(after - before) % PEDESTRIANS_FRAMES for before, after in itertools.pairwise(indices)]
    repeats = max(len(viewer.seen) - len(viewer.frames) for viewer in audience.viewers)
    assert steps.count(0) <= repeats
    assert sum(steps) <= len(steps) / 0.95, "in order, for a step back is a long way forward"
    assert "rror" not in shown["ffmpeg"].errors
    _check_is_fresh(*shown["ffmpeg"].pictures[-1], audience)
    _check_is_fresh(*shown["opencv"].pictures[-1], audience)
    for seen_s, picture in shown["chromium"].pictures:
        assert picture.shape[1::-1] == PEDESTRIANS_SIZE, "the page shows it in its own size"
        _check_is_fresh(seen_s, picture, audience)
    chromium_saw = {which_frame(picture) for _, picture in shown["chromium"].pictures}
    assert len(chromium_saw) > 1, "the picture stood still"

    curl_saw, jpegs = StreamViewer(None), dict[int, bytes]()  # type: ignore[arg-type]
    curl_saw.take(by_curl, jpegs)
    assert curl_saw.fault is None
    assert len(curl_saw.frames) > 8 * FPS
    assert all(jpegs[sequence] == audience.jpegs[sequence] for sequence in jpegs.keys() & audience.jpegs)

    ids = [viewer["id"] for viewer in listed]
    assert ids == sorted(ids)
    assert len(set(ids)) == count
    browser.get("about:blank")
    eventually(lambda: service.status()["viewers"]["count"] == 0, 10, "all left viewers forgotten")
    assert service.log.count(" (127.0.0.1) connected") == service.log.count(" (127.0.0.1) disconnected: ")


def test_the_page_says_when_it_is_not_live_and_finds_a_new_server(
    service: Ringcast, browser: webdriver.Chrome
) -> None:
    """A browser goes on showing the last frame of a stream that has ended."""
    browser.get(f"http://127.0.0.1:{service.port}/")
    eventually(lambda: service.status()["viewers"]["count"] == 1, 20, "the page's stream")
    before = service.status()
    os.kill(before["server"]["pid"], signal.SIGKILL)
    eventually(lambda: service.status()["viewers"]["count"] == 1, 20, "the page's new stream")
    capture = before["supervisor"]["capture"]["pid"]
    os.kill(capture, signal.SIGSTOP)

    def line() -> str:
        return str(browser.find_element(By.CSS_SELECTOR, "[role=status]").text)

    eventually(lambda: line().startswith("No live picture: the newest frame is"), 20)
    eventually(lambda: line() == "", 20, "a live picture again")
    assert service.status()["viewers"]["count"] == 1
