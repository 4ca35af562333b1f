# SPDX-License-Identifier: MIT
"""A whole service whose camera gives the same bytes for ever, with times that run on."""

from __future__ import annotations

import pytest

from tests.conditions import eventually
from tests.mjpeg import Audience
from tests.running import Ringcast

pytestmark = pytest.mark.process

REASON = "identical pictures (exit 65)"


@pytest.mark.parametrize("kind", ["FrozenArray", "FrozenJpeg"])
def test_it_is_restarted_once_and_then_counts_as_live(kind: str) -> None:
    with Ringcast(f"--camera=tests.frozen_camera:{kind}", "--identical-after-s=2") as service:
        before = service.ready()
        with Audience(service.port, 2) as audience:
            eventually(lambda: f"capture ended: {REASON}" in service.log)
            status = eventually(
                lambda: (told := service.status())["camera"]["identical_s"] > 3 * 2 and told, 20
            )
            assert status["ready"]
            assert status["camera"]["restarted_for_identical"]
            assert status["supervisor"]["capture"]["restarts"] == {REASON: 1}
            assert status["supervisor"]["capture"]["pid"] != before["supervisor"]["capture"]["pid"]
            assert status["supervisor"]["server"]["restarts"] == {}
            frames = len(audience.viewers[0].frames)
            eventually(lambda: len(audience.viewers[0].frames) > frames + 5)
            audience.check()
    same = "frozen camera: every picture of the last 2 s has the same bytes"
    assert service.log.count(f"{same}; the camera is restarted, once") == 1
    assert service.log.count(f"{same}, after a restart too, so it counts as live") == 1


def test_a_restart_that_was_asked_for_does_not_begin_it_anew() -> None:
    """What was tried already is known to each later process, however the one before it ended."""
    with Ringcast("--camera=tests.frozen_camera:FrozenArray", "--identical-after-s=1") as service:
        eventually(lambda: "after a restart too" in service.log, 20)
        service.process.send_signal(10)
        eventually(lambda: service.log.count("after a restart too") == 2, 20)
        status = service.ready()
        assert status["supervisor"]["capture"]["restarts"] == {REASON: 1, "restart asked for": 1}


def test_never_only_counts() -> None:
    with Ringcast("--camera=tests.frozen_camera:FrozenJpeg", "--identical-after-s=never") as service:
        service.ready()
        eventually(lambda: (service.status()["camera"] or {"identical_s": 0})["identical_s"] > 3, 20)
        assert service.status()["supervisor"]["capture"]["restarts"] == {}
