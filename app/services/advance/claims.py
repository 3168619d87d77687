"""Whose a run is: taking it, keeping it, and taking it back from a worker that gives no sign."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from copy import copy
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import chain, zip_longest
from typing import Any, TypeVar

from sqlalchemy import Connection, exists, func, or_, select, tuple_, update
from sqlalchemy.orm import aliased

from app.domain.runs import signals as m
from app.domain.runs.calls import Outcome
from app.domain.states import FailureClass
from app.models.operations import is_paused
from app.models.run import Run, is_ahead_of, is_moving, is_new, lease_is_over
from app.queries.run_facts import Loaded, load, runs_with_facts
from app.services.advance.moves import Holder, Move, Moved, apply, resume

# Of the runs that are due, so many of the oldest are looked at for some whose turn it is.
DEPTH = 200
# A run that has been due for this long has not been notified of, or the notification was lost.
OVERDUE_SECONDS = 2
GIVEN_BACK = "Nothing was sent: the worker could not be told in time that it was to."

_ahead = aliased(Run)
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Sent:
    """What identifies a call that was ordered: its run's fence, the step and the try."""

    fence: int
    step: str
    attempt: int


class Claimed(list[Moved]):
    """What became of the runs that were taken; `more` says that others are due which had no place."""

    more = False


def lane_is_free() -> Any:
    """No run of the same person on the same application is under way, and none that came before is still to go."""
    return ~exists(select(_ahead.id).where(is_ahead_of(_ahead, Run)))


def _may_go() -> tuple[Any, ...]:
    return (is_moving(Run.status), Run.worker.is_(None), lane_is_free(), ~is_paused())


def claim(
    connection: Connection, holder: Holder, *, now: datetime, ids: Collection[int] | None, limit: int
) -> Claimed:
    """Take up to `limit` due runs and start what each has to do next.

    With `ids`, only of those, new ones even when they look a little early; None takes any that are due.  Where
    there are more than can be taken, each application has its turn, and none has more than the holder's places
    allow.  A run is taken by one worker only: rows that another one is just taking are passed over, and the guarded
    write refuses the rest.  Those results that have an order are now the holder's.
    """
    claimed = Claimed()
    looked_at = list(ids) if ids is not None else []
    if limit > 0 and (ids is None or len(looked_at) > limit):
        busy = holder.places.busy if holder.places is not None else frozenset()
        found = waiting(connection, now, ids, limit, busy=busy)
        claimed.more = len(found) >= limit
        looked_at = found[: 2 * limit]
    if limit <= 0 or not looked_at:
        return claimed
    statement = (
        runs_with_facts()
        .where(*_may_go(), Run.id.in_(looked_at), or_(is_new(), Run.due_at <= now))
        .with_for_update(of=Run, skip_locked=True, key_share=True)
    )
    loaded = load(connection, statement, now)
    chosen = _with_places(loaded, holder, limit)
    moves = [(Move(one.row.id, m.Proceed()), one) for one in chosen]
    claimed.more = claimed.more or len(chosen) < len(loaded)
    claimed += apply(connection, moves, now=now, holder=holder)
    return claimed


def waiting(
    connection: Connection,
    now: datetime,
    ids: Collection[int] | None,
    limit: int,
    *,
    busy: Collection[int] = (),
) -> list[int]:
    """Numbers of runs whose turn it is, each application's in turn: of `ids`, or of the first and last to be due.

    Up to twice `limit` of each: the last as well, so that a new run of one application is found behind thousands of
    another's.  Those of other applications than the `busy` ones are looked for apart.
    """
    if ids is not None:
        is_due = (Run.id.in_(ids), or_(is_new(), Run.due_at <= now))
        found = [select(Run.id, Run.application_id).where(*_may_go(), *is_due).order_by(Run.id)]
    else:
        first = Run.due_at <= now
        found = [_due(first, depth=max(DEPTH, 2 * limit), limit=2 * limit)]
        found.append(_due(first, depth=limit, limit=limit, newest_first=True))
        if busy:
            found.append(_due(first, Run.application_id.not_in(busy), depth=DEPTH, limit=limit))
    by_application: dict[int, list[int]] = {}
    for statement in found:
        for row in connection.execute(statement):
            by_application.setdefault(row.application_id, []).append(row.id)
    return list(dict.fromkeys(_in_turn(by_application.values())))


def _due(*which: Any, depth: int, limit: int, newest_first: bool = False) -> Any:
    """Up to `limit` of the first `depth` such runs whose lane is free, along the index of moving runs."""

    def order(*columns: Any) -> list[Any]:
        return [one.desc() if newest_first else one for one in columns]

    first = (
        select(Run.id, Run.application_id, Run.user_id, Run.holds_lane, Run.due_at)
        .where(is_moving(Run.status), Run.worker.is_(None), ~is_paused(), *which)
        .order_by(*order(Run.due_at, Run.id))
        .limit(depth)
        .subquery()
    )
    is_free = ~exists(select(_ahead.id).where(is_ahead_of(_ahead, first.c)))
    found = select(first.c.id, first.c.application_id).where(is_free)
    return found.order_by(*order(first.c.due_at, first.c.id)).limit(limit)


def overdue(connection: Connection, *, now: datetime, limit: int) -> list[int]:
    """Up to `limit` runs whose turn came and that nobody took, to ring for: of each application its oldest first.

    A few will do, since workers that hear of runs ask for whatever is due; but each application is heard.
    """
    place = func.row_number().over(partition_by=Run.application_id, order_by=(Run.due_at, Run.id))
    found = (
        select(Run.id, Run.due_at, place.label("place"))
        .where(
            is_moving(Run.status),
            Run.worker.is_(None),
            Run.due_at < now - timedelta(seconds=OVERDUE_SECONDS),
            lane_is_free(),
            ~is_paused(),
        )
        .subquery()
    )
    statement = select(found.c.id).order_by(found.c.place, found.c.due_at).limit(limit)
    return list(connection.execute(statement).scalars())


def _in_turn(groups: Iterable[list[_T]]) -> list[_T]:
    """The first of each, then the second of each, and so on."""
    none = object()
    return [one for one in chain(*zip_longest(*groups, fillvalue=none)) if one is not none]  # type: ignore[misc]


def _with_places(loaded: list[Loaded], holder: Holder, limit: int) -> list[Loaded]:
    """Those for which there is a place, at most `limit`, each connection having its turn."""
    by_connection: dict[int, list[Loaded]] = {}
    for one in loaded:
        by_connection.setdefault(one.connection_id(), []).append(one)
    spread = _in_turn(by_connection.values())
    if holder.places is None:
        return spread[:limit]
    places = replace(holder.places, taken=copy(holder.places.taken))
    chosen: list[Loaded] = []
    for one in spread:
        if len(chosen) < limit and places.has(one.connection_id()):
            places.take(one.connection_id())
            chosen.append(one)
    return chosen


def adopt(
    connection: Connection, holder: Holder, *, now: datetime, in_doubt: Mapping[int, Sent]
) -> list[Moved]:
    """Orders of calls that a commit of the holder's own ordered whose reply got lost: they were never made.

    `in_doubt` names what that commit was to order, by run; whatever else the database says is the holder's it knows
    nothing of, and leaves to the lease.  While runs are held back, and when the holder is to stop, the runs are given
    back instead, as not sent.
    """
    statement = (
        runs_with_facts()
        .where(Run.worker == holder.worker, Run.id.in_(in_doubt), Run.in_flight)
        .with_for_update(of=Run, skip_locked=True, key_share=True)
    )
    loaded = [
        one
        for one in load(connection, statement, now)
        if in_doubt[one.row.id] == Sent(one.row.fence, one.row.cursor, one.row.attempt)
    ]
    if holder.takes_more and not connection.scalar(select(is_paused())):
        return resume(connection, loaded, now=now, holder=holder)
    unsent = Outcome.failed(FailureClass.TIMEOUT, detail=GIVEN_BACK, ours=True)
    moves = [
        (Move(one.row.id, m.Answered(one.row.cursor, one.row.attempt, unsent), one.row.fence), one)
        for one in loaded
    ]
    return apply(connection, moves, now=now, holder=holder)


def renew(connection: Connection, holder: Holder, *, now: datetime, fences: Mapping[int, int]) -> list[int]:
    """Keep the runs that are being worked on (run id to fence) for another lease; those that could be kept.

    One that somebody else is just writing is passed over: it costs the others nothing, and has its lease until then.
    """
    if not fences:
        return []
    free = (
        select(Run.id)
        .where(tuple_(Run.id, Run.fence).in_(list(fences.items())), Run.worker == holder.worker)
        .with_for_update(skip_locked=True, key_share=True)
    )
    kept = update(Run).where(Run.id.in_(free)).values(lease_until=now + holder.lease).returning(Run.id)
    return list(connection.execute(kept, execution_options={"synchronize_session": False}).scalars())


def take_back_lost(
    connection: Connection, *, now: datetime, limit: int, ids: Collection[int] | None = None
) -> list[Moved]:
    """Free up to `limit` runs whose lease ran out, of `ids` if given: what was under way has an unknown outcome."""
    statement = (
        runs_with_facts()
        .where(lease_is_over(now), *([] if ids is None else [Run.id.in_(ids)]))
        .limit(limit)
        .with_for_update(of=Run, skip_locked=True, key_share=True)
    )
    loaded = load(connection, statement, now)
    moves = [(Move(one.row.id, m.WorkerLost()), one) for one in loaded]
    return apply(connection, moves, now=now, holder=None)
