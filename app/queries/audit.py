"""The audit trail as its page and its export show it, the newest first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from app.models import AuditEvent, User

_EXPORTED_AT_ONCE = 500
_PEOPLE = 50


@dataclass(frozen=True, slots=True)
class AuditSearch:
    """What the trail is narrowed to; what is left out does not narrow it.

    `who` is part of a name or an email address, `about` part of a record's name. `until` is left out itself.
    """

    who: str = ""
    action: str = ""
    about: str = ""
    subject_type: str = ""
    subject_id: str = ""
    since: datetime | None = None
    until: datetime | None = None


def audit_page(
    session: Session, search: AuditSearch, *, limit: int, before: int | None = None, after: int | None = None
) -> Sequence[AuditEvent]:
    """Up to `limit` entries, the newest first; `before` gives older ones than that number, `after` the newer ones,
    oldest first.
    """
    statement = _narrowed(search)
    if before is not None:
        statement = statement.where(AuditEvent.id < before).order_by(AuditEvent.id.desc())
    elif after is not None:
        statement = statement.where(AuditEvent.id > after).order_by(AuditEvent.id)
    else:
        statement = statement.order_by(AuditEvent.id.desc())
    return session.scalars(statement.limit(limit)).all()


def every_entry(session: Session, search: AuditSearch) -> Iterator[AuditEvent]:
    """All entries, the newest first, read a few hundred at a time; none is kept, nor is a transaction."""
    before: int | None = None
    while True:
        rows = audit_page(session, search, limit=_EXPORTED_AT_ONCE, before=before)
        yield from rows
        before = rows[-1].id if rows else None
        session.rollback()  # and the entries are let go of
        if len(rows) < _EXPORTED_AT_ONCE:
            return


def actions(session: Session) -> list[str]:
    """Every action that was ever recorded, in order."""
    return _distinct(session, AuditEvent.action)


def subject_types(session: Session) -> list[str]:
    """Every kind of record that something was ever done to, in order."""
    return _distinct(session, AuditEvent.subject_type)


def _narrowed(search: AuditSearch) -> Select[Any]:
    statement = select(AuditEvent)
    if search.who:
        people = (
            select(User.id).where(User.email.icontains(search.who, autoescape=True)).limit(_PEOPLE).subquery()
        )
        statement = statement.where(
            or_(
                AuditEvent.actor.icontains(search.who, autoescape=True),
                AuditEvent.actor_id.in_(select(people.c.id)),
            )
        )
    if search.about:
        statement = statement.where(AuditEvent.subject.icontains(search.about, autoescape=True))
    for column, value in (
        (AuditEvent.action, search.action),
        (AuditEvent.subject_type, search.subject_type),
        (AuditEvent.subject_id, search.subject_id),
    ):
        if value:
            statement = statement.where(column == value)
    if search.since is not None:
        statement = statement.where(AuditEvent.at >= search.since)
    if search.until is not None:
        statement = statement.where(AuditEvent.at < search.until)
    return statement


def _distinct(session: Session, column: InstrumentedAttribute[str]) -> list[str]:
    """The column's values by one look into its index for each, however many rows hold it."""
    found = select(func.min(column).label("word")).cte("found", recursive=True)
    following = select(func.min(column)).where(column > found.c.word).scalar_subquery()
    found = found.union_all(select(following).where(found.c.word.is_not(None)))
    return list(session.scalars(select(found.c.word).where(found.c.word.is_not(None))))
