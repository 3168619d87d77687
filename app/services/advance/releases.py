"""Letting runs go on that wait for a connection: as a trial one after the other, a few at a time once it answers."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Select, and_, insert, literal_column, or_, select, update
from sqlalchemy import Connection as DbConnection

from app.database import changed
from app.domain.runs import breaker as breaker_rules
from app.domain.runs.breaker import BreakerState
from app.models import Run, RunEvent
from app.models.operations import is_paused
from app.queries.workflow_versions import versions_by_id
from app.services.advance.breakers import Known, locked, save

# A run that is due so soon still stands before its call; it may have become due since the asker's own time was taken.
SOON = timedelta(seconds=5)
# Those of which a later call may still come.
_NOT_OVER: list[ColumnElement[str]] = [
    literal_column(f"'{one}'") for one in ("queued", "running", "waiting_manual", "failed")
]


def release(connection: DbConnection, known: Known, *, now: datetime) -> list[int]:
    """Let as many waiting runs go on as the breaker says; which. It is held by the caller."""
    before = known.breaker
    trial = not before.state.is_quiet and before.state is not BreakerState.DRAINING
    words = f"Goes on as a trial: is {known.name} back?" if trial else f"Goes on: {known.name} is back."
    count = breaker_rules.to_release(before, now)
    ids = let_go(connection, known.connection_id, words, count, now=now, trial=trial)
    if ids:
        save(connection, known, breaker_rules.released(before, now, first=ids[0]), now)
    return ids


def is_spent(connection: DbConnection, known: Known, *, now: datetime) -> bool:
    """Whether the run that was let through as a trial no longer stands before, or in, a call on the connection.

    It was superseded or cancelled, failed before anything was sent, was told to come later, or went on elsewhere.
    """
    trial = known.breaker.trial_run_id
    if known.breaker.state is not BreakerState.TRIAL or trial is None:
        return False
    row = connection.execute(
        select(Run.version_id, Run.cursor).where(
            Run.id == trial,
            Run.let_through_id == known.connection_id,
            or_(Run.in_flight, and_(Run.status == literal_column("'running'"), Run.due_at <= now + SOON)),
        )
    ).one_or_none()
    if row is None:
        return True
    step = versions_by_id(connection, {row.version_id})[row.version_id].step(row.cursor)
    return step is None or step.connection_number != known.connection_id


def pass_on(connection: DbConnection, connection_ids: Collection[int], *, now: datetime) -> list[int]:
    """Let the next run through at once where the trial's run has left without an answer that tells; which.

    What is passed over here, such as a breaker that somebody else holds, the sweeper's next look finds.
    """
    if not connection_ids or connection.scalar(select(is_paused())):
        return []
    found = locked(connection, connection_ids, free_only=True).values()
    return [
        run_id
        for known in found
        if is_spent(connection, known, now=now)
        for run_id in release(connection, known, now=now)
    ]


def let_go(  # whose runs, how many, and what is said
    connection: DbConnection,
    connection_id: int,
    words: str,
    count: int,
    *,
    now: datetime,
    trial: bool = False,
) -> list[int]:
    """Make up to `count` waiting runs due, oldest first, and as a `trial` the one that has waited longest.

    One that failed its trial waits anew, so that all have their turn.  No run that was let through before may then
    call as well: it would meet an outage at its own cost.
    """
    order = (Run.waits_since, Run.id) if trial else (Run.id,)
    waiting = select(Run.id).where(Run.waits_for_id == connection_id).order_by(*order).limit(count)
    ids = list(connection.execute(waiting.with_for_update(skip_locked=True, key_share=True)).scalars())
    if not ids:
        return []
    if trial:
        _call_back(connection, connection_id)
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


def let_through(connection_id: int) -> Select[int]:
    """The runs that were let through on the connection and may call again."""
    return select(Run.id).where(Run.status.in_(_NOT_OVER), Run.let_through_id == connection_id)


def _call_back(connection: DbConnection, connection_id: int) -> None:
    before = let_through(connection_id).with_for_update(skip_locked=True, key_share=True)
    ids = list(connection.execute(before).scalars())
    if ids:
        changed(connection, update(Run).where(Run.id.in_(ids)).values(let_through_id=None))
