"""Bulk retries: many failed runs retried as one job, the oldest first as a probe."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from sqlalchemy.orm import Session

from app.api.blueprint import bp
from app.api.lists import ListQuery, page_of
from app.api.operation import Act, reads, writes
from app.errors import Invalid
from app.guard import requires
from app.models import BulkRetry, ItemStatus, SkipReason
from app.queries.bulk_retries import (
    ChosenRuns,
    ItemRow,
    ParkedConnection,
    Progress,
    bulk_items,
    bulk_list,
    bulk_progress,
    chosen_by_filter,
    chosen_by_number,
    parked_in,
)
from app.queries.lookup import load, missing
from app.queries.runs import RunFilters
from app.schemas.answers import Page
from app.schemas.bulk_retries import (
    BulkRetryIn,
    BulkRetryItemOut,
    BulkRetryOut,
    FailedRunsIn,
    ParkedConnectionOut,
)
from app.services import bulk_retries
from app.services.bulk_retries import RetryOrder

TAG = "Bulk retries"


@bp.get("/bulk-retries")
@requires("workflow:read")
@reads(TAG, Page[BulkRetryOut], query=ListQuery)
def list_bulk_retries(act: Act, query: ListQuery) -> Page[BulkRetryOut]:
    """Bulk retries, the newest first. Their runs are given for a single one."""
    rows = bulk_list(act.session, limit=query.limit + 1, before=query.key)
    return page_of(rows, query, bulk_retry_out, key=lambda row: row.bulk.id)


@bp.post("/bulk-retries")
@requires("workflow:run")
@writes(TAG, BulkRetryOut, body=BulkRetryIn, status=201, repeatable=True)
def start_bulk_retry(act: Act, body: BulkRetryIn) -> BulkRetryOut:
    """Retry failed runs as one job: those of `run_ids`, or what `filter` leaves, at most 500 of them, oldest first.

    The first run of each cause goes as a probe, and the others only once it has succeeded, a few at a time.  Runs
    that cannot be retried are in it as skipped, with the reason.
    """
    choice = _chosen(act.session, body)
    wanted = RetryOrder(
        body.name, body.reason, secrets.token_urlsafe(24), scope_of(body), choice.left_out, body.unpark
    )
    bulk = bulk_retries.start(act.session, act.actor, wanted, choice.rows)
    return _answer(act, bulk.id)


@bp.get("/bulk-retries/<int:bulk_retry_id>")
@requires("workflow:read")
@reads(TAG, BulkRetryOut)
def show_bulk_retry(act: Act, bulk_retry_id: int) -> BulkRetryOut:
    """One bulk retry with what has become of each of its runs."""
    return _answer(act, bulk_retry_id)


@bp.post("/bulk-retries/<int:bulk_retry_id>/stop")
@requires("workflow:run")
@writes(TAG, BulkRetryOut, repeatable=True)
def stop_bulk_retry(act: Act, bulk_retry_id: int) -> BulkRetryOut:
    """Retry none of the runs that still wait. What is under way finishes."""
    load(act.session, BulkRetry, bulk_retry_id)
    bulk_retries.stop(act.session, act.actor, bulk_retry_id)
    return _answer(act, bulk_retry_id)


def _chosen(session: Session, body: BulkRetryIn) -> ChosenRuns:
    if (body.run_ids is None) == (body.filter is None):
        raise Invalid.field("run_ids", "Give either run_ids or filter.")
    try:
        if body.run_ids is not None:
            return chosen_by_number(session, list(dict.fromkeys(body.run_ids)))
        assert body.filter is not None
        return chosen_by_filter(session, _filters(body.filter))
    except Invalid as refused:
        raise Invalid.field("filter" if body.run_ids is None else "run_ids", refused.message) from None


def _filters(asked: FailedRunsIn) -> RunFilters:
    return RunFilters(
        application_id=asked.application_id,
        workflow_id=asked.workflow_id,
        user_id=asked.user_id,
        grant_id=asked.grant_id,
        connection_id=asked.connection_id,
        trigger=asked.trigger,
        failure_class=asked.failure_class,
        failure_status=asked.failure_status,
        failure_step=asked.failure_step or None,
        since=asked.since,
    )


def _answer(act: Act, bulk_id: int) -> BulkRetryOut:
    act.session.flush()
    progress = bulk_progress(act.session, bulk_id)
    if progress is None:
        raise missing(BulkRetry, bulk_id)
    parked = parked_in(act.session, bulk_id)
    return bulk_retry_out(progress, bulk_items(act.session, bulk_id), parked)


def bulk_retry_out(
    progress: Progress,
    items: Sequence[ItemRow] | None = None,
    parked: Sequence[ParkedConnection] | None = None,
) -> BulkRetryOut:
    """A job; with `items` and `parked`, also what has become of each run, and what those to come wait for."""
    bulk = progress.bulk
    return BulkRetryOut(
        id=str(bulk.id),
        name=bulk.name,
        reason=bulk.reason,
        scope=bulk.scope,
        status=bulk.status,
        label=progress.status.label,
        total=bulk.total,
        left_out=bulk.left_out,
        counts={one.value: progress.counts.get(one, 0) for one in ItemStatus},
        ended_because=progress.ended_because or None,
        created_at=bulk.created_at,
        created_by=bulk.created_by,
        stopped_by=bulk.stopped_by,
        finished_at=bulk.finished_at,
        items=[_item_out(one) for one in items] if items is not None else None,
        parked=[
            ParkedConnectionOut(connection_id=str(one.id), name=one.name, may_go_on=one.may_go_on)
            for one in parked
        ]
        if parked is not None
        else None,
    )


def scope_of(body: BulkRetryIn) -> str:
    """How the runs were chosen, for the record."""
    if body.filter is None:
        return f"{len(body.run_ids or ())} chosen one by one"
    asked = body.filter.model_dump(mode="json", by_alias=True, exclude_none=True)
    return ", ".join(f"{name}: {value}" for name, value in asked.items() if value != "")


def _item_out(row: ItemRow) -> BulkRetryItemOut:
    item = row.item
    why = SkipReason(item.skip_reason).label if item.skip_reason else ""
    note = " ".join(part for part in (f"{why}." if why else "", item.note) if part)
    return BulkRetryItemOut(
        run_id=str(item.run_id),
        position=item.position,
        probe=item.is_probe,
        status=item.status,
        label=row.status.label,
        cause=row.cause,
        failure=row.failure or None,
        skip_reason=item.skip_reason,
        note=note or None,
        started_at=item.started_at,
        finished_at=item.finished_at,
    )
