"""Retrying many failed runs as one job: started and stopped by people, brought forward by the sweeper.

Each run is retried by `recovery.retry`, as by a person, in the transaction that marks it as started: whatever dies,
it is retried once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import ColumnElement, exists, func, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, aliased

from app.database import changed, changed_one, database_is_away, db_now, upsert
from app.errors import Conflict, Invalid
from app.models import BulkRetry, BulkRetryItem, BulkStatus, Connection, ItemStatus, Run, SkipReason
from app.models.bulk_retry import MAX_RUNS, acting_name, is_failed_probe, is_live
from app.permissions import ALL_PERMISSIONS, Actor
from app.queries.bulk_retries import (
    RunOutcome,
    Skip,
    in_another,
    in_live_jobs,
    outcome_of,
    parked_connections,
    skip_of,
)
from app.queries.failures import cause_of
from app.queries.run_rules import failed_steps, replaced_by, stale_reason_of
from app.services import audit, parking, recovery

# A system that has just recovered is not to be run over: so many runs of one job are under way at once.
IN_FLIGHT = 5

_probe = aliased(BulkRetryItem)


class Candidate(Protocol):
    """A run with what decides whether it can be retried."""

    @property
    def run(self) -> Run: ...
    @property
    def stale(self) -> str | None: ...
    @property
    def replaced_by(self) -> int | None: ...


@dataclass(frozen=True, slots=True)
class RetryOrder:
    """What a person asks for. `token` is the form's own: what is sent twice makes one job.

    `scope` says how the runs were chosen, `left_out` that more matched than one job takes.  With `unpark` the parked
    connections of these runs go on: one of the runs that wait there is tried at once.
    """

    name: str
    reason: str
    token: str
    scope: str
    left_out: bool = False
    unpark: bool = False


def start(session: Session, actor: Actor, wanted: RetryOrder, runs: Sequence[Candidate]) -> BulkRetry:
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
    to_retry = _add_items(session, bulk, sorted(runs, key=lambda one: one.run.id), now)
    if not to_retry:
        raise Invalid.field("runs", "None of these runs can be retried: see why at each.")
    changes: dict[str, list[Any]] = {"runs": [None, len(runs)], "scope": [None, wanted.scope]}
    audit.record(session, actor, "bulk_retry.start", bulk, now=now, reason=wanted.reason, changes=changes)
    if wanted.unpark:
        _unpark(session, actor, to_retry, now)
    return bulk


def _unpark(session: Session, actor: Actor, runs: Iterable[Run], now: datetime) -> None:
    for one in parked_connections(session, runs):
        if one.may_go_on:
            with suppress(Conflict):  # it came back just now
                parking.unpark(session, actor, session.get_one(Connection, one.id), now=now)


def stop(session: Session, actor: Actor, bulk_id: int) -> BulkRetry:
    """Retry none of the runs that are still waiting; what is under way finishes.

    Raises Conflict when the job is over or was stopped already, naming who did.
    """
    bulk = session.get_one(BulkRetry, bulk_id, with_for_update={"key_share": True}, populate_existing=True)
    status = BulkStatus(bulk.status)
    if bulk.stopped_by is not None:
        raise Conflict(f"{bulk.stopped_by} has stopped bulk retry {bulk.id} already.")
    if not status.is_live:
        raise Conflict(f"Bulk retry {bulk.id} is over: there is nothing left to stop.")
    now = db_now(session.connection())
    bulk.stopped_by = actor.name
    _skip_waiting(session, bulk, Skip(SkipReason.STOPPED, f"Stopped by {actor.name}."), now)
    started = select(func.count()).where(
        BulkRetryItem.bulk_retry_id == bulk.id, BulkRetryItem.status == ItemStatus.STARTED
    )
    _move(session, bulk, BulkStatus.STOPPING if session.scalar(started) else BulkStatus.STOPPED, now)
    audit.record(session, actor, "bulk_retry.stop", bulk, now=now)
    return bulk


def _move(session: Session, bulk: BulkRetry, to: BulkStatus, now: datetime) -> None:
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


def _skip_waiting(
    session: Session, bulk: BulkRetry, why: Skip, now: datetime, *which: ColumnElement[bool]
) -> None:
    """Leave every run alone that has not had its turn, of those that `which` says."""
    changed(
        session,
        update(BulkRetryItem)
        .where(BulkRetryItem.bulk_retry_id == bulk.id, BulkRetryItem.status == ItemStatus.WAITING, *which)
        .values(status=ItemStatus.SKIPPED, skip_reason=why.reason, note=why.note, finished_at=now),
    )


def _insert(session: Session, wanted: RetryOrder, actor: Actor, *, total: int, now: datetime) -> bool:
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


def _add_items(session: Session, bulk: BulkRetry, runs: Sequence[Candidate], now: datetime) -> list[Run]:
    """Write what is to become of each run, in order; gives those that wait for their turn.

    A run that waits in another job is skipped here.  The unique index says which those are, also when two people
    start overlapping jobs at the same moment.
    """
    steps = failed_steps(session, [one.run for one in runs])
    refused = {
        one.run.id: skip_of(one.run, newer=one.replaced_by, stale=one.stale, step=steps[one.run.id])
        for one in runs
    }
    rows = [_item(bulk, place, one.run, refused[one.run.id], now) for place, one in enumerate(runs, start=1)]
    session.execute(_unless_there(session, BulkRetryItem).values(rows))
    kept = set(session.scalars(select(BulkRetryItem.run_id).where(BulkRetryItem.bulk_retry_id == bulk.id)))
    lost = [row for row in rows if row["run_id"] not in kept]
    if lost:
        holders = in_live_jobs(session, [row["run_id"] for row in lost])
        for row in lost:
            row.update(_skipped(in_another(holders.get(row["run_id"])), now))
        session.execute(_unless_there(session, BulkRetryItem).values(lost))
    return [one.run for one, row in zip(runs, rows, strict=True) if row["status"] == ItemStatus.WAITING]


def _item(bulk: BulkRetry, place: int, run: Run, why: Skip | None, now: datetime) -> dict[str, Any]:
    row = {
        "bulk_retry_id": bulk.id,
        "run_id": run.id,
        "position": place,
        "cause_class": run.failure_class,
        "cause_status": run.failure_status,
        "untried_cause": cause_of(run).key,
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


def go_on(session: Session, bulk_id: int) -> bool:
    """Note what has become of the runs under way, then retry or skip the next one if there is room.

    True when more can be done at once.  A job that somebody else is just bringing forward is let alone, as is a run
    that somebody else is just moving: both have their turn later.
    """
    bulk = session.scalars(
        select(BulkRetry)
        .where(BulkRetry.id == bulk_id, is_live(BulkRetry.status))
        .with_for_update(skip_locked=True, key_share=True)
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
            _move(session, bulk, _end(session, bulk), now)
        return False
    return under_way < IN_FLIGHT and _have_its_turn(session, bulk, item, now)


def _end(session: Session, bulk: BulkRetry) -> BulkStatus:
    if bulk.stopped_by:
        return BulkStatus.STOPPED
    if bulk.status != BulkStatus.PROBING:
        return BulkStatus.FINISHED
    failed = exists().where(BulkRetryItem.bulk_retry_id == bulk.id, is_failed_probe())
    return BulkStatus.PROBE_FAILED if session.scalar(select(failed)) else BulkStatus.FINISHED


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
    if item.is_probe and failed:
        why = Skip(SkipReason.PROBE_FAILED, f"Run {run.id}, which had failed alike, failed again.")
        _skip_waiting(session, bulk, why, now, BulkRetryItem.untried_cause == item.untried_cause)
    elif item.is_probe and outcome.passed:
        _tried(session, item)
        if bulk.status == BulkStatus.PROBING:
            _move(session, bulk, BulkStatus.RUNNING, now)
    _seen(session, bulk, now)


def _tried(session: Session, probe: BulkRetryItem) -> None:
    """Let all follow that failed of the same as a probe that has come through."""
    alike = (
        BulkRetryItem.bulk_retry_id == probe.bulk_retry_id,
        BulkRetryItem.untried_cause == probe.untried_cause,
        BulkRetryItem.status == ItemStatus.WAITING,
    )
    changed(session, update(BulkRetryItem).where(*alike).values(untried_cause=None))


def _next_item(session: Session, bulk: BulkRetry) -> BulkRetryItem | None:
    """The first run that waits for nothing but its turn: no probe of its cause is under way."""
    is_being_tried = exists().where(
        _probe.bulk_retry_id == BulkRetryItem.bulk_retry_id,
        _probe.untried_cause == BulkRetryItem.untried_cause,
        _probe.status == ItemStatus.STARTED,
    )
    return session.scalars(
        select(BulkRetryItem)
        .where(BulkRetryItem.bulk_retry_id == bulk.id, BulkRetryItem.status == ItemStatus.WAITING)
        .where(~is_being_tried)
        .order_by(BulkRetryItem.position)
        .limit(1)
    ).one_or_none()


def _have_its_turn(session: Session, bulk: BulkRetry, item: BulkRetryItem, now: datetime) -> bool:
    run = session.scalars(
        select(Run)
        .where(Run.id == item.run_id)
        .with_for_update(skip_locked=True, key_share=True)
        .execution_options(populate_existing=True)
    ).one_or_none()
    if run is None:
        return False
    step = failed_steps(session, [run])[run.id]
    why = skip_of(run, newer=replaced_by(session, run), stale=stale_reason_of(session, run), step=step)
    if why is None:
        try:
            with session.begin_nested():
                recovery.retry(session, _actor(bulk), run, reason=bulk.reason)
        except (Conflict, Invalid) as refusal:
            why = Skip(SkipReason.REFUSED, refusal.message)
        except SQLAlchemyError as problem:
            if database_is_away(problem):
                raise
            # It would be refused at every pass, and the job never end.
            why = Skip(SkipReason.REFUSED, f"The database refused it ({type(problem).__name__}).")
    if why is None:
        probes = item.untried_cause is not None
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
