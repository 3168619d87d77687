"""The sweeper's look at what people should know of: read first, and write only when something has changed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from flask import Flask
from sqlalchemy.orm import Session

from app.connectors.alerts import Channels
from app.database import db_now
from app.domain.alerts.rules import AlertChanges, apart_from, difference
from app.extensions import db
from app.queries.alert_items import digest, fresh_items, items_over
from app.queries.alert_states import open_alerts, states, with_remedies
from app.queries.liveness import Adrift
from app.services.alerts.lifecycle import forget_old, is_any_old, write_down
from app.services.transaction import transaction


def look(app: Flask, *, adrift: Sequence[Adrift] = (), now: datetime | None = None) -> int:
    """One look, inside an application context; the number of messages that were written.

    Several may look at once: what is written is guarded, so that each message is written by one of them. `adrift` are
    the runs that were found to stand still, `now` is the database's own time unless it is given.
    """
    channels: Channels = app.extensions["alerts"]
    with Session(db.engine) as session:
        at = now or db_now(session.connection())
        found = seen(session, now=at, adrift=adrift)
        has_old = is_any_old(session.connection(), now=at)
    told = 0
    if found:
        with transaction() as writing:
            told = write_down(writing, found, channels=channels.names, now=at)
    if has_old:
        with transaction() as writing:
            forget_old(writing, now=at)
    return told


def seen(session: Session, *, now: datetime, adrift: Sequence[Adrift] = ()) -> AlertChanges:
    """What differs now from what was written down, in a bounded number of statements."""
    known = open_alerts(session)
    matters = [*states(session, now=now, adrift=adrift), *digest(session, known, now=now)]
    found = difference(known, matters, now=now)
    told = with_remedies(session, apart_from(found.fresh, matters))
    found.fresh = [*told, *fresh_items(session, now=now)]
    found.over += items_over(session, now=now)
    return found
