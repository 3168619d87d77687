"""Grants: as lists, pages and the API show them, how many there are, and who could be given one."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, exists, func, select
from sqlalchemy.orm import Session, contains_eager, defer, joinedload, lazyload, selectinload

from app.domain.grants.state import CANCELLED, SKIPPED, GrantState
from app.domain.grants.trigger import NoRunReason
from app.domain.states import Trigger
from app.models import Application, Grant, Run, TriggerDecision, User, Workflow
from app.models.grant import is_held
from app.queries.paging import few, fitting, page_by_number
from app.queries.people import PersonFilters, people_list, person_matches
from app.schemas.kinds import MAX_ID

# Counting stops here: nobody needs the exact number of a backlog, and a database should not count one.
ENOUGH = 100
_OF_RUNS = {CANCELLED: "its run was cancelled", SKIPPED: "its run did nothing: every step was skipped"}
_REASONS = {reason.value: reason.label for reason in NoRunReason} | _OF_RUNS


@dataclass(frozen=True, slots=True)
class GrantFilters:
    """What a list of grants is narrowed to; what is left out does not narrow it.

    `text` is part of the person's name, email, username or employee id.
    """

    application_id: int | None = None
    user_id: int | None = None
    is_active: bool | None = None
    state: GrantState | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class GrantChip:
    """A grant's state as a chip.

    `reason` says in words why there is no automation, `reason_code` as it is stored.
    """

    code: str
    label: str
    tone: str
    reason: str | None
    reason_code: str | None
    run_id: int | None


@dataclass(frozen=True, slots=True)
class GrantDetail:
    """A grant with the decisions about its events and its runs, oldest first."""

    grant: Grant
    decisions: list[TriggerDecision]
    runs: list[Run]


class Foreign(NamedTuple):
    """A workflow that answers the trigger on another application on which the same person holds a grant."""

    application_id: int
    application: str
    workflow: str


class Match(NamedTuple):
    """Somebody who may be given access, and how many active grants on the application they hold already."""

    id: int
    name: str
    email: str
    held: int


def grant_list(
    session: Session,
    filters: GrantFilters,
    *,
    limit: int,
    before: int | None = None,
    after: int | None = None,
    with_decisions: bool = False,
) -> Sequence[Grant]:
    """Up to `limit` grants with person and application, newest first, from a neighbour on."""
    statement = (
        select(Grant)
        # Outer, so that SQLite keeps to the order of the grants: each has its person.
        .join(User, User.id == Grant.user_id, isouter=True)
        .options(contains_eager(Grant.user).lazyload(User.role), joinedload(Grant.application))
    )
    if with_decisions:
        statement = statement.options(selectinload(Grant.decisions))
    for column, value in ((Grant.application_id, filters.application_id), (Grant.user_id, filters.user_id)):
        if value is not None:
            statement = statement.where(column == fitting(value))
    if filters.is_active is not None:
        missing = Grant.is_active
        statement = statement.where(missing if filters.is_active else ~missing)
    if filters.state is not None:
        statement = statement.where(Grant.state == filters.state)
    if filters.text:
        is_called = person_matches(filters.text)
        ids = few(session, select(User.id).where(is_called))
        statement = statement.where(Grant.user_id.in_(ids) if ids is not None else is_called)
    return session.scalars(page_by_number(statement, Grant.id, before, after).limit(limit)).all()


def grant_detail(session: Session, grant_id: int) -> GrantDetail | None:
    """The grant with that number and what became of its events, in three statements; None without one."""
    if not 0 < grant_id <= MAX_ID:
        return None
    grant = session.scalars(
        select(Grant)
        .where(Grant.id == grant_id)
        .options(
            joinedload(Grant.user).lazyload(User.role),
            joinedload(Grant.application),
            selectinload(Grant.decisions),
        )
    ).one_or_none()
    if grant is None:
        return None
    runs = session.scalars(
        select(Run)
        .where(Run.grant_id == grant_id)
        .options(defer(Run.captured), defer(Run.attempts_made))
        .order_by(Run.id)
    )
    return GrantDetail(grant, list(grant.decisions), list(runs))


def state_of(grant: Grant) -> GrantChip:
    """The chip of `grant`: the stored state in words. It links to the run, or without one to the decision."""
    state = GrantState(grant.state)
    code = grant.state_reason
    return GrantChip(
        code=state.value,
        label=state.label,
        tone=state.tone,
        reason=_REASONS.get(code, code) if code else None,
        reason_code=code,
        run_id=grant.newest_run_id,
    )


def foreign_workflow(session: Session, grant: Grant, trigger: Trigger) -> Foreign | None:
    """The one on the application that the person was given access to last, or None."""
    row = session.execute(
        select(Application.id, Application.name, Workflow.name.label("workflow"))
        .join(Grant, Grant.application_id == Application.id)
        .join(Workflow, Workflow.application_id == Application.id)
        .where(
            Grant.user_id == grant.user_id,
            Grant.application_id != grant.application_id,
            Workflow.trigger == trigger,
            Workflow.deleted_at.is_(None),
        )
        .order_by(Grant.id.desc())
        .limit(1)
    ).first()
    return Foreign(row.id, row.name, row.workflow) if row is not None else None


def matching_people(session: Session, text: str, *, application_id: int, limit: int) -> list[Match]:
    """Active people whose name, email, username or employee id holds `text`, by email."""
    filters = PersonFilters(text=text, is_active=True)
    return _with_held(session, people_list(session, filters, by_email=True, limit=limit), application_id)


def one_match(session: Session, user_id: int, *, application_id: int) -> list[Match]:
    """The same for one person: empty when there is no such active person."""
    user = session.get(User, user_id)
    return _with_held(session, [user] if user is not None and user.is_active else [], application_id)


def other_active_grant(session: Session, grant: Grant) -> int | None:
    """Another active grant of the same person on the same application: the one that keeps their access."""
    return session.scalar(
        select(Grant.id)
        .where(
            is_held(Grant, grant.user_id, grant.application_id),
            Grant.id != grant.id,
        )
        .limit(1)
    )


def chips_of(
    session: Session, ids: Iterable[int], *, application_id: int
) -> list[tuple[Grant, datetime | None]]:
    """These grants of one application, with their people, and when the newest run of each last changed."""
    statement = (
        select(Grant, Run.changed_at)
        .join(User, User.id == Grant.user_id)
        .outerjoin(Run, Run.id == Grant.newest_run_id)
        .options(contains_eager(Grant.user).lazyload(User.role))
        .where(Grant.id.in_(list(ids)), Grant.application_id == application_id)
        .order_by(Grant.id)
    )
    return [(grant, changed_at) for grant, changed_at in session.execute(statement)]


def grants_without_run(
    session: Session, application_id: int, *, limit: int, after: int | None = None
) -> Sequence[Grant]:
    """Up to `limit` active grants whose granting started no run, oldest first, with their persons.

    `after` is the number of the grant that came last on the page before.
    """
    statement = (
        _without_run(application_id)
        .join(User, User.id == Grant.user_id)
        .options(contains_eager(Grant.user).lazyload(User.role))
        .order_by(Grant.id)
        .limit(limit)
    )
    if after is not None:
        statement = statement.where(Grant.id > after)
    return session.scalars(statement).all()


def has_grants_without_run(session: Session, application_id: int) -> bool:
    """Whether there is any."""
    return session.scalar(_without_run(application_id).with_only_columns(Grant.id).limit(1)) is not None


def grants_to_revoke(
    session: Session, user_id: int, application_ids: Collection[int], *, limit: int
) -> dict[int, list[Grant]]:
    """The person's active grants on these applications, oldest first and `limit` in all, by application."""
    held = select(Grant).where(
        Grant.user_id == user_id, Grant.is_active, Grant.application_id.in_(application_ids)
    )
    found: dict[int, list[Grant]] = {}
    for grant in session.scalars(held.options(lazyload("*")).order_by(Grant.id).limit(limit)):
        found.setdefault(grant.application_id, []).append(grant)
    return found


def expired_grants(connection: Connection, *, now: datetime, limit: int, offset: int = 0) -> Sequence[int]:
    """Up to `limit` active grants whose time is over, by number, that which expired longest ago first."""
    expired = (Grant.is_active, Grant.expires_at.is_not(None), Grant.expires_at <= now)
    statement = select(Grant.id).where(*expired).order_by(Grant.expires_at, Grant.id)
    return connection.scalars(statement.limit(limit).offset(offset)).all()


def active_grants_of_person(session: Session, user_id: int) -> int:
    """How many active grants the person holds, counted up to ENOUGH."""
    return _counted(session, select(Grant.id).where(Grant.user_id == user_id, Grant.is_active))


def active_grants_on(session: Session, application_id: int) -> int:
    """How many active grants there are on the application, counted up to ENOUGH."""
    held = select(Grant.id).where(Grant.application_id == application_id, Grant.is_active)
    return _counted(session, held)


def _with_held(session: Session, users: Sequence[User], application_id: int) -> list[Match]:
    counting = (
        select(Grant.user_id, func.count(Grant.id))
        .where(
            Grant.user_id.in_([one.id for one in users]),
            Grant.application_id == application_id,
            Grant.is_active,
        )
        .group_by(Grant.user_id)
    )
    held = {user_id: count for user_id, count in session.execute(counting)} if users else {}
    return [Match(one.id, one.name, one.email, held.get(one.id, 0)) for one in users]


def _without_run(application_id: int) -> Select[Grant]:
    granted = exists().where(
        TriggerDecision.grant_id == Grant.id,
        TriggerDecision.trigger == Trigger.ACCESS_GRANTED,
        TriggerDecision.run_id.is_(None),
    )
    return select(Grant).where(Grant.application_id == application_id, Grant.is_active, granted)


def _counted(session: Session, rows: Select[Any]) -> int:
    return session.scalar(select(func.count()).select_from(rows.limit(ENOUGH).subquery())) or 0
