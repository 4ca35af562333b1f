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
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from bench.rig_frames import draw_frame_file

_Result = TypeVar("_Result")

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
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


def family(pid: int) -> dict[str, list[int]]:
    """Return a supervisor and all that it started, by name.

    What is neither capture nor server counts as the supervisor: Python starts a process of its own beside
    one that makes shared memory.
    """
    named: dict[str, list[int]] = {"supervisor": [pid], "capture": [], "server": []}
    for child in _descendants(pid):
        command = Path(f"/proc/{child}/cmdline").read_bytes()
        name = next((name for name in named if f"{name}_proc".encode() in command), "supervisor")
        named[name].append(child)
    return named


def _descendants(pid: int) -> Iterator[int]:
    for child in map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()):
        yield child
        yield from _descendants(child)


@dataclass(frozen=True)
class Use:
    """What processes took while something went on."""

    cpu_ns: int
    seconds: float
    pss_kib: int
    """At its end."""

    @property
    def percent(self) -> float:
        """Return the CPU time in percent of a core."""
        return self.cpu_ns / self.seconds / 1e7


class Meter:
    """Reads at BEGIN and at END what processes took."""

    def __init__(self, pids: Iterable[int]) -> None:
        self._pids = tuple(pids)
        self._cpu_ns: list[int] = []
        self._at_s: list[float] = []
        self._pss_kib = 0

    def read(self, mark: str) -> None:
        """Take a reading, at a mark of the load client."""
        self._at_s.append(time.monotonic())
        self._cpu_ns.append(sum(map(cpu_ns, self._pids)))
        if mark == "END":
            self._pss_kib = sum(map(pss_kib, self._pids))

    @property
    def use(self) -> Use:
        """Return what was taken between the two marks."""
        (begin_ns, end_ns), (begin_s, end_s) = self._cpu_ns, self._at_s
        return Use(end_ns - begin_ns, end_s - begin_s, self._pss_kib)


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
    meter = Meter((pid,))
    told = count(
        port, path, viewers, at_mark=meter.read, seconds=seconds, options=options, pin=pin, host=host
    )
    return Load(told, meter.use.cpu_ns / 1000 / max(1, told["frames"]), meter.use.pss_kib)


def count(
    port: int,
    path: str,
    viewers: int,
    *,
    at_mark: Callable[[str], None],
    seconds: float,
    options: Sequence[str] = (),
    pin: Sequence[str] = ON_LOAD_CORE,
    host: str = LOOPBACK,
) -> dict[str, Any]:
    """Let `viewers` watch; call `at_mark` with BEGIN and END, and return what the load client says."""
    command = [*pin, str(BUILD / "mjload"), "--url", f"{host}:{port}{path}", "--clients", str(viewers),
               "--seconds", str(seconds), "--warmup", "2", *options]  # fmt: skip
    last = ""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as load:
        assert load.stdout is not None
        for line in load.stdout:
            word = line.split(maxsplit=1)[0]
            if word in ("BEGIN", "END"):
                at_mark(word)
            last = line
    return dict(json.loads(last))


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
    frames: Path,
    *arguments: str,
    within: Sequence[str] = ON_SERVER_CORE,
    host: str = LOOPBACK,
    checkout: Path = ROOT,
) -> Iterator[int]:
    """Run the Ringcast of a checkout on stamped frames; yield the server process's pid."""
    command = [*within, sys.executable, "supervisor.py", "--instance=bench",
               f"--listen={host}:{SERVER_PORT}", "--camera=bench.rig_camera:RigCamera",
               f"--fps={FPS}", "--max-viewers=1200", "--max-viewers-per-address=1200",
               *arguments]  # fmt: skip
    environment = {**os.environ, "RIG_FRAMES": str(frames)}
    log = BUILD / "ringcast.log"
    with (
        log.open("w") as written,
        subprocess.Popen(command, cwd=checkout, env=environment, stderr=written) as process,
    ):
        try:
            if host == LOOPBACK:
                yield wait_for(_ready_server)
            else:  # it listens in another namespace, and can only be seen to start
                yield wait_for(lambda: _started_server(_innermost(process.pid), log))
        finally:
            os.kill(_innermost(process.pid), signal.SIGTERM)


def _ready_server() -> int | None:
    told = status()
    return int(told["server"]["pid"]) if told["ready"] else None


def _started_server(supervisor: int, log: Path) -> int | None:
    ready = all(f"{name} is ready" in log.read_text() for name in ("capture", "server"))
    return family(supervisor)["server"][0] if ready else None


def _innermost(pid: int) -> int:
    """Return the process that a wrapper such as `ip netns exec` became or started."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    name = Path(f"/proc/{pid}/comm").read_text().strip()
    return int(children[0]) if name in ("ip", "taskset", "unshare") and children else pid


@contextmanager
def other(way: str, frames: Path | str) -> Iterator[int]:
    """Run another server (see others.py) on a frame file or the test pattern; yield its pid."""
    command = [*ON_SERVER_CORE, sys.executable, "-m", "bench.others", way, str(OTHER_PORT), str(frames)]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL) as process:
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
