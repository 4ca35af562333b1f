# SPDX-License-Identifier: MIT
"""The poll loop where no real process can be made to misbehave so."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import supervisor
from supervisor import Service, Supervisor
from supervisor_proc.restart_policy import Limits, RestartPolicy, State
from supervisor_proc.shared_memory import create_shared_memory
from supervisor_proc.systemd import Notifier


class StuckChild:
    """A process in state D: SIGKILL does not end it."""

    name = "capture"
    pid = 4711
    without_hope = False

    def __init__(self) -> None:
        self.policy = RestartPolicy(Limits(1, 1), 0.0)
        self.policy.state = State.STUCK

    def fileno(self) -> None:
        return None

    def tick(self, now_s: float) -> None:
        pass

    def stop(self, now_s: float) -> None:
        self.policy.stop(now_s)

    @property
    def status(self) -> dict[str, Any]:
        return {}


@pytest.fixture
def signals() -> Iterator[tuple[int, int]]:
    """The pipe of arrived signals: its end to read and its end to write."""
    ends = os.pipe2(os.O_NONBLOCK)
    yield ends
    for end in ends:
        os.close(end)


def test_a_stop_ends_in_time_and_names_what_survives(
    signals: tuple[int, int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Whoever stops the service must get their prompt back, even from a wedged camera driver."""
    monkeypatch.setattr(supervisor, "_STOP_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        watched = Supervisor(
            signals[0],
            Service([listening], create_shared_memory("stucktest", 4096), tmp_path / "drill"),
            Notifier({}),
            capture_arguments=[],
            server_arguments=[],
            capture_limits=Limits(20.0, 3.0),
        )
        watched._capture = StuckChild()  # type: ignore[assignment]
        watched._children = (watched._capture,)  # type: ignore[assignment]
        os.write(signals[1], bytes([15]))
        assert watched.run() == 0
    assert "stopped, but still there: capture 4711" in caplog.text
