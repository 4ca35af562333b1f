# SPDX-License-Identifier: MIT
"""The fan-out: what a delivered frame costs, beside the least possible and beside other servers.

    sudo .venv/bin/python -m bench.fanout [--seconds 6] [--runs 3] [--only NAME …]

Measures the table of servers and the table of targets, writes both into docs/benchmarks.md and draws
docs/fanout-cost.svg. As root, for links between network namespaces. With `--only` it measures only the
targets named so and writes nothing. Exits with 1 where a target is missed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bench.report import DOCS, machine, rewrite, table
from bench.rig import (
    FLOOR_PORT,
    FPS,
    LOOPBACK,
    OTHER_PORT,
    SERVER_HOST,
    SERVER_PORT,
    Load,
    build,
    floor,
    link,
    other,
    pss_kib,
    ringcast,
    status,
    wait_for,
    watch,
)

VIEWERS = (1, 10, 100, 300, 1000)
WAYS = ("floor", "Ringcast", "waitress", "flask", "http.server")
NAMES = {
    "floor": "the floor: C, epoll, one send",
    "Ringcast": "Ringcast",
    "waitress": "Waitress, one thread per viewer",
    "flask": "Flask, threaded",
    "http.server": "http.server with a Condition",
}


@dataclass(frozen=True)
class Row:
    """One target: what was wanted, what was measured, and whether it was reached."""

    what: str
    wanted: str
    measured: str
    reached: bool


@dataclass(frozen=True)
class Bench:
    """What all measurements share."""

    frames: Path
    seconds: float
    runs: int

    @contextlib.contextmanager
    def serve(self, way: str) -> Iterator[Callable[[int], Load]]:
        """Run a server; yield what lets a number of viewers watch it."""
        servers = {"floor": (floor, FLOOR_PORT, "/"), "Ringcast": (ringcast, SERVER_PORT, "/stream")}
        if way in servers:
            run, port, path = servers[way]
            running = run(self.frames)
        else:
            running, port, path = other(way, self.frames), OTHER_PORT, "/"
        with running as pid:
            yield lambda viewers: watch(port, path, pid, viewers, seconds=self.seconds)


class Target(Protocol):
    """Something to measure, by the name that `--only` knows."""

    __name__: str

    def __call__(self, bench: Bench) -> Iterator[Row]: ...


def costs(bench: Bench) -> dict[tuple[str, int], Load]:
    """Measure every server with every number of viewers once."""
    found = {}
    for way in WAYS:
        for viewers in VIEWERS:
            with bench.serve(way) as load:
                found[way, viewers] = load(viewers)
            print(way, viewers, _cell(found[way, viewers], viewers), file=sys.stderr)
    return found


def _cell(load: Load, viewers: int) -> str:
    fps = load.told["frames"] / viewers / load.told["seconds"]
    rate = "" if fps > 0.98 * FPS else f", {fps:.1f} a second"
    return f"{load.cpu_us:.0f} µs{rate}"


def cost_ratio(bench: Bench) -> Iterator[Row]:
    """CPU time per delivered frame as a ratio to the floor's, before and after it."""
    for viewers in (100, 300, 1000):
        row, delivered = beside_floor(bench, viewers, most=1.25)
        yield row
        if viewers == 1000:
            yield Row("frames delivered at 1000 viewers", "≥ 99 %", f"{delivered:.1%}", delivered >= 0.99)


def beside_floor(bench: Bench, viewers: int, *, most: float) -> tuple[Row, float]:
    """Return the cost of a number of viewers as a ratio to the floor's, and the least part delivered."""
    ratios, delivered = [], []
    for _ in range(bench.runs):
        loads = []
        for way in ("floor", "Ringcast", "floor"):
            with bench.serve(way) as load:
                loads.append(load(viewers))
        ratios.append(2 * loads[1].cpu_us / (loads[0].cpu_us + loads[2].cpu_us))
        delivered.append(loads[1].delivered(viewers))
    median = statistics.median(ratios)
    measured = f"{median:.2f} (median of {bench.runs}, {min(ratios):.2f} to {max(ratios):.2f})"
    what = f"CPU per delivered frame ÷ the floor's, {viewers} viewers"
    return Row(what, f"≤ {most:g}", measured, median <= most), min(delivered)


def memory(bench: Bench) -> Iterator[Row]:
    """PSS of the server process without viewers, and what each viewer adds."""
    with ringcast(bench.frames) as pid:
        time.sleep(3)
        idle_kib = pss_kib(pid)
        full_kib = watch(SERVER_PORT, "/stream", pid, 1000, seconds=bench.seconds).pss_kib
    each_kib = (full_kib - idle_kib) / 1000
    yield Row("PSS of the server, idle", "≤ 45 MB", f"{idle_kib / 1024:.1f} MB", idle_kib <= 45 * 1024)
    yield Row("and for each of 1000 viewers", "≤ 4 KB", f"{each_kib:.1f} KB", each_kib <= 4)


def latency(bench: Bench) -> Iterator[Row]:
    """From the publish to a frame's last byte at a viewer, with the floor's beside it."""
    for viewers, figure, most_ms in ((10, "p50", 1.0), (1000, "p99", 20.0)):
        pairs = []
        for _ in range(bench.runs):
            took_ms = []
            for way in ("Ringcast", "floor"):
                with bench.serve(way) as load:
                    took_ms.append(load(viewers).told["latency_ms"][figure])
            pairs.append(took_ms)
        ours_ms, least_ms = (statistics.median(column) for column in zip(*pairs, strict=True))
        yield Row(
            f"publish → last byte at the viewer, {figure} at {viewers} viewers",
            f"≤ {most_ms:g} ms",
            f"{ours_ms:.2f} ms; the floor: {least_ms:.2f} ms (medians of {bench.runs})",
            ours_ms <= most_ms,
        )


def slow_viewer(bench: Bench) -> Iterator[Row]:
    """One viewer that reads half of what it is sent, beside ten others."""
    with ringcast(bench.frames) as pid:
        options = ("--slow", "1", "--slow-rate", "300")
        told = watch(SERVER_PORT, "/stream", pid, 10, seconds=20, options=options).told
    age_s, missed = told["slow_viewers"]["age_ms"] / 1000, told["missed"]
    measured = f"{age_s:.2f} s, {missed} missed by the others"
    yield Row(
        "a viewer on a 300 kB/s line, 20 s: its frames' age",
        "≤ 0.4 s, 0 missed",
        measured,
        age_s <= 0.4 and not missed,
    )


def beside_requests(bench: Bench) -> Iterator[Row]:
    """100 viewers beside 8 connections that ask without a pause; nothing is pinned."""
    p99s_ms, delivered, answers = [], [], []
    for _ in range(bench.runs):
        with ringcast(bench.frames, within=()) as pid:
            command = [sys.executable, "-m", "bench.hammer", str(SERVER_PORT), "/status", "8", "11"]
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as hammer:
                load = watch(SERVER_PORT, "/stream", pid, 100, seconds=8, pin=())
                answers.append(int(hammer.communicate()[0]) // 11)
        p99s_ms.append(load.told["latency_ms"]["p99"])
        delivered.append(load.delivered(100))
    p99_ms, least = statistics.median(p99s_ms), min(delivered)
    yield Row(
        "100 viewers while 8 connections hammer /status, on both cores: p99, delivered",
        "≤ 30 ms, ≥ 98 %",
        f"{p99_ms:.1f} ms ({min(p99s_ms):.1f} to {max(p99s_ms):.1f}), {least:.1%}; "
        f"{statistics.median(answers)} answers a second",
        p99_ms <= 30 and least >= 0.98,
    )


def never_reading(bench: Bench) -> Iterator[Row]:
    """200 connections that ask for the stream and never read, beside 50 that do."""
    with ringcast(bench.frames) as pid:
        dead = []
        for _ in range(200):
            connection = socket.create_connection((LOOPBACK, SERVER_PORT))
            connection.sendall(b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
            dead.append(connection)
        asked_s = time.monotonic()
        wait_for(lambda: status()["viewers"]["count"] == 200)
        early_kib = pss_kib(pid)
        told = watch(SERVER_PORT, "/stream", pid, 50, seconds=10).told
        late_kib = pss_kib(pid)
        wait_for(lambda: status()["viewers"]["count"] == 0, 60)
        gone_s = time.monotonic() - asked_s
    grown_kib = late_kib - early_kib
    yield Row(
        "200 viewers that never read beside 50 that do",
        "0 missed, memory flat, gone within 30 s",
        f"{told['missed']} missed, {grown_kib / 1024:+.1f} MB, gone after {gone_s:.0f} s",
        not told["missed"] and grown_kib < 2048 and gone_s <= 30,
    )


def over_links(bench: Bench) -> Iterator[Row]:
    """Links with delay, loss and limits, between two network namespaces."""
    with link("--delay-ms", "5", "--loss", "0.005") as ends:

        def cost(run: Callable[..., contextlib.AbstractContextManager[int]], port: int, path: str) -> Load:
            within = (*ends.at_server, "taskset", "-c", "0")
            with run(bench.frames, within=within, host=SERVER_HOST) as pid:
                pin = (*ends.at_viewers, "taskset", "-c", "1")
                return watch(port, path, pid, 10, seconds=10, pin=pin, host=SERVER_HOST)

        pairs = [
            (cost(ringcast, SERVER_PORT, "/stream"), cost(floor, FLOOR_PORT, "/")) for _ in range(bench.runs)
        ]
    ratio = statistics.median(ours.cpu_us / least.cpu_us for ours, least in pairs)
    delivered = statistics.median(ours.delivered(10) for ours, _ in pairs)
    yield Row(
        "10 viewers over a link of 5 ms with 0.5 % loss: CPU ÷ the floor's, frames",
        "≤ 1.5, ≥ 95 %",
        f"{ratio:.2f}, {delivered:.1%}",
        ratio <= 1.5 and delivered >= 0.95,
    )
    with (
        link("--delay-ms", "5", "--mbit", "4") as ends,
        ringcast(bench.frames, within=ends.at_server, host=SERVER_HOST) as pid,
    ):
        told = watch(SERVER_PORT, "/stream", pid, 1, seconds=20, pin=ends.at_viewers, host=SERVER_HOST).told
    age_s, fps = told["latency_ms"]["p99"] / 1000, told["frames"] / told["seconds"]
    yield Row(
        "one viewer over 4 Mbit/s, 5 ms: its frames' age, p99",
        "≤ 0.25 s",
        f"{age_s:.2f} s at {fps:.1f} a second",
        age_s <= 0.25,
    )
    with (
        link("--delay-ms", "2", "--mbit", "20") as ends,
        ringcast(bench.frames, within=ends.at_server, host=SERVER_HOST) as pid,
    ):
        told = watch(SERVER_PORT, "/stream", pid, 10, seconds=20, pin=ends.at_viewers, host=SERVER_HOST).told
    age_s, fair = told["latency_ms"]["p50"] / 1000, told["frames_min"] / (told["frames"] / 10)
    yield Row(
        "10 viewers over one link of 20 Mbit/s, 2 ms: age p50; the least ÷ the mean",
        "≤ 0.35 s; ≥ 70 %",
        f"{age_s:.2f} s; {fair:.0%}",
        age_s <= 0.35 and fair >= 0.7,
    )


TARGETS: tuple[Target, ...] = (
    cost_ratio,
    memory,
    latency,
    slow_viewer,
    beside_requests,
    never_reading,
    over_links,
)


def draw(found: dict[tuple[str, int], Load]) -> None:
    """Draw docs/fanout-cost.svg: CPU time per delivered frame by the number of viewers."""
    import matplotlib  # noqa: PLC0415  slow to import

    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "fan-out", "svg.fonttype": "none", "font.size": 9})
    from matplotlib import pyplot  # noqa: PLC0415

    figure, panel = pyplot.subplots(figsize=(7, 3.6), layout="constrained")
    for way in WAYS:
        panel.plot(VIEWERS, [found[way, viewers].cpu_us for viewers in VIEWERS], marker="o", label=NAMES[way])
    panel.set_xscale("log")
    panel.set_yscale("log")
    panel.set_xticks(VIEWERS, [str(viewers) for viewers in VIEWERS])
    panel.yaxis.set_major_formatter("{x:g}")
    panel.set_xlabel("viewers")
    panel.set_title("CPU of the server per delivered frame, µs", loc="left", fontsize=9)
    panel.spines[["top", "right"]].set_visible(False)
    panel.legend(frameon=False, fontsize=8)
    figure.savefig(DOCS / "fanout-cost.svg", metadata={"Date": None})


def asked(about: str | None, targets: Sequence[Target]) -> tuple[Bench, list[str] | None]:
    """Read the command line; return how to measure, and the names of the targets if not all."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", nargs="*", choices=[target.__name__ for target in targets])
    found = parser.parse_args()
    return Bench(build(), found.seconds, found.runs), found.only


def measured(bench: Bench, targets: Sequence[Target], only: Sequence[str] | None) -> list[Row]:
    """Measure the targets, and print each as it is found."""
    rows = []
    for target in targets:
        if only is None or target.__name__ in only:
            for row in target(bench):
                rows.append(row)
                print(json.dumps(row.__dict__, ensure_ascii=False), flush=True)
    return rows


def targets_table(rows: Sequence[Row]) -> str:
    """Return what was wanted and what was measured as a table in Markdown."""
    head = ("what", "target", "measured", "")
    return table(
        head, [(row.what, row.wanted, row.measured, "" if row.reached else "missed") for row in rows]
    )


def main() -> int:
    """Measure, print, and write what was found."""
    bench, only = asked(__doc__, TARGETS)
    rows = measured(bench, TARGETS, only)
    targets = targets_table(rows)
    print(targets)
    if only is None:
        found = costs(bench)
        servers = table(
            ("server", *(f"{n} viewer{'s' if n > 1 else ''}" for n in VIEWERS), "p99 at 1000", "PSS at 1000"),
            [
                [
                    NAMES[way],
                    *(_cell(found[way, viewers], viewers) for viewers in VIEWERS),
                    f"{found[way, 1000].told['latency_ms']['p99']:.0f} ms",
                    f"{found[way, 1000].pss_kib / 1024:.0f} MB",
                ]
                for way in WAYS
            ],
        )
        print(servers)
        draw(found)
        told = f"{machine()}. `sudo make bench ARGS='--runs {bench.runs}'`:"
        rewrite("fan-out", f"{told}\n\n{targets}\n\n{servers}")
    return int(not all(row.reached for row in rows))


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    sys.exit(main())
