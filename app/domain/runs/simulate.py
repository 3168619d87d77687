"""A run without an outside world: the same decisions, answers made up, nothing sent."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from app.domain.json_reader import Json
from app.domain.mapping.filters import Placeholder
from app.domain.runs import signals as m
from app.domain.runs.calls import Outcome
from app.domain.runs.decide import decide
from app.domain.runs.run import Run, World, evolve
from app.domain.states import FailureClass, RunStatus, TaskOrigin, TaskOutcome
from app.domain.steps.registry import Step
from app.domain.workflows.definition import Definition

# What earlier steps captured, by key, and what is known of the account.
Captured = Mapping[str, Mapping[str, Any]]
Account = Mapping[str, Any]
# Looks at a step before its call would be made; a failure on this side is what it comes to.
Look = Callable[[Step, Captured, Account], FailureClass | None]

_NOBODY = "dry-run"


@dataclass(frozen=True, slots=True)
class Visit:
    """One step on the way: whether it is taken to succeed, and where the run goes from there, in words."""

    step: Step
    ok: bool
    edge: str = ""
    compensation: bool = False


@dataclass(frozen=True, slots=True)
class Walk:
    visits: tuple[Visit, ...]
    end: RunStatus


def placeholder(key: str, name: str) -> Placeholder:
    """Stands for a value that a step is going to capture, or a person to type."""
    return Placeholder(f"‹steps.{key}.{name}›")


def supposed(steps: Sequence[Step], account: Account) -> tuple[Captured, Account]:
    """What is captured and known of the account once `steps` have succeeded, each value a placeholder."""
    captured = {one.key: {name: placeholder(one.key, name) for name in one.outputs} for one in steps}
    calls = [captured[one.key] for one in steps if one.calls_out]
    return captured, {**account, **{name: value for values in calls for name, value in values.items()}}


def walk(definition: Definition, *, failing: Collection[str], account: Account, look: Look) -> Walk:
    """The way that a run takes when every step succeeds but those named in `failing`.

    `look` is asked about each step before it is answered.  A failure handed to a person ends the walk, since
    nobody can tell what they will do.
    """
    return _Walker(definition, failing, account, look).walk()


class _Walker:
    def __init__(
        self, definition: Definition, failing: Collection[str], account: Account, look: Look
    ) -> None:
        self._run = Run(definition)
        self._failing, self._look = frozenset(failing), look
        self._captured: dict[str, dict[str, Json]] = {}
        self._account = dict(account)
        self._visits: list[Visit] = []

    def walk(self) -> Walk:
        signal: m.Signal = m.Proceed()
        # Time plays no part: nothing is transient here, so nothing is ever waited for.
        world = World(now=datetime(2000, 1, 1, tzinfo=UTC))
        while self._run.status.is_open:
            following: m.Signal = m.Proceed()
            events = decide(self._run, signal, world)
            assert events, "every signal of this walk is the one that the run waits for"
            for event in events:
                self._run = evolve(self._run, event)
                match event:
                    case m.AttemptStarted(step=key, attempt=attempt):
                        following = m.Answered(key, attempt, self._answer(self._run.definition.step(key)))
                    case m.TaskOpened(step=key, origin=TaskOrigin.HUMAN_TASK):
                        following = self._acted(self._run.definition.step(key))
                    case m.TaskOpened():
                        return Walk(tuple(self._visits), RunStatus.WAITING_MANUAL)
                    case m.AttemptEnded(edge=edge) | m.TaskClosed(edge=edge):
                        self._visits[-1] = replace(self._visits[-1], edge=edge)
                    case m.StepCaptured(step=key, values=values):
                        self._keep(key, values)
            signal = following
        return Walk(tuple(self._visits), self._run.status)

    def _answer(self, step: Step) -> Outcome:
        failure = self._visit(step)
        if failure is not None:
            return Outcome.failed(failure)
        return Outcome.success(200, {name: placeholder(step.key, name) for name in step.outputs})

    def _acted(self, step: Step) -> m.TaskActed:
        if self._visit(step) is not None:
            return m.TaskActed(TaskOutcome.FAILED, _NOBODY, {})
        values = {name: placeholder(step.key, name) for name in step.outputs}
        return m.TaskActed(TaskOutcome.SUBMITTED, _NOBODY, values)

    def _visit(self, step: Step) -> FailureClass | None:
        failure = self._look(step, self._captured, self._account)
        if failure is None and step.key in self._failing:
            failure = FailureClass.HTTP_4XX
        self._visits.append(Visit(step, failure is None, compensation=self._run.compensating))
        return failure

    def _keep(self, key: str, values: Mapping[str, Json]) -> None:
        self._captured[key] = {**self._captured.get(key, {}), **values}
        if self._run.definition.step(key).calls_out:
            self._account.update(values)
