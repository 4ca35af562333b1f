# SPDX-License-Identifier: MIT
"""The poll loop where no real process can be made to misbehave so."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import supervisor
from shm_ring.status import ChildStatus
from supervisor import Supervisor
from supervisor_proc.children import Service
from supervisor_proc.restart_policy import Limits, RestartPolicy, State
from supervisor_proc.shared_memory import Rings, create_shared_memory
from supervisor_proc.systemd import Notifier
from tests.rows import child_status


class FakeChild:
    """A child without a process, whose state a test sets."""

    pid: int | None = 4711
    last_error = ""

    def __init__(self, name: str, state: State) -> None:
        self.name = name
        self.policy = RestartPolicy(Limits(1, 1), 0.0)
        self.policy.state = state

    def fileno(self) -> None:
        return None

    def tick(self, now_s: float) -> None:
        pass

    def stop(self, now_s: float) -> None:
        self.policy.stop(now_s)

    @property
    def status(self) -> ChildStatus:
        return child_status(state=self.policy.state.value)


@pytest.fixture
def signals() -> Iterator[tuple[int, int]]:
    """The pipe of arrived signals: its end to read and its end to write."""
    ends = os.pipe2(os.O_NONBLOCK)
    yield ends
    for end in ends:
        os.close(end)


def supervisor_of(signals: int, folder: Path, capture: FakeChild, server: FakeChild) -> Supervisor:
    memory = create_shared_memory("stucktest", 4096)
    service = Service([], memory, Rings(memory), folder / "drill")
    return Supervisor(signals, service, Notifier({}), capture=capture, server=server)  # type: ignore[arg-type]


def test_a_stop_ends_in_time_and_names_what_survives(
    signals: tuple[int, int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Whoever stops the service must get their prompt back, even from a wedged camera driver."""
    monkeypatch.setattr(supervisor, "_STOP_S", 0.3)
    stuck, gone = FakeChild("capture", State.STUCK), FakeChild("server", State.DONE)
    os.write(signals[1], bytes([15]))
    assert supervisor_of(signals[0], tmp_path, stuck, gone).run() == 0
    assert "stopped, but still there: capture 4711" in caplog.text
