"""Records as the API lists them: whole, in the order of their ids, a page at a time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from app.domain.states import TaskStatus
from app.models import (
    Connection,
    Group,
    GroupMember,
    ManualTask,
    User,
    Workflow,
    WorkflowVersion,
)


@dataclass(frozen=True, slots=True)
class TaskFilters:
    """What a list of tasks is narrowed to. `mine`: those for the person `user_id` or for anyone."""

    status: TaskStatus | None = None
    application_id: int | None = None
    mine: bool = False
    user_id: int | None = None


def connections(
    session: Session, application_id: int, *, limit: int, after: int | None = None
) -> Sequence[Connection]:
    """Up to `limit` connections of an application, the oldest first."""
    statement = select(Connection).where(Connection.application_id == application_id)
    return session.scalars(_after(statement, Connection.id, after, limit)).all()


def workflows(
    session: Session, application_id: int, *, limit: int, after: int | None = None
) -> list[tuple[Workflow, WorkflowVersion | None]]:
    """Up to `limit` live workflows of an application with their newest versions, the oldest first."""
    statement = (
        select(Workflow, WorkflowVersion)
        .outerjoin(WorkflowVersion, WorkflowVersion.id == Workflow.version_id)
        .where(Workflow.application_id == application_id, Workflow.deleted_at.is_(None))
    )
    if after is not None:
        statement = statement.where(Workflow.id > after)
    rows = session.execute(statement.order_by(Workflow.id).limit(limit))
    return [(one, version) for one, version in rows]


def live_workflow(session: Session, workflow_id: int) -> tuple[Workflow, WorkflowVersion | None] | None:
    """A workflow that is not deleted, with its newest version; None without one."""
    found = session.execute(
        select(Workflow, WorkflowVersion)
        .outerjoin(WorkflowVersion, WorkflowVersion.id == Workflow.version_id)
        .where(Workflow.id == workflow_id, Workflow.deleted_at.is_(None))
    ).one_or_none()
    return (found[0], found[1]) if found else None


def versions(
    session: Session, workflow_id: int, *, limit: int, before: int | None = None
) -> Sequence[WorkflowVersion]:
    """Up to `limit` versions of a workflow, the newest first; `before` goes on behind that number."""
    statement = select(WorkflowVersion).where(WorkflowVersion.workflow_id == workflow_id)
    if before is not None:
        statement = statement.where(WorkflowVersion.number < before)
    return session.scalars(statement.order_by(WorkflowVersion.number.desc()).limit(limit)).all()


def tasks(
    session: Session, filters: TaskFilters, *, limit: int, after: int | None = None
) -> Sequence[ManualTask]:
    """Up to `limit` tasks, the oldest first."""
    statement = _after(select(ManualTask), ManualTask.id, after, limit)
    if filters.status is not None:
        statement = statement.where(ManualTask.status == filters.status)
    if filters.application_id is not None:
        statement = statement.where(ManualTask.application_id == filters.application_id)
    if filters.mine:
        statement = statement.where(_is_asked(filters.user_id))
    return session.scalars(statement).all()


def asked(session: Session, found: Iterable[ManualTask]) -> tuple[Sequence[User], Sequence[Group]]:
    """The people and groups that these tasks are for, in two statements."""
    user_ids = {one.assignee_user_id for one in found if one.assignee_user_id is not None}
    group_ids = {one.assignee_group_id for one in found if one.assignee_group_id is not None}
    people = session.scalars(select(User).where(User.id.in_(user_ids))).all()
    return people, session.scalars(select(Group).where(Group.id.in_(group_ids))).all()


def _is_asked(user_id: int | None) -> ColumnElement[bool]:
    for_anyone = ManualTask.assignee_user_id.is_(None) & ManualTask.assignee_group_id.is_(None)
    if user_id is None:
        return for_anyone
    own = select(GroupMember.group_id).where(GroupMember.user_id == user_id)
    return for_anyone | (ManualTask.assignee_user_id == user_id) | ManualTask.assignee_group_id.in_(own)


def _after(
    statement: Select[Any], key: InstrumentedAttribute[int], after: int | None, limit: int
) -> Select[Any]:
    if after is not None:
        statement = statement.where(key > after)
    return statement.order_by(key).limit(limit)
