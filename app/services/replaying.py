"""May a run be replayed (SPEC §6)? What the event's runs have already done in the outside world decides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.engine.definition import Definition, parse_definition
from app.engine.states import FailureClass
from app.engine.steps import HttpStep, HumanStep, Step, WebhookStep
from app.models import Attempt, AttemptStatus, Run, Workflow, WorkflowVersion

_UNKNOWN = (FailureClass.OUTCOME_UNKNOWN, FailureClass.WORKER_LOST)
# Methods whose effect a repeat may double (RFC 9110 §9.2.2 calls the others idempotent).
_DOUBLING = ("POST", "PATCH")


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
            f"{f' and captured {caught}' if caught else ''}, and repeating it could do it twice. "
            "Revoke this grant and grant the access again: that starts a clean run."
        )


def what_cannot_be_repeated(session: Session, run: Run, newest: Definition) -> Done | None:
    """The first step of any run of this event that must not be sent again, or None.

    It goes by what was sent, whatever the steps are called: a step counts as repeatable when its own version or
    the newest one marks that very call as idempotent.
    """
    runs = session.scalars(
        select(Run).where(Run.grant_id == run.grant_id, Run.trigger == run.trigger).order_by(Run.id)
    ).all()
    definitions = _definitions(session, {one.version_id for one in runs})
    by_run = {one.id: definitions[one.version_id] for one in runs}
    attempts = session.scalars(select(Attempt).where(Attempt.run_id.in_(by_run)).order_by(Attempt.id))
    for attempt in attempts:
        definition = by_run[attempt.run_id]
        if attempt.step_key not in definition:
            continue
        step = definition.step(attempt.step_key)
        if _doubles(step, newest) and _took_effect(attempt):
            certain = attempt.status in (AttemptStatus.SUCCEEDED, AttemptStatus.SUBMITTED)
            at = attempt.finished_at or attempt.started_at
            return Done(step.key, step.name, at, attempt.captured or {}, certain)
    return None


def definition_of(session: Session, version_id: int) -> Definition:
    """The steps of a version."""
    return _definitions(session, {version_id})[version_id]


def newest_definition(session: Session, workflow: Workflow) -> Definition:
    """The steps of a workflow's newest version; none when it has no version."""
    return Definition() if workflow.version_id is None else definition_of(session, workflow.version_id)


def _definitions(session: Session, version_ids: set[int]) -> dict[int, Definition]:
    statement = select(WorkflowVersion.id, WorkflowVersion.steps).where(WorkflowVersion.id.in_(version_ids))
    found: dict[int, Definition] = {}
    for version_id, steps in session.execute(statement):
        definition, problems = parse_definition(steps)
        if definition is None:
            raise RuntimeError(f"Version {version_id} cannot be read: {problems[0].message}")
        found[version_id] = definition
    return found


def _doubles(step: Step, newest: Definition) -> bool:
    if isinstance(step, HumanStep) or step.idempotent:
        return False
    if isinstance(step, HttpStep) and step.method not in _DOUBLING:
        return False
    return not any(_same_call(step, one) and one.idempotent for one in newest.steps)


def _same_call(one: HttpStep | WebhookStep, other: Step) -> bool:
    if isinstance(one, HttpStep):
        return isinstance(other, HttpStep) and (one.connection_id, one.method, one.path) == (
            other.connection_id,
            other.method,
            other.path,
        )
    return isinstance(other, WebhookStep) and one.connection_id == other.connection_id


def _took_effect(attempt: Attempt) -> bool:
    """True when the call was answered below 400, was done by hand, or nobody can tell."""
    if attempt.status in (AttemptStatus.SUCCEEDED, AttemptStatus.SUBMITTED) or attempt.outcome_unknown:
        return True
    answered = attempt.http_status is not None and attempt.http_status < 400
    return answered or attempt.failure_class in _UNKNOWN or attempt.status == AttemptStatus.STARTED
