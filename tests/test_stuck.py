# SPDX-License-Identifier: MIT
"""A capture process that even SIGKILL does not end: the kernel holds it in state D, on a frozen disk."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conditions import eventually
from tests.frozen_disk import CAMERA, Disk, new_disk
from tests.mjpeg import Audience
from tests.running import Ringcast, alive, processes_of

pytestmark = pytest.mark.process


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with new_disk(tmp_path) as disk:
        yield disk


def state_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def capture(service: Ringcast) -> dict[str, object]:
    return dict(service.status()["supervisor"]["capture"])


def is_stuck(service: Ringcast) -> Callable[[], bool]:
    return lambda: capture(service)["stuck"] is True


def test_it_is_told_is_not_doubled_and_is_replaced_when_it_ends(
    disk: Disk, capsys: pytest.CaptureFixture[str]
) -> None:
    with Ringcast(CAMERA) as service:
        service.ready()
        pid, others = service.capture_pid(), len(processes_of(service))
        with Audience(service.port, 1) as audience:
            (viewer,) = audience.viewers
            eventually(lambda: len(viewer.frames) > 5)
            disk.freeze()
            eventually(is_stuck(service), 15, "STUCK in the status")
            assert state_of(pid) == "D"
            assert capture(service)["pid"] == pid
            found = re.search(
                rf"capture \(pid {pid}\) does not end after SIGKILL \(kernel: (\w+)\)", service.log
            )
            assert found is not None
            assert found[1] not in ("0", "unknown"), "the kernel's function in which it waits"
            placeholders = len(viewer.seen)
            eventually(lambda: len(viewer.seen) > placeholders + 3, what="three seconds more")
            assert len(processes_of(service)) == others, "nothing was started in its place"
            assert viewer.seen[-1].freshness == "placeholder"
            last = len(viewer.frames)
            thawed_s = disk.thaw()
            eventually(lambda: len(viewer.frames) > last, 10, "a new frame")
            took_s = viewer.frames[last].at_s - thawed_s
            with capsys.disabled():
                print(f"\ncapture in state D: {took_s:.2f} s of at most 2 s after the thaw ", end="")
            assert took_s < 2.0
            assert service.ready()["supervisor"]["capture"]["stuck"] is False
            audience.check()


def test_it_does_not_delay_the_stop(disk: Disk) -> None:
    with Ringcast(CAMERA) as service:
        service.ready()
        pid = service.capture_pid()
        disk.freeze()
        eventually(is_stuck(service), 15, "STUCK in the status")
        asked_s = time.monotonic()
        os.kill(service.pid, signal.SIGTERM)
        service.process.wait(12)
        assert time.monotonic() - asked_s < 8.5
        eventually(lambda: f"stopped, but still there: capture {pid}" in service.log)
        disk.thaw()
        eventually(lambda: not alive(pid))
