# SPDX-License-Identifier: MIT
"""One process: spawn it, signal it, reap it. What it means and when to do so is decided elsewhere."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from proc_start.logs import LAST_ERROR_FD
from proc_start.tether import SUPERVISOR_PID

_CHECKOUT = Path(__file__).resolve().parent.parent


def command_of(name: str, arguments: Sequence[str]) -> list[str]:
    """Return the command `python -m <name>_proc ARGUMENTS`, of this Python."""
    return [sys.executable, "-m", f"{name}_proc", *arguments]


def become(name: str, arguments: Sequence[str]) -> NoReturn:
    """Let `python -m <name>_proc ARGUMENTS` take the place of this process."""
    os.execve(sys.executable, command_of(name, arguments), _environment())


def _environment() -> dict[str, str]:
    """Return the environment of a child, which finds its modules in this checkout first."""
    search_path = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (str(_CHECKOUT), search_path)))}


@dataclass(frozen=True, slots=True)
class Program:
    """What is started."""

    command: Sequence[str]
    descriptors: Sequence[int] = ()
    """Those that it inherits."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """What differs in its environment."""


class Process:
    """A process from its start to its reaping. For the supervisor's main thread.

    It must be the main thread: the kernel kills a child that is tied to its parent when the *thread*
    that made it ends (prctl(2), PR_SET_PDEATHSIG).
    """

    def __init__(self, program: Program) -> None:
        """Start a program in a session of its own.

        Raises:
            OSError: no memory, no descriptor or no process is left, or the program is gone.
        """
        self.last_error = ""
        """Once it is reaped: the last error of its log, nothing where it reported none."""
        self._last_error_fd = os.memfd_create("ringcast-last-error")
        own = {SUPERVISOR_PID: str(os.getpid()), LAST_ERROR_FD: str(self._last_error_fd)}
        with contextlib.ExitStack() as failing:
            failing.callback(os.close, self._last_error_fd)
            self._popen = subprocess.Popen(
                list(program.command),
                stdin=subprocess.DEVNULL,
                pass_fds=(*program.descriptors, self._last_error_fd),
                start_new_session=True,
                env={**_environment(), **program.environment, **own},
            )
            failing.pop_all()
        self.pid = self._popen.pid
        self._pidfd: int | None = None
        with contextlib.suppress(OSError):  # without one, its end is seen at the next tick
            self._pidfd = os.pidfd_open(self.pid)

    def fileno(self) -> int | None:
        """Return the descriptor that is readable when the process has ended, None where there is none."""
        return self._pidfd

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process alone."""
        os.kill(self.pid, number)  # Popen.send_signal would reap one that has just ended

    def kill_group(self) -> None:
        """Kill the process and the helpers that it started."""
        os.killpg(self.pid, signal.SIGKILL)

    def reap(self) -> int | None:
        """Return the exit code once the process has ended, minus the signal's number where one killed it.

        Only then are its locks certainly free. To be called no more after that.
        """
        if os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            return None
        with contextlib.suppress(ProcessLookupError, PermissionError):
            # helpers may hold the camera; the group is its own while it is not reaped
            self.kill_group()
        exit_code = self._popen.wait()
        with open(self._last_error_fd, "rb") as last_error:
            last_error.seek(0)
            self.last_error = " ".join(last_error.read().decode(errors="replace").split())
        if self._pidfd is not None:
            os.close(self._pidfd)
        return exit_code

    def wchan(self) -> str:
        """Return the function of the kernel in which the process waits, as far as the kernel says."""
        try:
            return Path(f"/proc/{self.pid}/wchan").read_text() or "unknown"
        except OSError:
            return "unknown"
