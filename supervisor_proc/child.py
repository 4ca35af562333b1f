# SPDX-License-Identifier: MIT
"""A child process: started, signalled and reaped as its restart policy says. One log line per event."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from proc_start.tether import SUPERVISOR_PID
from shm_ring.status import ChildStatus
from supervisor_proc.pi_health import pi_trouble
from supervisor_proc.recoveries import Recoveries
from supervisor_proc.restart_policy import Action, Limits, RestartPolicy, State, Timing

_log = logging.getLogger(__name__)

_CHECKOUT = Path(__file__).resolve().parent.parent

_ASKED_FOR = "restart asked for"
_STUCK = 1
"""The exit code by which faulthandler ends a process that is stuck, and Python one whose imports fail."""
_HUNG = f"hung (exit {_STUCK})"
_EXIT_CODES = {
    os.EX_OK: "as asked",
    _STUCK: "hung or failed at its start",
    os.EX_USAGE: "wrong options",
    os.EX_DATAERR: "identical pictures",
    os.EX_UNAVAILABLE: "no camera",
    os.EX_SOFTWARE: "failed",
    os.EX_CANTCREAT: "another writer",
    os.EX_TEMPFAIL: "stalled",
}

KEEP_BUFFERS = {"MALLOC_MMAP_THRESHOLD_": str(32 << 20), "MALLOC_TRIM_THRESHOLD_": str(64 << 20)}
"""For a process that makes large arrays all the time. By default glibc gives each one's memory back to the
kernel, which hands it out again page by page: 940 page faults a frame and half of the CPU of the pattern
camera (mallopt(3))."""
_OF_THE_CAMERA = (_STUCK, os.EX_DATAERR, os.EX_TEMPFAIL)
"""Ends that a Raspberry Pi brings about that is short of power, or too hot."""


def become(name: str, arguments: Sequence[str]) -> NoReturn:
    """Let `python -m <name>_proc ARGUMENTS` take the place of this process."""
    os.execve(sys.executable, _command(name, arguments), _environment())


def _command(name: str, arguments: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", f"{name}_proc", *arguments]


def _environment() -> dict[str, str]:
    """Return the environment of a child, which finds its modules in this checkout first."""
    search_path = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (str(_CHECKOUT), search_path)))}


@dataclass(frozen=True, slots=True)
class Watch:
    """By what a child is known to do its work."""

    progress: Callable[[], int]
    """A counter; whenever it moved, the child did its work."""
    what: str
    """What it counts, in words."""
    limits: Limits
    """For how long it may stand still."""


class Child:
    """One child process and its successors. For the supervisor's main thread.

    It must be the main thread: the kernel kills a child that is tied to its parent when the *thread*
    that made it ends (prctl(2), PR_SET_PDEATHSIG).
    """

    def __init__(
        self,
        name: str,
        arguments: Sequence[str],
        *,
        descriptors: Iterable[tuple[str, int]],
        environment: Mapping[str, str] | None = None,
        watch: Watch,
        now_s: float,
        timing: Timing = Timing(),
        hopeless: Callable[[int], bool] = lambda exit_code: False,
    ) -> None:
        """Describe the child `python -m <name>_proc ARGUMENTS`.

        It inherits `descriptors` and is told each number by the option beside it. After an exit code that is
        `hopeless` it is not started again.
        """
        self.name = name
        self.policy = RestartPolicy(watch.limits, now_s, timing)
        self.pid: int | None = None
        self.exit_code: int | None = None
        """Of the last process that ended; minus the signal's number where one killed it."""
        self.restarts: Counter[str] = Counter()
        self.last_reason: str | None = None
        self.without_hope = False
        """Whether it ended so that it is not started again."""
        inherited = tuple(descriptors)
        told = (f"{flag}={descriptor}" for flag, descriptor in inherited)
        self._command = _command(name, [*arguments, *told])
        self._descriptors = tuple(descriptor for _, descriptor in inherited)
        self._environment = environment or {}
        self._progress = watch.progress
        self._watches = watch.what
        self._recoveries = Recoveries()
        self._state, self._since_s = self.policy.state, now_s
        self._hopeless = hopeless
        self._seen_progress = watch.progress()
        self._process: subprocess.Popen[bytes] | None = None
        self._pidfd: int | None = None
        self._cause: str | None = None

    def fileno(self) -> int | None:
        """Return the descriptor that is readable when the process has ended, None without one."""
        return self._pidfd

    @property
    def status(self) -> ChildStatus:
        """What the supervisor's board says of this child."""
        state, last_s = self.policy.state, self._recoveries.last_s
        return ChildStatus(
            state=state.value,
            since_ns=round(self._since_s * 1e9),
            stuck=state is State.STUCK,
            pid=self.pid,
            watches=self._watches,
            limit_s=self.policy.limits.progress_s,
            tries=self.policy.tries,
            restarts=dict(self.restarts),
            last_reason=self.last_reason,
            last_recovery_s=None if last_s is None else round(last_s, 3),
            recoveries_s=self._recoveries.histogram,
            next_start_ns=round(self.policy.deadline_s * 1e9) if state is State.BACKOFF else None,
        )

    def tick(self, now_s: float) -> None:
        """Look at the process and do what the policy wants. Never waits."""
        moved = self._progress() != self._seen_progress
        if moved:
            self._seen_progress = self._progress()
            self._recoveries.progress(now_s)
        exited = self._reap()
        if exited and not self.policy.stays_away and self._hopeless(self.exit_code or 0):
            self.without_hope = True
            self.policy.stop(now_s)
        before = self.policy.state
        action = self.policy.tick(now_s, progress=moved, exited=exited)
        if before is State.STARTING and self.policy.state is State.RUNNING:
            _log.info("%s is ready (pid %s)", self.name, self.pid)
        if action is Action.ABORT:
            limits = self.policy.limits
            silent_s = limits.first_progress_s if before is State.STARTING else limits.progress_s
            self._cause = f"hung: no progress for {silent_s:g} s"
        if exited:
            if before is State.RUNNING and self.exit_code == _STUCK:
                self._cause = _HUNG
            self._recoveries.process_ended()
            self._tell_exit(now_s)
        self._act(action, now_s)
        if self.policy.state is not self._state:
            self._state, self._since_s = self.policy.state, now_s

    def stop(self, now_s: float) -> None:
        """Stop the process for good."""
        self._act(self.policy.stop(now_s), now_s)

    def restart(self, now_s: float) -> None:
        """Stop the process and start it again."""
        action = self.policy.restart(now_s)
        if action is Action.STOP:
            self._cause = _ASKED_FOR
        self._act(action, now_s)

    def _act(self, action: Action, now_s: float) -> None:
        if action is Action.SPAWN:
            self._spawn(now_s)
        elif action is Action.STOP:
            self._signal(signal.SIGTERM)
        elif action is Action.ABORT:
            _log.error(
                "%s (pid %s) %s; its stacks follow if it can print them%s",
                self.name,
                self.pid,
                self._cause,
                _of_pi(),
            )
            self._signal(signal.SIGUSR1)
        elif action is Action.KILL:
            self._kill_group()
        elif action is Action.REPORT_STUCK:
            _log.error(
                "%s (pid %s) does not end after SIGKILL (kernel: %s); nothing is started in its "
                "place, and a reboot may be needed",
                self.name,
                self.pid,
                self._wchan(),
            )

    def _spawn(self, now_s: float) -> None:
        self._cause = None
        try:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                pass_fds=self._descriptors,
                start_new_session=True,
                env={**_environment(), **self._environment, SUPERVISOR_PID: str(os.getpid())},
            )
        except OSError as error:  # no memory, or no process left
            self._cause = f"cannot be started: {error.strerror}"
            self.policy.tick(now_s, exited=True)
            self._tell_exit(now_s)
            return
        self.pid = self._process.pid
        with contextlib.suppress(OSError):  # without one, its end is seen at the next tick
            self._pidfd = os.pidfd_open(self.pid)

    def _reap(self) -> bool:
        """Tell whether the process has ended; only then are its locks certainly free."""
        if self._process is None or not _has_ended(self._process.pid):
            return False
        with contextlib.suppress(ProcessLookupError, PermissionError):
            # helpers that it started may hold the camera; the group is its own while it is not reaped
            os.killpg(self._process.pid, signal.SIGKILL)
        self.exit_code = self._process.wait()
        self._process, self.pid = None, None
        if self._pidfd is not None:
            os.close(self._pidfd)
            self._pidfd = None
        return True

    def _tell_exit(self, now_s: float) -> None:
        self.last_reason = self._cause or _in_words(self.exit_code)
        if self.policy.state is State.DONE:
            _log.info("%s has stopped: %s", self.name, self.last_reason)
            return
        self.restarts[self.last_reason] += 1
        level = logging.INFO if self._cause == _ASKED_FOR else logging.WARNING
        wait_s = self.policy.deadline_s - now_s
        of_pi = _of_pi() if self.exit_code in _OF_THE_CAMERA else ""
        _log.log(level, "%s ended: %s; next start in %.2f s%s", self.name, self.last_reason, wait_s, of_pi)

    def _signal(self, number: signal.Signals) -> None:
        if self.pid is not None:
            os.kill(self.pid, number)  # Popen.send_signal would reap one that has just ended

    def _kill_group(self) -> None:
        if self.pid is not None:
            _log.warning("%s (pid %s) is killed", self.name, self.pid)
            os.killpg(self.pid, signal.SIGKILL)

    def _wchan(self) -> str:
        try:
            return Path(f"/proc/{self.pid}/wchan").read_text() or "unknown"
        except OSError:
            return "unknown"


def _of_pi() -> str:
    trouble = pi_trouble()
    return trouble and f"; {trouble}"


def _has_ended(pid: int) -> bool:
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _in_words(exit_code: int | None) -> str:
    if exit_code is None:
        return "unknown"
    if exit_code < 0:
        known = {number.value: number.name for number in signal.Signals}  # not the real-time ones
        return f"killed by {known.get(-exit_code, f'signal {-exit_code}')}"
    return f"{_EXIT_CODES.get(exit_code, 'ended')} (exit {exit_code})"
