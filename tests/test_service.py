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


def test_without_a_runtime_directory_there_is_one_of_our_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/no/such/directory")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    os.close(lock_instance("own"))
    own = tmp_path / f"ringcast-{os.getuid()}"
    assert own.stat().st_mode & 0o777 == 0o700
    (own / "ringcast-own.lock").unlink()
    own.rmdir()
    own.symlink_to("/")
    with pytest.raises(ServiceError, match="is not a directory of this user; remove it"):
        lock_instance("own")


def test_a_port_that_is_taken_is_told_with_the_cure() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ListenError, match=f"port {port} is held by another program; stop it or"):
            listen(Address("127.0.0.1", port))


def test_an_address_of_another_machine_is_told() -> None:
    with pytest.raises(ListenError, match="choose --listen with an address of this machine"):
        listen(Address("192.0.2.1", 0))


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
    assert not list(Path("/dev/shm").glob("ringcast-sweptest-*"))
    for descriptor in (
        memory.frames_fd, memory.capture_board_fd, memory.server_board_fd, memory.supervisor_board_fd,
    ):  # fmt: skip
        os.close(descriptor)
