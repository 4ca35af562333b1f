# SPDX-License-Identifier: MIT
"""The real clients: how each is started on a stream."""

from __future__ import annotations

import json
import os
import sys
from functools import partial
from pathlib import Path

from tests.clients import watching
from tests.clients.picture_code import SPOT_PX, SPOTS
from tests.clients.watching import Client
from tests.running import CHECKOUT

_HERE = Path(__file__).parent
FROM_NPM = CHECKOUT / ".venv" / "clients" / "node_modules"


def ffmpeg(url: str, folder: Path) -> Client:
    """ffmpeg decodes each frame as it comes."""
    command = ["ffmpeg", "-v", "warning", "-i", url, "-fps_mode", "passthrough", "-f", "rawvideo"]
    return Client("ffmpeg", [*command, "-pix_fmt", "rgb24", "-"], watching.raw_video, folder)


def opencv(url: str, folder: Path) -> Client:
    """OpenCV, as robots use it."""
    command: list[str | Path] = ["/usr/bin/python3", _HERE / "opencv_reader.py", url]
    return Client("opencv", command, partial(watching.raw_video, order=-1), folder)


def gstreamer(url: str, folder: Path) -> Client:
    """GStreamer, which takes a frame only when it has seen the delimiter behind it."""
    pipeline = (
        f"souphttpsrc location={url} is-live=true do-timestamp=true ! multipartdemux ! jpegdec ! "
        "videoconvert ! video/x-raw,format=RGB ! fdsink fd=1 sync=false"
    )
    return Client("gstreamer", ["gst-launch-1.0", "-q", *pipeline.split()], watching.raw_video, folder)


def curl(url: str, folder: Path) -> Client:
    """The bytes as they are."""
    return Client("curl", ["curl", "--no-progress-meter", "-iN", url], watching.http_answer, folder)


def aiohttp(url: str, folder: Path) -> Client:
    """aiohttp's MultipartReader, as Home Assistant uses it."""
    command: list[str | Path] = [sys.executable, _HERE / "aiohttp_reader.py", url]
    return Client("aiohttp", command, watching.jpegs_with_lengths, folder)


def mjpeg_consumer(url: str, folder: Path) -> Client:
    """mjpeg-consumer, which shows each frame a second time when the next one begins."""
    return _on_node("mjpeg-consumer", "mjpeg_consumer.cjs", [url], watching.jpegs_with_lengths, folder)


def node_mjpeg_proxy(url: str, folder: Path) -> Client:
    """node-mjpeg-proxy, which cuts the stream at delimiters for viewers of its own."""
    return _on_node("node-mjpeg-proxy", "mjpeg_proxy.cjs", [url], watching.proxied, folder)


def vlc(url: str, folder: Path) -> Client:
    """VLC: what it would paint, at its own pace. It refuses to run as root."""
    output = "--vout=yuv --yuv-file=/dev/stdout --yuv-chroma=RV24"
    command = f"vlc -I dummy --no-audio --no-osd --no-video-title-show {output} '{url}'"
    if os.geteuid() == 0:
        command = f"chown nobody /dev/stdout && exec setpriv --reuid=nobody --clear-groups {command}"
    return Client("vlc", ["sh", "-c", command], watching.vlc_video, folder, {"HOME": str(folder)})


_MOTION = """
daemon off
log_level 6
target_dir {folder}
netcam_url {url}
width 640
height 480
framerate 20
emulate_motion on
picture_output on
picture_quality 90
movie_output off
text_left
text_right
webcontrol_port 0
stream_port 0
"""


def motion(url: str, folder: Path) -> Client:
    """Motion, which gives up after three seconds without a part; it keeps each picture that it looks at."""
    settings = folder / "motion.conf"
    settings.write_text(_MOTION.format(folder=folder, url=url))
    command = ["sh", "-c", f"exec motion -n -c {settings} 2>&1"]
    return Client("motion", command, watching.jpeg_files, folder)


def chromium(page: str, folder: Path, look_every_s: float = 0.1) -> Client:
    """Chromium on the page with the picture, looked at so often; at each repaint where that is 0."""
    return _browser("chromium", "chrome", "/usr/bin/chromium", page, look_every_s, folder)


def firefox(page: str, folder: Path, look_every_s: float = 0.1) -> Client:
    """Firefox, as `chromium`."""
    return _browser("firefox", "firefox", "/usr/bin/firefox-esr", page, look_every_s, folder)


def _browser(name: str, kind: str, program: str, page: str, look_every_s: float, folder: Path) -> Client:
    arguments = [kind, program, page, f"{look_every_s * 1000:.0f}", str(SPOT_PX), json.dumps(SPOTS)]
    return _on_node(name, "browser.cjs", arguments, watching.browser_lines, folder)


def _on_node(name: str, script: str, arguments: list[str], form: watching.Form, folder: Path) -> Client:
    assert FROM_NPM.is_dir(), "the clients from npm are not there; type: make test"
    changes = {"NODE_PATH": str(FROM_NPM), "HOME": str(folder)}
    return Client(name, ["node", _HERE / script, *arguments], form, folder, changes)
