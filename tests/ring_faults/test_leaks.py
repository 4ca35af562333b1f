# SPDX-License-Identifier: MIT
"""What is left when everything is killed at once, or when /dev/shm has no room: nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.conditions import eventually
from tests.ring_faults.campaign import chance, rounds, tell
from tests.running import CHECKOUT, Ringcast, environment, in_shared_memory, processes_of

pytestmark = pytest.mark.process

SMALL_BYTES = 1 << 20


def test_nothing_is_left_when_the_whole_group_is_killed_at_a_random_moment() -> None:
    """The power switch of software: `kill -9` of all, anywhere between the first line and a live picture."""
    moments, kills, with_memory, names_left = chance("kills of the group"), rounds(30, 300), 0, 0
    instance = f"leaks_{os.getpid()}"
    began_s = time.monotonic()
    with Ringcast("--camera=pattern", instance=instance) as service:
        service.ready()
        start_s = time.monotonic() - began_s
    for _ in range(kills):
        service = Ringcast("--camera=pattern", instance=instance, own_group=True)
        # a random moment, which is no condition, of the start or of the work after it
        time.sleep(moments.uniform(0, 2 * start_s))
        with_memory += _has_shared_memory(service)
        os.killpg(service.pid, signal.SIGKILL)
        service.wait()
        eventually(lambda service=service: not processes_of(service), 5, "the end of all processes")  # type: ignore[misc]
        # between shm_open and unlink a segment has a name; the next start removes it
        names_left += bool(in_shared_memory(instance))
    with Ringcast("--camera=pattern", instance=instance) as service:
        service.ready()
        assert in_shared_memory(instance) == []
    tell(
        f"{kills} kills of the whole group, {with_memory} of them with shared memory: no process left, "
        f"{names_left} names for the next start to sweep"
    )
    assert with_memory >= kills / 3, "or it proves nothing"
    locks = Path("/proc/locks").read_text()
    assert f" {service.pid} " not in locks


def _has_shared_memory(service: Ringcast) -> bool:
    for descriptor in Path(f"/proc/{service.pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            if "/dev/shm/ringcast-" in str(descriptor.readlink()):
                return True
    return False


def test_a_dev_shm_that_is_too_small_is_told_in_one_sentence(tmp_path: Path) -> None:
    """Docker's is 64 MB, and one can be full: that is no SIGBUS in the middle of a film."""
    told = _in_small_dev_shm(tmp_path, "--camera=pattern")
    assert told.returncode == os.EX_OSERR
    (line,) = [line for line in told.stdout.splitlines() if line]
    assert "ERROR   /dev/shm has 1048576 bytes free, and ringcast-" in line
    assert "lower --slot-bytes, or make /dev/shm larger (mount -o remount,size=" in line
    assert told.stderr.splitlines() == ["left: 0"]


@pytest.mark.parametrize("slot_bytes", [4096, 131_072, 180_000, 200_000, 230_000, 245_000])
def test_a_dev_shm_that_fits_some_of_it_works_or_is_told(tmp_path: Path, slot_bytes: int) -> None:
    """Each of the rings may be the one that finds no room."""
    told = _in_small_dev_shm(tmp_path, "--camera=pattern", "--size=64x48", f"--slot-bytes={slot_bytes}")
    assert told.returncode in (os.EX_OSERR, 0)
    assert told.stderr.splitlines() == ["left: 0"]
    assert (told.returncode == 0) == ("capture is ready" in told.stdout)
    assert told.stdout.count("ERROR") == (told.returncode != 0)


def _in_small_dev_shm(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Start a service where /dev/shm has 1 MiB, stop it when it is ready, and count what is left there."""
    script = (
        f"mount -t tmpfs -o size={SMALL_BYTES} none /dev/shm\n"
        f'start() {{ echo $BASHPID >{folder}/pid; exec "$@"; }}\n'
        'start "$0" supervisor.py "$@" 2>&1 | while read -r line; do echo "$line"\n'
        f'  case "$line" in *"capture is ready"*) kill -TERM $(cat {folder}/pid);; esac; done\n'
        "code=${PIPESTATUS[0]}\n"
        'echo "left: $(ls /dev/shm | wc -l)" >&2\n'
        "exit $code\n"
    )
    own = ["--instance=small", "--listen=127.0.0.1:0", *arguments]
    return subprocess.run(
        ["unshare", "-rm", "bash", "-c", script, sys.executable, *own],
        cwd=CHECKOUT,
        env=environment(PYTHONPATH=str(CHECKOUT), RUNTIME_DIRECTORY=str(folder)),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
