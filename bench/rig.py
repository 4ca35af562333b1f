# SPDX-License-Identifier: MIT
"""The measuring rig: the load client and the floor in C, servers under load, and links between namespaces.

The server runs on core 0 and the load on core 1 unless said otherwise. CPU times are those of the
kernel's per-process clocks between the load's BEGIN and END: /proc counts in hundredths.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from bench.rig_frames import draw_frame_file

_Result = TypeVar("_Result")

HERE = Path(__file__).resolve().parent
BUILD = HERE / "build"
FLOOR_PORT, SERVER_PORT, OTHER_PORT = 9321, 9322, 9323
FPS = 20
JPEG_BYTES = 33_400
ON_SERVER_CORE, ON_LOAD_CORE = ("taskset", "-c", "0"), ("taskset", "-c", "1")
LOOPBACK = "127.0.0.1"


def build() -> Path:
    """Compile the C programs and draw the frames; return the frame file."""
    BUILD.mkdir(exist_ok=True)
    for name in ("floor", "mjload", "link"):
        subprocess.run(["cc", "-O2", "-o", BUILD / name, HERE / f"{name}.c"], check=True)
    frames = BUILD / "frames.rigf"
    if not frames.exists():
        draw_frame_file(frames, (640, 480), jpeg_bytes=JPEG_BYTES, count=16)
    return frames


def cpu_ns(pid: int) -> int:
    """Return the CPU time of a process."""
    return time.clock_gettime_ns((~pid << 3) | 2)


def pss_kib(pid: int) -> int:
    """Return the proportional set size of a process: its own memory, and its part of what is shared."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    found = re.search(r"^Pss: +(\d+) kB", text, flags=re.MULTILINE)
    assert found is not None
    return int(found[1])


@dataclass(frozen=True)
class Load:
    """One count of the load client."""

    told: dict[str, Any]
    """What it says of itself, see mjload.c."""
    cpu_us: float
    """Of the server, for each delivered frame."""
    pss_kib: int
    """Of the server at the count's end."""

    def delivered(self, viewers: int) -> float:
        """Return the part of all frames that came to viewers."""
        expected: float = viewers * FPS * self.told["seconds"]
        return int(self.told["frames"]) / expected


def watch(
    port: int,
    path: str,
    pid: int,
    viewers: int,
    *,
    seconds: float,
    options: Sequence[str] = (),
    pin: Sequence[str] = ON_LOAD_CORE,
    host: str = LOOPBACK,
) -> Load:
    """Let `viewers` watch for `seconds` what the server process `pid` sends them."""
    command = [*pin, str(BUILD / "mjload"), "--url", f"{host}:{port}{path}", "--clients", str(viewers),
               "--seconds", str(seconds), "--warmup", "2", *options]  # fmt: skip
    marks, memory, last = {}, 0, ""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as load:
        assert load.stdout is not None
        for line in load.stdout:
            word = line.split(maxsplit=1)[0]
            if word in ("BEGIN", "END"):
                marks[word] = cpu_ns(pid)
            if word == "END":
                memory = pss_kib(pid)
            last = line
    told = json.loads(last)
    return Load(told, (marks["END"] - marks["BEGIN"]) / 1000 / max(1, told["frames"]), memory)


@contextmanager
def floor(frames: Path, *, within: Sequence[str] = ON_SERVER_CORE, host: str = LOOPBACK) -> Iterator[int]:
    """Run the floor; yield its pid."""
    command = [*within, str(BUILD / "floor"), str(frames), "--host", host, "--port", str(FLOOR_PORT),
               "--fps", str(FPS)]  # fmt: skip
    with subprocess.Popen(command) as process:
        try:
            if host == LOOPBACK:
                wait_for(lambda: socket.create_connection((host, FLOOR_PORT)))
            else:
                time.sleep(1)  # it listens in another namespace
            yield _innermost(process.pid)
        finally:
            process.kill()
            with contextlib.suppress(ProcessLookupError):
                os.kill(_innermost(process.pid), signal.SIGKILL)


@contextmanager
def ringcast(
    frames: Path, *arguments: str, within: Sequence[str] = ON_SERVER_CORE, host: str = LOOPBACK
) -> Iterator[int]:
    """Run Ringcast on stamped frames; yield the server process's pid."""
    command = [*within, sys.executable, "supervisor.py", "--instance=bench",
               f"--listen={host}:{SERVER_PORT}", "--camera=bench.rig_camera:RigCamera",
               f"--fps={FPS}", "--max-viewers=1200", "--max-viewers-per-address=1200",
               *arguments]  # fmt: skip
    environment = {**os.environ, "RIG_FRAMES": str(frames)}
    log = BUILD / "ringcast.log"
    with (
        log.open("w") as written,
        subprocess.Popen(command, cwd=HERE.parent, env=environment, stderr=written) as process,
    ):
        try:
            wait_for(lambda: "capture is ready" in log.read_text())
            found = re.search(r"server is ready \(pid (\d+)\)", wait_for(lambda: _ready(log)))
            assert found is not None
            yield int(found[1])
        finally:
            os.kill(_innermost(process.pid), signal.SIGTERM)


def _ready(log: Path) -> str | None:
    text = log.read_text()
    return text if "server is ready" in text else None


def _innermost(pid: int) -> int:
    """Return the process that a wrapper such as `ip netns exec` became or started."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    name = Path(f"/proc/{pid}/comm").read_text().strip()
    return int(children[0]) if name in ("ip", "taskset", "unshare") and children else pid


@contextmanager
def other(way: str, frames: Path) -> Iterator[int]:
    """Run another server (see others.py); yield its pid."""
    command = [*ON_SERVER_CORE, sys.executable, "-m", "bench.others", way, str(OTHER_PORT), str(frames)]
    with subprocess.Popen(command, cwd=HERE.parent, stderr=subprocess.DEVNULL) as process:
        try:
            wait_for(lambda: socket.create_connection((LOOPBACK, OTHER_PORT)))
            yield process.pid
        finally:
            process.kill()


def status() -> dict[str, Any]:
    """Return what Ringcast says of itself."""
    with urllib.request.urlopen(f"http://{LOOPBACK}:{SERVER_PORT}/status") as answer:
        return dict(json.load(answer))


def wait_for(condition: Callable[[], _Result | None], within_s: float = 20) -> _Result:
    """Return the first truthy value of a condition; exit if there is none in time."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            if found := condition():
                return found
        time.sleep(0.05)
    sys.exit(f"a server did not get ready within {within_s:g} s")


SERVER_HOST, VIEWERS_HOST = "10.77.0.1", "10.77.0.2"


@dataclass(frozen=True)
class Link:
    """Two network namespaces with a link between them."""

    at_server: Sequence[str]
    at_viewers: Sequence[str]


@contextmanager
def link(*options: str) -> Iterator[Link]:
    """Make two namespaces with a link between them, see link.c. Needs root."""
    names = [f"ringcast-bench-{side}-{os.getpid()}" for side in ("server", "viewers")]
    for name in names:
        subprocess.run(["ip", "netns", "add", name], check=True)
    command = [str(BUILD / "link"), "--a", f"{names[0]},{SERVER_HOST},{VIEWERS_HOST}",
               "--b", f"{names[1]},{VIEWERS_HOST},{SERVER_HOST}", *options]  # fmt: skip
    try:
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
            try:
                time.sleep(0.5)  # it configures both ends, and says nothing
                yield Link(*([*("ip", "netns", "exec", name)] for name in names))
            finally:
                process.terminate()
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "delete", name], check=False)
