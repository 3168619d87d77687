"""An alert from its opening to its deletion: what a look found is written down and told, and forgotten in the end.

Everybody's notice and every delivery are written in the transaction of what they tell.  Guarded throughout: of two
who write the same, one does, and the other finds nothing left to do.
"""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, exists, insert, select, update
from sqlalchemy.orm import Session

from app.database import changed, changed_one, upsert
from app.domain.alerts import words as alert_words
from app.domain.alerts.rules import AlertChanges, AlertKind, AlertText, Audience, Channel, Matter, OpenAlert
from app.errors import NotFound
from app.models import Alert, AlertDelivery, AlertMessage, AlertNotice, GroupMember, Role, User
from app.permissions import Actor, effective_permissions
from app.services import audit

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
# From when a message was written, or its alert closed.
KEPT_FOR = timedelta(days=90)
AT_ONCE = 500


def write_down(session: Session, found: AlertChanges, *, channels: Collection[Channel], now: datetime) -> int:
    """Open, grow and close alerts as `found` says; the number of messages that were written."""
    written = 0
    _note_leaving(session, found, now)
    closed = close_alerts(session, sorted(found.over), now=now)
    for row in closed:
        written += _tell_end(session, row, channels, now)
    for alert, matter in found.grown:
        if grow(session, alert, matter):
            _tell_growth(session, alert, matter, channels, now)
            written += 1
    return written + _open(session, found.fresh, channels, now)


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
        alert_text = alert_words.together(first.kind, [matter for _, matter in group])
        tell(
            session,
            alert_text,
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
        alert_words.grown(matter.alert_text, matter.level, alert.level),
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


def _note_leaving(session: Session, found: AlertChanges, now: datetime) -> None:
    for ids, since in ((found.leaving, now), (found.back, None)):
        if ids:
            changed(
                session,
                update(Alert).where(Alert.id.in_(ids), Alert.closed_at.is_(None)).values(gone_since=since),
            )


def open_alert(session: Session, matter: Matter, *, now: datetime) -> int | None:
    """Write the matter down as open; its number, or None when it is open already."""
    audience = matter.audience
    statement = (
        upsert(session, Alert)
        .values(
            kind=matter.kind,
            subject=matter.subject,
            about_id=matter.about_id,
            about_at=matter.about_at,
            title=matter.alert_text.title,
            path=matter.alert_text.path,
            level=matter.level,
            permission=audience.permission,
            user_id=audience.user_id,
            group_id=audience.group_id,
            opened_at=now,
        )
        .on_conflict_do_nothing()
        .returning(Alert.id)
    )
    return session.execute(statement).scalar_one_or_none()


def grow(session: Session, alert: OpenAlert, matter: Matter) -> bool:
    """Note the level that is told now; False when somebody else has told of it, or it has closed."""
    as_told = (Alert.id == alert.id, Alert.level == alert.level, Alert.closed_at.is_(None))
    return changed_one(session, update(Alert).where(*as_told).values(level=matter.level, gone_since=None))


def close_alerts(session: Session, ids: Collection[int], *, now: datetime) -> Sequence[Any]:
    """Close these, as far as they are open, and take them off everybody's bell; the rows that were closed."""
    if not ids:
        return []
    closed = session.execute(
        update(Alert)
        .where(Alert.id.in_(ids), Alert.closed_at.is_(None))
        .values(closed_at=now)
        .returning(
            Alert.id, Alert.kind, Alert.title, Alert.path, Alert.permission, Alert.user_id, Alert.group_id
        )
        .execution_options(synchronize_session=False)
    ).all()
    about = select(AlertMessage.id).where(AlertMessage.alert_id.in_([row.id for row in closed]))
    changed(
        session,
        update(AlertNotice)
        .where(AlertNotice.message_id.in_(about), AlertNotice.read_at.is_(None))
        .values(read_at=now),
    )
    return sorted(closed, key=lambda row: int(row.id))


def tell(
    session: Session,
    alert_text: AlertText,
    *,
    kind: AlertKind,
    transition: str,
    people: Iterable[int],
    channels: Collection[Channel],
    now: datetime,
    alert_id: int | None = None,
) -> int:
    """Write the message, a notice for each of these people, and its deliveries; the message's number."""
    to = sorted(set(people))
    message_id: int = session.execute(
        insert(AlertMessage)
        .values(
            uid=secrets.token_hex(16),
            alert_id=alert_id,
            kind=kind,
            transition=transition,
            title=alert_text.title,
            lines=list(alert_text.lines),
            path=alert_text.path,
            created_at=now,
        )
        .returning(AlertMessage.id)
    ).scalar_one()
    if to:
        session.execute(insert(AlertNotice), [{"message_id": message_id, "user_id": one} for one in to])
    common = {"message_id": message_id, "alert_id": alert_id, "due_at": now}
    rows: list[dict[str, Any]] = []
    if Channel.MAIL in channels:
        rows += [common | {"channel": Channel.MAIL, "user_id": one} for one in to]
    if Channel.WEBHOOK in channels:
        rows.append(common | {"channel": Channel.WEBHOOK, "user_id": None})
    if rows:
        session.execute(insert(AlertDelivery), rows)
    return message_id


def people_of(session: Session, audience: Audience) -> list[int]:
    """Who is told: active people who hold the permission, of those asked; in two statements."""
    roles = session.execute(select(Role.id, Role.kind, Role.permissions)).all()
    able = [
        one.id for one in roles if audience.permission in effective_permissions(one.kind, one.permissions)
    ]
    wanted: list[ColumnElement[bool]] = [User.is_active.is_(True), User.role_id.in_(able)]
    if audience.user_id is not None:
        wanted.append(User.id == audience.user_id)
    elif audience.group_id is not None:
        members = select(GroupMember.user_id).where(GroupMember.group_id == audience.group_id)
        wanted.append(User.id.in_(members))
    if audience.barred_id is not None:
        wanted.append(User.id != audience.barred_id)
    return list(session.scalars(select(User.id).where(*wanted).order_by(User.id)))


def is_any_old(connection: Connection, *, now: datetime) -> bool:
    """Whether `forget_old` may find something."""
    before = now - KEPT_FOR
    return any(
        connection.execute(one.limit(1)).first() is not None
        for one in (
            select(AlertMessage.id).where(AlertMessage.created_at < before, ~_is_under_way()),
            select(Alert.id).where(Alert.closed_at < before, ~_has_message()),
        )
    )


def forget_old(session: Session, *, now: datetime) -> None:
    """Delete up to AT_ONCE old messages with their notices and deliveries, and closed alerts that have none left."""
    before = now - KEPT_FOR
    old = select(AlertMessage.id).where(AlertMessage.created_at < before, ~_is_under_way()).limit(AT_ONCE)
    ids = session.scalars(old).all()
    changed(session, delete(AlertMessage).where(AlertMessage.id.in_(ids)))
    closed = session.scalars(
        select(Alert.id).where(Alert.closed_at < before, ~_has_message()).limit(AT_ONCE)
    ).all()
    changed(session, delete(Alert).where(Alert.id.in_(closed)))


def _is_under_way() -> ColumnElement[bool]:
    return exists().where(AlertDelivery.message_id == AlertMessage.id, AlertDelivery.status == "pending")


def _has_message() -> ColumnElement[bool]:
    return exists().where(AlertMessage.alert_id == Alert.id)


def mark_read(session: Session, actor: Actor, message_id: int, *, now: datetime) -> None:
    """Note that `actor` has read the message; reading it again changes nothing.

    Raises NotFound for a message that is not at this person's bell.
    """
    key = {"message_id": message_id, "user_id": actor.user_id or 0}
    if session.get(AlertNotice, key) is None:
        raise NotFound("There is no such alert for you.")
    if _mark(session, actor, now, message_id):
        audit.record(session, actor, "alert.read", session.get_one(AlertMessage, message_id), now=now)


def mark_all_read(session: Session, actor: Actor, *, up_to: int, now: datetime) -> int:
    """Note that `actor` has read every message up to that number, so none that came since; how many that were."""
    count = _mark(session, actor, now, up_to, every=True)
    if count:
        alerts, changes = audit.Subject("alert", up_to, "Alerts"), {"messages": [None, count]}
        audit.record(session, actor, "alert.read_all", alerts, now=now, changes=changes)
    return count


def _mark(session: Session, actor: Actor, now: datetime, message_id: int, *, every: bool = False) -> int:
    column = AlertNotice.message_id
    unread = (
        AlertNotice.user_id == (actor.user_id or 0),
        column <= message_id if every else column == message_id,
        AlertNotice.read_at.is_(None),
    )
    return changed(session, update(AlertNotice).where(*unread).values(read_at=now))


def write_test(session: Session, actor: Actor, *, channels: Collection[Channel], now: datetime) -> int:
    """A test alert, the same way out as any other, to whoever sends it and to the webhook; the message's number."""
    person = session.get_one(User, actor.user_id)
    alert_text = alert_words.test(alert_words.person(person.first_name, person.last_name, person.id))
    message_id = tell(
        session,
        alert_text,
        kind=AlertKind.TEST,
        transition="test",
        people=[person.id],
        channels=channels,
        now=now,
    )
    message = audit.Subject("alert", message_id, alert_text.title)
    changes = {"channels": [None, sorted(one.value for one in channels)]}
    audit.record(session, actor, "alert.test", message, now=now, changes=changes)
    return message_id
