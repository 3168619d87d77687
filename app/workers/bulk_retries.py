"""The sweeper's part in bulk retries: every live job is brought forward a little, each run in its own transaction."""

from __future__ import annotations

import structlog

from app.extensions import db
from app.queries.bulk_retries import live_jobs
from app.services.bulk_retries import go_on
from app.services.transaction import transaction
from app.workers.one_by_one import one_by_one

# So many runs of one job are looked at in one pass: the other jobs, and the sweep itself, have their turn.
AT_ONCE = 50

log = structlog.get_logger("bulk")


def bring_forward() -> tuple[int, list[Exception]]:
    """Bring every live job forward: how many were live, and why some were not brought forward.

    Those have their turn in the next pass, and keep no other waiting.  Needs an application context; raises what a
    database that is away raises.
    """
    session = db.session()
    jobs = list(live_jobs(session))
    session.rollback()
    problems = one_by_one(jobs, _bring_forward)
    for problem in problems:
        log.error("bulk.failed", exc_info=problem)
    return len(jobs), problems


def _bring_forward(bulk_id: int) -> None:
    for _ in range(AT_ONCE):
        with transaction() as session:
            more = go_on(session, bulk_id)
        if not more:
            return
