"""Tasks: who may act on one, and what acting does (SPEC §10)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.database import db_now
from app.domain.json_reader import Scalar
from app.domain.runs import signals as m
from app.domain.states import TaskOrigin, TaskOutcome, TaskStatus
from app.errors import Conflict, FieldError, Invalid, NotAllowed
from app.models import Grant, Group, GroupMember, ManualTask, Run, User
from app.permissions import Actor, may
from app.services import audit
from app.services.advance import Move, advance
from app.services.transaction import ring_after_commit

PERMISSION = "workflow:task"
MAX_TEXT = 2000
MAX_REASON = 2000


@dataclass(frozen=True, slots=True)
class MayAct:
    """Whether somebody may act on a task, and what they lack if not."""

    allowed: bool
    reason: str = ""


def may_act(session: Session, actor: Actor, task: ManualTask) -> MayAct:
    """The one rule for page, API and link: the permission, and being who was asked.

    A token acts for nobody in particular, so only tasks for anyone are open to it, and of these not those that
    whoever granted the access may not complete.
    """
    if not may(actor, PERMISSION):
        return MayAct(False, f"You need the permission {PERMISSION}.")
    asked = is_asked(session, actor, task)
    if not asked.allowed or task.granter_may_act:
        return asked
    if actor.user_id is None:
        return MayAct(False, "Whoever granted this access may not complete it; a token could be theirs.")
    if granter_of(session, task) == actor.user_id:
        return MayAct(False, "You granted this access, so somebody else completes this task.")
    return asked


def is_asked(session: Session, actor: Actor, task: ManualTask) -> MayAct:
    """Whether the task is for `actor`, whatever their permissions are."""
    if task.assignee_user_id is not None and task.assignee_user_id != actor.user_id:
        person = session.get(User, task.assignee_user_id)
        return MayAct(False, f"This task is for {person.name if person else 'somebody else'}.")
    group_id = task.assignee_group_id
    if group_id is not None and not _is_member(session, group_id, actor.user_id):
        group = session.get(Group, group_id)
        return MayAct(False, f"This task is for {group.name if group else 'a group'}; you are not in it.")
    return MayAct(True)


def may_see(session: Session, actor: Actor, task: ManualTask) -> bool:
    """Readers of workflows see every task; others who do tasks those for them, and those they have done."""
    if may(actor, "workflow:read"):
        return True
    if not may(actor, PERMISSION):
        return False
    own = actor.user_id is not None and task.acted_by_id == actor.user_id
    return own or is_asked(session, actor, task).allowed


def granter_of(session: Session, task: ManualTask) -> int | None:
    """The person who granted the access that the task's run is about; None where it was no person."""
    return session.get_one(Grant, session.get_one(Run, task.run_id).grant_id).granted_by_id


def check_pending(task: ManualTask) -> None:
    """Raise Conflict, naming who acted and when, unless the task is still to be done."""
    if task.status == TaskStatus.DONE:
        at = f" at {task.acted_at:%H:%M} UTC" if task.acted_at else ""
        raise Conflict(f"{task.acted_by} acted on this task{at}: {task.outcome}.")
    if task.status == TaskStatus.OBSOLETE:
        raise Conflict("This task is no longer needed: its run ended otherwise.")


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


def read_values(fields: list[dict[str, Any]], typed: Mapping[str, Any]) -> dict[str, Scalar]:
    """The typed values in their fields' types; raises Invalid with an error for each that does not fit."""
    errors: list[FieldError] = []
    values: dict[str, Scalar] = {}
    known = {one["name"] for one in fields}
    errors += [FieldError(name, "There is no such field.") for name in typed if name not in known]
    for field in fields:
        raw = typed.get(field["name"])
        try:
            value = _read(field, raw)
        except ValueError as problem:
            errors.append(FieldError(field["name"], str(problem)))
            continue
        if value is not None:
            values[field["name"]] = value
        elif field["required"]:
            errors.append(FieldError(field["name"], f"Enter {field['label']}."))
    if errors:
        raise Invalid("Some fields need another look.", errors)
    return values


def _read(field: Mapping[str, Any], raw: Any) -> Scalar:
    if raw is None or (isinstance(raw, str) and not raw.strip()):
        return None
    match field["type"]:
        case "boolean":
            return _boolean(raw)
        case "number":
            return _number(raw)
        case "choice":
            if raw not in field["options"]:
                raise ValueError("Choose one of the options.")
            return str(raw)
        case _:
            return _text(raw)


def _is_member(session: Session, group_id: int, user_id: int | None) -> bool:
    if user_id is None:
        return False
    return session.get(GroupMember, {"group_id": group_id, "user_id": user_id}) is not None


def _boolean(raw: Any) -> bool:
    if isinstance(raw, bool):
        return raw
    if str(raw).lower() in ("true", "yes", "on", "1"):
        return True
    if str(raw).lower() in ("false", "no", "off", "0"):
        return False
    raise ValueError("Choose yes or no.")


def _number(raw: Any) -> int | float:
    if isinstance(raw, bool):
        raise ValueError("Enter a number.")
    try:
        number = float(str(raw).strip())
    except ValueError:
        raise ValueError("Enter a number.") from None
    if not math.isfinite(number) or abs(number) > 2**53:
        raise ValueError("Enter a number that is not that large.")
    return int(number) if number.is_integer() else number


def _text(raw: Any) -> str:
    if not isinstance(raw, str):
        raise ValueError("Enter text.")
    text = raw.strip()
    if len(text) > MAX_TEXT:
        raise ValueError(f"Use at most {MAX_TEXT:,} characters.")
    if any(one == "\0" or "\ud800" <= one <= "\udfff" for one in text):
        raise ValueError("This text holds a character that cannot be stored.")
    return text


def _reason(reason: str) -> str:
    text = reason.strip()
    if not text:
        raise Invalid.field("reason", "Say why: the reason is kept with the run.")
    if len(text) > MAX_REASON:
        raise Invalid.field("reason", f"Use at most {MAX_REASON:,} characters.")
    return text


def _take(session: Session, actor: Actor, task: ManualTask) -> None:
    """Make sure that the task is still to be done, and by `actor`, before anything typed is looked at.

    The run is locked first, so the second of two people is told who was first.
    """
    session.execute(select(Run.id).where(Run.id == task.run_id).with_for_update())
    session.refresh(task)
    check_pending(task)
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
        return task  # the run was overtaken: its task is closed as obsolete, and the caller says so
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
    ring_after_commit(session, *moved.wake, *([task.run_id] if moved.due_at else []))
    return task
