"""What is asked before a person may move a run: is its intent still the newest, and whose turn is it?"""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain.states import RunStatus
from app.models import Run
from app.models.run import is_moving
from app.queries.run_facts import load, runs_with_facts


def stale_reason_of(session: Session, run: Run) -> str | None:
    """Why the run's intent no longer holds, or None: the check that every way back into a run makes."""
    [loaded] = load(session.connection(), runs_with_facts().where(Run.id == run.id), run.changed_at)
    return loaded.world.stale


def waits_for(session: Session, run: Run) -> int | None:
    """The run whose turn comes first, when this one waits for its lane; None when nothing is in its way."""
    if not RunStatus(run.status).moves_by_itself or run.holds_lane:
        return None
    ahead = (
        select(Run.id)
        .where(
            Run.user_id == run.user_id,
            Run.application_id == run.application_id,
            Run.id != run.id,
            is_moving(Run.status),
            Run.holds_lane | (Run.id < run.id),
        )
        .order_by(Run.holds_lane.desc(), Run.id)
        .limit(1)
    )
    return session.scalar(ahead)
