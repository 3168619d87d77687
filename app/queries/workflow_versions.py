"""Versions of workflows as they were saved."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session, defer

from app.domain.workflows.definition import Definition, parse_definition
from app.errors import NotFound
from app.models import Workflow, WorkflowVersion
from app.queries.paging import page_by_number

# The largest number that the column holds.
_MAX_NUMBER = 2**31 - 1


def version_list(
    session: Session,
    workflow: Workflow,
    *,
    limit: int,
    before: int | None = None,
    after: int | None = None,
    with_steps: bool = True,
) -> Sequence[WorkflowVersion]:
    """Up to `limit` versions of a workflow, the newest first, from a neighbour's number on."""
    statement = select(WorkflowVersion).where(WorkflowVersion.workflow_id == workflow.id)
    if not with_steps:
        statement = statement.options(defer(WorkflowVersion.steps, raiseload=True))
    before, after = (None if one is None else min(one, _MAX_NUMBER) for one in (before, after))
    return session.scalars(
        page_by_number(statement, WorkflowVersion.number, before, after).limit(limit)
    ).all()


def version_of(session: Session, workflow: Workflow, number: int) -> WorkflowVersion:
    """The workflow's version `number`; raises NotFound."""
    wanted = select(WorkflowVersion).where(
        WorkflowVersion.workflow_id == workflow.id, WorkflowVersion.number == min(number, _MAX_NUMBER)
    )
    found = session.scalars(wanted).one_or_none()
    if found is None:
        raise NotFound(f"This workflow has no version {number}.")
    return found


def saved_definition(session: Session, workflow: Workflow, number: int) -> Definition:
    """The steps of version `number` as they were saved; raises NotFound."""
    definition, _problems = parse_definition(version_of(session, workflow, number).steps)
    return definition or Definition()
