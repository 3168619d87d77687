"""Workflows with their newest versions."""

from __future__ import annotations

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from app.models import Workflow, WorkflowVersion
from app.queries.paging import page_by_number

# A workflow and its newest version, None while it has none.
Newest = tuple[Workflow, WorkflowVersion | None]


def workflow_list(
    session: Session, application_id: int, *, limit: int, before: int | None = None
) -> list[Newest]:
    """Up to `limit` live workflows of an application, the oldest first; `before` reads on behind that one."""
    statement = _live().where(Workflow.application_id == application_id)
    rows = session.execute(page_by_number(statement, Workflow.id, before, None, rising=True).limit(limit))
    return [(workflow, version) for workflow, version in rows]


def live_workflow(session: Session, workflow_id: int) -> Newest | None:
    """A workflow that is not deleted; None without one."""
    found = session.execute(_live().where(Workflow.id == workflow_id)).one_or_none()
    return (found[0], found[1]) if found else None


def _live() -> Select[Workflow, WorkflowVersion]:
    newest = WorkflowVersion.id == Workflow.version_id
    return (
        select(Workflow, WorkflowVersion)
        .outerjoin(WorkflowVersion, newest)
        .where(Workflow.deleted_at.is_(None))
    )
