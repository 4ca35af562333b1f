# SPDX-License-Identifier: MIT
"""When a child process is started, stopped, aborted and killed. Pure: time is an argument."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class State(Enum):
    """Where a child process stands.

    | state    | event → next |
    |----------|--------------|
    | STARTING | progress → RUNNING; exit → BACKOFF; deadline → ABORTING; stop, restart → STOPPING |
    | RUNNING  | the same; progress sets the deadline anew |
    | STOPPING | exit → BACKOFF, or DONE after a stop; deadline → KILLING |
    | ABORTING | the same |
    | KILLING  | the same, but deadline → STUCK |
    | STUCK    | the same, but deadline → STUCK: reported again |
    | BACKOFF  | deadline, restart → STARTING; stop → DONE |
    | DONE     | |
    """

    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    ABORTING = "aborting"
    KILLING = "killing"
    STUCK = "stuck"
    BACKOFF = "backoff"
    DONE = "done"


class Event(Enum):
    """What can happen to it."""

    PROGRESS = "progress"
    EXIT = "exit"
    DEADLINE = "deadline"
    STOP = "stop"
    RESTART = "restart"


class Action(Enum):
    """What the supervisor must do now."""

    NOTHING = "nothing"
    SPAWN = "spawn"
    STOP = "stop"
    ABORT = "abort"
    KILL = "kill"
    REPORT_STUCK = "report stuck"


_GOING = (State.STOPPING, State.ABORTING, State.KILLING, State.STUCK)

ARROWS: dict[tuple[State, Event], State] = {
    (State.STARTING, Event.PROGRESS): State.RUNNING,
    (State.STARTING, Event.DEADLINE): State.ABORTING,
    (State.STARTING, Event.STOP): State.STOPPING,
    (State.STARTING, Event.RESTART): State.STOPPING,
    (State.STARTING, Event.EXIT): State.BACKOFF,
    (State.RUNNING, Event.PROGRESS): State.RUNNING,
    (State.RUNNING, Event.DEADLINE): State.ABORTING,
    (State.RUNNING, Event.STOP): State.STOPPING,
    (State.RUNNING, Event.RESTART): State.STOPPING,
    (State.RUNNING, Event.EXIT): State.BACKOFF,
    (State.STOPPING, Event.DEADLINE): State.KILLING,
    (State.ABORTING, Event.DEADLINE): State.KILLING,
    (State.KILLING, Event.DEADLINE): State.STUCK,
    (State.STUCK, Event.DEADLINE): State.STUCK,
    **{(state, Event.EXIT): State.BACKOFF for state in _GOING},
    (State.BACKOFF, Event.DEADLINE): State.STARTING,
    (State.BACKOFF, Event.RESTART): State.STARTING,
    (State.BACKOFF, Event.STOP): State.DONE,
}
"""Where an event leads; what is not listed changes nothing."""

ON_ENTRY: dict[State, Action] = {
    State.STARTING: Action.SPAWN,
    State.STOPPING: Action.STOP,
    State.ABORTING: Action.ABORT,
    State.KILLING: Action.KILL,
    State.STUCK: Action.REPORT_STUCK,
}
"""What entering a state demands."""

STOPPING_S, ABORTING_S, KILLING_S, STUCK_S = 2.0, 0.3, 5.0, 60.0
HEALTHY_S = 60.0
"""After so long with progress the backoff begins anew."""


@dataclass(frozen=True, slots=True)
class Timing:
    """What a person may choose of a child's deadlines, in seconds."""

    backoff_s: float = 0.25
    backoff_most_s: float = 30.0


@dataclass
class Limits:
    """How long a child may go without progress, in seconds."""

    first_progress_s: float
    progress_s: float


class RestartPolicy:
    """One child's state. Ask `tick` often, and do what it answers."""

    def __init__(self, limits: Limits, now_s: float, timing: Timing = Timing()) -> None:
        """Begin with a first start that is due at once."""
        self.limits = limits
        self._timing = timing
        self.state = State.BACKOFF
        self.deadline_s = now_s
        self._backoff_s = timing.backoff_s
        self._running_since_s: float | None = None
        self._restart_asked = False
        self._is_done = False
        """Whether it is done at its next exit, because it was stopped for good."""
        self.tries = 0
        """How often it was started since it last made progress."""

    def tick(self, now_s: float, *, progress: bool = False, exited: bool = False) -> Action:
        """Take what the child did since the last tick; return what to do."""
        if exited:
            return self._take(Event.EXIT, now_s)
        if progress and (self.state, Event.PROGRESS) in ARROWS:
            return self._take(Event.PROGRESS, now_s)
        if now_s >= self.deadline_s:
            return self._take(Event.DEADLINE, now_s)
        return Action.NOTHING

    def stop(self, now_s: float) -> Action:
        """Stop the child for good."""
        self._is_done = True
        return self._take(Event.STOP, now_s)

    def restart(self, now_s: float) -> Action:
        """Stop the child and start it again, soon even if it has to be killed."""
        self._restart_asked = self.state in (State.STARTING, State.RUNNING, *_GOING)
        return self._take(Event.RESTART, now_s)

    def _take(self, event: Event, now_s: float) -> Action:
        before, after = self.state, ARROWS.get((self.state, event))
        if after is None:
            return Action.NOTHING
        if after is State.BACKOFF and self._is_done:
            after = State.DONE
        self.state = after
        if after is State.STARTING:
            self.tries += 1
        elif after is State.RUNNING:
            self.tries = 0
        self.deadline_s = now_s + self._time_in(after, before, now_s)
        if before is after and event is Event.PROGRESS:
            return Action.NOTHING
        return ON_ENTRY.get(after, Action.NOTHING)

    def _time_in(self, state: State, before: State, now_s: float) -> float:
        """Return how long the child may stay in the state that it enters."""
        if state is State.RUNNING:
            if before is State.STARTING:
                self._running_since_s = now_s
            return self.limits.progress_s
        if state is State.BACKOFF:
            asked, self._restart_asked = self._restart_asked, False
            return self._timing.backoff_s if asked else self._next_backoff_s(now_s)
        return {
            State.STARTING: self.limits.first_progress_s,
            State.STOPPING: STOPPING_S,
            State.ABORTING: ABORTING_S,
            State.KILLING: KILLING_S,
            State.STUCK: STUCK_S,
            State.DONE: float("inf"),
        }[state]

    def _next_backoff_s(self, now_s: float) -> float:
        since_s, self._running_since_s = self._running_since_s, None
        if since_s is not None and now_s - since_s >= HEALTHY_S:
            self._backoff_s = self._timing.backoff_s
        backoff_s = self._backoff_s
        self._backoff_s = max(backoff_s, min(2 * backoff_s, self._timing.backoff_most_s))
        return backoff_s
