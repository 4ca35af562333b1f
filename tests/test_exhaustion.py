# SPDX-License-Identifier: MIT
"""Something runs out: memory, the disk, the log, descriptors. Whoever watches, watches on.

In each case one viewer watches throughout. Frames flow on, or one clear sentence tells why not.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from supervisor_proc.errors import ServiceError
from supervisor_proc.instance import lock_instance
from tests.conditions import eventually
from tests.mjpeg import Audience
from tests.processes import descriptors_of
from tests.running import CHECKOUT, Ringcast, free_port, processes_of

pytestmark = pytest.mark.process


@contextmanager
def watched(service: Ringcast) -> Iterator[Audience]:
    """Let one viewer watch: it sees frames at the beginning and at the end, and nothing wrong meanwhile."""
    service.ready()
    with Audience(service.port, 1) as audience:
        frames_flow(audience)
        yield audience
        frames_flow(audience)
        audience.check()
    assert "Traceback" not in service.log


def frames_flow(audience: Audience) -> None:
    seen = len(audience.viewers[0].frames)
    eventually(lambda: len(audience.viewers[0].frames) > seen + 10, 15, "ten more frames")


def kill_capture(service: Ringcast) -> None:
    """Kill the capture process, and wait for a picture of the next one."""
    before = service.ready()["supervisor"]["capture"]["pid"]
    os.kill(before, signal.SIGKILL)
    eventually(lambda: service.status()["supervisor"]["capture"]["pid"] not in (None, before))
    eventually(lambda: service.status()["supervisor"]["capture"]["state"] == "running")


def stops(service: Ringcast) -> None:
    service.process.send_signal(signal.SIGTERM)
    assert service.wait(8) == 0
    eventually(lambda: not processes_of(service), 2, "the end of all its processes")


def test_a_dev_shm_that_fills_up_takes_nothing_away() -> None:
    """What a service needs is reserved at its start, and no more is needed for a restart."""
    mounted = 'mount -t tmpfs -o size=16M none /dev/shm && exec "$0" "$@"'
    command = ("unshare", "-rm", "sh", "-c", mounted, sys.executable, "supervisor.py")
    with Ringcast("--camera=pattern", command=command) as service:
        with watched(service) as audience:
            full = Path(f"/proc/{service.pid}/root/dev/shm/full")
            with suppress(OSError), full.open("wb", buffering=0) as file:
                while True:
                    file.write(bytes(1 << 16))
            assert os.statvfs(full.parent).f_bavail == 0
            frames_flow(audience)
            kill_capture(service)
        stops(service)
    assert " ERROR " not in service.log


@pytest.mark.parametrize("ending", ["closed", "full"])
def test_a_log_that_nobody_takes_holds_nothing_up(ending: str) -> None:
    """`make run | head`, or a terminal that was stopped with Ctrl-S."""
    to_read, to_write = os.pipe()
    if ending == "full":
        os.write(to_write, bytes(fcntl.fcntl(to_write, fcntl.F_SETPIPE_SZ, 4096)))
    with Ringcast("--camera=pattern", f"--listen=127.0.0.1:{free_port()}", log_to=to_write) as service:
        with watched(service) as audience:
            os.close(to_write)
            if ending == "closed":
                os.close(to_read)
            frames_flow(audience)
            kill_capture(service)
        stops(service)
    if ending == "full":
        os.close(to_read)


def on_a_full_disk(folder: Path, mount_options: str, *settings: str) -> tuple[str, ...]:
    """Return a command whose folders are all one file system without a byte left."""
    folder.mkdir()
    fill = f'mount -t tmpfs -o {mount_options} none "$0"; cat /dev/zero >"$0/fill" 2>/dev/null; cd "$0"'
    named = [f"{name}={folder}" for name in ("TMPDIR", "HOME", "XDG_RUNTIME_DIR", *settings)]
    within = ("unshare", "-rm", "sh", "-c", f'{fill}; exec env "$@"', str(folder))
    return (*within, *named, sys.executable, str(CHECKOUT / "supervisor.py"))


@pytest.mark.parametrize("settings", [(), ("RUNTIME_DIRECTORY",)], ids=["by-hand", "by-systemd"])
def test_a_full_disk_hinders_neither_the_start_nor_the_frames(
    settings: tuple[str, ...], tmp_path: Path
) -> None:
    """A card that a log or a timelapse filled up is the most usual end of a Raspberry Pi."""
    command = on_a_full_disk(tmp_path / "full", "size=64k", *settings)
    with Ringcast("--camera=pattern", command=command) as service:
        with watched(service):
            assert service.get("/snapshot")[0] == 200
            kill_capture(service)
        stops(service)
    assert " ERROR " not in service.log


def test_a_disk_with_no_room_for_the_lock_is_told(tmp_path: Path) -> None:
    command = on_a_full_disk(tmp_path / "full", "size=64k,nr_inodes=2", "RUNTIME_DIRECTORY")
    with Ringcast("--camera=pattern", command=command) as service:
        assert service.wait(20) == os.EX_UNAVAILABLE
    [line] = service.log.splitlines()
    assert f"cannot open the lock {tmp_path}/full/ringcast-{service.instance}.lock: No space left" in line
    assert line.endswith("make room on its disk")


def test_a_user_without_a_place_for_a_lock_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python's own choice of a folder would be another one while the disk is full, or an exception."""
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    monkeypatch.setenv("TMPDIR", "/proc/self/task")
    monkeypatch.setattr("os.getuid", lambda: 4711)
    with pytest.raises(ServiceError, match=r"cannot make /proc/self/task/ringcast-4711: .*; make room on"):
        lock_instance("own")


def leave_descriptors(pid: int, count: int) -> tuple[int, int]:
    """Let a process open `count` more descriptors and no other; return its limit until now."""
    taken = descriptors_of(pid)
    free = (number for number in itertools.count() if number not in taken)
    limit = next(itertools.islice(free, count, None))
    soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (limit, hard))
    return soft, hard


def open_sockets(pid: int) -> int:
    return sum(target.startswith("socket:") for target in descriptors_of(pid).values())


def cpu_s(pid: int) -> float:
    """Return the CPU time that a process has used."""
    ticks = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]
    return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")


def ask_for_a_stream(port: int) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", port), timeout=10)
    client.sendall(b"GET /stream HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    return client


def test_a_server_without_descriptors_lets_newcomers_wait_and_has_time_for_its_viewers() -> None:
    """A limit of a container, or a flood of clients that connect and say nothing."""
    with Ringcast("--camera=pattern") as service, watched(service) as audience:
        port, server = service.port, service.server_pid()
        eventually(lambda: open_sockets(server) == 2, 5, "only the port and the viewer")
        limits = leave_descriptors(server, 1)

        with ask_for_a_stream(port) as refused:  # its connection takes the last one
            answer = refused.makefile("rb").read()
        assert answer.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
        assert b"\r\n\r\nCannot serve new viewers now: Too many open files; try again soon.\n" in answer

        with socket.create_connection(("127.0.0.1", port)), ask_for_a_stream(port) as waiting:
            eventually(lambda: "cannot accept new connections for now: Too many open files" in service.log)
            began_s, used_s = time.monotonic(), cpu_s(server)
            eventually(lambda: time.monotonic() > began_s + 2)
            assert cpu_s(server) - used_s < 0.6, "it does not try in a busy loop"
            frames_flow(audience)
            resource.prlimit(server, resource.RLIMIT_NOFILE, limits)
            assert waiting.recv(1000).startswith(b"HTTP/1.1 200 OK\r\n")
        assert service.server_pid() == server
        assert service.log.count("cannot accept new connections for now") == 1


def test_a_server_without_descriptors_survives_that_it_can_draw_no_placeholder() -> None:
    """What draws is loaded only then, from files."""
    with Ringcast("--camera=pattern", "--backoff-s=2") as service, watched(service) as audience:
        server, capture = service.server_pid(), service.capture_pid()
        eventually(lambda: open_sockets(server) == 2, 5, "only the port and the viewer")
        limits = leave_descriptors(server, 0)
        os.kill(capture, signal.SIGKILL)
        eventually(lambda: "cannot draw a placeholder, trying again every second: " in service.log)
        frames_flow(audience)
        resource.prlimit(server, resource.RLIMIT_NOFILE, limits)
        assert service.server_pid() == server
        assert service.log.count("cannot draw a placeholder") == 1


def test_a_supervisor_without_descriptors_tries_until_it_has_some() -> None:
    with Ringcast("--camera=pattern") as service, watched(service) as audience:
        capture = service.capture_pid()
        limits = leave_descriptors(service.pid, 0)
        os.kill(capture, signal.SIGKILL)
        told = "capture ended: cannot be started: Too many open files; next start in"
        eventually(lambda: service.log.count(told) == 2)
        eventually(lambda: audience.viewers[0].seen[-1].freshness == "placeholder")
        assert service.status()["supervisor"]["capture"]["last_reason"].endswith("Too many open files")
        resource.prlimit(service.pid, resource.RLIMIT_NOFILE, limits)
        frames_flow(audience)
        eventually(lambda: service.status()["supervisor"]["capture"]["state"] == "running")
