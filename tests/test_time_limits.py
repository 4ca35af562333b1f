# SPDX-License-Identifier: MIT
"""Limits of time of one process that must fit into those of another, which cannot import them."""

from __future__ import annotations

import re

import pytest

import supervisor
from proc_start.options import options_of
from server_proc import __main__ as server
from server_proc.live import fanout
from server_proc.takeover import web_server
from supervisor_proc import children, restart_policy
from supervisor_proc.options import SupervisorOptions
from tests.running import CHECKOUT

_UNIT = (CHECKOUT / "deploy" / "ringcast.service").read_text()


def _seconds(setting: str) -> float:
    return float(re.findall(rf"^{setting}=(\d+)$", _UNIT, flags=re.MULTILINE)[0])


def test_a_server_that_stops_is_done_before_it_is_killed() -> None:
    """Else streams would end in a reset, and the log would tell of a server that did not hear."""
    stop_s = web_server._FINISH_S + web_server._WORKER_STOP_S + server.STOP_S
    assert stop_s <= 0.9 * restart_policy.STOPPING_S
    assert fanout._FINISH_S < server.STOP_S, "the fan-out ends by itself while it is waited for"


def test_the_supervisor_stops_before_systemd_kills_it() -> None:
    assert restart_policy.STOPPING_S + restart_policy.KILLING_S < supervisor._STOP_S
    assert _seconds("TimeoutStopSec") >= supervisor._STOP_S + 2


@pytest.mark.parametrize(
    ("limit_s", "start_s"),
    [
        (float(options_of(SupervisorOptions)["--server-timeout-s"].default), children.FIRST_BOARD_S),
        (15.0, 2.0),
    ],
    ids=["default", "longest that the unit allows"],
)
def test_systemd_waits_while_the_supervisor_replaces_a_server_that_hangs(
    limit_s: float, start_s: float
) -> None:
    """With the default limit also where the next server starts as slowly as it may."""
    assert "where server-timeout-s is above 15, this has to be longer too" in _UNIT
    fed_before_s = _seconds("WatchdogSec") / 4
    backoff_s = float(options_of(SupervisorOptions)["--backoff-s"].default)
    replaced_after_s = limit_s + restart_policy.ABORTING_S + backoff_s + start_s
    assert fed_before_s + replaced_after_s < _seconds("WatchdogSec")
