"""Access that should be gone: revoked grants whose revoke run has not succeeded, the longest ago first.

A revoke that somebody chose to record only is not among them, nor one whose person still holds another grant.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import literal_column, or_, select
from sqlalchemy.orm import Session, aliased

from app.domain.grants.state import CANCELLED, SKIPPED
from app.domain.grants.trigger import NoRunReason
from app.domain.states import RunStatus, Trigger
from app.models import Application, Grant, Run, User, Workflow
from app.models.grant import is_held, revoke_unfinished, revoke_without_run
from app.models.user import person_name

# A revoke that has not succeeded within this time is no longer just under way.
PATIENCE = timedelta(minutes=5)
# Of more than this, some are looked at: enough to say that there are very many.
LOOKED_AT = 1000


@dataclass(frozen=True, slots=True)
class LeftBehind:
    """A revoked grant whose access may still be there. `run_id` is None where nothing was started."""

    grant_id: int
    person: str
    application_id: int
    application: str
    revoked_at: datetime
    revoked_by: str
    why: str
    run_id: int | None


@dataclass(frozen=True, slots=True)
class LeftBehinds:
    """Those to show, the oldest first, and how many there are; more than LOOKED_AT counts as one more."""

    shown: Sequence[LeftBehind]
    count: int


def left_behind(session: Session, *, now: datetime, limit: int) -> LeftBehinds:
    """Access that should be gone by `now`, up to `limit` of it, in two statements whatever the history."""
    found = [*_unfinished(session, now), *_without_run(session)]
    found.sort(key=lambda one: (one.revoked_at, one.grant_id))
    return LeftBehinds(found[:limit], min(len(found), LOOKED_AT + 1))


def _unfinished(session: Session, now: datetime) -> list[LeftBehind]:
    """Revokes with a run that failed, waits, or takes too long."""
    rows = session.execute(
        select(*_COLUMNS, Run.status)
        .join(User, User.id == Grant.user_id)
        .join(Application, Application.id == Grant.application_id)
        .join(Run, Run.id == Grant.newest_run_id)
        .where(
            revoke_unfinished(),
            or_(Grant.state != literal_column("'deprovisioning'"), Grant.revoked_at < now - PATIENCE),
        )
        .order_by(Grant.revoked_at)
        .limit(LOOKED_AT + 1)
    )
    return [_left(row, _RUN_WORDS[RunStatus(row.status)], row.newest_run_id) for row in rows]


def _without_run(session: Session) -> list[LeftBehind]:
    """Revokes that started no run, on applications that have a workflow for them."""
    other = aliased(Grant)
    still_held = (
        select(literal_column("1")).where(is_held(other, Grant.user_id, Grant.application_id)).exists()
    )
    rows = session.execute(
        select(*_COLUMNS, Grant.state_reason)
        .select_from(Workflow)
        .join(Grant, Grant.application_id == Workflow.application_id)
        .join(User, User.id == Grant.user_id)
        .join(Application, Application.id == Grant.application_id)
        .where(
            Workflow.trigger == Trigger.ACCESS_REVOKED,
            Workflow.deleted_at.is_(None),
            revoke_without_run(),
            ~still_held,
        )
        .limit(LOOKED_AT + 1)
    )
    return [_left(row, f"No run: {_REASONS.get(row.state_reason, row.state_reason)}", None) for row in rows]


_COLUMNS = (
    Grant.id,
    Grant.application_id,
    Grant.revoked_at,
    Grant.revoked_by,
    Grant.newest_run_id,
    User.first_name,
    User.last_name,
    User.email,
    Application.name.label("application"),
)
_RUN_WORDS = {
    RunStatus.QUEUED: "Still queued",
    RunStatus.RUNNING: "Still running",
    RunStatus.WAITING_MANUAL: "Waits for a person",
    RunStatus.FAILED: "Failed",
    RunStatus.COMPENSATED: "Failed and was compensated",
}
_REASONS = {one.value: one.label for one in NoRunReason} | {
    CANCELLED: "it was cancelled",
    SKIPPED: "every step was skipped",
}


def _left(row: Any, why: str, run_id: int | None) -> LeftBehind:
    return LeftBehind(
        grant_id=row.id,
        person=person_name(row.first_name, row.last_name, row.email),
        application_id=row.application_id,
        application=row.application,
        revoked_at=row.revoked_at,
        revoked_by=row.revoked_by or "",
        why=why,
        run_id=run_id,
    )
