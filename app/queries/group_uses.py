"""Where groups are used, how many are in them, and who may join."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import String, cast, func, literal_column, select
from sqlalchemy.orm import Session

from app.models import Application, GroupMember, User, Workflow, WorkflowVersion
from app.queries.access import person_matches


class Use(NamedTuple):
    """A step of a live workflow whose task goes to the group."""

    application_id: int
    application: str
    workflow: str
    is_enabled: bool
    step: str


class Candidate(NamedTuple):
    """Somebody who may join a group."""

    id: int
    name: str
    email: str


def uses_of(session: Session, group_id: int) -> list[Use]:
    """The steps of live workflows, in their newest version, that ask this group."""
    # The database sorts out what names no group at all; which one is named is read here, as JSON.
    statement = (
        select(Application.id, Application.name, Workflow.name, Workflow.is_enabled, WorkflowVersion.steps)
        .join(Application, Application.id == Workflow.application_id)
        .join(WorkflowVersion, WorkflowVersion.id == Workflow.version_id)
        .where(Workflow.deleted_at.is_(None), cast(WorkflowVersion.steps, String).contains("group_id"))
        .order_by(func.lower(Application.name), Workflow.id)
    )
    wanted = str(group_id)
    return [
        Use(application_id, application, workflow, is_enabled, str(step.get("name") or step.get("key")))
        for application_id, application, workflow, is_enabled, steps in session.execute(statement)
        for step in steps
        if str((step.get("assignee") or {}).get("group_id")) == wanted
    ]


def sizes(session: Session, group_ids: Sequence[int]) -> dict[int, int]:
    """How many people are in each of these groups."""
    statement = (
        select(GroupMember.group_id, func.count())
        .where(GroupMember.group_id.in_(group_ids))
        .group_by(GroupMember.group_id)
    )
    counted = {group_id: count for group_id, count in session.execute(statement)}
    return {group_id: counted.get(group_id, 0) for group_id in group_ids}


def who_may_join(session: Session, group_id: int, text: str, *, limit: int) -> list[Candidate]:
    """Active people outside the group whose name, email, username or employee id holds `text`, by email."""
    inside = (
        select(literal_column("1"))
        .where(GroupMember.group_id == group_id, GroupMember.user_id == User.id)
        .exists()
    )
    statement = select(User.id, User.first_name, User.last_name, User.email).where(User.is_active, ~inside)
    if text:
        statement = statement.where(person_matches(text))
    rows = session.execute(statement.order_by(func.lower(User.email)).limit(limit))
    return [
        Candidate(number, f"{first} {last}".strip() or email, email) for number, first, last, email in rows
    ]
