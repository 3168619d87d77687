"""Versions of workflows as they were saved."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain.workflows.definition import Definition, parse_definition
from app.errors import NotFound
from app.models import Workflow, WorkflowVersion

# The largest number that the column holds.
_MAX_NUMBER = 2**31 - 1


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
