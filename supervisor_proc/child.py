# SPDX-License-Identifier: MIT
"""A process under a restart policy: started, signalled and reaped as that says. One log line per event."""

from __future__ import annotations

import logging
import signal
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from shm_ring.status import ChildStatus
from supervisor_proc.exit_words import CAMERA_HANGS, HUNG, STUCK, in_words
from supervisor_proc.process import Process, Program
from supervisor_proc.recoveries import Recoveries
from supervisor_proc.restart_policy import Action, Limits, RestartPolicy, State, Timing

_log = logging.getLogger(__name__)

_ASKED_FOR = "restart asked for"

KEEP_BUFFERS = {"MALLOC_MMAP_THRESHOLD_": str(32 << 20), "MALLOC_TRIM_THRESHOLD_": str(64 << 20)}
"""For a process that makes large arrays all the time. By default glibc gives each one's memory back to the
kernel, which hands it out again page by page: 940 page faults a frame and half of the CPU of the pattern
camera (mallopt(3))."""


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
    """One process and its successors. For the supervisor's main thread."""

    def __init__(
        self,
        name: str,
        program: Program,
        *,
        watch: Watch,
        now_s: float,
        timing: Timing = Timing(),
        done_after: Callable[[int], bool] = lambda exit_code: False,
        trouble: Callable[[float], str] = lambda now_s: "",
    ) -> None:
        """Describe the child.

        After an exit code for which `done_after` is true it is done: it is not started again. `trouble` says
        what was wrong with the machine lately, for the log where the child hangs.
        """
        self.name = name
        self.policy = RestartPolicy(watch.limits, now_s, timing)
        self.exit_code: int | None = None
        """Of the last process that ended; minus the signal's number where one killed it."""
        self.restarts: Counter[str] = Counter()
        self.last_reason: str | None = None
        self.last_error = ""
        """The last error in the log of the last process that ended."""
        self._program = program
        self.watch = watch
        self._recoveries = Recoveries()
        self._state, self._since_s = self.policy.state, now_s
        self._done_after = done_after
        self._trouble = trouble
        self._seen_progress = watch.progress()
        self._process: Process | None = None
        self._cause: str | None = None
        self._step = ""
        self.started_s = now_s
        """When the newest process was started."""

    def fileno(self) -> int | None:
        """Return the descriptor that is readable when the process has ended, None where there is none."""
        return self._process.fileno() if self._process else None

    @property
    def pid(self) -> int | None:
        """The pid of the process, None while there is none."""
        return self._process.pid if self._process else None

    @property
    def status(self) -> ChildStatus:
        """What the supervisor's board says of this child."""
        state, last_s = self.policy.state, self._recoveries.last_s
        return ChildStatus(
            state=state.value,
            since_ns=round(self._since_s * 1e9),
            stuck=state is State.STUCK,
            pid=self.pid,
            watches=self.watch.what,
            limit_s=self.policy.limits.progress_s,
            tries=self.policy.tries,
            restarts=dict(self.restarts),
            last_reason=self.last_reason,
            last_error=self.last_error or None,
            last_recovery_s=None if last_s is None else round(last_s, 3),
            recoveries_s=self._recoveries.histogram,
            next_start_ns=round(self.policy.deadline_s * 1e9) if state is State.BACKOFF else None,
        )

    def tick(self, now_s: float) -> None:
        """Look at the process and do what the policy wants. Never waits."""
        # reaped first: what a process did right before its end must not be taken for its successor's work
        exited = self._reap()
        moved = self.watch.progress() != self._seen_progress
        if moved:
            self._seen_progress = self.watch.progress()
            self._recoveries.progress(now_s)
        if exited and self._done_after(self.exit_code or 0):
            self.policy.stop(now_s)
        before = self.policy.state
        action = self.policy.tick(now_s, progress=moved, exited=exited)
        if before is State.STARTING and self.policy.state is State.RUNNING:
            _log.info("%s is ready (pid %s)", self.name, self.pid)
        if action is Action.ABORT:
            limits = self.policy.limits
            silent_s = limits.first_progress_s if before is State.STARTING else limits.progress_s
            at = f" ({self._step})" if self._step and before is State.STARTING else ""
            self._cause = f"hung: no progress for {silent_s:g} s{at}"
        if exited:
            if before is State.RUNNING and self.exit_code == STUCK:
                self._cause = HUNG
            self._recoveries.process_ended()
            self._report_exit(now_s)
            action = self.policy.tick(now_s)  # its successor may be due at once
        self._act(action, now_s)
        if self.policy.state is not self._state:
            self._state, self._since_s = self.policy.state, now_s

    def take_step(self, step: str, now_s: float) -> None:
        """Take how far the start of the process is, as it says itself."""
        if step and step != self._step:
            self._step = step
            self.policy.step(now_s)

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
            return
        process = self._process
        if process is None:
            return
        if action is Action.STOP:
            process.signal(signal.SIGTERM)
        elif action is Action.ABORT:
            _log.error(
                "%s (pid %s) %s; its stacks follow if it can print them%s",
                self.name,
                process.pid,
                self._cause,
                self._lately(now_s),
            )
            process.signal(signal.SIGUSR1)
        elif action is Action.KILL:
            _log.warning("%s (pid %s) is killed", self.name, process.pid)
            process.kill_group()
        elif action is Action.REPORT_STUCK:
            _log.error(
                "%s (pid %s) does not end after SIGKILL (kernel: %s); nothing is started in its "
                "place, and a reboot may be needed",
                self.name,
                process.pid,
                process.wchan(),
            )

    def _spawn(self, now_s: float) -> None:
        self._cause = None
        self._step, self.started_s = "", now_s
        try:
            self._process = Process(self._program)
        except OSError as error:  # no memory, or no process left
            self._cause = f"cannot be started: {error.strerror}"
            self.policy.tick(now_s, exited=True)
            self._report_exit(now_s)

    def _reap(self) -> bool:
        """Tell whether the process has ended."""
        exit_code = self._process.reap() if self._process else None
        if self._process is None or exit_code is None:
            return False
        self.exit_code, self.last_error = exit_code, self._process.last_error
        self._process = None
        return True

    def _report_exit(self, now_s: float) -> None:
        self.last_reason = self._cause or in_words(self.exit_code)
        if self.policy.state is State.DONE:
            _log.info("%s has stopped: %s", self.name, self.last_reason)
            return
        self.restarts[self.last_reason] += 1
        level = logging.INFO if self._cause == _ASKED_FOR else logging.WARNING
        wait_s = self.policy.deadline_s - now_s
        when = f"in {wait_s:.2f} s" if wait_s > 0 else "at once"
        lately = self._lately(now_s) if self.exit_code in CAMERA_HANGS else ""
        _log.log(level, "%s ended: %s; next start %s%s", self.name, self.last_reason, when, lately)

    def _lately(self, now_s: float) -> str:
        trouble = self._trouble(now_s)
        return trouble and f"; {trouble}"
