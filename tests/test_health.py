# SPDX-License-Identifier: MIT
from __future__ import annotations

from supervisor_proc.health import Health
from tests.rows import server_status


def test_it_is_well_while_viewers_get_frames_or_placeholders() -> None:
    health = Health(0.0)
    for second in range(10):
        row = server_status(viewers=2, offered=second, live=False)
        assert health.is_well(row, float(second), server_runs=True)


def test_it_is_not_well_once_viewers_have_had_nothing_for_too_long() -> None:
    health, row = Health(0.0), server_status(viewers=1, offer_every_s=1.0)
    assert health.is_well(row, 10.0, server_runs=True)
    assert health.is_well(row, 14.0, server_runs=True), "a late report is not taken for none"
    assert not health.is_well(row, 14.1, server_runs=True)
    assert not health.is_well(server_status(viewers=1, offered=101), 15.0, server_runs=False)


def test_nothing_has_to_flow_while_nobody_watches() -> None:
    health = Health(0.0)
    assert health.is_well(server_status(), 1000.0, server_runs=True)
    assert health.is_well(None, 1000.0, server_runs=True)
    assert not health.is_well(None, 1000.0, server_runs=False)


def test_a_new_server_begins_again() -> None:
    """Its count may be where that of the one before it was."""
    health = Health(0.0)
    health.is_well(server_status(pid=1, viewers=1), 0.0, server_runs=True)
    assert health.is_well(server_status(pid=2, viewers=1), 100.0, server_runs=True)
