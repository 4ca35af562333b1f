# SPDX-License-Identifier: MIT
"""Two checkouts in pairs: what a delivered frame costs this one's server, as a ratio to another one's.

    .venv/bin/python -m bench.against DIR [--pairs 7] [--seconds 6] [--viewers 100 300 1000]

Each service is started by its own supervisor.py, with the same frames. A count ends with the same number of
delivered frames: what `--seconds` of them are. Every second pair begins with the other checkout. Prints the
ratios of all pairs and their medians.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from pathlib import Path

from bench.report import machine, table
from bench.rig import FPS, ROOT, SERVER_PORT, build, ringcast, watch

LATE = 3
"""How many times as long as expected a count may take."""


def cost_us(checkout: Path, frames: Path, viewers: int, seconds: float) -> float:
    """Return the CPU time in µs that a checkout's server takes for each delivered frame.

    Exits if frames do not come, or come torn.
    """
    wanted = round(viewers * FPS * seconds)
    with ringcast(frames, checkout=checkout) as pid:
        options = ("--frames", str(wanted))
        load = watch(SERVER_PORT, "/stream", pid, viewers, seconds=LATE * seconds, options=options)
    if load.told["frames"] < wanted or load.told["torn"] or load.told["gone"]:
        sys.exit(f"{checkout}: of {wanted} frames for {viewers} viewers came: {load.told}")
    return load.cpu_us


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("other", type=Path, help="the other checkout, such as a git worktree")
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--viewers", type=int, nargs="+", default=[100, 300, 1000])
    asked = parser.parse_args()
    other = asked.other.resolve()
    if other == ROOT or not (other / "supervisor.py").is_file():
        parser.error(f"expected another checkout of Ringcast, got {other}")
    frames, rows = build(), []
    for viewers in asked.viewers:
        ratios = []
        for pair in range(asked.pairs):
            order = (
                (ROOT, other) if pair % 2 == 0 else (other, ROOT)
            )  # a machine that slows down favours none
            cost = {checkout: cost_us(checkout, frames, viewers, asked.seconds) for checkout in order}
            ours_us, theirs_us = cost[ROOT], cost[other]
            ratios.append(ours_us / theirs_us)
            print(
                f"{viewers} viewers: {ours_us:.2f} ÷ {theirs_us:.2f} µs = {ratios[-1]:.3f}", file=sys.stderr
            )
        rows.append(
            (viewers, " ".join(f"{ratio:.2f}" for ratio in ratios), f"{statistics.median(ratios):.3f}")
        )
    print(f"{machine()}; server's CPU per delivered frame, {ROOT.name} ÷ {other.name}:\n")
    print(table(("viewers", "pair by pair", "median"), rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
