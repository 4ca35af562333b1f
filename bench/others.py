# SPDX-License-Identifier: MIT
"""Other ways to serve the same frames in Python, as they are usually written.

python -m bench.others waitress|flask|http.server PORT FRAMES

FRAMES is a frame file, or `pattern`: the test pattern, drawn and encoded as Ringcast's capture process does.
"""

from __future__ import annotations

import http.server
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.rig_frames import StampedFrames
from capture_proc.camera import CameraWishes
from capture_proc.cameras.pattern import PatternCamera
from capture_proc.jpeg import to_jpeg
from capture_proc.options import DEFAULT_QUALITY, DEFAULT_SIZE

FPS = 20
CONTENT_TYPE = "multipart/x-mixed-replace; boundary=frame"
THREADS = 1200


def stamped(path: Path) -> Iterator[bytes]:
    """Yield the frames of a file, each when it is due."""
    frames, due = StampedFrames(path), time.monotonic()
    while True:
        yield frames.take()
        due += 1 / FPS
        time.sleep(max(0.0, due - time.monotonic()))


def pattern() -> Iterator[bytes]:
    """Yield the test pattern as JPEGs, each when it is due."""
    camera = PatternCamera(CameraWishes(size=DEFAULT_SIZE, fps=FPS))
    while True:
        if picture := camera.next_picture(1.0):
            yield to_jpeg(picture.pixels, DEFAULT_QUALITY).jpeg


class Newest:
    """The newest frame, and a condition to wait on for the next: as in picamera2's mjpeg_server.py."""

    def __init__(self, frames: Iterator[bytes]) -> None:
        """Take frames that come when they are due."""
        self._frames = frames
        self._condition = threading.Condition()
        self._frame = b""
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        for frame in self._frames:
            with self._condition:
                self._frame = frame
                self._condition.notify_all()

    def wait(self) -> bytes:
        """Return the next frame."""
        with self._condition:
            self._condition.wait(10)
            return self._frame

    def parts(self) -> Iterator[bytes]:
        """Yield a part for each frame."""
        while True:
            frame = self.wait()
            yield (
                b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(frame)
                + frame
                + b"\r\n"
            )


def waitress(newest: Newest, port: int) -> None:
    """A WSGI generator in a thread of Waitress for each viewer."""
    from waitress import serve  # noqa: PLC0415  only here

    def application(_environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Type", CONTENT_TYPE)])
        return newest.parts()

    serve(
        application,
        host="127.0.0.1",
        port=port,
        threads=THREADS,
        connection_limit=THREADS,
        asyncore_use_poll=True,
    )


def flask(newest: Newest, port: int) -> None:
    """Flask's own server, a thread for each viewer."""
    from flask import Flask, Response  # noqa: PLC0415  only here

    app = Flask(__name__)
    app.add_url_rule("/", view_func=lambda: Response(newest.parts(), mimetype=CONTENT_TYPE))
    app.run(host="127.0.0.1", port=port, threaded=True)


def http_server(newest: Newest, port: int) -> None:
    """http.server with a thread for each viewer, as in picamera2's example."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", CONTENT_TYPE)
            self.end_headers()
            for part in newest.parts():
                self.wfile.write(part)

        def log_message(self, *_: Any) -> None:
            pass

    class Server(http.server.ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 1024

    Server(("127.0.0.1", port), Handler).serve_forever()


WAYS = {"waitress": waitress, "flask": flask, "http.server": http_server}

if __name__ == "__main__":
    _, way, port_text, source = sys.argv
    threading.stack_size(256 * 1024)
    frames = pattern() if source == "pattern" else stamped(Path(source))
    WAYS[way](Newest(frames), int(port_text))
