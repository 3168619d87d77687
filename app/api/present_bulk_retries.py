"""Bulk retries in the shape of API.md: in lists as they stand, alone with each of their runs."""

from __future__ import annotations

from collections.abc import Sequence

from app.models import ItemStatus, SkipReason
from app.queries.bulk_retries import ItemRow, Progress
from app.schemas.bulk_retries import BulkRetryIn, BulkRetryItemOut, BulkRetryOut


def bulk_retry_out(progress: Progress, items: Sequence[ItemRow] | None = None) -> BulkRetryOut:
    """A job; with `items`, also what has become of each run."""
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
