"""May a run be replayed? What the event's runs have already done in the outside world decides."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import select, tuple_
from sqlalchemy.orm import Session

from app.domain.runs.retry import carried_out
from app.domain.states import FailureClass, RunStatus
from app.domain.steps.registry import Step
from app.domain.workflows.definition import Definition
from app.errors import Conflict, Invalid
from app.models import Attempt, AttemptStatus, Run, Workflow
from app.queries.run_rules import Refusal, status_refusal
from app.queries.workflow_versions import ReadVersion, UnreadableVersion, versions_by_id

# A grant event: the grant's id and the trigger.
EventKey = tuple[int, str]

_DONE = (AttemptStatus.SUCCEEDED, AttemptStatus.SUBMITTED)
_UNKNOWN = (FailureClass.OUTCOME_UNKNOWN, FailureClass.WORKER_LOST)
# Tries that ended so were stopped on this side.
_NEVER_LEFT = (
    FailureClass.EGRESS_BLOCKED,
    FailureClass.CONFIGURATION,
    FailureClass.TLS,
    FailureClass.MAPPING,
)
# The answer came, and what it means is open to argument.
_OPEN_TO_ARGUMENT = (FailureClass.UNEXPECTED_ANSWER, FailureClass.TIMEOUT)
_REGRANT = (
    "Say that the failed step was done, and the run goes on after it. Or revoke this grant and grant the access "
    "again: that starts a clean run."
)


@dataclass(frozen=True, slots=True)
class Done:
    """A step that took effect, or may have, and cannot be repeated safely."""

    step: str
    name: str
    at: datetime
    captured: Mapping[str, Any]
    certain: bool

    @property
    def words(self) -> str:
        """Which step, when, what it captured, and what to do instead."""
        caught = ", ".join(f"{name} {value}" for name, value in self.captured.items())
        ran = "already ran" if self.certain else "may have run"
        return (
            f"“{self.name}” {ran} at {self.at:%H:%M on %d %b %Y} UTC"
            f"{f' and captured {caught}' if caught else ''}, and repeating it could do it twice. " + _REGRANT
        )


def asks_to_regrant(refusal: Refusal | None) -> bool:
    """True when a fresh run would do something twice: revoking and granting again is the way on."""
    return refusal is not None and refusal.message.endswith(_REGRANT)


@dataclass(slots=True)
class Past:
    """What all runs of one grant event were: their places in the sequence, and the tries they made."""

    ids: dict[int, int] = field(default_factory=dict)
    tries: list[tuple[Step, Attempt]] = field(default_factory=list)
    # Why the steps of one of them are not known, as a sentence: then nobody can tell what must not be repeated.
    unreadable: str = ""

    def after(self, run: Run) -> int | None:
        """The run that took the place of `run`, or None."""
        return self.ids.get(run.sequence + 1)

    def sent(self) -> list[tuple[Step, Attempt]]:
        """The calls that left, or may have, with the step as its own run had it."""
        return [(step, one) for step, one in self.tries if step.calls_out and _left(one)]


@dataclass(slots=True)
class Pasts:
    """The pasts of several events, with the newest definitions of their workflows."""

    by_event: dict[EventKey, Past]
    workflows: dict[int, Workflow]
    versions: dict[int, ReadVersion]

    def of(self, run: Run) -> Past:
        return self.by_event[run.grant_id, run.trigger]

    def newest(self, run: Run) -> ReadVersion:
        """What the newest version of the run's workflow says; no steps when it has none."""
        version_id = self.workflows[run.workflow_id].version_id
        return ReadVersion(Definition()) if version_id is None else self.versions[version_id]

    def refusal(self, run: Run, stale: str | None) -> Refusal | None:
        """Why no fresh run can be started in place of `run`, or None. `stale`: why its intent no longer holds."""
        if (refused := status_refusal(run, "replayed")) is not None:
            return refused
        if (newer := self.of(run).after(run)) is not None:
            return Conflict(f"Run {newer} has replaced this one already.", {"run_id": newer})
        workflow = self.workflows[run.workflow_id]
        if workflow.deleted_at is not None:
            return Invalid(
                f"The workflow “{workflow.name}” has been deleted: there is no newest version to run."
            )
        if not workflow.is_enabled:
            return Invalid(f"The workflow “{workflow.name}” is disabled. Enable it first.")
        newest, past = self.newest(run), self.of(run)
        if problem := newest.problem or past.unreadable:
            return UnreadableVersion(problem)
        if newest.definition.first is None:
            return Invalid(f"The newest version of “{workflow.name}” has no steps. Add a step first.")
        if stale is not None:
            return Invalid(f"Run {run.id} was overtaken: {stale} A fresh run would be out of date at once.")
        done = what_cannot_be_repeated(past, newest.definition)
        return Invalid(done.words) if done is not None else None


def replay_refusals(
    session: Session, runs: Collection[Run], stale: Mapping[int, str | None]
) -> dict[int, Refusal | None]:
    """Why each run cannot be replayed, by its number, in at most four statements however many there are.

    `stale` says for each why its intent no longer holds, None while it does.
    """
    failed = [one for one in runs if one.status == RunStatus.FAILED]
    known = pasts(session, failed) if failed else None
    return {
        one.id: known.refusal(one, stale[one.id])
        if known is not None and one.status == RunStatus.FAILED
        else status_refusal(one, "replayed")
        for one in runs
    }


def pasts(session: Session, runs: Collection[Run]) -> Pasts:
    """What has happened in the events of these runs, in four statements."""
    events = sorted({(one.grant_id, one.trigger) for one in runs})
    columns = (Run.id, Run.grant_id, Run.trigger, Run.sequence, Run.version_id)
    rows = session.execute(
        select(*columns).where(tuple_(Run.grant_id, Run.trigger).in_(events)).order_by(Run.id)
    ).all()
    wanted = select(Workflow).where(Workflow.id.in_({one.workflow_id for one in runs}))
    fresh = wanted.execution_options(populate_existing=True)  # it may have been read before a lock was taken
    workflows = {one.id: one for one in session.scalars(fresh)}
    versions = {row.version_id for row in rows} | {
        one.version_id for one in workflows.values() if one.version_id is not None
    }
    read = versions_by_id(session.connection(), versions)
    found: dict[EventKey, Past] = {event: Past() for event in events}
    pinned: dict[int, tuple[Past, ReadVersion]] = {}
    for row in rows:
        past = found[row.grant_id, row.trigger]
        past.ids[row.sequence] = row.id
        past.unreadable = past.unreadable or read[row.version_id].problem
        pinned[row.id] = past, read[row.version_id]
    for attempt in session.scalars(select(Attempt).where(Attempt.run_id.in_(pinned)).order_by(Attempt.id)):
        past, version = pinned[attempt.run_id]
        if (step := version.step(attempt.step_key)) is not None:
            past.tries.append((step, attempt))
    return Pasts(found, workflows, read)


def what_cannot_be_repeated(past: Past, newest: Definition) -> Done | None:
    """The first step of any run of this event that must not be sent again, or None.

    It goes by what was sent, whatever the steps are called: a step counts as repeatable when its own version or
    the newest one marks that very call as idempotent.
    """
    for step, attempt in past.tries:
        if _doubles(step, newest.steps) and _took_effect(attempt):
            at = attempt.finished_at or attempt.started_at
            answered = carried_out(attempt.failure_class, attempt.http_status)
            certain = attempt.status in _DONE or (answered and attempt.failure_class not in _OPEN_TO_ARGUMENT)
            return Done(step.key, step.name, at, attempt.captured or {}, certain)
    return None


def _doubles(step: Step, newest: Iterable[Step]) -> bool:
    return step.may_double and not any(step.same_call(one) and one.idempotent for one in newest)


def _took_effect(attempt: Attempt) -> bool:
    """True when the call was done as far as its answer tells, was done by hand, or nobody can tell."""
    if attempt.status in _DONE or attempt.outcome_unknown:
        return True
    if attempt.failure_class == FailureClass.WAIT and (attempt.http_status or 0) < 300:
        return True  # such as a 202: it was taken, and nobody knows how it ended
    done = carried_out(attempt.failure_class, attempt.http_status)
    return done or attempt.failure_class in _UNKNOWN or attempt.status == AttemptStatus.STARTED


def _left(attempt: Attempt) -> bool:
    if attempt.status == AttemptStatus.FAILED:
        return attempt.http_status is not None or attempt.failure_class not in _NEVER_LEFT
    return attempt.status in (*_DONE, AttemptStatus.STARTED)
