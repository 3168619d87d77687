"""The rule that no open run stands still, in one place: which do all the same, and why.

An open run is in a call under a living lease, or due, or behind a run of its pair that is, or waits for a
connection that is being seen to, or for a person who was asked. Any other is adrift: nothing would ever move it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    and_,
    case,
    exists,
    func,
    literal_column,
    not_,
    or_,
    select,
    union_all,
)
from sqlalchemy.orm import Session, aliased

from app.config.settings import Settings
from app.models import Connection as ApplicationConnection
from app.models import ConnectionBreaker, ManualTask, Run, Worker
from app.models.operations import ALIVE_WITHIN, is_paused
from app.models.run import is_ahead_of, is_moving, lease_is_over

# A run that has been due for longer is late.
PATIENCE = timedelta(seconds=60)
# Nobody needs to know how many more than this.
COUNTED = 200

_other = aliased(Run)
_ahead = aliased(Run)
_served = aliased(Run)


class AdriftKind(StrEnum):
    """In which way a run stands still. `words` say it inside a sentence."""

    LAPSED = "lapsed"
    DUE = "due"
    GONE = "gone"
    IN_USE = "in_use"
    UNSEEN = "unseen"
    UNASKED = "unasked"

    @property
    def words(self) -> str:
        return _WORDS[self]


_WORDS = {
    AdriftKind.LAPSED: "its worker gave no sign any more, and nobody took it over",
    AdriftKind.DUE: "it was due, and no worker took it",
    AdriftKind.GONE: "it waited for a connection that is gone",
    AdriftKind.IN_USE: "it waited for a connection that is in use",
    AdriftKind.UNSEEN: "it waits for a connection that nobody looked after",
    AdriftKind.UNASKED: "it waited for a person, and no task asked anybody",
}


@dataclass(frozen=True, slots=True)
class Adrift:
    """A run that stands still, in which way, and since when."""

    run_id: int
    kind: AdriftKind
    since: datetime | None

    @property
    def why(self) -> str:
        return self.kind.words


def lapsed_after(settings: Settings) -> timedelta:
    """For how long a lease may be over before somebody must have taken the run back, with time to make sure."""
    return timedelta(seconds=settings.lease_seconds + 2 * settings.sweep_seconds + 15)


def adrift(
    at: Session | Connection, *, now: datetime, settings: Settings, limit: int = COUNTED
) -> Sequence[Adrift]:
    """Up to `limit` runs that stand still, none while runs are paused; one statement."""
    rows = at.execute(_adrift(now, lapsed_after(settings), limit))
    return [Adrift(row.id, AdriftKind(row.kind), row.since) for row in rows]


def count_adrift(at: Session | Connection, *, now: datetime, settings: Settings) -> int:
    """How many runs stand still, up to COUNTED."""
    found = _adrift(now, lapsed_after(settings), COUNTED).subquery()
    return at.execute(select(func.count()).select_from(found)).scalar_one()


def lapsed_leases(at: Connection, *, now: datetime, limit: int) -> Sequence[int]:
    """Up to `limit` runs whose lease is over, by number: lost, or about to be renewed by a worker that lives."""
    return at.scalars(select(Run.id).where(lease_is_over(now)).limit(limit)).all()


def is_overdue(run: Any, now: datetime) -> ColumnElement[bool]:
    """True for a run that nobody holds and that has been due for longer than PATIENCE; `run` as in `is_ahead_of`."""
    return and_(run.worker.is_(None), run.waits_for_id.is_(None), run.due_at < now - PATIENCE)


def is_first() -> ColumnElement[bool]:
    """True for runs whose turn it is in their lane."""
    return not_(_has_ahead(Run))


def _has_ahead(run: Any) -> ColumnElement[bool]:
    return exists(select(_ahead.id).where(is_ahead_of(_ahead, run)))


def _adrift(now: datetime, lapsed: timedelta, limit: int) -> Select[Any]:
    """Each kind is looked for by an index of its own, so that what is at rest is never read."""
    kinds = (_lapsed(now - lapsed), _due(now), _waiting(now), _unasked(now))
    found = union_all(
        *(select(one.where(not_(is_paused())).limit(limit).subquery()) for one in kinds)
    ).subquery()
    return select(found).order_by(found.c.id).limit(limit)


def _found(kind: AdriftKind | ColumnElement[str], since: Any) -> Select[Any]:
    word = literal_column(f"'{kind}'") if isinstance(kind, AdriftKind) else kind
    columns: tuple[Any, ...] = (Run.id, word.label("kind"), since.label("since"))
    return select(*columns)


def _lapsed(before: datetime) -> Select[Any]:
    return _found(AdriftKind.LAPSED, Run.lease_until).where(Run.worker.is_not(None), Run.lease_until < before)


def _due(now: datetime) -> Select[Any]:
    """Late though it is its turn, a worker has room, and none of its application is in a call: it is no queue.

    Or late behind runs that are late as well, none of which has its turn: they wait for each other.
    """
    has_room = exists().where(
        Worker.left_at.is_(None),
        Worker.seen_at > now - ALIVE_WITHIN,
        Worker.started_at < now - PATIENCE,
        Worker.in_flight * 2 <= Worker.concurrency,
    )
    goes_ahead = exists().where(
        is_ahead_of(_other, Run), or_(not_(is_overdue(_other, now)), not_(_has_ahead(_other)))
    )
    served = select(_served.application_id).where(_served.worker.is_not(None))
    return _found(AdriftKind.DUE, Run.due_at).where(
        is_moving(Run.status),
        is_overdue(Run, now),
        or_(
            and_(is_first(), has_room, Run.application_id.not_in(served)),
            and_(not_(is_first()), not_(goes_ahead)),
        ),
    )


def _waiting(now: datetime) -> Select[Any]:
    late = now - PATIENCE
    breaker = ConnectionBreaker
    in_use = or_(
        breaker.connection_id.is_(None),
        and_(breaker.state.in_(["closed", "watched"]), func.coalesce(breaker.since, late) <= late),
    )
    unseen = and_(breaker.state.not_in(["closed", "watched", "refused"]), breaker.next_at < late)
    gone = ApplicationConnection.id.is_(None)
    kind = case(
        (gone, AdriftKind.GONE.value), (in_use, AdriftKind.IN_USE.value), else_=AdriftKind.UNSEEN.value
    )
    return (
        _found(kind, Run.waits_since)
        .outerjoin(ApplicationConnection, ApplicationConnection.id == Run.waits_for_id)
        .outerjoin(breaker, breaker.connection_id == Run.waits_for_id)
        .where(Run.waits_for_id.is_not(None), Run.waits_since < late, or_(gone, in_use, unseen))
    )


def _unasked(now: datetime) -> Select[Any]:
    asked = exists().where(ManualTask.run_id == Run.id, ManualTask.status == literal_column("'pending'"))
    return _found(AdriftKind.UNASKED, Run.changed_at).where(
        Run.status.not_in([literal_column(f"'{one}'") for one in ("queued", "running", "succeeded")]),
        Run.status == literal_column("'waiting_manual'"),
        Run.changed_at < now - PATIENCE,
        not_(asked),
    )
