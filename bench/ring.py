# SPDX-License-Identifier: MIT
"""The ring compared with what a Python programmer would use instead.

    .venv/bin/python -m bench.ring [--seconds 2] [--quick]

Each way takes its turn with one writer and some readers, each a process: CPU time of all of them per
frame, the time from the send to the frame in a reader's hands, and how many frames a reader got. Then
the ring's own cost as ratios within this run, and what each way does when its writer is killed in the
middle of a frame. Writes a part of docs/benchmarks.md and docs/ring-cost.svg. `--quick` measures less
and writes nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import itertools
import os
import random
import select
import signal
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.process import BaseProcess

import numpy as np

from bench.report import DOCS, machine, rewrite, table
from bench.ring_ways import FORK, WAYS, Stamps, Way, shared_words
from shm_ring.doorbell import Doorbell
from shm_ring.layout import Geometry
from shm_ring.ring import RingReader, RingWriter
from shm_ring.segment import Segment, create_segment

SIZES = {"33 KB": 33_000, "100 KB": 100_000, "1 MB": 1_000_000}
RATES = (20, 60, 1000)
READERS = (1, 3)
WARM_S = 0.4
DEATHS = 20
MOST_LATENCIES = 1 << 14


@dataclass(frozen=True)
class Cost:
    """What one way cost at one size, rate and number of readers."""

    cpu_us: float
    """Of all processes, per frame that was sent."""
    p50_ms: float
    p99_ms: float
    fps: float
    """Frames that were sent in a second."""
    got: float
    """The part of them that a reader got, the mean of all."""


def cpu_ns(process: BaseProcess) -> int:
    """Return the CPU time of another process, by its own clock: /proc counts in hundredths."""
    assert process.pid is not None
    return time.clock_gettime_ns((~process.pid << 3) | 2)


def measure(make: type[Way], frame_bytes: int, fps: int, readers: int, seconds: float) -> Cost:
    """Run one way for some seconds."""
    way = make(readers, frame_bytes)
    sent = shared_words(1)
    taken = shared_words(readers * (1 + MOST_LATENCIES))
    processes = [FORK.Process(target=_read, args=(way, at, taken), daemon=True) for at in range(readers)]
    processes.append(FORK.Process(target=_write, args=(way, frame_bytes, fps, sent), daemon=True))
    for process in processes:
        process.start()
    _until(lambda: sent[0] > 0, 20)
    time.sleep(WARM_S)
    began = (sent[0], time.monotonic(), [cpu_ns(process) for process in processes], _counts(taken, readers))
    time.sleep(seconds)
    frames, took_s = sent[0] - began[0], time.monotonic() - began[1]
    cpu = sum(cpu_ns(process) for process in processes) - sum(began[2])
    counts = _counts(taken, readers)
    for process in processes:
        process.kill()
        process.join()
    spans = enumerate(zip(began[3], counts, strict=True))
    latencies = np.concatenate([_latencies(taken, reader, *span) for reader, span in spans])
    got = sum(end - start for start, end in zip(began[3], counts, strict=True)) / readers
    p50, p99 = np.percentile(latencies / 1e6, (50, 99)) if latencies.size else (np.nan, np.nan)
    return Cost(cpu / frames / 1000, float(p50), float(p99), frames / took_s, got / frames)


def _write(way: Way, frame_bytes: int, fps: int, sent: memoryview) -> None:
    send, frame = way.sender(), bytearray(os.urandom(frame_bytes))
    due = time.monotonic()
    while True:
        Stamps.put(frame, sent[0] + 1)
        send(frame)
        sent[0] += 1
        due = max(due + 1 / fps, time.monotonic() - 1 / fps)
        time.sleep(max(0.0, due - time.monotonic()))


def _read(way: Way, reader: int, taken: memoryview) -> None:
    receive, at = way.receiver(reader), reader * (1 + MOST_LATENCIES)
    while True:
        _, sent_ns, whole = Stamps.read(receive())
        assert whole
        taken[at + 1 + taken[at] % MOST_LATENCIES] = time.monotonic_ns() - sent_ns
        taken[at] += 1


def _counts(taken: memoryview, readers: int) -> list[int]:
    return [taken[reader * (1 + MOST_LATENCIES)] for reader in range(readers)]


def _latencies(taken: memoryview, reader: int, start: int, end: int) -> np.ndarray:
    at = reader * (1 + MOST_LATENCIES) + 1
    start = max(start, end - MOST_LATENCIES)
    return np.array([taken[at + count % MOST_LATENCIES] for count in range(start, end)], dtype=np.uint64)


def _until(condition: Callable[[], bool], within_s: float) -> bool:
    deadline = time.monotonic() + within_s
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.002)
    return condition()


def ratios() -> list[tuple[str, str, str]]:
    """Return the ring's own cost as ratios within this run: what, the figures, the ratio."""
    return [_publish_and_latest(), _wake_up(), _idle_readers()]


def _publish_and_latest() -> tuple[str, str, str]:
    descriptor = create_segment(f"ringcast-bench-own-{os.getpid()}", Geometry(4, 40_000))
    writer, reader = RingWriter(Segment(descriptor)), RingReader(Segment(descriptor))
    frame, room = os.urandom(33_000), memoryview(bytearray(33_000))

    def both() -> None:
        writer.publish(frame)
        reader.latest()

    def least() -> None:
        room[:] = frame
        bytes(room)
        for kind in (fcntl.LOCK_EX, fcntl.LOCK_SH):
            fcntl.lockf(descriptor, kind | fcntl.LOCK_NB, 4096, 4096)
            fcntl.lockf(descriptor, fcntl.LOCK_UN, 4096, 4096)

    ours_us, least_us = _least_us(both), _least_us(least)
    return (
        "publish + latest of 33 KB ÷ (two copies of it + two lock-unlock pairs), least of 7 runs",
        f"{ours_us:.1f} ÷ {least_us:.1f} µs",
        f"{ours_us / least_us:.2f}",
    )


def _least_us(once: Callable[[], object], times: int = 5000) -> float:
    least = float("inf")
    for _ in range(7):
        began = time.perf_counter_ns()
        for _ in range(times):
            once()
        least = min(least, (time.perf_counter_ns() - began) / times / 1000)
    return least


class StampingDoorbell(Doorbell):
    """A doorbell that notes when it is rung."""

    stamps: memoryview

    def ring(self) -> None:
        self.stamps[0] = time.monotonic_ns()
        super().ring()


def _wake_up() -> tuple[str, str, str]:
    pairs = [(_woken_us(with_ring=True), _woken_us(with_ring=False)) for _ in range(7)]
    ring_us, bare_us = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(ring / bare for ring, bare in pairs)
    return (
        "wake-up of a reader at 60 frames a second ÷ that of a bare eventfd, p50, median of 7 pairs",
        f"{ring_us:.0f} ÷ {bare_us:.0f} µs",
        f"{ratio:.2f}",
    )


def _woken_us(*, with_ring: bool, times: int = 60) -> float:
    """Return the median time from a doorbell's ringing to its reader's waking, in microseconds."""
    descriptor = create_segment(f"ringcast-bench-wake-{os.getpid()}", Geometry(4, 40_000))
    bell, stamps = StampingDoorbell.create(), shared_words(3)
    assert isinstance(bell, StampingDoorbell)
    bell.stamps = stamps

    def listen() -> None:
        reader, poll = RingReader(Segment(descriptor)), select.poll()
        poll.register(bell.fileno(), select.POLLIN)
        while True:
            poll.poll()
            stamps[1] = time.monotonic_ns()
            os.eventfd_read(bell.fileno())
            if with_ring:
                reader.latest()
            stamps[2] += 1

    listener = FORK.Process(target=listen, daemon=True)
    listener.start()
    writer, frame, took_us = RingWriter(Segment(descriptor), [bell]), os.urandom(33_000), []
    for number in range(1, times + 1):
        time.sleep(1 / 60)
        if with_ring:
            writer.publish(frame)
        else:
            bell.ring()
        _until(lambda number=number: stamps[2] == number, 10)  # type: ignore[misc]
        took_us.append((stamps[1] - stamps[0]) / 1000)
    listener.kill()
    listener.join()
    return statistics.median(took_us)


def _idle_readers() -> tuple[str, str, str]:
    """Measure a writer with three readers that stand still beside it, and without them."""
    descriptor = create_segment(f"ringcast-bench-idle-{os.getpid()}", Geometry(5, 40_000))
    writer, frame = RingWriter(Segment(descriptor)), os.urandom(33_000)
    pairs = []
    for _ in range(7):
        alone_us = _least_us(lambda: writer.publish(frame), 2000)
        with _standing_still(descriptor, 3):
            pairs.append((_least_us(lambda: writer.publish(frame), 2000), alone_us))
    idle_us, alone_us = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(idle / alone for idle, alone in pairs)
    return (
        "publish of 33 KB with three idle readers ÷ without, median of 7 pairs",
        f"{idle_us:.1f} ÷ {alone_us:.1f} µs",
        f"{ratio:.2f}",
    )


@contextlib.contextmanager
def _standing_still(descriptor: int, readers: int) -> Iterator[None]:
    def stand() -> None:
        RingReader(Segment(descriptor)).latest()
        attached[0] += 1
        signal.pause()

    attached = shared_words(1)
    processes = [FORK.Process(target=stand, daemon=True) for _ in range(readers)]
    for process in processes:
        process.start()
    _until(lambda: attached[0] == readers, 10)
    yield
    for process in processes:
        process.kill()
        process.join()


def deaths(make: type[Way]) -> Counter[str]:
    """Kill the writer of 1 MB frames at random moments; return what became of a reader, how often."""
    chance = random.Random(make.name)
    return Counter(_death(make, chance.uniform(0.001, 0.02)) for _ in range(DEATHS))


def _death(make: type[Way], after_s: float) -> str:
    way, sent, seen = make(1, SIZES["1 MB"]), shared_words(2), shared_words(3)
    reader = FORK.Process(target=_watch, args=(way, seen), daemon=True)
    writers = [FORK.Process(target=_write_from, args=(way, sent, at), daemon=True) for at in range(2)]
    reader.start()
    writers[0].start()
    if not _until(lambda: seen[0] > 2, 10):
        return "never began"
    time.sleep(after_s)
    writers[0].kill()
    writers[0].join()
    writers[1].start()
    goes_on = _until(lambda: seen[0] > 1 << 32, 2)
    torn, ended = seen[1], not reader.is_alive()
    for process in (reader, writers[1]):
        process.kill()
        process.join()
    if torn:
        return "the reader got a torn frame"
    if ended:
        return "the reader ended with an error"
    return "the next writer's frames arrived" if goes_on else "nothing more arrived"


def _write_from(way: Way, sent: memoryview, at: int) -> None:
    """Send without a pause; the second writer counts from 2**32 on."""
    _say_nothing()
    send, frame = way.sender(), bytearray(os.urandom(SIZES["1 MB"]))
    while True:
        sent[at] += 1
        Stamps.put(frame, sent[at] + (at << 32))
        send(frame)


def _watch(way: Way, seen: memoryview) -> None:
    _say_nothing()
    receive = way.receiver(0)
    while True:
        count, _, whole = Stamps.read(receive())
        seen[0] = count
        seen[1] |= not whole


def _say_nothing() -> None:
    """Leave out the tracebacks of processes whose other end was killed: the table tells of them."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


def draw(costs: Costs) -> None:
    """Draw docs/ring-cost.svg: CPU time and lateness at 60 frames a second and three readers."""
    import matplotlib  # noqa: PLC0415  slow to import

    matplotlib.use("svg")
    matplotlib.rcParams.update(
        {
            "svg.hashsalt": "ring",
            "svg.fonttype": "none",
            "font.size": 9,
            "axes.spines.top": False,
            "axes.spines.right": False,
        }
    )
    from matplotlib import pyplot  # noqa: PLC0415

    figure, panels = pyplot.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    titles = {"cpu_us": "CPU of all processes per frame, µs", "p99_ms": "from send to reader, p99, ms"}
    for panel, (figure_name, title) in zip(panels, titles.items(), strict=True):
        for at, way in enumerate(WAYS):
            heights = [getattr(costs[way.name, size, 60, 3], figure_name) for size in SIZES]
            places = np.arange(len(SIZES)) + (at - len(WAYS) / 2) * 0.13
            panel.bar(places, heights, 0.12, label=way.name, color=f"C{at}")
        panel.set_xticks(range(len(SIZES)), list(SIZES))
        panel.set_yscale("log")
        panel.yaxis.set_major_formatter("{x:g}")
        panel.yaxis.set_minor_formatter("{x:g}")
        panel.set_title(title, loc="left", fontsize=9)
    panels[0].legend(frameon=False, fontsize=7)
    figure.savefig(DOCS / "ring-cost.svg", metadata={"Date": None})


def main() -> int:
    """Measure, print, and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--quick", action="store_true")
    asked = parser.parse_args()
    own = table(("what", "figures", "ratio"), ratios())
    print(own, flush=True)
    costs = measure_all(((60,), (3,)) if asked.quick else (RATES, READERS), asked.seconds)
    rows = [
        [size, fps, readers, *(_cell(costs[way.name, size, fps, readers], fps) for way in WAYS)]
        for size, fps, readers in dict.fromkeys(key[1:] for key in costs)
    ]
    all_costs = table(("frame", "a second", "readers", *(way.name for way in WAYS)), rows)
    print(all_costs, flush=True)
    found = {way.name: deaths(way) for way in WAYS}
    kinds = sorted({kind for counts in found.values() for kind in counts})
    fates = [[name, *(counts[kind] for kind in kinds)] for name, counts in found.items()]
    all_deaths = table(("writer killed in a frame of 1 MB", *kinds), fates)
    print(all_deaths)
    if not asked.quick:
        draw(costs)
        rewrite("ring", f"{machine()}. `make bench-ring`:\n\n{own}\n\n{all_costs}\n\n{all_deaths}")
    return 0


Costs = dict[tuple[str, str, int, int], Cost]
"""By the way's name, the frame's size, frames a second and the number of readers."""


def measure_all(which: tuple[tuple[int, ...], tuple[int, ...]], seconds: float) -> Costs:
    """Measure every way at every size and at `which` rates and numbers of readers."""
    rates, readers_counts = which
    costs: Costs = {}
    for size, fps, readers in itertools.product(SIZES, rates, readers_counts):
        for way in WAYS:
            cost = measure(way, SIZES[size], fps, readers, seconds)
            costs[way.name, size, fps, readers] = cost
            print(size, fps, readers, way.name, _cell(cost, fps), file=sys.stderr)
    return costs


def _cell(cost: Cost, fps: int) -> str:
    """Return CPU time · p99, and what was less than asked for."""
    notes = []
    if cost.fps < 0.97 * fps:
        notes.append(f"{cost.fps:.0f} a second")
    if cost.got < 0.97:
        notes.append(f"{cost.got:.0%} got")
    return f"{cost.cpu_us:.0f} µs · {cost.p99_ms:.2f} ms" + (f" ({', '.join(notes)})" if notes else "")


if __name__ == "__main__":
    sys.exit(main())
