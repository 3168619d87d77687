"""What a look found is written down, and told to those who should know."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import update
from sqlalchemy.orm import Session

from app.database import changed
from app.domain.alerts import words as alert_words
from app.domain.alerts.rules import AlertKind, Audience, Channel, Difference, Matter, OpenAlert
from app.models import Alert
from app.services.alerts.telling import close_alerts, grow, open_alert, people_of, tell

# Told together when several are found at the same look.
_TOGETHER = frozenset(
    {
        AlertKind.WORKER_LOST,
        AlertKind.TASK_ASSIGNED,
        AlertKind.TASK_DUE_SOON,
        AlertKind.TASK_OVERDUE,
        AlertKind.GRANT_EXPIRES,
    }
)
# Who is told where nobody of those asked may act: somebody has to see to it.
_OTHERWISE = Audience("workflow:run")


def write_down(session: Session, found: Difference, *, channels: Collection[Channel], now: datetime) -> int:
    """Open, grow and close alerts as `found` says; the number of messages that were written."""
    told = 0
    _note_leaving(session, found, now)
    closed = close_alerts(session, sorted(found.over), now=now)
    for row in closed:
        told += _tell_end(session, row, channels, now)
    for alert, matter in found.grown:
        if grow(session, alert, matter):
            _tell_growth(session, alert, matter, channels, now)
            told += 1
    return told + _open(session, found.fresh, channels, now)


def _open(session: Session, fresh: Sequence[Matter], channels: Collection[Channel], now: datetime) -> int:
    groups: defaultdict[Any, list[tuple[int, Matter]]] = defaultdict(list)
    for matter in fresh:
        alert_id = open_alert(session, matter, now=now)
        if alert_id is None or not matter.is_told:
            continue
        together = (matter.kind, matter.audience) if matter.kind in _TOGETHER else alert_id
        groups[together].append((alert_id, matter))
    for group in groups.values():
        alert_id, first = group[0]
        said = alert_words.together(first.kind, [matter for _, matter in group])
        tell(
            session,
            said,
            kind=first.kind,
            transition="opened",
            people=_people(session, first.audience),
            channels=channels,
            now=now,
            alert_id=alert_id,
        )
    return len(groups)


def _tell_growth(
    session: Session, alert: OpenAlert, matter: Matter, channels: Collection[Channel], now: datetime
) -> None:
    tell(
        session,
        alert_words.grown(matter.said, matter.level, alert.level),
        kind=alert.kind,
        transition=f"grew from {alert.level}",
        people=_people(session, matter.audience),
        channels=channels,
        now=now,
        alert_id=alert.id,
    )


def _tell_end(session: Session, row: Any, channels: Collection[Channel], now: datetime) -> int:
    kind = AlertKind(row.kind)
    if not kind.tells_end:
        return 0
    tell(
        session,
        alert_words.resolved(kind, row.title, row.path),
        kind=kind,
        transition="resolved",
        people=_people(session, Audience(row.permission, row.user_id, row.group_id)),
        channels=channels,
        now=now,
        alert_id=row.id,
    )
    return 1


def _people(session: Session, audience: Audience) -> list[int]:
    return people_of(session, audience) or people_of(session, _OTHERWISE)


def _note_leaving(session: Session, found: Difference, now: datetime) -> None:
    for ids, since in ((found.leaving, now), (found.back, None)):
        if ids:
            changed(
                session,
                update(Alert).where(Alert.id.in_(ids), Alert.closed_at.is_(None)).values(gone_since=since),
            )
