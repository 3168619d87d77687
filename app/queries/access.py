"""Who has access to what, as the access pages list it. Every list is bounded and paged by key."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import Session, contains_eager, joinedload

from app.models import Grant, Run, User

# More people than this matching, and nearly every page of a list holds some: then the list itself is walked.
_FEW = 200
SHOWN = ("active", "revoked", "all")


class Match(NamedTuple):
    """Somebody who may be given access, and how many active grants on the application they hold already."""

    id: int
    name: str
    email: str
    held: int


def grants_page(
    session: Session,
    *,
    size: int,
    application_id: int | None = None,
    user_id: int | None = None,
    shown: str = "all",
    state: str = "",
    text: str = "",
    before: int | None = None,
    after: int | None = None,
) -> Sequence[Grant]:
    """Up to `size` + 1 grants with person and application, newest first, or oldest first from `after` on.

    `shown` is one of SHOWN, `state` a chip's word, `text` a part of the person's name, email or username.
    """
    statement = (
        select(Grant)
        .join(User, User.id == Grant.user_id)
        .options(contains_eager(Grant.user).lazyload(User.role), joinedload(Grant.application))
        .limit(size + 1)
    )
    if application_id is not None:
        statement = statement.where(Grant.application_id == application_id)
    if user_id is not None:
        statement = statement.where(Grant.user_id == user_id)
    if shown != "all":
        statement = statement.where(
            Grant.revoked_at.is_(None) if shown == "active" else Grant.revoked_at.is_not(None)
        )
    if state:
        statement = statement.where(Grant.state == state)
    if text:
        statement = statement.where(_of_people(session, text))
    if after is not None:
        statement = statement.where(Grant.id > after).order_by(Grant.id)
    else:
        statement = statement.order_by(Grant.id.desc())
        statement = statement.where(Grant.id < before) if before is not None else statement
    return session.scalars(statement).all()


def matching_people(session: Session, text: str, *, application_id: int, limit: int = 20) -> list[Match]:
    """Active people whose name, email, username or employee id holds `text`, by email."""
    statement = select(User.id, User.first_name, User.last_name, User.email).where(User.is_active)
    if text:
        statement = statement.where(person_matches(text))
    found = session.execute(statement.order_by(func.lower(User.email)).limit(limit)).all()
    return _with_held(session, found, application_id)


def one_match(session: Session, user_id: int, *, application_id: int) -> list[Match]:
    """The same for one person: empty when there is no such active person."""
    statement = select(User.id, User.first_name, User.last_name, User.email).where(
        User.is_active, User.id == user_id
    )
    return _with_held(session, session.execute(statement).all(), application_id)


def same_grant(
    session: Session,
    *,
    application_id: int,
    user_id: int,
    by_id: int | None,
    access_level: str,
    expires_at: datetime | None,
    notes: str,
    since: datetime,
) -> int | None:
    """The active grant that this actor made, word for word, since their form was shown: a double click.

    The pair must be locked, or two clicks at once would both find none.
    """
    return session.scalar(
        select(Grant.id)
        .where(
            Grant.user_id == user_id,
            Grant.application_id == application_id,
            Grant.granted_by_id == by_id,
            Grant.access_level == access_level,
            Grant.expires_at.is_(None) if expires_at is None else Grant.expires_at == expires_at,
            Grant.notes == notes,
            Grant.granted_at >= since,
            Grant.revoked_at.is_(None),
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


def other_active_grant(session: Session, grant: Grant) -> int | None:
    """Another active grant of the same person on the same application: the one that keeps their access."""
    return session.scalar(
        select(Grant.id)
        .where(
            Grant.user_id == grant.user_id,
            Grant.application_id == grant.application_id,
            Grant.revoked_at.is_(None),
            Grant.id != grant.id,
        )
        .limit(1)
    )


def person_matches(text: str) -> ColumnElement[bool]:
    """Whether the person's full name, email, username or employee id holds `text`, whatever its case."""
    wanted = text.lower()
    full_name = func.lower(User.first_name + " " + User.last_name)
    columns: tuple[ColumnElement[Any], ...] = (
        full_name,
        func.lower(User.email),
        func.lower(User.username),
        func.lower(User.employee_id),
    )
    return or_(*(column.contains(wanted, autoescape=True) for column in columns))


def _of_people(session: Session, text: str) -> ColumnElement[bool]:
    ids = session.scalars(select(User.id).where(person_matches(text)).limit(_FEW + 1)).all()
    return Grant.user_id.in_(ids) if len(ids) <= _FEW else person_matches(text)


def _with_held(session: Session, found: Sequence[Any], application_id: int) -> list[Match]:
    counting = (
        select(Grant.user_id, func.count(Grant.id))
        .where(
            Grant.user_id.in_([row.id for row in found]),
            Grant.application_id == application_id,
            Grant.revoked_at.is_(None),
        )
        .group_by(Grant.user_id)
    )
    held = {user_id: count for user_id, count in session.execute(counting)} if found else {}
    return [
        Match(
            row.id, f"{row.first_name} {row.last_name}".strip() or row.email, row.email, held.get(row.id, 0)
        )
        for row in found
    ]
