"""How the console itself is: who works, and how much waits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, literal_column, select
from sqlalchemy.orm import Session

from app.models import Duty, Run, Worker
from app.models.operations import SWEEPING
from app.models.run import is_moving

# A worker that has not been seen for an hour is gone rather than troubled.
SHOWN_FOR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Health:
    """`oldest_queued_seconds` is None while nothing waits, `sweeper_seen_at` before the first sweep."""

    workers: Sequence[Worker]
    queued: int
    oldest_queued_seconds: float | None
    sweeper_seen_at: datetime | None


def health(session: Session, *, now: datetime) -> Health:
    """What the database knows of workers, sweeper and queue, in three statements."""
    workers = session.scalars(
        select(Worker).where(Worker.seen_at > now - SHOWN_FOR).order_by(Worker.name)
    ).all()
    queued, oldest = session.execute(
        select(func.count(Run.id), func.min(Run.created_at)).where(
            is_moving(Run.status), Run.status == literal_column("'queued'")
        )
    ).one()
    swept = session.scalar(select(Duty.done_at).where(Duty.name == SWEEPING))
    waited = max(0.0, (now - oldest).total_seconds()) if oldest else None
    return Health(workers, queued, waited, swept)
