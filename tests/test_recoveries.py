# SPDX-License-Identifier: MIT
from __future__ import annotations

import pytest

from supervisor_proc.recoveries import EDGES_S, Recoveries


def test_a_first_start_is_no_recovery() -> None:
    recoveries = Recoveries()
    recoveries.process_ended()
    recoveries.progress(5.0)
    assert recoveries.last_s is None
    assert recoveries.histogram == {}


def test_it_lasts_from_the_last_sign_of_one_process_to_the_first_of_the_next() -> None:
    """A viewer waits for the hang to be found, too, and for tries that fail."""
    recoveries = Recoveries()
    recoveries.progress(10.0)
    recoveries.progress(11.0)
    recoveries.process_ended()
    recoveries.process_ended()
    recoveries.progress(14.5)
    recoveries.progress(14.6)
    assert recoveries.last_s == pytest.approx(3.5)
    assert recoveries.histogram == {"<= 5": 1}


def test_the_histogram_counts_each_once_and_begins_with_the_shortest() -> None:
    recoveries, now_s = Recoveries(), 0.0
    for took_s in (*EDGES_S[::-1], 0.1, 1000.0):
        recoveries.progress(now_s)
        recoveries.process_ended()
        now_s += took_s
        recoveries.progress(now_s)
    assert list(recoveries.histogram.items()) == [
        ("<= 0.5", 2), *((f"<= {edge:g}", 1) for edge in EDGES_S[1:]), ("> 60", 1),
    ]  # fmt: skip
