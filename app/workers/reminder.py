"""What the sweeper notes on the timeline of runs that it has to tell the workers of a second time."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection, exists, insert, literal_column, select, update

from app.models import RunEvent
from app.models.operations import is_paused
from app.models.run import Run, is_moving
from app.services.advance.claims import lane_is_free

# Twice the time between two sweeps: by then a worker with room has come to a run that it was told of.
QUIET = timedelta(seconds=10)
TOLD_AGAIN = "Still queued, and no longer on the queue: the sweeper told the workers of it again."


def note_reminded(connection: Connection, now: datetime, *, limit: int) -> int:
    """Note it once on each run whose turn it is and that no worker has begun; how many there were.

    To be called when nothing lies on the queue.
    """
    told = exists(select(RunEvent.id).where(RunEvent.run_id == Run.id, RunEvent.kind == "reminded"))
    found = connection.scalars(
        select(Run.id)
        .where(
            is_moving(Run.status),
            Run.status == literal_column("'queued'"),
            Run.worker.is_(None),
            Run.due_at < now - QUIET,
            lane_is_free(),
            ~told,
            ~is_paused(),
        )
        .order_by(Run.due_at)
        .limit(limit)
    ).all()
    if not found:
        return 0
    connection.execute(
        insert(RunEvent),
        [{"run_id": one, "at": now, "kind": "reminded", "message": TOLD_AGAIN, "by": None} for one in found],
    )
    connection.execute(
        update(Run)
        .where(Run.id.in_(found), Run.status == literal_column("'queued'"))
        .values(revision=Run.revision + 1)
    )
    return len(found)
