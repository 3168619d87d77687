"""Whose a task is, and who may act on it: the one rule for pages, API and verbs, of one task and as conditions.

`is_for` and `ways_of_being_asked` say the same thing twice, once of a task and once to the database.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, exists, not_, or_, select
from sqlalchemy.orm import Session

from app.domain.states import TaskStatus
from app.errors import Conflict
from app.models import Grant, Group, GroupMember, ManualTask, Run, User
from app.permissions import Actor, may

PERMISSION = "workflow:task"
READ = "workflow:read"
MANAGE = "workflow:manage"


@dataclass(frozen=True, slots=True)
class MayAct:
    """Whether somebody may act on a task, and what they lack if not."""

    allowed: bool
    reason: str = ""


def is_for(task: ManualTask, user_id: int | None, groups: Collection[int]) -> bool:
    """Whether the task is for this person, who is in these groups: by name, by group, or as one for anyone."""
    if task.assignee_user_id is not None:
        return task.assignee_user_id == user_id
    return task.assignee_group_id is None or task.assignee_group_id in groups


def ways_of_being_asked(user_id: int | None) -> list[ColumnElement[bool]]:
    """`is_for` as conditions, of which one holds; never null, so that they may be negated."""
    number = user_id or 0
    own = select(GroupMember.group_id).where(GroupMember.user_id == number)
    user, group = ManualTask.assignee_user_id, ManualTask.assignee_group_id
    by_name = and_(user.is_not(None), user == number)
    in_group = and_(user.is_(None), group.is_not(None), group.in_(own))
    return [by_name, in_group, and_(user.is_(None), group.is_(None))]


def not_barred(actor: Actor) -> ColumnElement[bool]:
    """True for tasks that `actor` may complete although, or because somebody else, granted the access."""
    granted = exists(
        select(Run.id)
        .join(Grant, Grant.id == Run.grant_id)
        .where(Run.id == ManualTask.run_id, Grant.granted_by_id == (actor.user_id or 0))
    )
    return or_(ManualTask.granter_may_act, not_(granted))


def groups_of(session: Session, user_id: int | None) -> frozenset[int]:
    """The groups that the person is in."""
    if user_id is None:
        return frozenset()
    return frozenset(session.scalars(select(GroupMember.group_id).where(GroupMember.user_id == user_id)))


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
    by_group = task.assignee_user_id is None and task.assignee_group_id is not None
    if is_for(task, actor.user_id, groups_of(session, actor.user_id) if by_group else ()):
        return MayAct(True)
    if by_group:
        group = session.get(Group, task.assignee_group_id)
        return MayAct(False, f"This task is for {group.name if group else 'a group'}; you are not in it.")
    person = session.get(User, task.assignee_user_id)
    return MayAct(False, f"This task is for {person.name if person else 'somebody else'}.")


def may_see(session: Session, actor: Actor, task: ManualTask) -> bool:
    """Readers of workflows see every task; others who do tasks those for them, and those they have done."""
    if may(actor, READ):
        return True
    if not may(actor, PERMISSION):
        return False
    own = actor.user_id is not None and task.acted_by_id == actor.user_id
    return own or is_asked(session, actor, task).allowed


def may_assign(session: Session, actor: Actor, task: ManualTask) -> MayAct:
    """Whether `actor` may give the task to somebody else: who builds workflows, and who was asked."""
    if may(actor, MANAGE) or (may(actor, PERMISSION) and is_asked(session, actor, task).allowed):
        return MayAct(True)
    return MayAct(False, f"This needs the permission {MANAGE}, or being who was asked.")


def granter_of(session: Session, task: ManualTask) -> int | None:
    """The person who granted the access that the task's run is about; None where it was no person."""
    return session.get_one(Grant, session.get_one(Run, task.run_id).grant_id).granted_by_id


def pending_refusal(task: ManualTask) -> Conflict | None:
    """Why nobody can act on the task any more, naming who did and when; None while it is still to be done."""
    if task.status == TaskStatus.DONE:
        at = f" at {task.acted_at:%H:%M} UTC" if task.acted_at else ""
        return Conflict(f"{task.acted_by} acted on this task{at}: {task.outcome}.")
    if task.status == TaskStatus.OBSOLETE:
        return Conflict("This task is no longer needed: its run ended otherwise.")
    return None


def assignee_words(session: Session, task: ManualTask) -> str:
    """Whom the task is for, by name."""
    user = session.get(User, task.assignee_user_id) if task.assignee_user_id is not None else None
    group = session.get(Group, task.assignee_group_id) if task.assignee_group_id is not None else None
    return assigned_words(user, group)


def assigned_words(user: User | None, group: Group | None) -> str:
    """The same of a person or a group that it is to be for."""
    if user is not None:
        return user.name
    return group.name if group is not None else "Anyone with the permission"
