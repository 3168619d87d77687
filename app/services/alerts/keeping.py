"""How long alerts are kept: three months after they closed, with what was told and what came of it."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, delete, exists, select
from sqlalchemy.orm import Session

from app.database import changed
from app.models import Alert, AlertDelivery, AlertMessage

KEPT_FOR = timedelta(days=90)
AT_ONCE = 500


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
