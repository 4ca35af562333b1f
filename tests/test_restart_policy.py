# SPDX-License-Identifier: MIT
"""One test per arrow of the table in State's docstring, and the times. No process is started here."""

from __future__ import annotations

import re

import pytest

from supervisor_proc.restart_policy import (
    ABORTING_S,
    KILLING_S,
    STOPPING_S,
    STUCK_S,
    Action,
    Event,
    Limits,
    RestartPolicy,
    State,
    Timing,
)

LIMITS = Limits(first_progress_s=20.0, progress_s=3.0)
TIMING = Timing()

FIRST_S, MOST_S = TIMING.backoff_s, TIMING.backoff_most_s


def table() -> tuple[dict[State, Action], dict[tuple[State, Event], State]]:
    """Return what the docstring says of each state: the action on entry, and the arrows."""
    actions, arrows = {}, {}
    rows = re.findall(r"^ *\| ([A-Z]+) +\| ([a-z ]+?) +\| *(.*?) *\|$", State.__doc__ or "", re.MULTILINE)
    for name, action, cell in rows:
        state = State[name]
        actions[state] = Action(action)
        for arrow in cell.split("; "):
            events, _, after = arrow.partition(" → ")
            if after:
                arrows.update({(state, Event(event)): State[after] for event in events.split(", ")})
    return actions, arrows


ON_ENTRY, ARROWS = table()

PATHS: dict[State, list[Event]] = {
    State.BACKOFF: [],
    State.STARTING: [Event.DEADLINE],
    State.RUNNING: [Event.DEADLINE, Event.PROGRESS],
    State.STOPPING: [Event.DEADLINE, Event.RESTART],
    State.ABORTING: [Event.DEADLINE, Event.DEADLINE],
    State.KILLING: [Event.DEADLINE, Event.DEADLINE, Event.DEADLINE],
    State.STUCK: [Event.DEADLINE] * 4,
    State.DONE: [Event.STOP],
}


def happen(policy: RestartPolicy, event: Event, now_s: float) -> Action:
    if event is Event.STOP:
        return policy.stop(now_s)
    if event is Event.RESTART:
        return policy.restart(now_s)
    if event is Event.STEP:
        policy.step(now_s)
        return Action.NOTHING
    if event is Event.DEADLINE:
        return policy.tick(policy.deadline_s)
    return policy.tick(now_s, progress=event is Event.PROGRESS, exited=event is Event.EXIT)


def policy_in(state: State) -> RestartPolicy:
    policy = RestartPolicy(LIMITS, now_s=0.0)
    for event in PATHS[state]:
        happen(policy, event, policy.deadline_s)
    assert policy.state is state
    return policy


def test_the_table_has_a_row_for_each_state_and_all_events() -> None:
    assert set(ON_ENTRY) == set(State)
    assert {event for _, event in ARROWS} == set(Event)
    assert len(ARROWS) == 22


@pytest.mark.parametrize(("arrow", "after"), ARROWS.items(), ids=str)
def test_every_arrow_leads_where_the_table_says(arrow: tuple[State, Event], after: State) -> None:
    before, event = arrow
    policy = policy_in(before)
    action = happen(policy, event, now_s=1000.0)
    assert policy.state is after
    stays = before is after and event in (Event.PROGRESS, Event.STEP)
    assert action is (Action.NOTHING if stays else ON_ENTRY[after])


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("event", Event)
def test_what_is_not_in_the_table_changes_nothing(state: State, event: Event) -> None:
    if (state, event) in ARROWS or (state is State.DONE and event is Event.DEADLINE):
        return
    policy = policy_in(state)
    assert happen(policy, event, now_s=-1.0) is Action.NOTHING
    assert policy.state is state


@pytest.mark.parametrize(
    ("state", "seconds"),
    [
        (State.STARTING, 20.0),
        (State.RUNNING, 3.0),
        (State.STOPPING, STOPPING_S),
        (State.ABORTING, ABORTING_S),
        (State.KILLING, KILLING_S),
        (State.STUCK, STUCK_S),
    ],
)
def test_every_state_has_its_time(state: State, seconds: float) -> None:
    policy = RestartPolicy(LIMITS, now_s=0.0)
    entered_s = 0.0
    for event in PATHS[state]:
        entered_s = policy.deadline_s if event is Event.DEADLINE else entered_s
        happen(policy, event, entered_s)
    assert policy.deadline_s - entered_s == pytest.approx(seconds)


def test_progress_sets_the_deadline_anew() -> None:
    policy = policy_in(State.RUNNING)
    policy.tick(5.0, progress=True)
    assert policy.deadline_s == 8.0
    assert policy.tick(7.9) is Action.NOTHING
    assert policy.tick(8.0) is Action.ABORT


@pytest.mark.parametrize("state", [State.STOPPING, State.ABORTING, State.KILLING])
def test_progress_saves_nobody_who_is_to_go(state: State) -> None:
    """A capture process that ignores SIGTERM goes on publishing while it is stopped."""
    policy = policy_in(state)
    policy.tick(policy.deadline_s, progress=True)
    assert policy.state is not state


def test_the_backoff_doubles_up_to_its_most() -> None:
    policy, waits = RestartPolicy(LIMITS, now_s=0.0), []
    for _ in range(10):
        started_s = policy.deadline_s
        policy.tick(started_s)
        policy.tick(started_s, exited=True)
        waits.append(policy.deadline_s - started_s)
    assert waits[:4] == pytest.approx([0.25, 0.5, 1.0, 2.0])
    assert waits[-1] == TIMING.backoff_most_s


@pytest.mark.parametrize("hung", [State.STOPPING, State.ABORTING, State.KILLING, State.STUCK])
def test_a_hung_child_whose_restart_is_asked_for_starts_soon(hung: State) -> None:
    """A camera that hangs is when an owner asks for it, and it has to be killed."""
    policy = policy_in(hung)
    policy.restart(policy.deadline_s)
    while policy.state is not State.KILLING and policy.state is not State.STUCK:
        policy.tick(policy.deadline_s)
    for exit_s, wait_s in (
        (100.0, TIMING.backoff_s),
        (200.0, TIMING.backoff_s),
        (300.0, 2 * TIMING.backoff_s),
    ):
        policy.tick(exit_s, exited=True)
        assert policy.deadline_s - exit_s == wait_s, "the failures after it begin the count"
        policy.tick(policy.deadline_s)


def test_restarts_that_are_asked_for_are_no_failures() -> None:
    policy, now_s = RestartPolicy(LIMITS, now_s=0.0), 0.0
    for _ in range(5):
        policy.tick(policy.deadline_s)
        now_s = policy.deadline_s
        policy.restart(now_s)
        policy.tick(now_s, exited=True)
        assert policy.deadline_s - now_s == TIMING.backoff_s


def wait_after(policy: RestartPolicy, lived_s: float | None, silent_s: float = 0.0) -> float:
    """Start, make progress for `lived_s` if at all, be silent, exit; return the wait until the next start."""
    now_s = policy.deadline_s
    assert policy.tick(now_s) is Action.SPAWN
    if lived_s is not None:
        policy.tick(now_s, progress=True)
        now_s += lived_s
        policy.tick(now_s, progress=True)
    now_s += silent_s
    policy.tick(now_s, exited=True)
    return policy.deadline_s - now_s


def waits_after(*lives_s: float | None) -> list[float]:
    policy = RestartPolicy(LIMITS, now_s=0.0)
    return [wait_after(policy, lived_s) for lived_s in lives_s]


def test_a_life_that_was_long_enough_pays_for_its_failure() -> None:
    """A sensor that freezes every 50 s is not a broken one: its viewers wait for nothing but the start."""
    assert waits_after(*[6.0] * 12) == [0.0] * 12
    assert waits_after(None, None, None, 4.1, None, None) == [0.25, 0.5, 1.0, 0.0, 0.25, 0.5]


def test_a_life_that_was_too_short_pays_for_nothing() -> None:
    """One that crashes right after its first frame would be started without a pause for ever."""
    assert waits_after(*[1.0] * 4) == [0.25, 0.5, 1.0, 2.0]
    assert waits_after(None, None, None, 4.0, 4.0) == [0.25, 0.5, 1.0, 2.0, 4.0]


def test_a_life_lasts_from_the_first_to_the_last_progress() -> None:
    """How long its silence took to be noticed is not to its credit."""
    policy = RestartPolicy(LIMITS, now_s=0.0)
    assert wait_after(policy, 0.0, silent_s=100.0) == FIRST_S
    assert wait_after(policy, 1.1, silent_s=100.0) == 0.0


def test_a_restart_that_is_asked_for_ends_a_life() -> None:
    """Else the next process would be credited with it."""
    policy = RestartPolicy(LIMITS, now_s=0.0)
    policy.tick(0.0)
    policy.tick(0.0, progress=True)
    policy.tick(100.0, progress=True)
    policy.restart(100.0)
    policy.tick(100.0, exited=True)
    assert policy.deadline_s == 100.0 + FIRST_S
    assert wait_after(policy, None) == FIRST_S


def test_a_sensor_that_gave_no_first_frame_twice_in_a_row_rests() -> None:
    """Some switch their power off only after 5 s without use: a start before that finds them as they were."""
    policy = RestartPolicy(Limits(20.0, 3.0, rest_s=6.0), now_s=0.0)
    assert [wait_after(policy, lived_s) for lived_s in (None, None, None, 100.0, None, None)] == [
        0.25, 6.0, 6.0, 0.0, 0.25, 6.0,
    ]  # fmt: skip
    for _ in range(10):
        wait_after(policy, None)
    assert wait_after(policy, None) == MOST_S


def test_a_step_of_the_start_sets_the_deadline_anew() -> None:
    policy = policy_in(State.STARTING)
    policy.limits = Limits(first_progress_s=5.0, progress_s=3.0)
    policy.step(10.0)
    assert (policy.deadline_s, policy.tries) == (15.0, 1)
    assert policy.tick(15.0) is Action.ABORT


def test_a_pause_of_the_machine_is_forgiven_once_per_progress() -> None:
    """On one that swaps all the time no deadline would ever be reached."""
    policy = policy_in(State.RUNNING)
    deadline_s = policy.deadline_s
    for _ in range(5):
        policy.forgive(1.2)
    assert policy.deadline_s == pytest.approx(deadline_s + 1.2)
    policy.tick(100.0, progress=True)
    policy.forgive(1.2)
    assert policy.deadline_s == pytest.approx(103.0 + 1.2)


def test_a_pause_of_the_machine_delays_no_start() -> None:
    policy = RestartPolicy(LIMITS, now_s=5.0)
    policy.forgive(100.0)
    assert policy.deadline_s == 5.0


@pytest.mark.parametrize("state", [State.STARTING, State.RUNNING, State.ABORTING, State.KILLING, State.STUCK])
def test_a_child_that_was_stopped_is_done(state: State) -> None:
    policy = policy_in(state)
    policy.stop(1.0)
    policy.tick(1.0, exited=True)
    assert policy.state is State.DONE
    assert policy.tick(1e9) is Action.NOTHING


def test_a_stuck_process_is_never_joined_by_a_second() -> None:
    """Two capture processes on one camera wedge it for good."""
    policy = policy_in(State.STUCK)
    actions = {policy.tick(now_s) for now_s in range(1000)}
    assert actions == {Action.NOTHING, Action.REPORT_STUCK}
