"""The outbox: who sends what next, and what came of it. Any number may send; each row is one sender's at a time."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Select, exists, literal_column, or_, select, update
from sqlalchemy.orm import Session, aliased

from app.connectors.alerts import DeliveryOutcome, OutgoingAlert
from app.database import changed_one
from app.domain.alerts.rules import GIVE_UP_AFTER, AlertKind, Channel, wait_after
from app.models import AlertDelivery, AlertMessage, User

# Longer than any try takes: a row that is held beyond it has lost its sender.
HELD_FOR = timedelta(minutes=2)
DIED = "Its sender stopped before it noted what came of it, so it may arrive twice."
DIED_TWICE = "Its sender stopped twice while sending it, so it is not tried again. It may have arrived."
NOBODY = "This person has been deactivated since."

_earlier = aliased(AlertDelivery)


def take(
    session: Session, channel: Channel, *, now: datetime, only: Collection[int] | None = None
) -> OutgoingAlert | None:
    """The next delivery of this channel, now the caller's to send; None when nothing is due.

    A matter's messages go out in their order to each recipient. `only` looks among the deliveries of these
    messages. A row whose former sender died is sent once more, and said to be uncertain; one that took two
    senders with it is given up, so that it does not take others.
    """
    while True:
        row = session.execute(_due(channel, now, only)).first()
        if row is None:
            return None
        delivery, message, user = row
        has_died = delivery.held_until is not None
        if has_died and delivery.uncertain:
            _settle(session, delivery.id, delivery.tries, status="failed", problem=DIED_TWICE)
            continue
        if user is not None and not user.is_active:
            _settle(session, delivery.id, delivery.tries, status="failed", problem=NOBODY)
            continue
        changes: dict[str, Any] = {"uncertain": True, "problem": DIED} if has_died else {}
        changes |= {"tries": delivery.tries + 1, "held_until": now + HELD_FOR, "tried_at": now}
        if not _settle(session, delivery.id, delivery.tries, **changes):
            continue
        return OutgoingAlert(
            delivery_id=delivery.id,
            tries=delivery.tries + 1,
            channel=channel,
            uid=message.uid,
            alert_id=message.alert_id,
            kind=AlertKind(message.kind),
            transition=message.transition,
            title=message.title,
            lines=tuple(message.lines),
            path=message.path,
            at=message.created_at,
            to_name=user.name if user is not None else "",
            to_address=user.email if user is not None else "",
        )


def is_any_due(connection: Connection, channel: Channel, *, now: datetime) -> bool:
    """Whether `take` may find something."""
    statement = select(AlertDelivery.id).where(
        AlertDelivery.status == literal_column("'pending'"),
        AlertDelivery.channel == channel,
        AlertDelivery.due_at <= now,
    )
    return connection.execute(statement.limit(1)).first() is not None


def note(session: Session, outgoing: OutgoingAlert, outcome: DeliveryOutcome, *, now: datetime) -> bool:
    """Write down what came of a try; False when somebody else has begun another one meanwhile."""
    if outcome.delivered:
        return _settle(
            session,
            outgoing.delivery_id,
            outgoing.tries,
            status="delivered",
            delivered_at=now,
            held_until=None,
            due_at=now,
        )
    is_over = outcome.lasting or now - outgoing.at >= GIVE_UP_AFTER
    changes = {"uncertain": True} if outcome.uncertain else {}
    return _settle(
        session,
        outgoing.delivery_id,
        outgoing.tries,
        status="failed" if is_over else "pending",
        problem=outcome.problem,
        held_until=None,
        due_at=now + wait_after(outgoing.tries),
        **changes,
    )


def _due(
    channel: Channel, now: datetime, only: Collection[int] | None
) -> Select[AlertDelivery, AlertMessage, User]:
    is_behind = exists().where(
        _earlier.status == literal_column("'pending'"),
        _earlier.channel == AlertDelivery.channel,
        _earlier.alert_id == AlertDelivery.alert_id,
        _earlier.user_id.is_not_distinct_from(AlertDelivery.user_id),
        _earlier.id < AlertDelivery.id,
    )
    statement = (
        select(AlertDelivery, AlertMessage, User)
        .join(AlertMessage, AlertMessage.id == AlertDelivery.message_id)
        .outerjoin(User, User.id == AlertDelivery.user_id)
        .where(
            AlertDelivery.status == literal_column("'pending'"),
            AlertDelivery.channel == channel,
            AlertDelivery.due_at <= now,
            or_(AlertDelivery.held_until.is_(None), AlertDelivery.held_until < now),
            ~is_behind,
        )
        .order_by(AlertDelivery.due_at, AlertDelivery.id)
        .limit(1)
        .execution_options(populate_existing=True)
    )
    return statement if only is None else statement.where(AlertDelivery.message_id.in_(only))


def _settle(session: Session, delivery_id: int, seen: int, **values: object) -> bool:
    """Compare and set: True when the row was still to be delivered, and nobody had tried since."""
    as_seen = (
        AlertDelivery.id == delivery_id,
        AlertDelivery.status == "pending",
        AlertDelivery.tries == seen,
    )
    return changed_one(session, update(AlertDelivery).where(*as_seen).values(values))
