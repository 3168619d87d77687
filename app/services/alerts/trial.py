"""A test alert: the same way out as any other, to the person who sends it and to the webhook."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy.orm import Session

from app.domain.alerts import words as alert_words
from app.domain.alerts.rules import AlertKind, Channel
from app.models import User
from app.permissions import Actor
from app.services import audit
from app.services.alerts.telling import tell


def write_test(session: Session, actor: Actor, *, channels: Collection[Channel], now: datetime) -> int:
    """Write the message down, to be sent once this is committed; its number."""
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
