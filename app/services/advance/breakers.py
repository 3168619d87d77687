"""Breakers in the database: what answers say about their connections, and the one place that writes a state.

A healthy answer of a healthy connection costs no statement; whose state it is was read with the run.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import Connection as DbConnection
from sqlalchemy import func, insert, select, update

from app.connectors.types.table import has_probe
from app.database import changed_one, upsert
from app.domain.runs import breaker as breaker_rules
from app.domain.runs.breaker import Breaker, BreakerRules, BreakerState, Failed, Seen
from app.domain.runs.calls import Outcome
from app.domain.states import FailureClass
from app.models import Attempt, Connection, ConnectionBreaker, Run, RunEvent
from app.services.advance.write_plan import LostRace

_TABLE = ConnectionBreaker.__table__
_STORED = (
    "state",
    "refusals",
    "since",
    "parked_at",
    "until",
    "next_at",
    "probes",
    "drained_at",
    "rate",
    "trial_run_id",
    "vain",
)

log = structlog.get_logger("breakers")


@dataclass(frozen=True, slots=True)
class Known:
    """A connection with its breaker and rules. `revision` is None while it has no row."""

    connection_id: int
    application_id: int
    name: str
    rules: BreakerRules
    breaker: Breaker
    revision: int | None


@dataclass(frozen=True, slots=True)
class CallOutcome:
    """What a run's call on a connection came to."""

    connection_id: int
    run_id: int
    seen: Seen
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Observed:
    """The states of connections after these calls, and the runs whose failure is their own."""

    states: Mapping[int, BreakerState]
    blamed: frozenset[int] = frozenset()


def rules_of(connection_type: str, config: Mapping[str, Any]) -> BreakerRules:
    """When the connection is parked, by its settings."""
    failures, seconds = config.get("park_after_failures"), config.get("park_window_seconds")
    return BreakerRules(
        failures=breaker_rules.FAILURES if failures is None else int(failures),
        window=timedelta(seconds=breaker_rules.WINDOW_SECONDS if seconds is None else int(seconds)),
        has_probe=has_probe(connection_type),
    )


def observe_all(connection: DbConnection, outcomes: Iterable[CallOutcome], now: datetime) -> Observed:
    """Let each breaker hear what calls came to, in order; what is then true of these connections."""
    by_connection: dict[int, list[CallOutcome]] = {}
    for call in outcomes:
        by_connection.setdefault(call.connection_id, []).append(call)
    if not by_connection:
        return Observed({})
    blamed: set[int] = set()
    states: dict[int, BreakerState] = {}
    for known in locked(connection, by_connection, make=True).values():
        breaker, last = known.breaker, None
        for call in by_connection[known.connection_id]:
            if _is_blamed(connection, known, breaker, call, now):
                blamed.add(call.run_id)
                breaker = breaker_rules.observe_blamed(breaker, now, known.rules, run=call.run_id)
            else:
                breaker = breaker_rules.observe(breaker, call.seen, now, known.rules, run=call.run_id)
            last = call.outcome if call.seen in (Seen.DOWN, Seen.REFUSED) else last
        save(connection, known, breaker, now, failed=last)
        states[known.connection_id] = breaker.state
    return Observed(states, frozenset(blamed))


def _is_blamed(
    connection: DbConnection, known: Known, breaker: Breaker, call: CallOutcome, now: datetime
) -> bool:
    """Whether the call's failure is its run's own, which its timeline is then told."""
    if not breaker_rules.may_blame(breaker, call.seen):
        return False
    met_it = (
        Attempt.run_id == call.run_id,
        Run.let_through_id == known.connection_id,
        Attempt.step_key == Run.cursor,
        Attempt.edge == breaker_rules.WAITS,
        Attempt.finished_at >= known.breaker.parked_at,
    )
    tries = select(func.count()).select_from(Attempt).join(Run, Run.id == Attempt.run_id)
    met = connection.scalar(tries.where(*met_it)) or 0
    if not breaker_rules.blames(breaker, call.seen, run=call.run_id, met=met):
        return False
    words = breaker_rules.blame_words(known.name, met)
    event = {"run_id": call.run_id, "at": now, "kind": "waits_no_longer", "message": words}
    connection.execute(insert(RunEvent), event)
    return True


def locked(
    connection: DbConnection, ids: Collection[int], *, make: bool = False, free_only: bool = False
) -> dict[int, Known]:
    """The breakers of these connections, held until the transaction ends, in the order of their numbers.

    With `make` each gets a row; without, one that has none is given as closed.  Gone connections are left out, and
    with `free_only` those whose breaker somebody else holds.
    """
    if free_only:
        ids = _hold(connection, ids, free_only=True)
    rows = _rows(connection, ids)
    if make and any(row.revision is None for row in rows):
        _make(connection, [row.connection_id for row in rows if row.revision is None])
        rows = _rows(connection, ids)
    return {row.connection_id: _known(row) for row in rows}


def _hold(connection: DbConnection, ids: Collection[int], *, free_only: bool = False) -> list[int]:
    held = (
        select(ConnectionBreaker.connection_id)
        .where(ConnectionBreaker.connection_id.in_(ids))
        .order_by(ConnectionBreaker.connection_id)
        .with_for_update(skip_locked=free_only, key_share=True)
    )
    return list(connection.execute(held).scalars())


def _rows(connection: DbConnection, ids: Collection[int]) -> list[Any]:
    """Connections with their breakers. The breakers are locked first, alone: their order is that of their numbers."""
    _hold(connection, ids)
    statement = (
        select(
            Connection.id.label("connection_id"),
            Connection.application_id,
            Connection.type,
            Connection.name,
            Connection.config,
            *(_TABLE.c[name] for name in (*_STORED, "failures", "revision")),
        )
        .join(ConnectionBreaker, ConnectionBreaker.connection_id == Connection.id, isouter=True)
        .where(Connection.id.in_(ids))
        .order_by(Connection.id)
    )
    return list(connection.execute(statement))


def _make(connection: DbConnection, ids: Collection[int]) -> None:
    rows = connection.execute(
        select(Connection.id, Connection.application_id).where(Connection.id.in_(ids)).order_by(Connection.id)
    ).all()
    fresh = [
        {"connection_id": row.id, "application_id": row.application_id, **_values(Breaker()), "revision": 0}
        for row in rows
    ]
    if fresh:
        connection.execute(upsert(connection, _TABLE).values(fresh).on_conflict_do_nothing())


def _known(row: Any) -> Known:
    breaker = Breaker()
    if row.revision is not None:
        stored = {name: getattr(row, name) for name in _STORED}
        failures = tuple(_read_failed(one) for one in row.failures)
        breaker = Breaker(**stored | {"state": BreakerState(row.state), "failures": failures})
    return Known(
        row.connection_id,
        row.application_id,
        row.name,
        rules_of(row.type, row.config),
        breaker,
        row.revision,
    )


def _values(breaker: Breaker) -> dict[str, Any]:
    values = {name: getattr(breaker, name) for name in _STORED}
    return values | {"failures": [f"{one.at.isoformat()} {one.run}" for one in breaker.failures]}


def _read_failed(text: str) -> Failed:
    at, _, run = text.partition(" ")
    return Failed(datetime.fromisoformat(at), int(run or 0))


def save(
    connection: DbConnection,
    known: Known,
    after: Breaker,
    now: datetime,
    *,
    failed: Outcome | None = None,
    **columns: Any,
) -> None:
    """Write a breaker's new state; whatever parks a connection, or ends that, comes by here.

    `failed` is what the last call came to, `columns` are further ones to set. Raises LostRace when somebody else
    wrote it meanwhile.
    """
    if after == known.breaker and not columns:
        return
    if failed is not None:
        columns |= {"failure_class": failed.failure, "failure_status": failed.http_status}
    if after.parked_at is not None:
        columns |= {"last_parked_at": after.parked_at}
    elif known.breaker.parked_at is not None:
        columns |= {"reason": None, "parked_by": None}
    writing = (
        update(_TABLE)
        .where(_TABLE.c.connection_id == known.connection_id, _TABLE.c.revision == known.revision)
        .values(**_values(after), **columns, revision=_TABLE.c.revision + 1)
    )
    if not changed_one(connection, writing):
        raise LostRace("A connection's breaker was changed by somebody else.")
    if known.breaker.parked_at is None and after.parked_at is not None:
        _note_parked(known, after, failed.failure if failed else None)
    elif known.breaker.parked_at is not None and after.parked_at is None:
        _note_recovered(known, now)


def _note_parked(known: Known, after: Breaker, failure: FailureClass | None) -> None:
    """The connection was in use and is parked from now on: said once an outage, in the transaction that parks it."""
    log.warning(
        "connection.parked", connection_id=known.connection_id, state=after.state.value, failure=failure
    )


def _note_recovered(known: Known, now: datetime) -> None:
    """Nothing waits for the connection any more: said once an outage, in the transaction that ends it."""
    assert known.breaker.parked_at is not None
    lasted = round((now - known.breaker.parked_at).total_seconds())
    log.info("connection.recovered", connection_id=known.connection_id, lasted_seconds=lasted)
