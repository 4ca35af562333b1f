# SPDX-License-Identifier: MIT
"""What a long-running service owes the machine: no zombie, no leaked descriptor, no helper left behind.

And what the machine does to it: signals at any moment, a clock that is set, a second start.
"""

from __future__ import annotations

import http.client
import itertools
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from shm_ring import layout
from tests.conditions import eventually
from tests.drilling import drill
from tests.mjpeg import Audience, share_of_all
from tests.processes import descriptors_of
from tests.running import CHECKOUT, Ringcast, alive, environment, in_shared_memory, processes_of

pytestmark = pytest.mark.process

ORPHANS = 5
LAST_ERROR = "/memfd:ringcast-last-error (deleted)"


def _stat(process: Path) -> list[str]:
    """Return the state, the parent's pid and what follows in proc_pid_stat(5); nothing once it is gone."""
    try:
        return (process / "stat").read_text().rsplit(")", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError, NotADirectoryError):
        return []


def children_of(pid: int) -> dict[int, str]:
    """Return the states of a process's children by their pids."""
    told = {int(path.name): _stat(path) for path in Path("/proc").iterdir() if path.name.isdigit()}
    return {child: stat[0] for child, stat in told.items() if stat[1:2] == [str(pid)]}


def zombies_of(pid: int) -> list[int]:
    return [child for child, state in children_of(pid).items() if state == "Z"]


def within(first: int, *command: str) -> None:
    """Run a command in the pid namespace whose process 1 is `first`."""
    enter = ("nsenter", "--target", str(first), "--pid")
    subprocess.run([*enter, *command], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)


@contextmanager
def as_process_1() -> Iterator[tuple[Ringcast, int]]:
    """Run a service as process 1 of a pid namespace, as in a container; yield it and its pid here."""
    unshare = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")
    with Ringcast("--camera=pattern", command=(*unshare, sys.executable, "supervisor.py")) as service:
        try:
            service.ready()
            [first] = children_of(service.pid)
            yield service, first
        finally:
            service.process.kill()  # unshare itself heeds no SIGTERM, and takes all that is left with it


def test_as_process_1_it_reaps_what_lost_its_parent() -> None:
    """Nobody else in a container would: a camera's helpers would fill the table of processes."""
    with as_process_1() as (service, first), Audience(service.port, 1) as audience:
        leave_an_orphan = ("sh", "-c", "sleep 0.01 & sleep 0.01 &")
        os.kill(first, signal.SIGSTOP)
        for _ in range(ORPHANS):
            within(first, *leave_an_orphan)
        eventually(lambda: len(zombies_of(first)) == 2 * ORPHANS, what="zombies while nobody reaps")
        os.kill(first, signal.SIGCONT)
        eventually(lambda: not zombies_of(first), what="the reaping of all orphans")

        capture = service.capture_pid()
        within(first, "kill", "-KILL", str(capture))
        within(first, *leave_an_orphan)
        eventually(lambda: service.status()["supervisor"]["capture"]["pid"] not in (None, capture))
        eventually(lambda: not zombies_of(first))
        assert service.status()["supervisor"]["capture"]["restarts"] == {"killed by SIGKILL": 1}, (
            "its own children are reaped by whom they concern"
        )
        seen = len(audience.viewers[0].frames)
        eventually(lambda: len(audience.viewers[0].frames) > seen + 20)
        audience.check()


def test_as_process_1_it_stops_and_leaves_nothing() -> None:
    """Signals without a handler do not reach a process 1 at all."""
    with as_process_1() as (service, first):
        os.kill(first, signal.SIGTERM)
        assert service.wait(8) == 0
        assert service.log.rstrip().endswith("stopped")
        assert processes_of(service) == []
        assert in_shared_memory(service.instance) == []


def beyond_standard(pid: int) -> Counter[str]:
    """Count what a process holds beside its standard descriptors, without the numbers of inodes."""
    held = descriptors_of(pid)
    targets = [target for number, target in held.items() if number not in (0, 1, 2)]
    return Counter(re.sub(r"^(pipe|socket):.*", r"\1", target) for target in targets)


def test_each_process_holds_the_descriptors_that_it_needs_and_no_other() -> None:
    """A child that keeps the port or a lock of another outlives it to somebody's surprise."""
    with_one_more = ("sh", "-c", 'exec "$0" supervisor.py "$@" 9</dev/zero', sys.executable)
    with Ringcast("--camera=pattern", command=with_one_more) as service:
        capture, server = service.ready()["supervisor"]["capture"]["pid"], service.server_pid()
        rings = {
            name: f"/dev/shm/ringcast-{service.instance}-{name} (deleted)"
            for name in ("frames", "capture", "server", "supervisor")
        }
        # Python's mmap keeps a descriptor of its own beside the one that it was given
        expected = {
            capture: {
                rings["frames"]: 2,
                rings["capture"]: 2,
                "anon_inode:[eventfd]": 1,
                LAST_ERROR: 1,
            },
            server: {
                **dict.fromkeys(rings.values(), 2),
                LAST_ERROR: 1,
                "anon_inode:[eventfd]": 2,  # the doorbell, and how Waitress's threads wake the fan-out
                "anon_inode:[eventpoll]": 1,
                "pipe": 3,  # how they wake Waitress's main loop; it keeps the one end twice
                "socket": 1,
            },
        }
        for pid, held in expected.items():
            eventually(lambda pid=pid, held=held: beyond_standard(pid) == held, 5, f"{held} and no more")  # type: ignore[misc]
            standard = [descriptors_of(pid)[number] for number in (0, 1, 2)]
            assert standard == ["/dev/null", *[descriptors_of(service.pid)[1]] * 2]
        assert descriptors_of(service.pid)[9] == "/dev/zero"
        [listening] = [target for target in descriptors_of(server).values() if target.startswith("socket:")]
        assert listening in descriptors_of(service.pid).values(), "the port outlives the server"
        [tracker] = [pid for pid in processes_of(service) if pid not in (service.pid, capture, server)]
        assert set(beyond_standard(tracker)) <= {"pipe"}, "Python's own process for shared memory"


def writers_of(pid: int, target: str) -> set[int]:
    """Return who holds the writer's lock on a ring that `pid` has open."""
    descriptor = next(number for number, name in descriptors_of(pid).items() if name == target)
    status = os.stat(f"/proc/{pid}/fd/{descriptor}")  # noqa: PTH116  of what a link leads to
    device = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    lock = rf"WRITE (\d+) {device} {layout.WRITER_AT} {layout.WRITER_AT}$"
    return {int(found) for found in re.findall(lock, Path("/proc/locks").read_text(), flags=re.MULTILINE)}


def test_each_ring_has_the_one_writer_that_it_is_meant_for() -> None:
    with Ringcast("--camera=pattern") as service:
        server = service.ready()["server"]["pid"]
        writers = {
            name: writers_of(server, f"/dev/shm/ringcast-{service.instance}-{name} (deleted)")
            for name in ("frames", "capture", "server", "supervisor")
        }
        capture = {service.capture_pid()}
        assert writers == {
            "frames": capture, "capture": capture, "server": {server}, "supervisor": {service.pid},
        }  # fmt: skip


STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
OTHERS = (signal.SIGUSR1, signal.SIGUSR2)
STARTS = 4
LOST = "Exception ignored in"


def has_handler(pid: int, number: int) -> bool:
    caught = re.search(r"^SigCgt:\s*(\w+)$", Path(f"/proc/{pid}/status").read_text(), flags=re.MULTILINE)
    return bool(caught and int(caught[1], 16) >> (number - 1) & 1)


def signalled(number: signal.Signals, moment_s: float) -> int:
    """Start a service, send it a signal a moment later, stop it if it lives on; return its exit code."""
    command = ("env", "--default-signal=INT,HUP", sys.executable, "supervisor.py")
    began_s = time.monotonic()
    with Ringcast("--camera=pattern", command=command) as service:
        eventually(lambda: time.monotonic() >= began_s + moment_s)
        had_handler = has_handler(service.pid, number)
        service.process.send_signal(number)
        if number in OTHERS:
            eventually(lambda: service.process.poll() is not None or "is ready" in service.log)
            assert service.process.poll() is None or not had_handler
            service.process.send_signal(signal.SIGTERM)
        if number == signal.SIGINT:
            eventually(
                lambda: service.process.poll() is not None or re.search(f"stopping|{LOST}", service.log)
            )
            if LOST in service.log:  # while Python loaded itself; a person presses again
                service.process.send_signal(number)
        code = service.wait(8)
        if number == signal.SIGINT and code == 1 and "supervisor" not in service.log:
            code = -number  # that is how Python ends while it loads itself
        assert "this should not happen" not in service.log
        eventually(lambda: not processes_of(service), 2, "the end of all its processes")
        eventually(lambda: not in_shared_memory(service.instance), 2, "the end of its shared memory")
    return code


@pytest.mark.parametrize("number", [*STOPS, *OTHERS], ids=lambda number: number.name)
def test_a_signal_at_any_moment_of_the_start_leaves_nothing(number: signal.Signals) -> None:
    """A person who changes their mind, a boot that turns into a shutdown.

    Until the supervisor has its handlers, the first thing that it does once Python has loaded it, a signal
    does what the system or Python does by default: it ends the process, and SIGUSR1 and SIGUSR2 as well.
    """
    everyone = [*STOPS, *OTHERS]
    for start in range(STARTS):
        moment_s = (start + everyone.index(number) / len(everyone)) / STARTS
        code = signalled(number, moment_s)
        assert code in (0, -number), f"{number.name} after {moment_s:.2f} s"
        print(f"{number.name} after {moment_s:.2f} s: exit {code}")


def test_ctrl_c_in_a_callback_of_an_import_is_not_lost(tmp_path: Path) -> None:
    """Python only prints what is raised there: a KeyboardInterrupt would be forgotten."""
    (tmp_path / "sitecustomize.py").write_text("""
import signal, sys

class OnTheWay:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)

class Finder:
    def find_spec(name, *_):
        if name == "capture_proc":
            OnTheWay()

sys.meta_path.insert(0, Finder)
""")
    command = ["env", "--default-signal=INT", sys.executable, "supervisor.py", "--print-config"]
    env = environment(PYTHONPATH=str(tmp_path))
    ended = subprocess.run(command, cwd=CHECKOUT, env=env, capture_output=True, timeout=20, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (-signal.SIGINT, b"", b"")


def test_ctrl_c_before_there_is_a_handler_is_not_told_as_a_fault() -> None:
    early = "import signal; from proc_start.logs import *; run_and_exit(lambda: signal.raise_signal(2))"
    command = ["env", "--default-signal=INT", sys.executable, "-c", early]
    ended = subprocess.run(command, cwd=CHECKOUT, capture_output=True, timeout=20, check=False)
    assert (ended.returncode, ended.stderr) == (-signal.SIGINT, b"")


@pytest.mark.parametrize("turn", range(3))
def test_of_two_starts_at_once_one_serves_and_the_other_names_it(turn: int) -> None:
    """cron and a person, or two units of systemd."""
    instance = f"twice_{os.getpid()}_{turn}"
    with (
        Ringcast("--camera=pattern", instance=instance) as one,
        Ringcast("--camera=pattern", instance=instance) as other,
    ):
        [second] = eventually(lambda: [it for it in (one, other) if it.process.poll() is not None])
        first = other if second is one else one
        with Audience(first.port, 1) as audience:
            eventually(lambda: len(audience.viewers[0].frames) > 10)
            audience.check()
            assert share_of_all([seen.sequence for seen in audience.viewers[0].frames]) > 0.8
        assert second.wait() == os.EX_CANTCREAT
        [line] = second.log.splitlines()
        assert f"is running already, as pid {first.pid}; stop that one (kill {first.pid}), or" in line
        for child in ("capture", "server"):
            assert first.status()["supervisor"][child]["restarts"] == {}


def test_a_start_in_a_container_that_shares_the_lock_names_no_pid() -> None:
    """The number would be that of another process there, or 0: `kill 0` ends the caller's own group."""
    namespace = ("unshare", "--pid", "--fork", "--kill-child", sys.executable, "supervisor.py")
    with Ringcast("--camera=pattern") as service:
        service.ready()
        with Ringcast("--camera=pattern", instance=service.instance, command=namespace) as second:
            assert second.wait() == os.EX_CANTCREAT
        assert "is running already, in another container; stop that one, or choose another" in second.log


class Part(NamedTuple):
    """One part, as far as this file looks at it."""

    at_s: float
    sequence: int
    freshness: str
    unix_s: float


class PlainViewer:
    """Reads a stream in a thread of its own; unlike the strict one it lets X-Timestamp go back."""

    def __init__(self, port: int) -> None:
        self.parts: list[Part] = []
        self._connection = socket.create_connection(("127.0.0.1", port), timeout=10)
        self._connection.sendall(b"GET /stream?extra_headers=1 HTTP/1.1\r\nHost: x\r\n\r\n")
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with self._connection.makefile("rb") as stream:
            http.client.parse_headers(stream)  # the status line goes by as one
            while stream.readline().startswith(b"--"):
                head = http.client.parse_headers(stream)
                length = int(head["Content-Length"] or 0) + len(b"\r\n")
                if len(stream.read(length)) < length:
                    return  # it was closed in the middle of a part
                sequence, freshness = int(head["X-Sequence"]), head["X-Freshness"]
                self.parts.append(Part(time.monotonic(), sequence, freshness, float(head["X-Timestamp"])))

    def close(self) -> None:
        self._connection.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        self._connection.close()


DAY_S = 24 * 3600


def set_clock(file: Path, ahead_s: int) -> None:
    """Set the wall clock of all that was started with this file."""
    new = file.with_suffix(".new")
    new.write_text(str(ahead_s))
    new.replace(file)


def see_it_go_on(service: Ringcast, viewer: PlainViewer, ahead_s: float) -> None:
    """See that all processes have the new time, and that nothing else is new."""
    eventually(lambda: abs(viewer.parts[-1].unix_s - time.time() - ahead_s) < 60)
    seen, newcomer = len(viewer.parts), PlainViewer(service.port)
    eventually(lambda: len(newcomer.parts) > 5 and len(viewer.parts) > seen + 20)
    told = service.ready()
    watching = told["viewers"]["list"]
    assert abs(watching[-1]["since_unix_s"] - time.time() - ahead_s) < 60
    assert max(it["watched_s"] for it in watching) < 120
    assert told["frame"]["age_ms"] < 1000
    assert told["camera"]["board_age_s"] < 3
    assert told["supervisor"]["board_age_s"] < 3
    newcomer.close()


def test_a_wall_clock_that_is_set_a_day_forth_and_back_disturbs_nobody(tmp_path: Path) -> None:
    """A Raspberry Pi has no clock that runs while it is off: the network sets it, minutes later."""
    library, file = tmp_path / "wall_clock.so", tmp_path / "ahead_s"
    source = str(CHECKOUT / "tests" / "wall_clock.c")
    subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", str(library), source, "-ldl"], check=True)
    set_clock(file, 0)
    command = ("env", f"LD_PRELOAD={library}", f"WALL_CLOCK_FILE={file}", sys.executable, "supervisor.py")
    with Ringcast("--camera=pattern", command=command) as service:
        service.ready()
        pids = (service.pid, service.capture_pid(), service.server_pid())
        for pid in pids:
            assert str(library) in Path(f"/proc/{pid}/maps").read_text()
        viewer = PlainViewer(service.port)
        eventually(lambda: len(viewer.parts) > 20)

        for ahead_s in (DAY_S, -DAY_S):
            idle = http.client.HTTPConnection("127.0.0.1", service.port, timeout=20)
            idle.request("GET", "/livez")
            idle.getresponse().read()
            set_clock(file, ahead_s)
            see_it_go_on(service, viewer, ahead_s)
            assert idle.sock.recv(1) == b"", "a connection that asks nothing more is ended all the same"
        viewer.close()
        for child in ("capture", "server"):
            assert service.status()["supervisor"][child]["restarts"] == {}
    assert {part.freshness for part in viewer.parts} <= {"live", "repeat"}
    assert share_of_all([part.sequence for part in viewer.parts if part.freshness == "live"]) > 0.98
    gaps_s = [later.at_s - earlier.at_s for earlier, later in itertools.pairwise(viewer.parts)]
    assert max(gaps_s) < 1
    assert "Traceback" not in service.log


def helpers_of(service: Ringcast) -> list[int]:
    """Return the pids of what a HelpedCamera started."""
    found = []
    for pid in processes_of(service):
        if Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"sleep\0"):
            found.append(pid)
    return found


@pytest.mark.parametrize("fault", ["capture-kill", "camera-hang"])
def test_a_helper_of_a_camera_ends_with_its_capture_process(fault: str) -> None:
    """It may hold the camera, and each further start would fail."""
    with Ringcast("--camera=tests.helped_camera:HelpedCamera") as service:
        service.ready()
        [helper], capture = helpers_of(service), service.capture_pid()
        assert drill(service, fault).returncode == 0
        eventually(lambda: service.status()["supervisor"]["capture"]["pid"] not in (None, capture))
        assert not alive(helper)
        [following] = eventually(lambda: helpers_of(service))
        assert following != helper
    assert processes_of(service) == []


def test_a_helper_that_is_tied_as_advised_ends_with_a_killed_supervisor() -> None:
    """The kernel kills the capture process then, and nobody is left who could kill its group."""
    with Ringcast("--camera=tests.helped_camera:TiedHelperCamera") as service:
        service.ready()
        [_] = eventually(lambda: helpers_of(service))
        service.process.kill()
        eventually(lambda: not processes_of(service), 2, "the end of all its processes")
