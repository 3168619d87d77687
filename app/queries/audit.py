"""The audit trail as its page, its export and the API list it, the newest first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from app.models import AuditEvent, User
from app.queries.paging import page_by_number

_EXPORTED_AT_ONCE = 500
_PEOPLE = 50


@dataclass(frozen=True, slots=True)
class AuditFilters:
    """What the trail is narrowed to; what is left out does not narrow it.

    `who` is part of a name or an email address, `about` part of a record's name. `until` is left out itself.
    """

    action: str = ""
    subject_type: str = ""
    subject_id: str = ""
    actor_id: int | None = None
    who: str = ""
    about: str = ""
    since: datetime | None = None
    until: datetime | None = None


def audit_list(
    session: Session,
    filters: AuditFilters,
    *,
    limit: int,
    before: int | None = None,
    after: int | None = None,
) -> Sequence[AuditEvent]:
    """Up to `limit` entries, the newest first, from a neighbour on (see `queries.paging`)."""
    statement = page_by_number(_narrowed(filters), AuditEvent.id, before, after)
    return session.scalars(statement.limit(limit)).all()


def every_entry(session: Session, filters: AuditFilters, told: Callable[[AuditEvent], str]) -> Iterator[str]:
    """All entries as `told` puts them, the newest first, read a few hundred at a time.

    No transaction is open while somebody takes what is given, which may be at the speed of a slow line.
    """
    before: int | None = None
    while True:
        rows = audit_list(session, filters, limit=_EXPORTED_AT_ONCE, before=before)
        lines = [told(one) for one in rows]
        before = rows[-1].id if rows else None
        session.rollback()  # and the entries are let go of
        yield from lines
        if len(lines) < _EXPORTED_AT_ONCE:
            return


def actions(session: Session) -> list[str]:
    """Every action that was ever recorded, in order."""
    return _distinct(session, AuditEvent.action)


def subject_types(session: Session) -> list[str]:
    """Every kind of record that something was ever done to, in order."""
    return _distinct(session, AuditEvent.subject_type)


def _narrowed(filters: AuditFilters) -> Select[Any]:
    statement = select(AuditEvent)
    if filters.who:
        people = (
            select(User.id)
            .where(User.email.icontains(filters.who, autoescape=True))
            .limit(_PEOPLE)
            .subquery()
        )
        statement = statement.where(
            or_(
                AuditEvent.actor.icontains(filters.who, autoescape=True),
                AuditEvent.actor_id.in_(select(people.c.id)),
            )
        )
    if filters.about:
        statement = statement.where(AuditEvent.subject.icontains(filters.about, autoescape=True))
    for column, value in (
        (AuditEvent.action, filters.action),
        (AuditEvent.subject_type, filters.subject_type),
        (AuditEvent.subject_id, filters.subject_id),
        (AuditEvent.actor_id, filters.actor_id),
    ):
        if value:
            statement = statement.where(column == value)
    if filters.since is not None:
        statement = statement.where(AuditEvent.at >= filters.since)
    if filters.until is not None:
        statement = statement.where(AuditEvent.at < filters.until)
    return statement


def _distinct(session: Session, column: InstrumentedAttribute[str]) -> list[str]:
    """The column's values by one look into its index for each, however many rows hold it."""
    found = select(func.min(column).label("word")).cte("found", recursive=True)
    following = select(func.min(column)).where(column > found.c.word).scalar_subquery()
    found = found.union_all(select(following).where(found.c.word.is_not(None)))
    return list(session.scalars(select(found.c.word).where(found.c.word.is_not(None))))
