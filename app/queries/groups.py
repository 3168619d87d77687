"""Groups: as lists show them, who is in them, and where they are asked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import String, cast, func, select
from sqlalchemy.orm import Session

from app.models import Application, Group, GroupMember, User, Workflow, WorkflowVersion
from app.queries.paging import page_by_number


class Use(NamedTuple):
    """A step of a live workflow whose task goes to the group."""

    application_id: int
    application: str
    workflow: str
    is_enabled: bool
    step: str


def groups_by_age(session: Session, *, limit: int, before: int | None = None) -> Sequence[Group]:
    """Up to `limit` groups, the oldest first; `before` reads on behind that one."""
    return session.scalars(
        page_by_number(select(Group), Group.id, before, None, rising=True).limit(limit)
    ).all()


def groups_by_name(
    session: Session, *, limit: int, text: str = "", before: str | None = None, after: str | None = None
) -> Sequence[Group]:
    """Up to `limit` groups by name; `before` and `after` are names, whether or not a group has them.

    `before` reads on behind that name, `after` reads backwards from it.
    """
    key = func.lower(Group.name)
    statement = select(Group)
    if text:
        statement = statement.where(Group.name.icontains(text, autoescape=True))
    if after is not None:
        statement = statement.where(key < func.lower(after)).order_by(key.desc())
    else:
        statement = statement.order_by(key)
        if before is not None:
            statement = statement.where(key > func.lower(before))
    return session.scalars(statement.limit(limit)).all()


def members_list(
    session: Session, group_id: int, *, limit: int, before: int | None = None, after: int | None = None
) -> Sequence[User]:
    """Up to `limit` members of a group, the oldest record first, from a neighbour on."""
    statement = select(User).join(GroupMember, GroupMember.user_id == User.id)
    statement = statement.where(GroupMember.group_id == group_id)
    statement = page_by_number(statement, GroupMember.user_id, before, after, rising=True)
    return session.scalars(statement.limit(limit)).all()


def members_of(session: Session, group_ids: Iterable[int]) -> dict[int, list[int]]:
    """The members' ids of each group, in one statement."""
    found: dict[int, list[int]] = {one: [] for one in group_ids}
    rows = session.execute(
        select(GroupMember.group_id, GroupMember.user_id)
        .where(GroupMember.group_id.in_(found))
        .order_by(GroupMember.group_id, GroupMember.user_id)
    )
    for group_id, user_id in rows:
        found[group_id].append(user_id)
    return found


def sizes(session: Session, group_ids: Sequence[int]) -> dict[int, int]:
    """How many people are in each of these groups."""
    statement = (
        select(GroupMember.group_id, func.count())
        .where(GroupMember.group_id.in_(group_ids))
        .group_by(GroupMember.group_id)
    )
    counted = {group_id: count for group_id, count in session.execute(statement)}
    return {group_id: counted.get(group_id, 0) for group_id in group_ids}


def uses_of(session: Session, group_id: int) -> list[Use]:
    """The steps of live workflows, in their newest version, that ask this group."""
    # The database sorts out what names no group at all; which one is named is read here, as JSON.
    statement = (
        select(Application.id, Application.name, Workflow.name, Workflow.is_enabled, WorkflowVersion.steps)
        .join(Application, Application.id == Workflow.application_id)
        .join(WorkflowVersion, WorkflowVersion.id == Workflow.version_id)
        .where(Workflow.deleted_at.is_(None), cast(WorkflowVersion.steps, String).contains("group_id"))
        .order_by(func.lower(Application.name), Workflow.id)
    )
    wanted = str(group_id)
    return [
        Use(application_id, application, workflow, is_enabled, str(step.get("name") or step.get("key")))
        for application_id, application, workflow, is_enabled, steps in session.execute(statement)
        for step in steps
        if str((step.get("assignee") or {}).get("group_id")) == wanted
    ]
