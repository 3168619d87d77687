"""Writing down that a matter opened, grew or ended, with everybody's notice and every delivery, in one transaction.

Guarded throughout: of two who write the same, one does, and the other finds nothing left to do.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, insert, select, update
from sqlalchemy.orm import Session

from app.database import changed, changed_one, upsert
from app.domain.alerts.rules import AlertKind, Audience, Channel, Matter, OpenAlert, Said
from app.models import Alert, AlertDelivery, AlertMessage, AlertNotice, GroupMember, Role, User
from app.permissions import effective_permissions


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
            title=matter.said.title,
            path=matter.said.path,
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
    said: Said,
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
            title=said.title,
            lines=list(said.lines),
            path=said.path,
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
