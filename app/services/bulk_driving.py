"""Bringing a bulk retry forward, one run at a time: what the sweeper does while a job is live."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.database import changed_one, db_now
from app.errors import Conflict, Invalid
from app.models import BulkRetry, BulkRetryItem, BulkStatus, ItemStatus, Run, SkipReason
from app.models.bulk_retry import acting_name, is_live
from app.permissions import ALL_PERMISSIONS, Actor
from app.queries.bulk_retries import RunOutcome, Skip, outcome_of, skip_of
from app.queries.run_rules import replaced_by, stale_reason_of
from app.services import recovery
from app.services.bulk_retries import move, skip_waiting

# A system that has just recovered is not to be run over: so many runs of one job are under way at once.
IN_FLIGHT = 5


def live_jobs(session: Session) -> Sequence[int]:
    """The jobs that are not over, oldest first."""
    return session.scalars(select(BulkRetry.id).where(is_live(BulkRetry.status)).order_by(BulkRetry.id)).all()


def go_on(session: Session, bulk_id: int) -> bool:
    """Note what has become of the runs under way, then retry or skip the next one if there is room.

    True when more can be done at once.  A job that somebody else is just bringing forward is let alone, as is a run
    that somebody else is just moving: both have their turn later.
    """
    bulk = session.scalars(
        select(BulkRetry)
        .where(BulkRetry.id == bulk_id, is_live(BulkRetry.status))
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    ).one_or_none()
    if bulk is None:
        return False
    now = db_now(session.connection())
    under_way = _note_outcomes(session, bulk, now)
    if not BulkStatus(bulk.status).is_live:
        return False
    item = _next_item(session, bulk)
    if item is None:
        if not under_way:
            move(session, bulk, BulkStatus.STOPPED if bulk.stopped_by else BulkStatus.FINISHED, now)
        return False
    room = 1 if bulk.status == BulkStatus.PROBING else IN_FLIGHT
    return under_way < room and _have_its_turn(session, bulk, item, now)


def _note_outcomes(session: Session, bulk: BulkRetry, now: datetime) -> int:
    """Write down what has become of the runs that were retried; gives how many are still under way."""
    started = session.execute(
        select(BulkRetryItem, Run)
        .join(Run, Run.id == BulkRetryItem.run_id)
        .where(BulkRetryItem.bulk_retry_id == bulk.id, BulkRetryItem.status == ItemStatus.STARTED)
        .order_by(BulkRetryItem.position)
        .execution_options(populate_existing=True)
    ).all()
    under_way = 0
    for item, run in started:
        outcome = outcome_of(run)
        if outcome is None:
            under_way += 1
        else:
            _note(session, bulk, item, run, outcome, now)
    return under_way


def _note(  # noqa: PLR0917  # the job, its run, what became of it
    session: Session, bulk: BulkRetry, item: BulkRetryItem, run: Run, outcome: RunOutcome, now: datetime
) -> None:
    failed = outcome.passed is False
    _change(
        session,
        item,
        ItemStatus.STARTED,
        status=outcome.status,
        note=outcome.note,
        failure_class=run.failure_class if failed else None,
        failure_status=run.failure_status if failed else None,
        finished_at=now,
    )
    if bulk.status == BulkStatus.PROBING and outcome.passed is not None:
        if failed:
            skip_waiting(session, bulk, Skip(SkipReason.PROBE_FAILED, ""), now)
        move(session, bulk, BulkStatus.PROBE_FAILED if failed else BulkStatus.RUNNING, now)
    else:
        _seen(session, bulk, now)


def _next_item(session: Session, bulk: BulkRetry) -> BulkRetryItem | None:
    return session.scalars(
        select(BulkRetryItem)
        .where(BulkRetryItem.bulk_retry_id == bulk.id, BulkRetryItem.status == ItemStatus.WAITING)
        .order_by(BulkRetryItem.position)
        .limit(1)
    ).one_or_none()


def _have_its_turn(session: Session, bulk: BulkRetry, item: BulkRetryItem, now: datetime) -> bool:
    run = session.scalars(
        select(Run)
        .where(Run.id == item.run_id)
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    ).one_or_none()
    if run is None:
        return False
    why = skip_of(run, newer=replaced_by(session, run), stale=stale_reason_of(session, run))
    if why is None:
        try:
            with session.begin_nested():
                recovery.retry(session, _actor(bulk), run, reason=bulk.reason)
        except (Conflict, Invalid) as refusal:
            why = Skip(SkipReason.REFUSED, refusal.message)
    if why is None:
        probes = bulk.status == BulkStatus.PROBING
        _change(session, item, ItemStatus.WAITING, status=ItemStatus.STARTED, is_probe=probes, started_at=now)
    else:
        _change(
            session,
            item,
            ItemStatus.WAITING,
            status=ItemStatus.SKIPPED,
            skip_reason=why.reason,
            note=why.note,
            finished_at=now,
        )
    _seen(session, bulk, now)
    return True


def _actor(bulk: BulkRetry) -> Actor:
    """The job, in the name of whoever started it."""
    name = acting_name(bulk.id)
    return Actor("system", name, ALL_PERMISSIONS, user_id=bulk.created_by_id, source=f"bulk retry {bulk.id}")


def _change(session: Session, item: BulkRetryItem, before: ItemStatus, **values: object) -> None:
    """Change one item from the status that was read."""
    as_read = (BulkRetryItem.id == item.id, BulkRetryItem.status == before)
    if not changed_one(session, update(BulkRetryItem).where(*as_read).values(**values)):
        raise Conflict(f"Run {item.run_id} has changed in bulk retry {item.bulk_retry_id} meanwhile.")


def _seen(session: Session, bulk: BulkRetry, now: datetime) -> None:
    """Let pages know that there is something new."""
    bulk.revision += 1
    bulk.changed_at = now
    session.flush()
