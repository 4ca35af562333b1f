# SPDX-License-Identifier: MIT
"""However the supervisor ends, nothing stays behind and the next start works at once."""

from __future__ import annotations

import fcntl
import os
import signal
import sys
import time

import pytest

from tests.conditions import eventually
from tests.mjpeg import Audience
from tests.running import Ringcast, free_port, in_shared_memory, processes_of

pytestmark = pytest.mark.process


def test_a_killed_supervisor_leaves_nothing_and_the_next_start_works_at_once() -> None:
    with Ringcast("--camera=pattern") as service:
        service.ready()
        port, instance = service.port, service.instance
        assert len(processes_of(service)) >= 3
        service.process.kill()
        eventually(lambda: not processes_of(service), 2, "the end of all its processes")
        assert in_shared_memory(instance) == []
    with Ringcast("--camera=pattern", f"--listen=127.0.0.1:{port}", instance=instance) as following:
        following.ready()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_stop_is_clean_and_its_exit_code_0(number: signal.Signals) -> None:
    # a shell ignores SIGINT for what it starts in the background; these tests may run under nohup
    command = ("env", "--ignore-signal=INT", "--default-signal=HUP", sys.executable, "supervisor.py")
    with Ringcast("--camera=pattern", command=command) as service:
        service.ready()
        with Audience(service.port, 3) as audience:
            eventually(lambda: all(viewer.frames for viewer in audience.viewers))
            service.process.send_signal(number)
            assert service.wait(8) == 0
            eventually(lambda: all(viewer.ended for viewer in audience.viewers))
            assert [viewer.fault for viewer in audience.viewers] == [None] * 3, "no part was torn"
    assert processes_of(service) == []
    assert in_shared_memory(service.instance) == []
    assert "Traceback" not in service.log
    assert service.log.rstrip().endswith("stopped")


def test_a_stop_in_the_middle_of_the_start_is_clean_too() -> None:
    with Ringcast("--camera=pattern") as service:
        eventually(lambda: len(processes_of(service)) >= 3, what="the children")
        service.process.send_signal(signal.SIGTERM)
        assert service.wait(8) == 0
    assert processes_of(service) == []


def test_a_second_start_names_the_first_and_leaves_it_alone() -> None:
    with Ringcast("--camera=pattern") as service:
        before = service.ready()
        address = f"--listen=127.0.0.1:{service.port}"
        with Audience(service.port, 2) as audience:
            eventually(lambda: all(viewer.frames for viewer in audience.viewers))
            with Ringcast("--camera=pattern", address, instance=service.instance) as second:
                assert second.wait() == 73
            seen = len(audience.viewers[0].frames)
            eventually(lambda: all(len(viewer.frames) > seen + 5 for viewer in audience.viewers))
            audience.check()
        lines = second.log.splitlines()
        assert len(lines) == 1
        assert f"is running already, as pid {service.pid}; stop that one" in lines[0]
        after = service.ready()
        for child in ("capture", "server"):
            assert after["supervisor"][child]["pid"] == before["supervisor"][child]["pid"]
            assert after["supervisor"][child]["restarts"] == {}
        assert after["frame"]["sequence"] > before["frame"]["sequence"]


def test_a_log_that_nobody_reads_delays_no_frame_and_no_stop() -> None:
    """A stopped terminal, or a pager at its first page."""
    to_read, to_write = os.pipe()
    fcntl.fcntl(to_write, fcntl.F_SETPIPE_SZ, 4096)
    os.write(to_write, b"x" * 4096)
    listen = f"--listen=127.0.0.1:{free_port()}"
    with Ringcast("--camera=pattern", listen, log_to=to_write) as service:
        service.ready()
        with Audience(service.port, 1) as audience:
            for _ in range(20):
                with Audience(service.port, 5) as passing:
                    eventually(lambda passing=passing: all(it.frames for it in passing.viewers))  # type: ignore[misc]
            seen = len(audience.viewers[0].frames)
            eventually(lambda: len(audience.viewers[0].frames) > seen + 10)
            audience.check()
        service.process.send_signal(signal.SIGTERM)
        assert service.wait(8) == 0
    os.close(to_read)
    os.close(to_write)


def test_it_serves_with_its_standard_descriptors_closed() -> None:
    command = ("sh", "-c", 'exec "$0" supervisor.py "$@" <&- >&- 2>&-', sys.executable)
    listen = f"--listen=127.0.0.1:{free_port()}"
    with Ringcast("--camera=pattern", listen, command=command) as service:
        service.ready()
        service.process.send_signal(signal.SIGTERM)
        assert service.wait(8) == 0


def test_nohup_keeps_it_running() -> None:
    with Ringcast("--camera=pattern", command=("nohup", sys.executable, "supervisor.py")) as service:
        before = service.ready()
        service.process.send_signal(signal.SIGHUP)
        sequence = before["frame"]["sequence"]
        eventually(lambda: service.status()["frame"]["sequence"] > sequence + 10)


def test_a_pause_of_the_whole_machine_costs_nobody_anything() -> None:
    """The supervisor's own sleep is not its children's silence."""
    with Ringcast("--camera=pattern") as service:
        before = service.ready()
        pids = (service.pid, before["server"]["pid"], before["supervisor"]["capture"]["pid"])
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        paused_s = time.monotonic()
        eventually(lambda: time.monotonic() > paused_s + 7, 10)
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
        eventually(lambda: "the supervisor itself stood still" in service.log)
        sequence = before["frame"]["sequence"]
        eventually(lambda: service.status()["frame"]["sequence"] > sequence + 60)
        after = service.status()
        assert after["supervisor"]["server"]["restarts"] == {}
