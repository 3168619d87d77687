"""What a person does about alerts: read them, which touches nobody else's bell, and try whether they arrive."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import update
from sqlalchemy.orm import Session

from app.database import changed
from app.domain.alerts import words as alert_words
from app.domain.alerts.rules import AlertKind, Channel
from app.errors import NotFound
from app.models import AlertMessage, AlertNotice, User
from app.permissions import Actor
from app.services import audit
from app.services.alerts.lifecycle import tell


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
    said = alert_words.test(alert_words.person(person.first_name, person.last_name, person.id))
    message_id = tell(
        session,
        said,
        kind=AlertKind.TEST,
        transition="test",
        people=[person.id],
        channels=channels,
        now=now,
    )
    message = audit.Subject("alert", message_id, said.title)
    changes = {"channels": [None, sorted(one.value for one in channels)]}
    audit.record(session, actor, "alert.test", message, now=now, changes=changes)
    return message_id
