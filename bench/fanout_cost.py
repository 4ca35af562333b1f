# SPDX-License-Identifier: MIT
"""What the server's CPU costs per delivered frame, as a ratio to the least a server can do.

    .venv/bin/python -m bench.fanout_cost [--viewers 100] [--runs 3] [--most 1.5]

The least is `floor.c`: one non-blocking send per viewer and frame. Each run measures the floor, the
server, and the floor again; server on core 0, load on core 1. Exits with 1 where the median ratio is
above `--most`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import socket
import statistics
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
FLOOR_PORT, SERVER_PORT = 9321, 9322
FPS = 20
ON_SERVER_CORE, ON_LOAD_CORE = ("taskset", "-c", "0"), ("taskset", "-c", "1")


@dataclass(frozen=True)
class Cost:
    """One count of the load client."""

    us_per_frame: float
    load: dict[str, Any]


def build() -> Path:
    """Compile the C programs and draw the frames; return the frame file."""
    BUILD.mkdir(exist_ok=True)
    for name in ("floor", "mjload"):
        subprocess.run(["cc", "-O2", "-o", BUILD / name, HERE / f"{name}.c"], check=True)
    frames = BUILD / "frames.rigf"
    if not frames.exists():
        draw_frame_file(frames, (640, 480), jpeg_bytes=33_400, count=16)
    return frames


def cpu_ns(pid: int) -> int:
    """Return the CPU time of a process: its own clock, where /proc counts in hundredths."""
    return time.clock_gettime_ns((~pid << 3) | 2)


def measure(port: int, path: str, pid: int, viewers: int, seconds: int) -> Cost:
    """Let `viewers` watch for `seconds`; return the CPU time of process `pid` per delivered frame."""
    cost = watch(port, path, pid, viewers, seconds, pin=ON_LOAD_CORE)
    told = cost.load
    faults = {name: told[name] for name in ("torn", "backwards", "gone", "silent") if told[name]}
    if faults or told["frames"] < 0.98 * viewers * FPS * told["seconds"]:
        sys.exit(f"the load was not served: {faults}, {told['frames']} frames; the machine is too busy")
    return cost


def watch(port: int, path: str, pid: int, viewers: int, seconds: int, *, pin: Sequence[str] = ()) -> Cost:
    """Measure as `measure` does, whatever comes; `pin` is a command that runs the load on one core."""
    command = [*pin, str(BUILD / "mjload"), "--url", f"127.0.0.1:{port}{path}",
               "--clients", str(viewers), "--seconds", str(seconds), "--warmup", "2"]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as load:
        assert load.stdout is not None
        marks = {}
        for line in load.stdout:
            word = line.split(maxsplit=1)[0]
            if word in ("BEGIN", "END"):
                marks[word] = cpu_ns(pid)
            last = line
    told = json.loads(last)
    return Cost((marks["END"] - marks["BEGIN"]) / 1000 / told["frames"], told)


@contextmanager
def floor(frames: Path) -> Iterator[int]:
    """Run the floor; yield its pid."""
    command = [
        *ON_SERVER_CORE,
        str(BUILD / "floor"),
        str(frames),
        "--port",
        str(FLOOR_PORT),
        "--fps",
        str(FPS),
    ]
    with subprocess.Popen(command) as process:
        try:
            _wait_for(lambda: socket.create_connection(("127.0.0.1", FLOOR_PORT)))
            yield process.pid
        finally:
            process.kill()


@contextmanager
def ringcast(frames: Path, *, pin: Sequence[str] = ON_SERVER_CORE) -> Iterator[int]:
    """Run Ringcast on stamped frames; yield the server process's pid."""
    command = [*pin, sys.executable, "supervisor.py", "--instance=bench",
               f"--listen=127.0.0.1:{SERVER_PORT}", "--camera=bench.rig_camera:RigCamera",
               f"--fps={FPS}", "--max-viewers=10000"]  # fmt: skip
    environment = {**os.environ, "RIG_FRAMES": str(frames)}
    with subprocess.Popen(command, cwd=HERE.parent, env=environment, stderr=subprocess.DEVNULL) as process:
        try:
            yield _wait_for(_server_pid)
        finally:
            process.send_signal(signal.SIGTERM)


def _server_pid() -> int | None:
    with urllib.request.urlopen(f"http://127.0.0.1:{SERVER_PORT}/status") as answer:
        status = json.load(answer)
    return int(status["server"]["pid"]) if status["ready"] else None


def _wait_for(condition: Callable[[], _Result | None]) -> _Result:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            if found := condition():
                return found
        time.sleep(0.1)
    sys.exit("a server did not get ready within 20 s")


def main() -> int:
    parser = argparse.ArgumentParser(description="CPU of the server per delivered frame, against the floor.")
    parser.add_argument("--viewers", type=int, default=100)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=8)
    parser.add_argument("--most", type=float, default=1.5, help="the ratio that must not be passed")
    args = parser.parse_args()
    frames = build()
    ratios = []
    print(f"{args.viewers} viewers, {FPS} frames a second, CPU of the server per delivered frame")
    for run in range(1, args.runs + 1):
        with floor(frames) as pid:
            before = measure(FLOOR_PORT, "/", pid, args.viewers, args.seconds)
        with ringcast(frames) as pid:
            ours = measure(SERVER_PORT, "/stream", pid, args.viewers, args.seconds)
        with floor(frames) as pid:
            after = measure(FLOOR_PORT, "/", pid, args.viewers, args.seconds)
        least = (before.us_per_frame + after.us_per_frame) / 2
        ratios.append(ours.us_per_frame / least)
        load = ours.load
        print(
            f"run {run}: floor {before.us_per_frame:.1f} and {after.us_per_frame:.1f} µs, "
            f"Ringcast {ours.us_per_frame:.1f} µs: ratio {ratios[-1]:.2f}; "
            f"{load['frames'] / load['seconds'] / args.viewers:.1f} fps each, {load['torn']} torn, "
            f"{load['missed']} missed, {load['backwards']} back, "
            f"p50 {load['latency_ms']['p50']:.1f} ms, p99 {load['latency_ms']['p99']:.1f} ms"
        )
    median = statistics.median(ratios)
    print(f"median ratio {median:.2f}, least {min(ratios):.2f} (at most {args.most} is wanted)")
    return int(median > args.most)


if __name__ == "__main__":
    sys.exit(main())
