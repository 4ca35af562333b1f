# SPDX-License-Identifier: MIT
"""How long a viewer is without a new frame after each fault.

    sudo .venv/bin/python -m bench.recovery [--runs 10] [--only FAULT …]

Makes each fault of tests/fault_table.py as often as `--runs` says, each time on a service of its own with the
pattern camera and the default limits, and writes docs/reliability.md. As root, for a disk that stands still.
With `--only` it measures only the faults named so and writes nothing. Exits with 1 where a bound is missed.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from bench.report import DOCS, machine, rewrite, table
from tests.conditions import eventually
from tests.fault_table import (
    FLAPPING,
    FLAPPING_WITHIN_S,
    HANG_WHILE_OPENING,
    OPENING_WITHIN_S,
    ROWS,
    Recovery,
    Row,
    recover,
    recover_again_and_again,
    recover_from_hang_while_opening,
)
from tests.frozen_disk import CAMERA, Disk, new_disk
from tests.hanging_open_camera import HANGS
from tests.mjpeg import Audience
from tests.running import Ringcast

FROZEN_DISK = "state D"


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument(
        "--only", nargs="*", choices=[*(row.fault for row in ROWS), HANG_WHILE_OPENING, FLAPPING, FROZEN_DISK]
    )
    asked = parser.parse_args()
    rows, missed = [], False
    with tempfile.TemporaryDirectory() as folder, new_disk(Path(folder)) as disk:
        ways: list[tuple[str, float, Callable[[], Recovery]]] = [
            *((row.fault, row.within_s, lambda row=row: of_row(row)) for row in ROWS),
            (HANG_WHILE_OPENING, OPENING_WITHIN_S, of_hang_while_opening),
            (FLAPPING, FLAPPING_WITHIN_S, of_flapping),
            (FROZEN_DISK, 2.0, lambda: of_frozen_disk(disk)),
        ]
        for fault, within_s, measure in ways:
            if asked.only is not None and fault not in asked.only:
                continue
            runs = 1 if fault == FLAPPING else asked.runs
            found = [measure() for _ in range(runs)]
            took_s = [recovery.took_s for recovery in found]
            missed |= max(took_s) >= within_s
            rows.append(
                (
                    f"`{fault}`",
                    f"{within_s:.1f} s",
                    f"{statistics.median(took_s):.2f} s",
                    f"{max(took_s):.2f} s",
                    _placeholder(found),
                    max(recovery.connections for recovery in found),
                    sum(recovery.refused for recovery in found),
                )
            )
            print(*rows[-1], flush=True)
    head = ("fault", "bound", "median", "worst", "placeholder after, at most", "connections", "refused")
    told = f"{machine()}. `sudo make bench-recovery`, each {asked.runs} times:\n\n{table(head, rows)}"
    if asked.only is None:
        rewrite("recovery", told, DOCS / "reliability.md")
    return int(missed)


def of_row(row: Row) -> Recovery:
    """Return what a viewer of a new service saw of a fault."""
    with Ringcast("--camera=pattern") as service:
        service.ready()
        return recover(service, row)


def of_hang_while_opening() -> Recovery:
    """Return what a viewer of a new service saw of a camera that hung once while it was opened."""
    with tempfile.TemporaryDirectory() as hangs:
        os.environ[HANGS] = hangs
        with Ringcast("--camera=tests.hanging_open_camera:HangingOpenCamera") as service:
            service.ready()
            return recover_from_hang_while_opening(service, Path(hangs))


def of_flapping() -> Recovery:
    """Return the worst that a viewer of a new service saw of a camera that crashes again and again."""
    with Ringcast("--camera=pattern") as service:
        service.ready()
        return recover_again_and_again(service, crashes=12, every_s=6.0)


def of_frozen_disk(disk: Disk) -> Recovery:
    """Return what a viewer saw from the thaw on, of a camera that was stuck in the kernel."""
    with Ringcast(CAMERA) as service:
        service.ready()
        with Audience(service.port, 1) as audience:
            (viewer,) = audience.viewers
            eventually(lambda: len(viewer.frames) > 5)
            disk.freeze()
            eventually(lambda: service.status()["supervisor"]["capture"]["stuck"], 15)
            placeholders = [seen.at_s for seen in viewer.seen if seen.freshness == "placeholder"]
            last = viewer.frames[-1]
            thawed_s = disk.thaw()
            eventually(lambda: viewer.frames[-1] is not last, 10, "a new frame")
            first = next(seen for seen in viewer.frames if seen.at_s > last.at_s)
            audience.check()
            return Recovery(first.at_s - thawed_s, placeholders[0] - last.at_s, 0.0, viewer.connections, 0)


def _placeholder(found: list[Recovery]) -> str:
    after_s = [one.placeholder_after_s for one in found if one.placeholder_after_s is not None]
    return f"{max(after_s):.2f} s" if after_s else "none"


if __name__ == "__main__":
    sys.exit(main())
