# SPDX-License-Identifier: MIT
"""Who may write into which shared memory: the server, which the network reaches, into its own board only."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from shm_ring.errors import SegmentError
from shm_ring.ring import RingReader, RingWriter
from shm_ring.segment import Segment, open_for_reading
from supervisor_proc.shared_memory import create_shared_memory
from tests.running import CHECKOUT, Ringcast, environment

_TRIES = """
import ctypes, fcntl, mmap, os, sys
from shm_ring.ring import RingReader, RingWriter
from shm_ring.segment import Segment

libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mprotect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)

def make_map_writable(fd):
    place = libc.mmap(None, ctypes.c_size_t(4096), mmap.PROT_READ, mmap.MAP_SHARED, fd, ctypes.c_long(0))
    if libc.mprotect(place, 4096, mmap.PROT_READ | mmap.PROT_WRITE):
        raise OSError(ctypes.get_errno(), "mprotect")

tries = {
    "map": lambda fd: mmap.mmap(fd, 4096),
    "make map writable": make_map_writable,
    "write": lambda fd: os.pwrite(fd, b"RINGCAST", 0),
    "lock": lambda fd: fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, 4096),
    "shorten": lambda fd: os.ftruncate(fd, os.fstat(fd).st_size),
    "open": lambda fd: os.open(f"/proc/self/fd/{fd}", os.O_RDWR),
}
own, *others = map(int, sys.argv[1:])
for fd in (own, *others):
    done = []
    for name, try_it in tries.items():
        try:
            try_it(fd)
        except OSError:
            continue
        done.append(name)
    print(done)
RingWriter(Segment(own)).publish(b"of the server")
for fd in others:
    print(RingReader(Segment(fd, writable=False)).latest().payload)
"""


def test_what_the_server_inherits_lets_it_write_into_its_own_board_only() -> None:
    memory = create_shared_memory(f"readonly_{os.getpid()}", 4096)
    for descriptor in (memory.frames_fd, memory.capture_board_fd, memory.supervisor_board_fd):
        RingWriter(Segment(descriptor)).publish(b"of others")
    given = memory.for_server()
    own = given.pop("--server-board-fd")
    del given["--doorbell-fd"]
    # the file's mode binds its owner, but not the capabilities of root
    unprivileged = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
    told = subprocess.run(
        [*unprivileged, sys.executable, "-c", _TRIES, str(own), *map(str, given.values())],
        pass_fds=[own, *given.values()],
        cwd=CHECKOUT,
        env=environment(PYTHONPATH=str(CHECKOUT)),
        capture_output=True,
        text=True,
        check=False,
    )
    lines = told.stdout.splitlines()
    assert lines[0] == "['map', 'make map writable', 'write', 'lock', 'shorten']", "the tries are real"
    assert lines[1:4] == ["[]"] * 3
    assert lines[4:] == [str(b"of others")] * 3, told.stderr
    found = RingReader(Segment(memory.server_board_fd, writable=False)).latest()
    assert found is not None
    assert found.payload == b"of the server"


@pytest.mark.process
def test_each_process_maps_only_its_own_memory_to_write() -> None:
    with Ringcast("--camera=pattern") as service:
        service.ready()
        found = {
            name: _mapped(pid, service.instance)
            for name, pid in (
                ("supervisor", service.pid),
                ("capture", service.capture_pid()),
                ("server", service.server_pid()),
            )
        }
    assert found == {
        "supervisor": {"frames": "r--s", "capture": "r--s", "server": "r--s", "supervisor": "rw-s"},
        "capture": {"frames": "rw-s", "capture": "rw-s"},
        "server": {"frames": "r--s", "capture": "r--s", "server": "rw-s", "supervisor": "r--s"},
    }


def _mapped(pid: int, instance: str) -> dict[str, str]:
    """Return by which permissions a process maps an instance's rings."""
    maps = Path(f"/proc/{pid}/maps").read_text()
    rows = re.findall(rf"^\S+ (\S+) .*/dev/shm/ringcast-{instance}-(\w+)", maps, flags=re.MULTILINE)
    return {ring: permissions for permissions, ring in rows}


def test_a_writer_needs_a_segment_to_write_into(new_segment: Callable[..., int]) -> None:
    descriptor = new_segment()
    with pytest.raises(SegmentError, match="expected a writable segment for a writer"):
        RingWriter(Segment(descriptor, writable=False))
    with pytest.raises(SegmentError, match="is read-only"):
        Segment(open_for_reading(descriptor))


def test_what_is_no_descriptor_cannot_be_opened_for_reading() -> None:
    with pytest.raises(SegmentError, match="cannot open shared memory for reading: No such file"):
        open_for_reading(99_999)
