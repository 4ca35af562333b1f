# SPDX-License-Identifier: MIT
"""A few viewers, as most people have: what the whole service costs, idle and watched.

    .venv/bin/python -m bench.household [--seconds 6] [--runs 3] [--only NAME …]

Measures the table of whole services and the table of targets, and writes both into docs/benchmarks.md. With
`--only` it measures only the targets named so and writes nothing. Exits with 1 where a target is missed.
"""

from __future__ import annotations

import contextlib
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from bench.fanout import NAMES, Bench, Row, Target, asked, beside_floor, measured, targets_table
from bench.report import machine, rewrite, table
from bench.rig import (
    FPS,
    ON_LOAD_CORE,
    OTHER_PORT,
    SERVER_PORT,
    Meter,
    Use,
    count,
    family,
    other,
    pss_kib,
    ringcast,
    status,
    wait_for,
    watch,
)

VIEWERS = (0, 1, 3, 10)
OTHERS = ("flask", "http.server")
ASKED_S, ASKED_A_SECOND, FIRST_S = 60, 200, 5
SETTLE_S = 2.0


@dataclass(frozen=True)
class Running:
    """A service that runs: its processes by name, and where its stream is."""

    processes: Mapping[str, Iterable[int]]
    port: int
    path: str


@contextlib.contextmanager
def run(way: str, bench: Bench) -> Iterator[Running]:
    """Run Ringcast, all of it, or another server, each with the test pattern."""
    if way == "Ringcast":
        with ringcast(bench.frames, "--camera=pattern"):
            supervisor = wait_for(lambda: status()["supervisor"])
            yield Running(family(supervisor["pid"]), SERVER_PORT, "/stream")
    else:
        with other(way, "pattern") as pid:
            yield Running({way: [pid]}, OTHER_PORT, "/")


def uses(running: Running, viewers: int, seconds: float) -> tuple[dict[str, Use], float]:
    """Return what each of a service's processes takes with so many viewers, and what part of frames came."""
    meters = {name: Meter(pids) for name, pids in running.processes.items()}

    def read(mark: str) -> None:
        for meter in meters.values():
            meter.read(mark)

    delivered = 1.0
    if viewers:
        told = count(running.port, running.path, viewers, at_mark=read, seconds=seconds)
        delivered = told["frames"] / (viewers * FPS * told["seconds"])
    else:
        time.sleep(SETTLE_S)
        read("BEGIN")
        time.sleep(seconds)
        read("END")
    return {name: meter.use for name, meter in meters.items()}, delivered


def services(bench: Bench) -> str:
    """Measure whole services in turn; return the table of medians."""
    found: dict[tuple[str, int], list[Use]] = defaultdict(list)
    parts: dict[tuple[str, int], list[float]] = defaultdict(list)
    for _ in range(bench.runs):
        for way in ("Ringcast", *OTHERS):
            with run(way, bench) as running:
                for viewers in VIEWERS:
                    taken, delivered = uses(running, viewers, bench.seconds)
                    whole = Use(
                        sum(use.cpu_ns for use in taken.values()),
                        max(use.seconds for use in taken.values()),
                        sum(use.pss_kib for use in taken.values()),
                    )
                    found[way, viewers].append(whole)
                    parts[way, viewers].append(delivered)
                    print(way, viewers, _cell([whole], [delivered]), file=sys.stderr)
                    if way == "Ringcast":
                        for name, use in taken.items():
                            found[name, viewers].append(use)
    rows = {
        "Ringcast": "Ringcast, all its processes",
        "supervisor": "of which the supervisor",
        "capture": "of which the capture process",
        "server": "of which the server",
        **{way: NAMES[way] for way in OTHERS},
    }
    head = ("CPU · PSS", "nobody watches", *(f"{n} viewer{'s' if n > 1 else ''}" for n in VIEWERS[1:]))
    return table(
        head,
        [
            (name, *(_cell(found[way, viewers], parts[way, viewers]) for viewers in VIEWERS))
            for way, name in rows.items()
        ],
    )


def _cell(taken: Sequence[Use], delivered: Sequence[float]) -> str:
    percent = statistics.median(use.percent for use in taken)
    mib = statistics.median(use.pss_kib for use in taken) / 1024
    part = statistics.median(delivered or [1.0])
    rate = "" if part > 0.98 else f", {part * FPS:.1f} a second"
    return f"{percent:.2f} % · {mib:.0f} MB{rate}"


def ten_viewers(bench: Bench) -> Iterator[Row]:
    """CPU time of the server per delivered frame as a ratio to the floor's, before and after it."""
    yield beside_floor(bench, 10, most=1.5)[0]


def idle(bench: Bench) -> Iterator[Row]:
    """CPU time of the server while nobody watches and the camera runs."""
    percents = []
    for _ in range(bench.runs):
        with run("Ringcast", bench) as running:
            percents.append(uses(running, 0, 2 * bench.seconds)[0]["server"].percent)
    median = statistics.median(percents)
    measured = f"{median:.2f} % (median of {bench.runs}, {min(percents):.2f} to {max(percents):.2f})"
    yield Row("CPU of the server while nobody watches, of one core", "≤ 0.2 %", measured, median <= 0.2)


def snapshots(bench: Bench) -> Iterator[Row]:
    """Ten viewers while somebody asks for /snapshot 200 times a second for a minute: 12,000 times in all."""
    with ringcast(bench.frames) as pid:
        asking = [*ON_LOAD_CORE, sys.executable, "-m", "bench.hammer", str(SERVER_PORT), "/snapshot", "4",
                  str(ASKED_S), str(ASKED_A_SECOND)]  # fmt: skip
        with subprocess.Popen(asking, stdout=subprocess.PIPE, text=True) as asker:
            time.sleep(FIRST_S)
            early_kib = pss_kib(pid)
            load = watch(SERVER_PORT, "/stream", pid, 10, seconds=ASKED_S - 2 * FIRST_S)
            answers = int(asker.communicate()[0]) / ASKED_S
    p99_ms, missed = load.told["latency_ms"]["p99"], load.told["missed"]
    grown_kib = load.pss_kib - early_kib
    yield Row(
        f"10 viewers while /snapshot is asked {ASKED_A_SECOND} times a second for {ASKED_S} s: p99, memory",
        "≤ 10 ms, flat",
        f"{p99_ms:.1f} ms, {grown_kib / 1024:+.1f} MB; {missed} frames missed, {answers:.0f} answers "
        "a second",
        p99_ms <= 10 and grown_kib < 2048 and answers >= 0.95 * ASKED_A_SECOND,
    )


TARGETS: tuple[Target, ...] = (ten_viewers, idle, snapshots)


def main() -> int:
    """Measure, print, and write what was found."""
    bench, only = asked(__doc__, TARGETS)
    rows = measured(bench, TARGETS, only)
    targets = targets_table(rows)
    print(targets)
    if only is None:
        whole = services(bench)
        print(whole)
        told = f"{machine()}. `make bench-household ARGS='--runs {bench.runs} --seconds {bench.seconds:g}'`:"
        rewrite("household", f"{told}\n\n{targets}\n\n{whole}")
    return int(not all(row.reached for row in rows))


if __name__ == "__main__":
    sys.exit(main())
