# SPDX-License-Identifier: MIT
"""The capture process is killed again and again: nothing grows, and one viewer's connection lives through it.

A hundred times in the suite, a thousand with `make restart-campaign`.
"""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass

import pytest

from tests.conditions import eventually
from tests.mjpeg import Audience, StreamViewer
from tests.processes import descriptors_of, own_kib
from tests.running import Ringcast, processes_of

pytestmark = [pytest.mark.process, pytest.mark.timeout(1800)]

RESTARTS = int(os.environ.get("RESTARTS", "100"))
WARM_UP = 10
"""The first restarts may cost memory for good: what draws placeholders is loaded when it is needed."""
_NOISE_KIB = 1024
_OTHERS_KIB = 4096
"""Other programs use shared memory as well."""


@dataclass(frozen=True)
class Held:
    """What is held between two restarts, by the supervisor, the server and the capture process."""

    descriptors: tuple[int, ...]
    kib: tuple[int, ...]
    shared_kib: int
    """In use of all of /dev/shm: the service's own parts of it have no name."""
    processes: int


def held(service: Ringcast, server: int, capture: int) -> Held:
    pids = (service.pid, server, capture)
    told = os.statvfs("/dev/shm")
    shared_kib = (told.f_blocks - told.f_bfree) * told.f_frsize // 1024
    return Held(
        tuple(len(descriptors_of(pid)) for pid in pids),
        tuple(map(own_kib, pids)),
        shared_kib,
        len(processes_of(service)),
    )


def kill_capture(service: Ringcast, number: int) -> None:
    """Kill the capture process, the `number`th time, and wait until that is noticed."""
    os.kill(service.capture_pid(), signal.SIGKILL)
    eventually(lambda: service.log.count("capture ended: killed by SIGKILL") == number, 10, f"death {number}")


def see_new_frames(viewer: StreamViewer) -> None:
    seen = len(viewer.frames)
    eventually(lambda: len(viewer.frames) > seen + 1, 10, "new frames")


def test_nothing_grows_and_the_viewer_stays_connected(capsys: pytest.CaptureFixture[str]) -> None:
    at_once = ("--backoff-s=0.05", "--backoff-most-s=0.05")
    with Ringcast("--camera=pattern", *at_once) as service:
        service.ready()
        with Audience(service.port, 1) as audience:
            (viewer,) = audience.viewers
            measured = []
            for number in range(1, RESTARTS + 1):
                kill_capture(service, number)
                see_new_frames(viewer)
                if number % WARM_UP == 0:
                    measured.append(held(service, service.server_pid(), service.capture_pid()))
            audience.check()
            assert viewer.connections == 1
            restarts = service.ready()["supervisor"]["capture"]["restarts"]
    assert restarts == {"killed by SIGKILL": RESTARTS}
    first, last = measured[0], measured[-1]
    with capsys.disabled():
        print(f"\nafter {WARM_UP} restarts {first}\nafter {RESTARTS} restarts {last} ", end="")
    for at, process in enumerate(("supervisor", "server", "capture")):
        assert grown([one.descriptors[at] for one in measured]) <= 0, process
        assert grown([one.kib[at] for one in measured]) < _NOISE_KIB, process
    assert grown([one.shared_kib for one in measured]) < _OTHERS_KIB
    assert last.processes == first.processes


def grown(measured: list[int]) -> int:
    """Return by how much the last ones are more than the first ones, at the least."""
    return min(measured[-3:]) - max(measured[:3])
