"""Whose a run is: taking it, keeping it, and taking it back from a worker that gives no sign."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, exists, or_, select, update
from sqlalchemy.orm import aliased

from app.domain.runs import signals as m
from app.models.operations import is_paused
from app.models.run import Run, is_ahead_of, is_moving, is_new
from app.queries.run_facts import load, runs_with_facts
from app.services.advance.moves import Holder, Move, Moved, apply, resume

_ahead = aliased(Run)


def lane_is_free() -> Any:
    """No run of the same person on the same application is under way, and none that came before is still to go."""
    return ~exists(select(_ahead.id).where(is_ahead_of(_ahead, Run)))


def _claimable() -> Select[Any]:
    return runs_with_facts().where(is_moving(Run.status), Run.worker.is_(None), lane_is_free(), ~is_paused())


def claim(
    connection: Connection, holder: Holder, *, now: datetime, ids: Collection[int] | None, limit: int
) -> list[Moved]:
    """Take up to `limit` due runs, oldest first, and start what each has to do next.

    With `ids`, only of those, new ones even when they look a little early; None takes any that are due.  A run is
    taken by one worker only: rows that another one is just taking are passed over, and the guarded write refuses
    the rest.  Returns what became of each run that was taken; those with an order are now the holder's.
    """
    statement = _claimable().limit(limit).with_for_update(of=Run, skip_locked=True, key_share=True)
    if ids is not None:
        statement = statement.where(Run.id.in_(ids), or_(is_new(), Run.due_at <= now))
    else:
        # By due time, so that the index of moving runs is walked and not the whole history.
        statement = statement.where(Run.due_at <= now).order_by(None).order_by(Run.due_at, Run.id)
    loaded = load(connection, statement, now)
    return apply(connection, [(Move(one.row.id, m.Proceed()), one) for one in loaded], now=now, holder=holder)


def adopt(connection: Connection, holder: Holder, *, now: datetime, held: Collection[int]) -> list[Moved]:
    """Orders of runs that are the holder's in the database but not in its memory (`held`).

    That happens when a claim was committed and the reply got lost; their calls were never made.
    """
    statement = (
        runs_with_facts()
        .where(Run.worker == holder.worker, Run.id.not_in(held))
        .with_for_update(of=Run, key_share=True)
    )
    return resume(connection, load(connection, statement, now), now=now, holder=holder)


def renew(connection: Connection, holder: Holder, *, now: datetime, fences: dict[int, int]) -> None:
    """Keep the runs that are being worked on (run id to fence) for another lease."""
    if not fences:
        return
    connection.execute(
        update(Run)
        .where(Run.id.in_(fences), Run.worker == holder.worker)
        .values(lease_until=now + holder.lease)
    )


def take_back_lost(connection: Connection, *, now: datetime, limit: int) -> list[Moved]:
    """Free up to `limit` runs whose lease ran out: what was under way has an unknown outcome from here on."""
    statement = (
        runs_with_facts()
        .where(Run.worker.is_not(None), Run.lease_until < now)
        .limit(limit)
        .with_for_update(of=Run, skip_locked=True, key_share=True)
    )
    loaded = load(connection, statement, now)
    moves = [(Move(one.row.id, m.WorkerLost()), one) for one in loaded]
    return apply(connection, moves, now=now, holder=None)
