"""Retrying many failed runs as one job: started and stopped by people, brought forward by the sweeper.

Each run is retried by `recovery.retry`, as by a person, in the transaction that marks it as started: whatever dies,
it is retried once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from app.database import changed, changed_one, db_now, upsert
from app.errors import Conflict, Invalid
from app.models import BulkRetry, BulkRetryItem, BulkStatus, ItemStatus, Run, SkipReason
from app.models.bulk_retry import MAX_RUNS
from app.permissions import Actor
from app.queries.bulk_retries import Skip, in_live_jobs, skip_of
from app.services import audit


class Candidate(Protocol):
    """A run with what decides whether it can be retried."""

    @property
    def run(self) -> Run: ...
    @property
    def stale(self) -> str | None: ...
    @property
    def replaced_by(self) -> int | None: ...


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a person asks for. `token` is the form's own: what is sent twice makes one job.

    `scope` says how the runs were chosen, `left_out` that more matched than one job takes.
    """

    name: str
    reason: str
    token: str
    scope: str
    left_out: bool = False


def start(session: Session, actor: Actor, wanted: Wanted, runs: Sequence[Candidate]) -> BulkRetry:
    """Make the job of retrying `runs`, oldest first; the one that `wanted.token` made already, if it did.

    Runs that cannot be retried now are in it as skipped, with the reason.  Raises Invalid when there is none that can
    be, or more than MAX_RUNS.
    """
    if len(runs) > MAX_RUNS:
        raise Invalid.field("runs", f"At most {MAX_RUNS} runs go into one bulk retry.")
    if not runs:
        raise Invalid.field("runs", "No failed run was chosen: there is nothing to retry.")
    now = db_now(session.connection())
    made = _insert(session, wanted, actor, total=len(runs), now=now)
    bulk = session.scalars(select(BulkRetry).where(BulkRetry.token == wanted.token)).one()
    if not made:
        return bulk
    waiting = _add_items(session, bulk, sorted(runs, key=lambda one: one.run.id), now)
    if not waiting:
        raise Invalid.field("runs", "None of these runs can be retried: see why at each.")
    changes: dict[str, list[Any]] = {"runs": [None, len(runs)], "scope": [None, wanted.scope]}
    audit.record(session, actor, "bulk_retry.start", bulk, now=now, reason=wanted.reason, changes=changes)
    return bulk


def stop(session: Session, actor: Actor, bulk_id: int) -> BulkRetry:
    """Retry none of the runs that are still waiting; what is under way finishes.

    Raises Conflict when the job is over or was stopped already, naming who did.
    """
    bulk = session.get_one(BulkRetry, bulk_id, with_for_update=True, populate_existing=True)
    status = BulkStatus(bulk.status)
    if bulk.stopped_by is not None:
        raise Conflict(f"{bulk.stopped_by} has stopped bulk retry {bulk.id} already.")
    if not status.is_live:
        raise Conflict(f"Bulk retry {bulk.id} is over: there is nothing left to stop.")
    now = db_now(session.connection())
    bulk.stopped_by = actor.name
    skip_waiting(session, bulk, Skip(SkipReason.STOPPED, f"Stopped by {actor.name}."), now)
    started = select(func.count()).where(
        BulkRetryItem.bulk_retry_id == bulk.id, BulkRetryItem.status == ItemStatus.STARTED
    )
    move(session, bulk, BulkStatus.STOPPING if session.scalar(started) else BulkStatus.STOPPED, now)
    audit.record(session, actor, "bulk_retry.stop", bulk, now=now)
    return bulk


def move(session: Session, bulk: BulkRetry, to: BulkStatus, now: datetime) -> None:
    """Change the job's status from the one that was read; raises Conflict when somebody else has changed it."""
    session.flush()
    over = None if to.is_live else now
    moving = (
        update(BulkRetry)
        .where(BulkRetry.id == bulk.id, BulkRetry.status == bulk.status)
        .values(status=to, finished_at=over, changed_at=now, revision=BulkRetry.revision + 1)
    )
    if not changed_one(session, moving):
        raise Conflict(f"Bulk retry {bulk.id} has changed meanwhile. Look again.")
    session.refresh(bulk)


def skip_waiting(session: Session, bulk: BulkRetry, why: Skip, now: datetime) -> None:
    """Leave every run alone that has not had its turn."""
    changed(
        session,
        update(BulkRetryItem)
        .where(BulkRetryItem.bulk_retry_id == bulk.id, BulkRetryItem.status == ItemStatus.WAITING)
        .values(status=ItemStatus.SKIPPED, skip_reason=why.reason, note=why.note, finished_at=now),
    )


def _insert(session: Session, wanted: Wanted, actor: Actor, *, total: int, now: datetime) -> bool:
    """Write the job; False when its token has made one already, also one that is just being committed."""
    values = {
        "token": wanted.token,
        "name": wanted.name,
        "reason": wanted.reason,
        "scope": wanted.scope,
        "left_out": wanted.left_out,
        "status": BulkStatus.PROBING,
        "total": total,
        "created_at": now,
        "created_by": actor.name,
        "created_by_id": actor.user_id,
        "changed_at": now,
        "revision": 0,
    }
    made = _unless_there(session, BulkRetry).values(values).returning(BulkRetry.id)
    return session.scalar(made) is not None


def _add_items(session: Session, bulk: BulkRetry, runs: Sequence[Candidate], now: datetime) -> int:
    """Write what is to become of each run, in order; gives how many wait for their turn.

    A run that waits in another job is skipped here.  The unique index says which those are, also when two people
    start overlapping jobs at the same moment.
    """
    refused = {one.run.id: skip_of(one.run, newer=one.replaced_by, stale=one.stale) for one in runs}
    rows = [_item(bulk, place, one.run, refused[one.run.id], now) for place, one in enumerate(runs, start=1)]
    session.execute(_unless_there(session, BulkRetryItem).values(rows))
    kept = set(session.scalars(select(BulkRetryItem.run_id).where(BulkRetryItem.bulk_retry_id == bulk.id)))
    lost = [row for row in rows if row["run_id"] not in kept]
    if lost:
        holders = in_live_jobs(session, [row["run_id"] for row in lost])
        for row in lost:
            row.update(_skipped(in_another(holders.get(row["run_id"])), now))
        session.execute(_unless_there(session, BulkRetryItem).values(lost))
    return sum(1 for row in rows if row["status"] == ItemStatus.WAITING)


def in_another(bulk_id: int | None) -> Skip:
    """Why a run is left alone that is in the job `bulk_id`; None is one that has ended at this moment."""
    return Skip(SkipReason.IN_ANOTHER, f"It is in bulk retry {bulk_id}." if bulk_id else "")


def _item(bulk: BulkRetry, place: int, run: Run, why: Skip | None, now: datetime) -> dict[str, Any]:
    row = {
        "bulk_retry_id": bulk.id,
        "run_id": run.id,
        "position": place,
        "cause_class": run.failure_class,
        "cause_status": run.failure_status,
        "is_probe": False,
        "status": ItemStatus.WAITING,
        "skip_reason": None,
        "note": "",
        "finished_at": None,
    }
    return row | _skipped(why, now) if why is not None else row


def _skipped(why: Skip, now: datetime) -> dict[str, Any]:
    return {"status": ItemStatus.SKIPPED, "skip_reason": why.reason, "note": why.note, "finished_at": now}


def _unless_there(session: Session, model: Any) -> Any:
    """An insert that passes over rows which a unique index refuses."""
    return upsert(session, model.__table__).on_conflict_do_nothing()
