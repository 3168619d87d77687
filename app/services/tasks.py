"""Tasks: taken on, given to somebody else, and acted on. Who may is a matter of `queries.task_rules`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.database import changed_one, db_now
from app.domain.json_reader import Scalar
from app.domain.runs import signals as m
from app.domain.states import TaskOrigin, TaskOutcome, TaskStatus
from app.errors import Conflict, Invalid, NotAllowed
from app.models import Group, ManualTask, Run, User
from app.permissions import Actor, effective_permissions
from app.queries.task_rules import (
    MANAGE,
    PERMISSION,
    assigned_words,
    assignee_words,
    granter_of,
    may_act,
    may_assign,
    pending_refusal,
)
from app.services import audit
from app.services.advance import Move, advance
from app.services.transaction import notify_after_commit
from app.services.typed_values import read_values

MAX_REASON = 2000


def claim(session: Session, actor: Actor, task: ManualTask, *, seen: int | None, now: datetime) -> ManualTask:
    """Say that `actor` is on it, which keeps nobody else from acting.

    `seen` is who was on it when `actor` decided: taking over from somebody is meant, or it is refused. Raises
    Conflict when it is somebody else by now or the task is done, NotAllowed for who may not act on it.
    """
    _check_pending(task)
    allowed = may_act(session, actor, task)
    if not allowed.allowed or actor.user_id is None:
        raise NotAllowed(allowed.reason or "Only a person can be on a task.", PERMISSION)
    values = {"claimed_by": actor.name, "claimed_by_id": actor.user_id, "claimed_at": now}
    if not _held(session, task, seen, values):
        _refuse(task)
    audit.record(session, actor, "task.claim", task, now=now)
    return task


def release(session: Session, actor: Actor, task: ManualTask, *, now: datetime) -> ManualTask:
    """Say that `actor` is not on it any more. Raises Conflict when they were not, or the task is done."""
    _check_pending(task)
    if actor.user_id is None or not _held(session, task, actor.user_id, _NOBODY):
        _refuse(task)
    audit.record(session, actor, "task.release", task, now=now)
    return task


def assign(
    session: Session,
    actor: Actor,
    task: ManualTask,
    *,
    user: User | None = None,
    group: Group | None = None,
    now: datetime,
) -> ManualTask:
    """Give the task to a person, a group or (neither) anyone; whoever was on it is not any more.

    Raises NotAllowed, Conflict when it was acted on, and Invalid for somebody who could not complete it.
    """
    session.execute(select(Run.id).where(Run.id == task.run_id).with_for_update(key_share=True))
    session.refresh(task)
    _check_pending(task)
    allowed = may_assign(session, actor, task)
    if not allowed.allowed:
        raise NotAllowed(allowed.reason, MANAGE)
    if user is not None:
        _check_could_act(session, user, task)
    before, after = assignee_words(session, task), assigned_words(user, group)
    if before == after:
        return task
    task.assignee_user_id = user.id if user else None
    task.assignee_group_id = group.id if group else None
    if task.claimed_by_id != task.assignee_user_id or user is None:
        task.claimed_by, task.claimed_by_id, task.claimed_at = None, None, None
    session.flush()
    changes = {"assignee": [before, after]}
    audit.record(session, actor, "task.assign", task, now=now, changes=changes)
    return task


def submit(session: Session, actor: Actor, task: ManualTask, typed: Mapping[str, Any]) -> ManualTask:
    """Complete the task with typed values. Raises Invalid naming each refused field."""
    _take(session, actor, task)
    values = read_values(task.fields, typed)
    return _act(session, actor, task, TaskOutcome.SUBMITTED, values=values)


def skip(session: Session, actor: Actor, task: ManualTask, reason: str) -> ManualTask:
    """Go on without the task having been done."""
    _take(session, actor, task)
    return _act(session, actor, task, TaskOutcome.SKIPPED, reason=_reason(reason))


def fail(session: Session, actor: Actor, task: ManualTask, reason: str) -> ManualTask:
    """Fail the step: a human task takes its failure edge, an escalated failure ends the run failed."""
    _take(session, actor, task)
    return _act(session, actor, task, TaskOutcome.FAILED, reason=_reason(reason))


def try_again(session: Session, actor: Actor, task: ManualTask) -> ManualTask:
    """Send the step of an escalated failure again, with a fresh set of attempts."""
    if task.origin != TaskOrigin.ESCALATED_FAILURE:
        raise Conflict("Only a failure that was handed to a person can be tried again.")
    _take(session, actor, task)
    return _act(session, actor, task, TaskOutcome.RETRIED)


def _reason(reason: str) -> str:
    text = reason.strip()
    if not text:
        raise Invalid.field("reason", "Say why: the reason is kept with the run.")
    if len(text) > MAX_REASON:
        raise Invalid.field("reason", f"Use at most {MAX_REASON:,} characters.")
    return text


_NOBODY: dict[str, Any] = {"claimed_by": None, "claimed_by_id": None, "claimed_at": None}


def _held(session: Session, task: ManualTask, seen: int | None, values: dict[str, Any]) -> bool:
    """Compare and set: True when `seen` was still on it and the task still to be done."""
    as_seen = (
        ManualTask.id == task.id,
        ManualTask.status == "pending",
        ManualTask.claimed_by_id.is_not_distinct_from(seen),
    )
    is_set = changed_one(session, update(ManualTask).where(*as_seen).values(values))
    session.refresh(task)
    return is_set


def _refuse(task: ManualTask) -> None:
    _check_pending(task)
    if task.claimed_by_id is None:
        raise Conflict("Nobody is on this task any more.")
    at = f" since {task.claimed_at:%H:%M} UTC" if task.claimed_at else ""
    raise Conflict(f"{task.claimed_by} is on this task{at}.")


def _check_could_act(session: Session, user: User, task: ManualTask) -> None:
    if not user.is_active:
        raise Invalid.field("assignee", f"{user.name} is deactivated.")
    if PERMISSION not in effective_permissions(user.role.kind, user.role.permissions):
        raise Invalid.field("assignee", f"{user.name} may not complete tasks: their role lacks {PERMISSION}.")
    if not task.granter_may_act and granter_of(session, task) == user.id:
        raise Invalid.field("assignee", f"{user.name} granted this access and may not complete this task.")


def _check_pending(task: ManualTask) -> None:
    if (refused := pending_refusal(task)) is not None:
        raise refused


def _take(session: Session, actor: Actor, task: ManualTask) -> None:
    """Make sure that the task is still to be done, and by `actor`, before anything typed is looked at.

    The run is locked first, so the second of two people is told who was first.
    """
    session.execute(select(Run.id).where(Run.id == task.run_id).with_for_update(key_share=True))
    session.refresh(task)
    _check_pending(task)
    allowed = may_act(session, actor, task)
    if not allowed.allowed:
        raise NotAllowed(allowed.reason, PERMISSION)


def _act(
    session: Session,
    actor: Actor,
    task: ManualTask,
    outcome: TaskOutcome,
    *,
    values: Mapping[str, Scalar] | None = None,
    reason: str = "",
) -> ManualTask:
    """Move the run by what was done with its task, which `_take` has made sure of."""
    connection = session.connection()
    now = db_now(connection)
    acted = m.TaskActed(outcome, actor.name, values or {}, reason)
    [moved] = advance(connection, [Move(task.run_id, acted)], now=now)
    session.refresh(task)
    if not moved.applied or task.status == TaskStatus.OBSOLETE:
        return task  # the run was stale: its task is closed as obsolete, and the caller says so
    session.execute(
        update(ManualTask)
        .where(ManualTask.id == task.id)
        .values(
            input=dict(values) if values else None,
            reason=reason or None,
            acted_by=actor.name,
            acted_by_id=actor.user_id,
        )
    )
    session.refresh(task)
    audit.record(session, actor, f"task.{outcome.value}", task, now=now, reason=reason or None)
    notify_after_commit(session, *moved.wake, *([task.run_id] if moved.due_at else []))
    return task
