"""The sweeper's part in bulk retries: every live job is brought forward a little, each run in its own transaction."""

from __future__ import annotations

import structlog
from sqlalchemy.exc import SQLAlchemyError

from app.extensions import db
from app.queries.bulk_retries import live_jobs
from app.services.bulk_retries import go_on
from app.services.transaction import transaction

# So many runs of one job are looked at in one pass: the other jobs, and the sweep itself, have their turn.
AT_ONCE = 50

log = structlog.get_logger("bulk")


def bring_forward() -> int:
    """Bring every live job forward; gives how many were live. Needs an application context."""
    session = db.session()
    jobs = list(live_jobs(session))
    session.rollback()
    for bulk_id in jobs:
        try:
            _bring_forward(bulk_id)
        except SQLAlchemyError:
            raise
        except Exception:
            # It has its turn in the next pass; the other jobs, and runs that were lost, do not wait for it.
            log.exception("bulk.failed", bulk_retry=bulk_id)
    return len(jobs)


def _bring_forward(bulk_id: int) -> None:
    for _ in range(AT_ONCE):
        with transaction() as session:
            more = go_on(session, bulk_id)
        if not more:
            return
