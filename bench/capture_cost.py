# SPDX-License-Identifier: MIT
"""What a frame costs from the camera to the ring, beside Picamera2's own JpegEncoder.

    .venv/bin/python -m bench.capture_cost [--seconds 4] [--runs 5]

Runs the real Picamera2 on the virtual camera of tests/virtual_camera (as root). The three ways take turns;
figures are medians over the runs, and so are the ratios of Ringcast to JpegEncoder within one run. `nothing`
lets the pictures go: it is what the virtual camera itself costs. Exits with 1 where Ringcast costs more CPU
than JpegEncoder, or is later, by more than 10 %.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path

from tests.virtual_camera.cameras import STREET, VirtualCameras, built

SIZES = ("640x480", "1280x720", "1920x1080")
WAYS = ("nothing", "ringcast", "JpegEncoder")
FIGURES = ("cpu_ms", "late_p50_ms", "late_p99_ms")
NOISE = 1.1
"""Ratios of one way to itself differ by as much from run to run."""


def main() -> int:
    """Measure, print a table in Markdown, and judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--runs", type=int, default=5)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        cameras = VirtualCameras(built(), Path(folder))
        cameras.plug_in(STREET)
        runs = [measure(cameras, asked.seconds) for _ in range(asked.runs)]
    print("| size | way | CPU per frame | from capture to publish, p50 | p99 |")
    print("|---|---|---|---|---|")
    slower = False
    for size in SIZES:
        for way in WAYS:
            medians = (statistics.median(run[size, way][figure] for run in runs) for figure in FIGURES)
            print(f"| {size} | {way} | {' | '.join(f'{median:.2f} ms' for median in medians)} |")
        ratios = [
            statistics.median(
                run[size, "ringcast"][figure] / run[size, "JpegEncoder"][figure] for run in runs
            )
            for figure in FIGURES
        ]
        print(f"| {size} | ringcast ÷ JpegEncoder | {' | '.join(f'{ratio:.2f}' for ratio in ratios)} |")
        slower |= max(ratios[:2]) > NOISE
    print("slower than JpegEncoder" if slower else "not slower than JpegEncoder")
    return int(slower)


def measure(cameras: VirtualCameras, seconds: float) -> dict[tuple[str, str], dict[str, float]]:
    """Run every way at every size once."""
    found = {}
    for size in SIZES:
        for way in WAYS:
            ran = cameras.run("python", "-m", "bench.capture_ways", way, size, f"{seconds:g}")
            if ran.returncode:
                sys.exit(f"{way} at {size} failed: {ran.stderr}")
            found[size, way] = json.loads(ran.stdout)
            if found[size, way]["frames"] < 0.95 * 30 * seconds:
                sys.exit(f"{way} at {size} lost frames: {found[size, way]}; the machine is too busy")
    return found


if __name__ == "__main__":
    sys.exit(main())
