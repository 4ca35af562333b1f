# SPDX-License-Identifier: MIT
from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from supervisor_proc.options import Address
from supervisor_proc.service import (
    AlreadyRunningError,
    ListenError,
    ServiceError,
    create_shared_memory,
    listen,
    lock_instance,
    urls,
)
from tests.running import environment

_HOLDER = """
import sys
from supervisor_proc.service import lock_instance
lock_instance("locktest")
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def _runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))


@pytest.mark.usefixtures("_runtime")
def test_an_instance_runs_once_and_its_lock_dies_with_it() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(AlreadyRunningError, match=f"running already, as pid {holder.pid}; stop that"):
            lock_instance("locktest")
        holder.kill()
    os.close(lock_instance("locktest"))


@pytest.mark.usefixtures("_runtime")
def test_a_lock_file_that_cannot_be_opened_is_told(tmp_path: Path) -> None:
    """Root started it once, or somebody put a link in its place."""
    (tmp_path / "ringcast-linked.lock").symlink_to("/etc/passwd")
    with pytest.raises(ServiceError, match=r"cannot open the lock .*linked.lock: .*; remove it"):
        lock_instance("linked")


def test_a_user_s_locks_are_in_one_place_whatever_session_a_start_comes_from() -> None:
    """With one in the session's directory, a start by cron or su would not see the other."""
    told = "import os; from supervisor_proc.service import runtime_directory\n"
    if os.getuid() == 0:
        told += "os.setgid(65534); os.setuid(65534)\n"
    told += "print(runtime_directory())"
    places = {
        subprocess.run(
            [sys.executable, "-c", told], env=environment(XDG_RUNTIME_DIR=session, PYTHONPATH="."),
            capture_output=True, text=True, check=True,
        ).stdout
        for session in ("/run/user/65534", "")
    }  # fmt: skip
    assert len(places) == 1


def test_a_directory_of_somebody_else_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("os.getuid", lambda: 4711)
    (tmp_path / "ringcast-4711").symlink_to("/")
    with pytest.raises(ServiceError, match="is not a directory of this user; remove it"):
        lock_instance("own")


def test_a_port_that_is_taken_is_told_with_the_cure() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            ListenError,
            match=f"port {port} is held by another program; stop it or choose",
        ):
            listen(Address("127.0.0.1", port))


def test_an_address_of_another_machine_is_told() -> None:
    with pytest.raises(ListenError, match="is not an address of this machine; choose another for --listen"):
        listen(Address("192.0.2.1", 0))


@pytest.mark.parametrize("host", ["é..b", "a" * 70 + ".b"])
def test_a_host_that_is_none_is_told(host: str) -> None:
    with pytest.raises(ListenError, match="choose another for --listen"):
        listen(Address(host, 0))


def test_urls_are_those_at_which_it_is_reached() -> None:
    with listen(Address("127.0.0.1", 0)) as one:
        assert urls(one) == [f"http://127.0.0.1:{one.getsockname()[1]}"]
    with listen(Address("::1", 0)) as six:
        assert urls(six) == [f"http://[::1]:{six.getsockname()[1]}"]
    with listen(Address("0.0.0.0", 0)) as every:
        told, port = urls(every), every.getsockname()[1]
        assert told[0] == f"http://127.0.0.1:{port}"
        assert told[-1] == f"http://{socket.gethostname()}.local:{port}"


def test_what_a_killed_start_left_is_swept() -> None:
    left = Path("/dev/shm/ringcast-sweptest-frames")
    left.write_text("left by a start that was killed")
    memory = create_shared_memory("sweptest", 4096)
    assert len(memory.for_capture()) == 3
    assert len(memory.for_server()) == 5
    assert not list(Path("/dev/shm").glob("ringcast-sweptest-*"))
    for descriptor in (
        memory.frames_fd, memory.capture_board_fd, memory.server_board_fd, memory.supervisor_board_fd,
    ):  # fmt: skip
        os.close(descriptor)
