# SPDX-License-Identifier: MIT
from __future__ import annotations

import pytest

from shm_ring.status import ChildStatus, ServerStatus
from supervisor_proc.sentence import in_a_sentence
from tests.rows import capture_status, child_status, server_status


def child(state: str, tries: int = 0, last_reason: str | None = None) -> ChildStatus:
    return child_status(state=state, tries=tries, last_reason=last_reason)


LIVE, NOT_LIVE = server_status(), server_status(live=False)


@pytest.mark.parametrize(
    ("capture", "server", "served", "sentence"),
    [
        (child("running"), child("running"), LIVE, "live picture, 20 frames a second, nobody watches"),
        (
            child("running"),
            child("running"),
            server_status(viewers=1),
            "live picture, 20 frames a second, 1 viewer",
        ),
        (
            child("running"),
            child("running"),
            NOT_LIVE,
            "no live picture: camera gives no new picture, nobody watches",
        ),
        (
            child("backoff", 3, "stalled (exit 75)"),
            child("running"),
            server_status(live=False, viewers=2),
            "no live picture: camera waits to be started again, try 3 "
            "(last ended: stalled (exit 75)), 2 viewers",
        ),
        (
            child("stuck", 1),
            child("running"),
            NOT_LIVE,
            "no live picture: camera hangs in the kernel, a reboot may be needed, nobody watches",
        ),
        (
            child_status(state="done", last_error="--control AfMode: this camera has no such control"),
            child("running"),
            NOT_LIVE,
            "no live picture: --control AfMode: this camera has no such control; nobody watches",
        ),
        (child("running"), child("starting"), LIVE, "nobody can watch: server is starting"),
        (child("running"), child("running"), None, "nobody can watch: server is running"),
    ],
)
def test_it_says_how_the_picture_is(
    capture: ChildStatus, server: ChildStatus, served: ServerStatus | None, sentence: str
) -> None:
    """While a camera hangs its process runs: whether the picture is live is what viewers see."""
    assert in_a_sentence(capture, server, capture_status(fps=19.97), served) == sentence
