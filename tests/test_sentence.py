# SPDX-License-Identifier: MIT
from __future__ import annotations

import pytest

from shm_ring.status import ChildStatus
from supervisor_proc.sentence import in_a_sentence
from tests.rows import capture_status, child_status


def child(state: str, tries: int = 0, last_reason: str | None = None) -> ChildStatus:
    return child_status(state=state, tries=tries, last_reason=last_reason)


@pytest.mark.parametrize(
    ("capture", "server", "viewers", "sentence"),
    [
        (child("running"), child("running"), 0, "live picture, 20 frames a second, nobody watches"),
        (child("running"), child("running"), 1, "live picture, 20 frames a second, 1 viewer"),
        (
            child("backoff", 3, "stalled (exit 75)"),
            child("running"),
            2,
            "no live picture: camera waits to be started again, try 3 "
            "(last ended: stalled (exit 75)), 2 viewers",
        ),
        (
            child("stuck", 1),
            child("running"),
            0,
            "no live picture: camera hangs in the kernel, a reboot may be needed, nobody watches",
        ),
        (child("running"), child("starting"), 0, "nobody can watch: server is starting"),
    ],
)  # fmt: skip
def test_it_says_how_the_picture_is(
    capture: ChildStatus, server: ChildStatus, viewers: int, sentence: str
) -> None:
    assert in_a_sentence(capture, server, capture_status(fps=19.97), viewers) == sentence
