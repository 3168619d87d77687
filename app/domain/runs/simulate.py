"""A run without an outside world: the same decisions, answers made up, nothing sent."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal

from app.domain.json_reader import Json
from app.domain.mapping.filters import Placeholder
from app.domain.mapping.templates import MappingError
from app.domain.mapping.tokens import KEPT
from app.domain.runs import signals as m
from app.domain.runs.calls import Outcome
from app.domain.runs.decide import decide
from app.domain.runs.run import Run, World, evolve
from app.domain.states import FailureClass, RunStatus, TaskOrigin, TaskOutcome
from app.domain.steps.conditions import value_in
from app.domain.steps.registry import Step
from app.domain.workflows.definition import Definition

_NOBODY = "dry-run"


@dataclass(frozen=True, slots=True)
class Known:
    """What a step's templates are filled from beyond the grant: `captured` by earlier steps, by key, what is known
    of the account, and what is kept with the grant alone."""

    captured: Mapping[str, Mapping[str, Any]]
    account: Mapping[str, Any]
    kept: Mapping[str, Any]


# Looks at a step before its call would be made; a failure on this side is what it comes to.
Look = Callable[[Step, Known], FailureClass | None]
# What templates are filled from.
Filled = Callable[[Known], Mapping[str, object]]


@dataclass(frozen=True, slots=True)
class Supposing:
    """What is taken to happen: steps that fail, steps answered with a status, values that are not there.

    Those are named as tokens are: `steps.find.id`, `account.id`, `grant.kept.membership`.
    """

    failing: Collection[str] = ()
    statuses: Mapping[str, int] = field(default_factory=dict)
    absent: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class Visit:
    """One step on the way: whether it is taken to succeed, and where the run goes from there, in words.

    `skipped` is the condition for which it is passed over, and `supposes` are its conditions on what is known only
    when it runs. `branch` is the status of its answer where that leads elsewhere.
    """

    step: Step
    ok: bool
    edge: str = ""
    compensation: bool = False
    skipped: str = ""
    supposes: Sequence[str] = ()
    branch: int | None = None

    @property
    def outcome(self) -> Literal["succeeded", "failed", "skipped", "branched"]:
        if self.skipped:
            return "skipped"
        return "branched" if self.branch else "succeeded" if self.ok else "failed"


@dataclass(frozen=True, slots=True)
class Walk:
    visits: tuple[Visit, ...]
    end: RunStatus


def placeholder(key: str, name: str) -> Placeholder:
    """Stands for a value that a step is going to capture, or a person to type."""
    return Placeholder(f"‹steps.{key}.{name}›")


def supposed(steps: Sequence[Step], known: Known) -> Known:
    """What is known once `steps` have succeeded as well, each of their values a placeholder."""
    definition = Definition(tuple(steps))
    return _learnt(definition, {one.key: _values(one, ()) for one in steps}, known)


def _supposes(step: Step, context: Mapping[str, object]) -> list[str]:
    try:
        found = [(one.words, value_in(one.of, context)) for one in step.only_if]
    except MappingError as error:
        return [error.message]
    unknown = [words for words, value in found if isinstance(value, str) and "‹" in value]
    return [f"“{words}” is decided when it runs; here the value is taken to be there." for words in unknown]


def walk(
    definition: Definition, *, known: Known, look: Look, filled: Filled, supposing: Supposing | None = None
) -> Walk:
    """The way that a run takes when every step succeeds but for what is supposed otherwise.

    `look` is asked about each step before it is answered, and conditions are filled from what `filled` makes of
    what is known by then.  A failure handed to a person ends the walk, since nobody can tell what they will do.
    """
    return _Walker(definition, supposing or Supposing(), known, look, filled).walk()


def _values(step: Step, absent: Collection[str]) -> dict[str, Json]:
    """What a step is going to capture, or a person to type."""
    return {
        name: placeholder(step.key, name) for name in step.outputs if f"steps.{step.key}.{name}" not in absent
    }


def _learnt(definition: Definition, learnt: Mapping[str, Mapping[str, Json]], known: Known) -> Known:
    captured, account, kept = dict(known.captured), dict(known.account), dict(known.kept)
    for key, values in learnt.items():
        captured[key] = {**captured.get(key, {}), **values}
        of_account, of_grant = definition.kept(key, values)
        account |= of_account
        kept |= of_grant
    return Known(captured, account, kept)


class _Walker:
    def __init__(
        self, definition: Definition, supposing: Supposing, known: Known, look: Look, filled: Filled
    ) -> None:
        self._run = Run(definition)
        self._supposing, self._look, self._filled = supposing, look, filled
        absent = supposing.absent
        self._known = Known(
            known.captured,
            {name: value for name, value in known.account.items() if f"account.{name}" not in absent},
            {name: value for name, value in known.kept.items() if f"{KEPT}{name}" not in absent},
        )
        self._visits: list[Visit] = []

    def walk(self) -> Walk:
        signal: m.Signal = m.Proceed()
        # Time plays no part: nothing is transient here, so nothing is ever waited for.
        world = World(now=datetime(2000, 1, 1, tzinfo=UTC), context=lambda run: self._filled(self._now(run)))
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
                    case m.StepFailed(step=key) if not self._visits or self._visits[-1].step.key != key:
                        # A condition that cannot be read: the step is not even begun.
                        self._note(
                            Visit(self._run.definition.step(key), ok=False, edge="ends the run as failed")
                        )
                    case m.StepSkipped(step=key, why=why, edge=edge):
                        self._pass_over(self._run.definition.step(key), why, edge)
            signal = following
        return Walk(tuple(self._visits), self._run.status)

    def _now(self, run: Run) -> Known:
        """What is known by now, with what `run` has learnt."""
        return _learnt(run.definition, run.learnt, self._known)

    def _answer(self, step: Step) -> Outcome:
        call, status = step.call, self._supposing.statuses.get(step.key)
        assert call is not None
        branches = status in call.on_status and not self._run.compensating
        fails = status is not None and status not in call.success_statuses
        failure = self._visit(step, fails=fails, branch=status if branches else None)
        if failure is not None:
            return Outcome.failed(failure, http_status=status, branches=branches and fails)
        return Outcome.success(status or 200, self._captured(step))

    def _acted(self, step: Step) -> m.TaskActed:
        if self._visit(step) is not None:
            return m.TaskActed(TaskOutcome.FAILED, _NOBODY, {})
        return m.TaskActed(TaskOutcome.SUBMITTED, _NOBODY, self._captured(step))

    def _captured(self, step: Step) -> dict[str, Json]:
        return _values(step, self._supposing.absent)

    def _lacks(self, step: Step) -> bool:
        """Whether a value that must be there is supposed not to be."""
        needed = [rule.name for rule in step.call.captures if not rule.optional] if step.call else []
        return any(f"steps.{step.key}.{name}" in self._supposing.absent for name in needed)

    def _visit(self, step: Step, *, fails: bool = False, branch: int | None = None) -> FailureClass | None:
        failure = self._look(step, self._now(self._run))
        if failure is not None:
            branch = None  # nothing is sent, so nothing is answered
        elif fails or step.key in self._supposing.failing:
            failure = FailureClass.HTTP_4XX
        elif self._lacks(step):
            failure = FailureClass.MAPPING
        is_ok = failure is None or branch is not None
        self._note(Visit(step, is_ok, branch=branch if failure else None))
        return failure

    def _pass_over(self, step: Step, why: str, edge: str) -> None:
        self._note(Visit(step, ok=True, edge=edge, skipped=why))

    def _note(self, visit: Visit) -> None:
        supposes = _supposes(visit.step, self._filled(self._now(self._run))) if visit.step.only_if else ()
        self._visits.append(replace(visit, supposes=supposes, compensation=self._run.compensating))
