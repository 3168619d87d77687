"""Tasks before anybody acts: who is on one, and whom it is for."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.database import changed_one
from app.errors import Conflict, Invalid, NotAllowed
from app.models import Group, ManualTask, Run, User
from app.permissions import Actor, effective_permissions, may
from app.services import audit
from app.services.tasks import PERMISSION, MayAct, check_pending, granter_of, is_asked, may_act

MANAGE = "workflow:manage"


def claim(session: Session, actor: Actor, task: ManualTask, *, seen: int | None, now: datetime) -> ManualTask:
    """Say that `actor` is on it, which keeps nobody else from acting.

    `seen` is who was on it when `actor` decided: taking over from somebody is meant, or it is refused. Raises
    Conflict when it is somebody else by now or the task is done, NotAllowed for who may not act on it.
    """
    check_pending(task)
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
    check_pending(task)
    if actor.user_id is None or not _held(session, task, actor.user_id, _NOBODY):
        _refuse(task)
    audit.record(session, actor, "task.release", task, now=now)
    return task


def may_assign(session: Session, actor: Actor, task: ManualTask) -> MayAct:
    """Whether `actor` may give the task to somebody else: who builds workflows, and who was asked."""
    if may(actor, MANAGE) or (may(actor, PERMISSION) and is_asked(session, actor, task).allowed):
        return MayAct(True)
    return MayAct(False, f"This needs the permission {MANAGE}, or being who was asked.")


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
    session.execute(select(Run.id).where(Run.id == task.run_id).with_for_update())
    session.refresh(task)
    check_pending(task)
    allowed = may_assign(session, actor, task)
    if not allowed.allowed:
        raise NotAllowed(allowed.reason, MANAGE)
    if user is not None:
        _check_could_act(session, user, task)
    before, after = assignee_words(session, task), _words(user, group)
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


def assignee_words(session: Session, task: ManualTask) -> str:
    """Whom the task is for, by name."""
    user = session.get(User, task.assignee_user_id) if task.assignee_user_id is not None else None
    group = session.get(Group, task.assignee_group_id) if task.assignee_group_id is not None else None
    return _words(user, group)


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
    check_pending(task)
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


def _words(user: User | None, group: Group | None) -> str:
    if user is not None:
        return user.name
    return group.name if group is not None else "Anyone with the permission"
