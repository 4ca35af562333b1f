# SPDX-License-Identifier: MIT
from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from shm_ring.layout import Geometry
from shm_ring.segment import create_segment
from tests.conditions import eventually
from tests.running import CHECKOUT, environment

_names = itertools.count()


@pytest.fixture
def new_segment() -> Iterator[Callable[..., int]]:
    """Make segments whose descriptors are closed when the test ends."""
    made: list[int] = []

    def make(slot_count: int = 4, slot_bytes: int = 4096) -> int:
        name = f"ringcast-test-{os.getpid()}-{next(_names)}"
        made.append(create_segment(name, Geometry(slot_count, slot_bytes)))
        return made[-1]

    yield make
    for descriptor in made:
        os.close(descriptor)


@pytest.fixture(scope="session")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clean clone in which `make` was interrupted once, and then installed with Debian's Python."""
    folder = tmp_path_factory.mktemp("clone")
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(listed, cwd=CHECKOUT, capture_output=True, check=True).stdout
    for name in names.decode().split("\0")[:-1]:
        if (CHECKOUT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(CHECKOUT / name, folder / name)
    command = ["make", ".venv", "PYTHON=/usr/bin/python3"]
    with subprocess.Popen(command, cwd=folder, env=environment(), start_new_session=True) as interrupted:
        eventually((folder / ".venv" / "bin" / "python").exists, 60, "the first try's python")
        os.killpg(interrupted.pid, signal.SIGKILL)
    assert not (folder / ".venv" / "installed").exists()
    subprocess.run(command, cwd=folder, env=environment(), check=True, timeout=240)
    return folder
