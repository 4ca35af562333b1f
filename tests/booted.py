# SPDX-License-Identifier: MIT
"""A machine with a systemd of its own, for tests of the installed service. Needs root and cgroup v2."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from pathlib import Path

from tests.conditions import eventually
from tests.running import CHECKOUT, environment


class Machine:
    """Systemd as process 1, on a copy of this machine's disk that is kept in memory, until it is closed."""

    def __init__(self, folder: Path) -> None:
        self._cgroup = _cgroup2() / f"ringcast-test-{os.getpid()}"
        self._cgroup.mkdir()
        namespaces = ("--mount", "--pid", "--uts", "--ipc", "--cgroup")
        unshare = ("unshare", *namespaces, "--fork", "--kill-child", "bash", "tests/boot", folder, CHECKOUT)
        into_cgroup = f'echo $$ >{self._cgroup}/cgroup.procs && exec "$@"'
        command = ("setpriv", "--pdeathsig=KILL", "sh", "-c", into_cgroup, "sh", *unshare)
        self._process = subprocess.Popen(command, cwd=CHECKOUT)
        self._pid = 0
        with contextlib.ExitStack() as failing:
            failing.callback(self.close)
            children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
            self._pid = int(eventually(lambda: children.read_text().strip(), what="process 1"))
            eventually(lambda: self.says("systemctl", "is-system-running") == "running", what="systemd")
            failing.pop_all()

    def run(self, *command: str, **changes: str) -> subprocess.CompletedProcess[str]:
        """Run a command there."""
        namespaces = ("--mount", "--pid", "--uts", "--ipc", "--cgroup")
        return subprocess.run(
            ["nsenter", f"--target={self._pid}", *namespaces, "env", f"--chdir={CHECKOUT}", *command],
            env=environment(**changes), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=240, check=False,
        )  # fmt: skip

    def says(self, *command: str) -> str:
        """Return what a command there prints, whatever its exit code."""
        return self.run(*command).stdout.strip()

    def does(self, *command: str, **changes: str) -> str:
        """Let a command there succeed; return what it prints."""
        done = self.run(*command, **changes)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def file(self, path: str) -> Path:
        """Return a file of that machine, as it is seen from here."""
        return Path(f"/proc/{self._pid}/root", path.lstrip("/"))

    def pid(self, there: int) -> int:
        """Return the pid here of a process there."""
        ours = Path(f"/proc/{self._pid}/ns/pid").readlink()
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if (process / "ns/pid").readlink() == ours and f"\t{there}\n" in _pids(process):
                    return int(process.name)
        raise AssertionError(f"no process {there}")

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid or self._process.pid, signal.SIGKILL)  # and with process 1 all others there
        self._process.wait()
        eventually(self._without_cgroup, what="the end of all processes there")

    def _without_cgroup(self) -> bool:
        with contextlib.suppress(OSError):
            for folder, _, _ in os.walk(self._cgroup, topdown=False):
                Path(folder).rmdir()
        return not self._cgroup.exists()


def _pids(process: Path) -> str:
    return next(line for line in (process / "status").open() if line.startswith("NSpid:"))


def _cgroup2() -> Path:
    """Return where cgroups of version 2 are mounted."""
    mounts = (line.split() for line in Path("/proc/mounts").read_text().splitlines())
    return next(Path(where) for _, where, kind, *_ in mounts if kind == "cgroup2")
