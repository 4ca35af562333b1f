# SPDX-License-Identifier: MIT
"""The server dies: its socket does not, for the supervisor holds it."""

from __future__ import annotations

import os
import signal
import time

import pytest

from tests.conditions import eventually
from tests.knocking import Knocker
from tests.running import Ringcast, alive

pytestmark = pytest.mark.process


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
def test_the_port_answers_again_within_2_s_and_refuses_nobody(number: signal.Signals) -> None:
    with Ringcast("--camera=pattern") as service:
        before = service.ready()
        knocker = Knocker(service.port)
        eventually(lambda: len(knocker.answered_s) > 20)
        os.kill(before["server"]["pid"], number)
        eventually(lambda: not alive(before["server"]["pid"]), what="the end of the server")
        gone_s = time.monotonic()  # whoever knocks from now on is answered by the next one
        eventually(lambda: service.status()["server"]["pid"] != before["server"]["pid"])
        following = len(knocker.answered_s)
        eventually(lambda: len(knocker.answered_s) > following + 20)
        knocker.end()
        assert knocker.refused == []
        answered_s = min(heard_s for knocked_s, heard_s in knocker.answered_s if knocked_s > gone_s)
        assert answered_s - gone_s < 2.0
        waited = [knocked_s for knocked_s, _ in knocker.answered_s if gone_s < knocked_s < answered_s]
        assert len(waited) > 10, "many knocked while no server was there, and were answered"
        after = service.ready()
        assert after["frame"]["sequence"] > before["frame"]["sequence"], "the camera went on"
        assert after["supervisor"]["capture"]["restarts"] == {}
        assert sum(after["supervisor"]["server"]["restarts"].values()) == 1
