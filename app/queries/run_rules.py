"""What is asked before a person may move a run: is its intent still the newest, and whose turn is it?"""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain.states import RunStatus
from app.models import Grant, Run
from app.models.run import is_ahead_of, replaces
from app.queries.run_facts import active_grants, stale_in


def stale_reason_of(session: Session, run: Run) -> str | None:
    """Why the run's intent no longer holds, or None: the check that every way back into a run makes."""
    facts = select(Grant.revoked_at, active_grants).select_from(Run).join(Grant, Grant.id == Run.grant_id)
    return stale_in(run, session.execute(facts.where(Run.id == run.id)).one())


def replaced_by(session: Session, run: Run) -> int | None:
    """The run that a replay of this one started, or None."""
    return session.scalar(select(Run.id).where(replaces(Run, run)))


def waits_for(session: Session, run: Run) -> int | None:
    """The run whose turn comes first, when this one waits for its lane; None when nothing is in its way."""
    if not RunStatus(run.status).moves_by_itself or run.holds_lane:
        return None
    ahead = select(Run.id).where(is_ahead_of(Run, run)).order_by(Run.holds_lane.desc(), Run.id).limit(1)
    return session.scalar(ahead)
