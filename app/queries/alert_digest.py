"""The daily digest: what began, what was resolved since, and what is still open, read from the alerts themselves."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, func, literal_column, select
from sqlalchemy.orm import Session

from app.domain.alerts import words as alert_words
from app.domain.alerts.rules import LISTED, AlertKind, Matter, OpenAlert, Said
from app.models import Alert, ManualTask
from app.queries.alert_states import OPERATORS

# In UTC, as all times of the console.
HOUR = 7
DAY = timedelta(days=1)
_TROUBLE = (
    AlertKind.FAILURES,
    AlertKind.REVOKE_FAILED,
    AlertKind.CONNECTION_PARKED,
    AlertKind.WORKER_LOST,
)
# More than this are counted as "and more": one longer than what a list shows.
_READ = 20 * LISTED


def digest(session: Session, known: Sequence[OpenAlert], *, now: datetime) -> list[Matter]:
    """Today's digest from HOUR on. It is read only once: while it is among the `known` alerts it just holds.

    On a day of which there is nothing to tell it is noted, and nobody is told.
    """
    if now.hour < HOUR:
        return []
    day = f"{now.day} {now:%b %Y}"
    if any(one.kind is AlertKind.DIGEST and one.subject == day for one in known):
        return [Matter(AlertKind.DIGEST, day, OPERATORS, Said("", (), "/"))]
    since = now - DAY
    failed = _titles(session, Alert.opened_at >= since)
    fixed = _titles(session, and_(Alert.closed_at >= since, Alert.kind != AlertKind.WORKER_LOST))
    still_open = _titles(session, Alert.closed_at.is_(None))
    overdue = session.scalar(
        select(func.count()).where(ManualTask.status == literal_column("'pending'"), ManualTask.due_at < now)
    )
    said = alert_words.digest(
        day=day, failed=failed, fixed=fixed, still_open=still_open, overdue=overdue or 0
    )
    return [
        Matter(
            AlertKind.DIGEST,
            day,
            OPERATORS,
            said,
            is_told=bool(failed or fixed or still_open or overdue),
        )
    ]


def _titles(session: Session, condition: ColumnElement[bool]) -> Sequence[str]:
    statement = select(Alert.title).where(Alert.kind.in_(_TROUBLE), condition).order_by(Alert.id).limit(_READ)
    return session.scalars(statement).all()
