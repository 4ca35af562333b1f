# SPDX-License-Identifier: MIT
"""When a child process is started, stopped, aborted and killed. Pure: time is an argument."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class State(Enum):
    """Where a child process stands.

    | state    | on entry     | event → next |
    |----------|--------------|--------------|
    | STARTING | spawn        | progress → RUNNING; step → STARTING; exit → BACKOFF; deadline → ABORTING; \
stop, restart → STOPPING |
    | RUNNING  | nothing      | progress → RUNNING; exit → BACKOFF; deadline → ABORTING; \
stop, restart → STOPPING |
    | STOPPING | stop         | exit → BACKOFF; deadline → KILLING |
    | ABORTING | abort        | exit → BACKOFF; deadline → KILLING |
    | KILLING  | kill         | exit → BACKOFF; deadline → STUCK |
    | STUCK    | report stuck | exit → BACKOFF; deadline → STUCK |
    | BACKOFF  | nothing      | deadline, restart → STARTING; stop → DONE |
    | DONE     | nothing      | |

    An event that is not listed changes nothing. Progress and a step set the deadline again and repeat no
    action. A child that was stopped for good is DONE where this says BACKOFF.
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
    STEP = "step"
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
    (State.STARTING, Event.STEP): State.STARTING,
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
"""Where an event leads, as the table says."""

ON_ENTRY: dict[State, Action] = {
    State.STARTING: Action.SPAWN,
    State.STOPPING: Action.STOP,
    State.ABORTING: Action.ABORT,
    State.KILLING: Action.KILL,
    State.STUCK: Action.REPORT_STUCK,
}
"""What entering a state demands."""

STOPPING_S, ABORTING_S, KILLING_S, STUCK_S = 2.0, 0.3, 5.0, 60.0
LIFE_PAYS = 4
"""A life longer than this many times the last wait pays for its failure: there is no wait after it."""


@dataclass(frozen=True, slots=True)
class Timing:
    """What a person may choose of a child's deadlines, in seconds."""

    backoff_s: float = 0.25
    backoff_most_s: float = 30.0


@dataclass
class Limits:
    """How long a child may go without progress, in seconds."""

    first_progress_s: float
    """From the start, or from the last step that it reported."""
    progress_s: float
    rest_s: float = 0.0
    """How long it is left alone at least after two starts in a row without progress."""


class RestartPolicy:
    """One child's state. Ask `tick` often, and do what it answers."""

    def __init__(self, limits: Limits, now_s: float, timing: Timing = Timing()) -> None:
        """Begin with a first start that is due at once."""
        self.limits = limits
        self._timing = timing
        self.state = State.BACKOFF
        self.deadline_s = now_s
        self._last_wait_s = 0.0
        self._first_progress_s: float | None = None
        self._last_progress_s = now_s
        self._forgiven = False
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

    def step(self, now_s: float) -> None:
        """Note that the child reached the next step of its start."""
        self._take(Event.STEP, now_s)

    def forgive(self, pause_s: float) -> None:
        """Move the deadline by a pause of the machine, once until the child does something."""
        if not self._forgiven and self.state is not State.BACKOFF:
            self._forgiven = True
            self.deadline_s += pause_s

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
        self._forgiven = False
        if event is Event.PROGRESS:
            self.tries = 0
            self._last_progress_s = now_s
            if before is State.STARTING:
                self._first_progress_s = now_s
        self.deadline_s = now_s + self._time_in(after)
        if before is after and event in (Event.PROGRESS, Event.STEP):
            return Action.NOTHING
        if after is State.STARTING:
            self.tries += 1
        return ON_ENTRY.get(after, Action.NOTHING)

    def _time_in(self, state: State) -> float:
        """Return how long the child may stay in the state that it enters."""
        if state is State.BACKOFF:
            return self._wait_s()
        return {
            State.STARTING: self.limits.first_progress_s,
            State.RUNNING: self.limits.progress_s,
            State.STOPPING: STOPPING_S,
            State.ABORTING: ABORTING_S,
            State.KILLING: KILLING_S,
            State.STUCK: STUCK_S,
            State.DONE: float("inf"),
        }[state]

    def _wait_s(self) -> float:
        """Return how long to wait for the next start.

        A life lasts from the first progress of a process to its last. After one that pays there is no wait,
        and the first one is the shortest again; otherwise waits double.
        """
        first_s = self._timing.backoff_s
        asked, self._restart_asked = self._restart_asked, False
        began_s, self._first_progress_s = self._first_progress_s, None
        if asked:
            return first_s
        if began_s is not None and self._last_progress_s - began_s > LIFE_PAYS * max(
            first_s, self._last_wait_s
        ):
            self._last_wait_s = 0.0
        else:
            self._last_wait_s = max(first_s, min(2 * self._last_wait_s, self._timing.backoff_most_s))
        rest_s = self.limits.rest_s if self.tries > 1 else 0.0
        return max(rest_s, self._last_wait_s)
