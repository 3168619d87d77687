"""What the sweeper does for connections that are parked: probes that are due, and runs that go on, oldest first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, exists, insert, literal_column, select, update
from sqlalchemy import Connection as DbConnection
from sqlalchemy.orm import Session

from app.database import changed
from app.domain.runs import breaker as engine
from app.domain.runs.breaker import Act, BreakerState, Seen
from app.domain.states import FailureClass
from app.models import ConnectionBreaker, Run, RunEvent
from app.models.operations import is_paused
from app.services import connection_test
from app.services.advance.breakers import Known, locked, save
from app.services.connection_test import TestResult

# Those at which something may be due; a refused credential waits for a person.
_MOVING: list[ColumnElement[str]] = [
    literal_column(f"'{one}'") for one in ("parked", "held", "trial", "draining")
]


@dataclass(frozen=True, slots=True)
class Attended:
    """What was done for a connection: the runs that go on, or that its health path is to be probed now."""

    going_on: Sequence[int] = ()
    probe: bool = False


def to_attend(connection: DbConnection, *, now: datetime) -> list[int]:
    """The connections at which something is due, and those that runs wait for; one statement.

    None while runs are paused: what went on would not.
    """
    due = select(ConnectionBreaker.connection_id).where(
        ConnectionBreaker.state.in_(_MOVING), ConnectionBreaker.next_at <= now, ~is_paused()
    )
    waited_for = select(Run.waits_for_id).where(Run.waits_for_id.is_not(None), ~is_paused())
    return sorted(connection.execute(due.union(waited_for)).scalars())


def attend(connection: DbConnection, connection_id: int, *, now: datetime) -> Attended:
    """Do what is due for the connection, in the caller's transaction; nothing when it is not time yet.

    A probe that is asked for is the caller's to make, after the commit.  Two who attend at once do it once.
    """
    known = locked(connection, [connection_id]).get(connection_id)
    if known is None:
        words = "Goes on: its connection is gone."
        return Attended(_let_go(connection, connection_id, words, engine.MOST_DRAINED, now=now))
    waiting = bool(connection.scalar(select(exists().where(Run.waits_for_id == connection_id))))
    match engine.next_act(known.breaker, now=now, rules=known.rules, waiting=waiting):
        case Act.PROBE:
            save(connection, known, engine.probing(known.breaker, now), now)
            return Attended(probe=True)
        case Act.RELEASE:
            return Attended(_release(connection, known, now))
        case Act.CLOSE:
            save(connection, known, engine.closed(known.breaker, now), now)
    return Attended()


def _release(connection: DbConnection, known: Known, now: datetime) -> list[int]:
    before = known.breaker
    trial = not before.state.is_quiet and before.state is not BreakerState.DRAINING
    words = f"Goes on as a trial: is {known.name} back?" if trial else f"Goes on: {known.name} is back."
    after = known.trial_run_id if trial else None
    count = engine.to_release(before, now)
    ids = _let_go(connection, known.connection_id, words, count, now=now, after=after)
    last_trial = ids[0] if trial and ids else known.trial_run_id
    save(connection, known, engine.released(before, now), now, trial_run_id=last_trial)
    return ids


def _let_go(
    connection: DbConnection,
    connection_id: int,
    words: str,
    count: int,
    *,
    now: datetime,
    after: int | None = None,
) -> list[int]:
    """Make up to `count` waiting runs due, oldest first; those with numbers up to `after` come last."""
    statement = select(Run.id).where(Run.waits_for_id == connection_id)
    if after is not None:
        statement = statement.order_by(Run.id <= after)
    statement = statement.order_by(Run.id).limit(count).with_for_update(skip_locked=True)
    ids = list(connection.execute(statement).scalars())
    if not ids:
        return []
    changed(
        connection,
        update(Run)
        .where(Run.id.in_(ids), Run.waits_for_id == connection_id)
        .values(
            waits_for_id=None,
            waits_since=None,
            let_through_id=connection_id,
            due_at=now,
            changed_at=now,
            revision=Run.revision + 1,
        ),
    )
    events = [{"run_id": one, "at": now, "kind": "goes_on", "message": words} for one in ids]
    connection.execute(insert(RunEvent), events)
    return ids


def note_probe(session: Session, connection_id: int, result: TestResult, *, now: datetime) -> None:
    """Write what a probe found: the connection's health, and what becomes of its parking."""
    connection_test.keep(session, connection_id, result, now=now)
    connection = session.connection()
    known = locked(connection, [connection_id]).get(connection_id)
    if known is not None and known.revision is not None:
        save(connection, known, engine.probed(known.breaker, what_was_seen(result), now), now)


def what_was_seen(result: TestResult) -> Seen | None:
    """What a test says about the connection, as a run's answer would; None when nothing could be sent."""
    if result.outcome == connection_test.REACHABLE:
        return Seen.DONE
    if result.failure in engine.OUTAGE:
        return Seen.DOWN
    if result.status == 401 or (
        result.failure is FailureClass.CONFIGURATION and result.credential_ok is False
    ):
        return Seen.REFUSED
    return Seen.ALIVE if result.status is not None else None
