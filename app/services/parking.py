"""Parked connections: people park and unpark them and mend what parked them, the sweeper lets their runs go on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, exists, literal_column, select
from sqlalchemy import Connection as DbConnection
from sqlalchemy.orm import Session

from app.domain.runs import breaker as breaker_rules
from app.domain.runs.breaker import Act, BreakerState
from app.errors import Conflict, Invalid
from app.models import Connection, ConnectionBreaker, Run
from app.models.operations import is_paused
from app.permissions import Actor
from app.schemas.connections import ParkIn
from app.services import audit
from app.services.advance.breakers import Known, locked, save
from app.services.advance.releases import is_spent, let_go, release

LONGEST = timedelta(days=30)
# Those at which something may be due; a refused credential waits for a person.
_MOVING: list[ColumnElement[str]] = [
    literal_column(f"'{one}'") for one in ("parked", "held", "trial", "draining")
]


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What was done for a connection: the runs that go on, or that its health path is to be probed now."""

    going_on: Sequence[int] = ()
    probe: bool = False


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
        breaker_rules.held(known.breaker, until, now),
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
    save(session.connection(), known, breaker_rules.tried(known.breaker, now), now)
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
        after = breaker_rules.tried(after, now)
    elif after.state is BreakerState.PARKED:
        after = replace(after, next_at=now, probes=0)
    save(session.connection(), known, after, now)


def _try(session: Session, connection_id: int, *states: BreakerState, now: datetime) -> bool:
    known = locked(session.connection(), [connection_id]).get(connection_id)
    if known is None or known.breaker.state not in states:
        return False
    save(session.connection(), known, breaker_rules.tried(known.breaker, now), now)
    return True


def _known(session: Session, connection: Connection) -> Known:
    return locked(session.connection(), [connection.id], make=True)[connection.id]


def to_reconcile(connection: DbConnection, *, now: datetime) -> list[int]:
    """The connections at which something is due, and those that runs wait for; one statement.

    None while runs are paused: what went on would not.
    """
    due = select(ConnectionBreaker.connection_id).where(
        ConnectionBreaker.state.in_(_MOVING), ConnectionBreaker.next_at <= now, ~is_paused()
    )
    waited_for = select(Run.waits_for_id).where(Run.waits_for_id.is_not(None), ~is_paused())
    return sorted(connection.execute(due.union(waited_for)).scalars())


def reconcile(connection: DbConnection, connection_id: int, *, now: datetime) -> Reconciled:
    """Do what is due for the connection, in the caller's transaction; nothing when it is not time yet.

    A probe that is asked for is the caller's to make, after the commit.  Two who reconcile at once do it once.
    """
    known = locked(connection, [connection_id]).get(connection_id)
    if known is None:
        words = "Goes on: its connection is gone."
        return Reconciled(let_go(connection, connection_id, words, breaker_rules.MOST_DRAINED, now=now))
    if is_spent(connection, known, now=now):
        known = replace(known, breaker=breaker_rules.spent(known.breaker, now))
    waiting = bool(connection.scalar(select(exists().where(Run.waits_for_id == connection_id))))
    match breaker_rules.next_act(known.breaker, now=now, rules=known.rules, waiting=waiting):
        case Act.PROBE:
            save(connection, known, breaker_rules.probing(known.breaker, now), now)
            return Reconciled(probe=True)
        case Act.RELEASE:
            return Reconciled(release(connection, known, now=now))
        case Act.CLOSE:
            save(connection, known, breaker_rules.closed(known.breaker, now), now)
    return Reconciled()
