"""What people do about parked connections: park one by hand, let it go on, and mend what parked it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from app.domain.runs import breaker as engine
from app.domain.runs.breaker import BreakerState
from app.errors import Conflict, Invalid
from app.models import Connection
from app.permissions import Actor
from app.schemas.connections import ParkIn
from app.services import audit
from app.services.advance.breakers import Known, locked, save

LONGEST = timedelta(days=30)


def park(session: Session, actor: Actor, connection: Connection, data: ParkIn, *, now: datetime) -> None:
    """Park a connection until a time, for a reason; parking it again changes both.

    Raises Invalid when the end is missing, over, or more than 30 days away.
    """
    until = data.until
    if until is None:
        raise Invalid.field("until", "Enter when it ends. It can be ended before.")
    if until <= now:
        raise Invalid.field("until", "Enter a time that is still to come.")
    if until - now > LONGEST:
        raise Invalid.field("until", f"Enter a time within {LONGEST.days} days.")
    known = _known(session, connection)
    old = known.breaker.until.isoformat() if known.breaker.until else None
    save(
        session.connection(),
        known,
        engine.held(known.breaker, until, now),
        now,
        reason=data.reason,
        parked_by=actor.name[:200],
        failure_class=None,
        failure_status=None,
    )
    audit.record(
        session,
        actor,
        "connection.park",
        connection,
        now=now,
        reason=data.reason,
        changes={"until": [old, until.isoformat()]},
    )


def unpark(session: Session, actor: Actor, connection: Connection, *, now: datetime) -> None:
    """Let one waiting run through now, and the others after it when it succeeds.

    Raises Conflict when the connection is not parked (any more).
    """
    known = _known(session, connection)
    if not known.breaker.state.is_parked:
        raise Conflict(f"{connection.name} is not parked. It may have come back just now.")
    save(session.connection(), known, engine.tried(known.breaker, now), now)
    audit.record(session, actor, "connection.unpark", connection, now=now)


def credential_mended(session: Session, connection_id: int, *, now: datetime) -> None:
    """A credential was entered: what was parked for the old one is tried with it."""
    _try(session, connection_id, BreakerState.REFUSED, now=now)


def found_reachable(session: Session, actor: Actor, connection: Connection, *, now: datetime) -> None:
    """A person's test reached the system: whatever failures parked it, it is tried. A parking by hand stays."""
    if _try(session, connection.id, BreakerState.PARKED, BreakerState.REFUSED, now=now):
        reason = "A test reached it."
        audit.record(session, actor, "connection.unpark", connection, now=now, reason=reason)


def settings_changed(session: Session, connection_id: int, *, now: datetime) -> None:
    """Its configuration is another: it is probed at once, or let go on when it is never to be parked."""
    known = locked(session.connection(), [connection_id])[connection_id]
    if known.breaker.state not in (BreakerState.PARKED, BreakerState.REFUSED):
        return
    after = known.breaker
    if not known.rules.is_on:
        after = engine.tried(after, now)
    elif after.state is BreakerState.PARKED:
        after = replace(after, next_at=now, probes=0)
    save(session.connection(), known, after, now)


def _try(session: Session, connection_id: int, *states: BreakerState, now: datetime) -> bool:
    known = locked(session.connection(), [connection_id]).get(connection_id)
    if known is None or known.breaker.state not in states:
        return False
    save(session.connection(), known, engine.tried(known.breaker, now), now)
    return True


def _known(session: Session, connection: Connection) -> Known:
    return locked(session.connection(), [connection.id], make=True)[connection.id]
