"""What a run is to the engine, and how one fact changes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, assert_never

from app.domain.json_reader import Json
from app.domain.runs import signals as m
from app.domain.states import RunStatus, TaskOrigin
from app.domain.workflows.definition import Definition


@dataclass(frozen=True, slots=True)
class Run:
    """All that decisions need to know of a run.

    `attempt` numbers the newest try of the step at `cursor` over the run's whole life, `tries` only those of
    the present set (a Retry begins a fresh one), and `deaths` the workers that died on the step meanwhile.
    `in_flight` says that this try was started and has no outcome yet, `unknown` that an answer was lost in
    the present set, so that nobody can tell whether the step took effect.  `one_off` marks a step that goes out
    with values that a person gave for one try: no other try may be made without them.  `waits_for` is the parked
    connection that the run waits for, and `told_to_wait_at` since when the other system says that it is not ready.
    `learnt` are the values that steps have captured since the run was looked at, by step.
    """

    definition: Definition
    status: RunStatus = RunStatus.QUEUED
    cursor: str | None = None
    attempt: int = 0
    tries: int = 0
    deaths: int = 0
    in_flight: bool = False
    compensating: bool = False
    task: TaskOrigin | None = None
    cancel_requested: bool = False
    failure_ignored: bool = False
    unknown: bool = False
    one_off: bool = False
    waits_for: str | None = None
    told_to_wait_at: datetime | None = None
    learnt: Mapping[str, Mapping[str, Json]] = field(default_factory=dict)


def _nothing_known(run: Run) -> Mapping[str, object]:  # noqa: ARG001 - the shape of `World.context`
    return {}


@dataclass(frozen=True, slots=True)
class World:
    """What holds outside the run at this moment.

    `stale` is the reason why the run's intent no longer holds (`grants.intent`), or None while it does.
    `attempts_made` counts the tries that each step has had in this run, so that numbers never repeat.
    `jitter` is a draw from 0 to 1.  `may_send` is False when nobody is there to make a call: the run is then
    left standing before its next one, for a worker to proceed with; likewise where the worker has no place left for
    calls on the connection, which is then `crowded`.  No call may begin on a connection that is `parked`
    (engine.breaker).  `unreadable` says why nobody knows the run's steps, and is empty while they are known.
    `context` gives what conditions are filled from, with what the run has learnt since.
    """

    now: datetime
    stale: str | None = None
    attempts_made: Mapping[str, int] = field(default_factory=dict)
    jitter: float = 0.0
    may_send: bool = True
    parked: frozenset[str] = frozenset()
    crowded: frozenset[str] = frozenset()
    unreadable: str = ""
    context: Callable[[Run], Mapping[str, object]] = _nothing_known

    def made(self, step: str) -> int:
        return self.attempts_made.get(step, 0)


# What a step begins with, besides its count of tries.
_FRESH: Mapping[str, Any] = {
    "deaths": 0, "unknown": False, "one_off": False, "waits_for": None, "told_to_wait_at": None,
}  # fmt: skip


def fold(run: Run, events: Sequence[m.Event]) -> Run:
    """The run after `events`."""
    for event in events:
        run = evolve(run, event)
    return run


def evolve(run: Run, event: m.Event) -> Run:  # noqa: C901, PLR0911, PLR0912  # one plain case a kind of event
    """Fold one fact in."""
    match event:
        case m.RunStarted():
            return replace(run, status=RunStatus.RUNNING)
        case m.StepReached(step=step):
            return replace(run, cursor=step, attempt=0, tries=0, **_FRESH)
        case m.CompensationStarted(step=step):
            return replace(run, cursor=step, attempt=0, tries=0, compensating=True, **_FRESH)
        case m.ConnectionAwaited(connection=connection, gives_back=gives_back):
            return replace(run, waits_for=connection, tries=run.tries - 1 if gives_back else run.tries)
        case m.AttemptStarted(attempt=attempt, tries=tries):
            return replace(run, attempt=attempt, tries=tries, in_flight=True, waits_for=None)
        case m.AttemptEnded(unknown=unknown):
            return replace(run, in_flight=False, unknown=run.unknown or unknown)
        case m.TaskOpened(attempt=attempt, origin=origin):
            return replace(
                run, status=RunStatus.WAITING_MANUAL, attempt=attempt, task=origin, in_flight=False
            )
        case m.TaskClosed():
            return replace(run, task=None)
        case m.FailureIgnored():
            return replace(run, failure_ignored=True)
        case m.RunResumed():
            return replace(run, status=RunStatus.RUNNING)
        case m.RetryRequested():
            return replace(
                run, status=RunStatus.RUNNING, tries=0, deaths=0, unknown=False, told_to_wait_at=None
            )
        case m.WorkerDied(deaths=deaths, costs_try=costs_try):
            return replace(run, deaths=deaths, tries=run.tries if costs_try else run.tries - 1)
        case m.CancelRequested():
            return replace(run, cancel_requested=True)
        case m.RunEnded(status=status):
            return replace(run, status=status, in_flight=False, task=None, waits_for=None)
        case m.RetryScheduled(costs_try=costs_try, waits_since=since):
            tries = run.tries if costs_try else run.tries - 1
            return replace(run, tries=tries, told_to_wait_at=since or run.told_to_wait_at)
        case m.StepCaptured(step=step, values=values, answered=answered):
            before = {} if answered else run.learnt.get(step, {})
            return replace(run, learnt={**run.learnt, step: {**before, **values}})
        case m.StepFailed() | m.StepSkipped() | m.StepDone():
            return run
        case _:
            assert_never(event)
