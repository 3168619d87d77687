"""What a way back from a failed run would do, shown before it is done (SPEC §6)."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.engine.definition import Definition
from app.engine.describe import Change, diff_definitions
from app.engine.states import FailureClass, RunStatus
from app.engine.steps import HumanStep
from app.errors import Conflict, Invalid
from app.models import Attempt, AttemptStatus, Connection, Credential, Run, Workflow
from app.services.replaying import definition_of, newest_definition, what_cannot_be_repeated
from app.services.runs import stale_reason_of


class Action(StrEnum):
    RETRY = "retry"
    REPLAY = "replay"


class Will(StrEnum):
    """What a way back would do with a step."""

    SKIP = "skip"
    SEND = "send"
    SEND_AGAIN = "send_again"
    NEW = "new"


@dataclass(frozen=True, slots=True)
class PlannedStep:
    key: str
    name: str
    will: Will


@dataclass(frozen=True, slots=True)
class Plan:
    """What would happen. `reason` says why it is not allowed; `note` what to know before doing it.

    `token` stands for the state of things that the plan was made from.
    """

    action: Action
    allowed: bool
    reason: str
    note: str
    steps: list[PlannedStep]
    changes: list[Change]
    newest_version: int
    token: str


def plan(session: Session, run: Run, action: Action) -> Plan:
    """What `action` on this run would do now; a bounded number of statements."""
    pinned = definition_of(session, run.version_id)
    workflow = session.get_one(Workflow, run.workflow_id)
    newest = newest_definition(session, workflow)
    finished, tried = _history(session, run)
    if action is Action.RETRY:
        refusal = retry_refusal(session, run)
        steps = _retry_steps(pinned, run, finished, tried)
    else:
        refusal = replay_refusal(session, run, newest, workflow)
        steps = _replay_steps(pinned, newest, finished | tried)
    same = _same_request(session, run, workflow, pinned)
    return Plan(
        action=action,
        allowed=refusal is None,
        reason=refusal.message if refusal else "",
        note=_note(run, workflow, action, same=same),
        steps=steps,
        changes=diff_definitions(pinned, newest),
        newest_version=workflow.version_number,
        token=state_token(session, run, workflow, pinned, newest),
    )


def retry_refusal(session: Session, run: Run) -> Conflict | Invalid | None:
    """Why the run cannot be retried, or None."""
    if run.status != RunStatus.FAILED:
        label = RunStatus(run.status).label.lower()
        return Conflict(f"Run {run.id} is {label}: only a failed run can be retried.")
    if (newer := _newer_run(session, run)) is not None:
        return Conflict(f"Run {newer} has replaced this one. Go on there.", {"run_id": newer})
    if (why := stale_reason_of(session, run)) is not None:
        return Invalid(f"Run {run.id} was overtaken: {why} Nothing would be sent.")
    return None


def replay_refusal(
    session: Session, run: Run, newest: Definition, workflow: Workflow
) -> Conflict | Invalid | None:
    """Why a fresh run cannot be started in its place, or None."""
    if run.status != RunStatus.FAILED:
        label = RunStatus(run.status).label.lower()
        return Conflict(f"Run {run.id} is {label}: only a failed run can be replayed.")
    if (newer := _newer_run(session, run)) is not None:
        return Conflict(f"Run {newer} has replaced this one already.", {"run_id": newer})
    if workflow.deleted_at is not None:
        return Invalid(f"The workflow “{workflow.name}” has been deleted: there is no newest version to run.")
    if not workflow.is_enabled:
        return Invalid(f"The workflow “{workflow.name}” is disabled. Enable it first.")
    if (why := stale_reason_of(session, run)) is not None:
        return Invalid(f"Run {run.id} was overtaken: {why} A fresh run would be out of date at once.")
    if (done := what_cannot_be_repeated(session, run, newest)) is not None:
        return Invalid(done.words)
    return None


def state_token(
    session: Session, run: Run, workflow: Workflow, pinned: Definition, newest: Definition
) -> str:
    """Stands for everything that a plan was made from: when any of it changes, so does the token."""
    connections = sorted(_connection_ids(pinned) | _connection_ids(newest))
    changed = session.execute(
        select(Connection.id, Connection.changed_at, Credential.set_at)
        .join(Credential, Credential.connection_id == Connection.id, isouter=True)
        .where(Connection.id.in_(connections))
        .order_by(Connection.id)
    ).all()
    state = [
        [run.id, run.status, run.revision, _newer_run(session, run)],
        [workflow.version_id, workflow.is_enabled, str(workflow.deleted_at)],
        [[str(part) for part in row] for row in changed],
        stale_reason_of(session, run),
    ]
    return hashlib.sha256(json.dumps(state).encode()).hexdigest()[:32]


def _newer_run(session: Session, run: Run) -> int | None:
    """The newest run of the same event, when it is not this one."""
    return session.scalar(
        select(func.max(Run.id)).where(
            Run.grant_id == run.grant_id, Run.trigger == run.trigger, Run.sequence > run.sequence
        )
    )


def _history(session: Session, run: Run) -> tuple[set[str], set[str]]:
    """The keys of the run's steps that finished, and of those that were tried at all."""
    rows = session.execute(select(Attempt.step_key, Attempt.status).where(Attempt.run_id == run.id)).all()
    ended = (AttemptStatus.SUCCEEDED, AttemptStatus.SUBMITTED, AttemptStatus.SKIPPED)
    return {key for key, status in rows if status in ended}, {key for key, _ in rows}


def _retry_steps(pinned: Definition, run: Run, finished: set[str], tried: set[str]) -> list[PlannedStep]:
    steps = []
    for step in pinned.steps:
        if step.key in pinned.compensation_keys and step.key != run.cursor:
            continue
        if step.key == run.cursor:
            will = Will.SEND_AGAIN if step.key in tried else Will.SEND
        else:
            will = Will.SKIP if step.key in finished or step.key in tried else Will.SEND
        steps.append(PlannedStep(step.key, step.name, will))
    return steps


def _replay_steps(pinned: Definition, newest: Definition, tried: set[str]) -> list[PlannedStep]:
    steps = []
    for step in newest.steps:
        if step.key in newest.compensation_keys:
            continue
        will = Will.NEW if step.key not in pinned else Will.SEND_AGAIN if step.key in tried else Will.SEND
        steps.append(PlannedStep(step.key, step.name, will))
    return steps


def _same_request(session: Session, run: Run, workflow: Workflow, pinned: Definition) -> bool:
    """Whether a 4xx failed the run and nothing that could change the request has changed since."""
    if run.failure_class != FailureClass.HTTP_4XX or run.finished_at is None:
        return False
    if workflow.version_id != run.version_id:
        return False
    newest_change = session.scalar(
        select(func.max(func.coalesce(Credential.set_at, Connection.changed_at)))
        .select_from(Connection)
        .join(Credential, Credential.connection_id == Connection.id, isouter=True)
        .where(Connection.id.in_(_connection_ids(pinned)))
    )
    changed = session.scalar(
        select(func.max(Connection.changed_at)).where(Connection.id.in_(_connection_ids(pinned)))
    )
    latest = max((one for one in (newest_change, changed) if one is not None), default=None)
    return latest is None or latest <= run.finished_at


def _note(run: Run, workflow: Workflow, action: Action, *, same: bool) -> str:
    if same:
        return (
            f"Nothing has changed since the system refused this with HTTP {run.failure_status}: "
            "the same request would be sent again."
        )
    if workflow.version_id == run.version_id:
        return f"Version {run.version_number} is the newest." if action is Action.REPLAY else ""
    if action is Action.RETRY:
        return (
            f"Retry stays on version {run.version_number}. "
            f"Replay with latest would use version {workflow.version_number}."
        )
    return f"The fresh run uses version {workflow.version_number}; this one used {run.version_number}."


def _connection_ids(definition: Definition) -> set[int]:
    texts = [one.connection_id for one in definition.steps if not isinstance(one, HumanStep)]
    return {int(text) for text in texts if text.isdecimal() and len(text) <= 18}
