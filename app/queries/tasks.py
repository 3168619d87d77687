"""Tasks as the inbox lists them and as their pages show them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, Select, and_, func, literal_column, not_, or_, select, union_all
from sqlalchemy.orm import Session, defer, joinedload

from app.domain.states import TaskOrigin, TaskStatus
from app.models import Group, ManualTask, Run, User
from app.permissions import Actor, may
from app.queries.paging import page_by_number
from app.queries.task_rules import PERMISSION, READ, groups_of, is_for, not_barred, ways_of_being_asked
from app.queries.workflow_versions import step_names

# The number beside the navigation says no more than “20+”.
COUNTED = 20
View = Literal["open", "mine", "overdue", "done"]
_CURSOR = re.compile(r"([mo]?)([0-9]{1,18})")
# As a constant: the index of what is still to be done answers only to the word itself.
_pending: ColumnElement[bool] = ManualTask.status == literal_column("'pending'")


@dataclass(frozen=True, slots=True)
class TaskFilters:
    """What a list of tasks is narrowed to. `mine`: those for the person `user_id` or for anyone."""

    status: TaskStatus | None = None
    application_id: int | None = None
    mine: bool = False
    user_id: int | None = None


@dataclass(frozen=True, slots=True)
class InboxFilters:
    """What the inbox is narrowed to."""

    view: View = "open"
    application_id: int | None = None
    origin: TaskOrigin | None = None


@dataclass(frozen=True, slots=True)
class TaskRow:
    """A task in the inbox; `mine` when the reader may act on it. `assignee` is a name, "" for anyone."""

    task: ManualTask
    step: str
    assignee: str
    mine: bool
    barred: bool

    @property
    def key(self) -> str:
        """Where a page of the list begins or ends."""
        return f"{'m' if self.mine else 'o'}{self.task.id}"


def waiting_for(session: Session, actor: Actor) -> int:
    """How many tasks `actor` may act on; more than COUNTED are counted as one more. One statement."""
    if actor.user_id is None or not may(actor, PERMISSION):
        return 0
    branches = [
        select(ManualTask.id).where(_pending, one, not_barred(actor)).limit(COUNTED + 1).subquery()
        for one in ways_of_being_asked(actor.user_id)
    ]
    found = union_all(*(select(one.c.id) for one in branches)).subquery()
    return min(session.scalar(select(func.count()).select_from(found)) or 0, COUNTED + 1)


def task_list(
    session: Session, filters: TaskFilters, *, limit: int, before: int | None = None
) -> Sequence[ManualTask]:
    """Up to `limit` tasks, the oldest first; `before` reads on behind that one."""
    statement = select(ManualTask)
    if filters.status is not None:
        statement = statement.where(ManualTask.status == filters.status)
    if filters.application_id is not None:
        statement = statement.where(ManualTask.application_id == filters.application_id)
    if filters.mine:
        statement = statement.where(or_(*ways_of_being_asked(filters.user_id)))
    statement = page_by_number(statement, ManualTask.id, before, None, rising=True)
    return session.scalars(statement.limit(limit)).all()


def inbox(
    session: Session,
    actor: Actor,
    filters: InboxFilters,
    *,
    now: datetime,
    limit: int,
    before: str = "",
    after: str = "",
) -> list[TaskRow]:
    """Up to `limit` tasks that `actor` may see: those they may act on first, the oldest first; done ones newest
    first.

    `before` reads on behind that row's key, `after` backwards from it.
    """
    backwards, cursor = bool(after) and not before, _CURSOR.fullmatch(before or after)
    sections = _sections(actor, filters, now)
    newest_first = filters.view == "done"
    if backwards:
        sections.reverse()
    start = next((n for n, (name, _) in enumerate(sections) if cursor and cursor[1] == name), 0)
    found: list[tuple[str, ManualTask]] = []
    for place, (name, condition) in enumerate(sections[start:]):
        statement = _listed(filters).where(condition)
        if cursor is not None and place == 0:
            number = int(cursor[2])
            statement = statement.where(
                ManualTask.id < number if newest_first != backwards else ManualTask.id > number
            )
        falling = newest_first != backwards
        statement = statement.order_by(ManualTask.id.desc() if falling else ManualTask.id)
        found += [(name, one) for one in session.scalars(statement.limit(limit - len(found)))]
        if len(found) >= limit:
            break
    return _rows(session, actor, found)


def tasks_of_person(session: Session, actor: Actor, user_id: int, *, limit: int) -> list[TaskRow]:
    """Up to `limit` tasks about this person's access or asked of them by name: open ones first, then the newest."""
    about = select(ManualTask.id, _pending.label("is_open")).join(Run, Run.id == ManualTask.run_id)
    asked = select(ManualTask.id, _pending.label("is_open")).where(ManualTask.assignee_user_id == user_id)
    branches = [
        one.order_by(_pending.desc(), ManualTask.id.desc()).limit(limit).subquery()
        for one in (about.where(Run.user_id == user_id), asked)
    ]
    ids = union_all(*(select(one.c.id) for one in branches)).subquery()
    statement = _listed(InboxFilters()).where(ManualTask.id.in_(select(ids.c.id)))
    found = session.scalars(statement.order_by(_pending.desc(), ManualTask.id.desc()).limit(limit))
    return _rows(session, actor, [("", one) for one in found])


def asked(
    session: Session, found: Sequence[ManualTask]
) -> tuple[dict[int | None, User], dict[int | None, Group]]:
    """The people and the groups that these tasks are for, by number; no statement where there are none."""
    user_ids = {one.assignee_user_id for one in found} - {None}
    group_ids = {one.assignee_group_id for one in found} - {None}
    users: dict[int | None, User] = {}
    groups: dict[int | None, Group] = {}
    if user_ids:
        users = {one.id: one for one in session.scalars(select(User).where(User.id.in_(user_ids)))}
    if group_ids:
        groups = {one.id: one for one in session.scalars(select(Group).where(Group.id.in_(group_ids)))}
    return users, groups


def _sections(actor: Actor, filters: InboxFilters, now: datetime) -> list[tuple[str, ColumnElement[bool]]]:
    """The parts of the list in order, each with its condition; their names begin the keys of their rows."""
    asked = or_(*ways_of_being_asked(actor.user_id))
    if filters.view == "done":
        own = and_(ManualTask.acted_by_id.is_not(None), ManualTask.acted_by_id == actor.user_id)
        seen = literal_column("1 = 1") if may(actor, READ) else or_(asked, own)
        return [("o", and_(ManualTask.status != literal_column("'pending'"), seen))]
    late = [ManualTask.due_at < now] if filters.view == "overdue" else []
    mine = and_(asked, not_barred(actor))
    parts: list[tuple[str, ColumnElement[bool]]] = []
    if may(actor, PERMISSION):
        parts.append(("m", and_(_pending, mine, *late)))
    if filters.view == "mine":
        return parts
    if not may(actor, PERMISSION):
        others: ColumnElement[bool] = literal_column("1 = 1")
    else:
        others = not_(mine) if may(actor, READ) else and_(asked, not_(not_barred(actor)))
    return [*parts, ("o", and_(_pending, others, *late))]


def _listed(filters: InboxFilters) -> Select[Any]:
    run = joinedload(ManualTask.run)
    statement = select(ManualTask).options(
        run.joinedload(Run.user).lazyload(User.role),
        run.joinedload(Run.application),
        run.options(defer(Run.captured, raiseload=True), defer(Run.attempts_made, raiseload=True)),
    )
    if filters.application_id is not None:
        statement = statement.where(ManualTask.application_id == filters.application_id)
    if filters.origin is not None:
        statement = statement.where(ManualTask.origin == filters.origin)
    return statement


def _rows(session: Session, actor: Actor, found: Sequence[tuple[str, ManualTask]]) -> list[TaskRow]:
    tasks = [task for _name, task in found]
    users, groups = asked(session, tasks)
    names = step_names(session, {task.run.version_id for task in tasks})
    own = groups_of(session, actor.user_id)
    return [
        TaskRow(
            task=task,
            step=names.get((task.run.version_id, task.step_key), task.step_key),
            assignee=_name(users.get(task.assignee_user_id) or groups.get(task.assignee_group_id)),
            mine=section == "m",
            barred=section == "o"
            and task.status == TaskStatus.PENDING
            and not task.granter_may_act
            and may(actor, PERMISSION)
            and is_for(task, actor.user_id, own),
        )
        for section, task in found
    ]


def _name(asked: User | Group | None) -> str:
    return asked.name if asked is not None else ""
