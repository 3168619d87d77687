"""Records as the API lists them: whole, in the order of their ids, a page at a time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from app.domain.states import TaskStatus
from app.models import (
    Group,
    ManualTask,
    User,
)
from app.queries.task_rules import ways_of_being_asked


@dataclass(frozen=True, slots=True)
class TaskFilters:
    """What a list of tasks is narrowed to. `mine`: those for the person `user_id` or for anyone."""

    status: TaskStatus | None = None
    application_id: int | None = None
    mine: bool = False
    user_id: int | None = None


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
        statement = statement.where(or_(*ways_of_being_asked(filters.user_id)))
    return session.scalars(statement).all()


def asked(session: Session, found: Iterable[ManualTask]) -> tuple[Sequence[User], Sequence[Group]]:
    """The people and groups that these tasks are for, in two statements."""
    user_ids = {one.assignee_user_id for one in found if one.assignee_user_id is not None}
    group_ids = {one.assignee_group_id for one in found if one.assignee_group_id is not None}
    people = session.scalars(select(User).where(User.id.in_(user_ids))).all()
    return people, session.scalars(select(Group).where(Group.id.in_(group_ids))).all()


def _after(
    statement: Select[Any], key: InstrumentedAttribute[int], after: int | None, limit: int
) -> Select[Any]:
    if after is not None:
        statement = statement.where(key > after)
    return statement.order_by(key).limit(limit)
