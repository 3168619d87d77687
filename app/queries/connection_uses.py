"""Where a connection is used: what would be different without it. All of it is bounded."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.domain.states import RunStatus
from app.models import Connection, Grant, Run, Workflow, WorkflowVersion
from app.queries.workflow_versions import stored_steps

# Counting stops here: beyond it the number changes nobody's mind.
ENOUGH = 100
RECENT = timedelta(days=30)
# Only the application's newest runs and versions are looked at, however long its history is.
RUNS_LOOKED_AT = 1_000
VERSIONS_LOOKED_AT = 500


@dataclass(frozen=True, slots=True)
class UsedRun:
    """A run of the last 30 days with a step on the connection. `waits`: for a connection that is parked."""

    id: int
    status: RunStatus
    occurred_at: datetime
    waits: bool = False


@dataclass(frozen=True, slots=True)
class Uses:
    """What uses a connection.

    `workflows` are the live ones whose newest version does, `active_grants` the grants of people whose access
    those keep in step, at most ENOUGH; `runs` the newest first, at most ENOUGH.
    """

    workflows: list[Workflow]
    active_grants: int
    runs: list[UsedRun]

    def as_json(self) -> dict[str, object]:
        """For the API's refusal to delete."""
        return {
            "workflow_ids": [str(one.id) for one in self.workflows],
            "active_grants": self.active_grants,
            "run_ids": [str(one.id) for one in self.runs],
        }


def uses_of(session: Session, connection: Connection, *, now: datetime) -> Uses:
    """Workflows, active grants and recent runs that use the connection."""
    workflows = workflows_using(session, connection)
    grants = _active_grants(session, connection.application_id) if workflows else 0
    return Uses(workflows, grants, _recent_runs(session, connection, now))


def workflows_using(session: Session, connection: Connection) -> list[Workflow]:
    """The live workflows of its application whose newest version has a step on this connection."""
    rows = session.execute(
        select(Workflow, WorkflowVersion.steps)
        .join(WorkflowVersion, WorkflowVersion.id == Workflow.version_id)
        .where(Workflow.application_id == connection.application_id, Workflow.deleted_at.is_(None))
        .order_by(Workflow.id)
    )
    return [workflow for workflow, steps in rows if _names(steps, connection.id)]


def _active_grants(session: Session, application_id: int) -> int:
    some = (
        select(Grant.id)
        .where(Grant.application_id == application_id, Grant.is_active)
        .limit(ENOUGH)
        .subquery()
    )
    return session.scalar(select(func.count()).select_from(some)) or 0


def _recent_runs(session: Session, connection: Connection, now: datetime) -> list[UsedRun]:
    newest = session.execute(
        select(Run.id, Run.version_id, Run.status, Run.occurred_at, Run.waits_for_id)
        .where(Run.application_id == connection.application_id)
        .order_by(Run.id.desc())
        .limit(RUNS_LOOKED_AT)
    ).all()
    recent = [row for row in newest if row.occurred_at > now - RECENT]
    naming = _versions_naming(session, {row.version_id for row in recent}, connection.id)
    found = [
        UsedRun(row.id, RunStatus(row.status), row.occurred_at, waits=row.waits_for_id is not None)
        for row in recent
        if row.version_id in naming
    ]
    return found[:ENOUGH]


def _versions_naming(session: Session, version_ids: Collection[int], connection_id: int) -> set[int]:
    newest = sorted(version_ids, reverse=True)[:VERSIONS_LOOKED_AT]
    rows = session.execute(
        select(WorkflowVersion.id, WorkflowVersion.steps).where(WorkflowVersion.id.in_(newest))
    )
    return {version_id for version_id, steps in rows if _names(steps, connection_id)}


def _names(steps: object, connection_id: int) -> bool:
    """Also of a version that cannot be read: what is left of its steps still counts."""
    return any(str(step.get("connection_id")) == str(connection_id) for step in stored_steps(steps))
