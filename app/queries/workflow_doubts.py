"""Workflows saved before steps could say which account they mean, with what is to be looked at in each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session, contains_eager

from app.domain.json_reader import Problem
from app.domain.workflows.doubts import doubts
from app.models import Application, Workflow
from app.queries.workflow_scope import scope_info
from app.queries.workflow_versions import read_newest

# More are not shown at once: each takes a few statements.
SHOWN = 50


@dataclass(frozen=True, slots=True)
class Doubtful:
    """A marked workflow, what is doubtful in its steps, and why they cannot be read where they cannot."""

    workflow: Workflow
    doubts: Sequence[Problem]
    steps: dict[str, str]
    unreadable: str = ""


def to_review(session: Session) -> int:
    """How many live workflows are marked."""
    marked = (
        select(func.count()).select_from(Workflow).where(Workflow.to_review, Workflow.deleted_at.is_(None))
    )
    return session.scalar(marked) or 0


def doubtful(session: Session) -> list[Doubtful]:
    """The marked workflows by application, at most `SHOWN`."""
    statement = (
        select(Workflow)
        .join(Workflow.application)
        .options(contains_eager(Workflow.application))
        .where(Workflow.to_review, Workflow.deleted_at.is_(None))
        .order_by(Application.name, Workflow.trigger)
        .limit(SHOWN)
    )
    found: list[Doubtful] = []
    for workflow in session.scalars(statement):
        saved = read_newest(session, workflow)
        problems = doubts(saved.definition, scope_info(session, workflow, saved.definition))
        names = {step.key: step.name for step in saved.definition.steps}
        found.append(Doubtful(workflow, problems, names, saved.problem))
    return found
