"""A connection and both workflows from a template, in one transaction, nothing enabled."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.catalogue.kinds import Step, Steps, SystemTemplate, filled
from app.domain.states import Trigger
from app.errors import Conflict, FieldError, Invalid
from app.models import Application, Connection, Workflow
from app.permissions import Actor
from app.schemas.base import parse
from app.schemas.connections import ConnectionIn
from app.schemas.workflows import WorkflowIn
from app.services.connections import create_connection
from app.services.workflows import create_workflow

_EXAMPLE = re.compile(r"\byour-(organisation|org|site|tenant)\b")


@dataclass(frozen=True, slots=True)
class SetUp:
    """What a template came to. The credential is still to be entered, and the workflows to be enabled."""

    connection: Connection
    workflows: tuple[Workflow, ...]


def apply_template(
    session: Session,
    actor: Actor,
    application: Application,
    template: SystemTemplate,
    answers: Mapping[str, str],
    *,
    now: datetime,
) -> SetUp:
    """Make what the template describes; `answers` holds the connection's `name` and what it asks for.

    Raises Invalid with fields such as `config.base_url`; Conflict when the application has a workflow already.
    """
    _refuse_where_workflows_are(session, application)
    _refuse_answers(template, answers)
    in_steps = {one.field: answers[one.field] for one in template.questions if one.in_steps}
    asked = {one.field: answers.get(one.field, "") for one in template.questions if not one.in_steps}
    config = {**filled(dict(template.config), in_steps), **asked}
    name = answers.get("name") or template.name
    data = parse(ConnectionIn, {"type": "http", "name": name, "config": config})
    connection = create_connection(session, actor, application, data, now=now)
    workflows = [
        create_workflow(session, actor, application, planned, now=now).workflow
        for planned in _planned(template, lambda steps: filled(steps(str(connection.id)), in_steps))
    ]
    return SetUp(connection, tuple(workflows))


def _planned(template: SystemTemplate, made: Callable[[Steps], list[Step]]) -> list[WorkflowIn]:
    return [
        parse(
            WorkflowIn,
            {
                "name": f"{template.name}: {words}",
                "trigger": trigger,
                "description": template.summary,
                "steps": made(steps),
                **({"revoke_policy": template.revoke_policy} if trigger is Trigger.ACCESS_REVOKED else {}),
            },
        )
        # Granting first: what it captures is what revoking may name.
        for words, trigger, steps in (
            ("grant access", Trigger.ACCESS_GRANTED, template.grant),
            ("revoke access", Trigger.ACCESS_REVOKED, template.revoke),
        )
    ]


def _refuse_answers(template: SystemTemplate, answers: Mapping[str, str]) -> None:
    """What stands in the steps must be there; an address that still says “your-site” is somebody else's."""
    errors = [
        FieldError(f"config.{one.field}", f"Enter the {one.label.lower()}.")
        for one in template.questions
        if one.in_steps and not answers.get(one.field, "").strip()
    ] + [
        FieldError(f"config.{one.field}", f"Put your own in place of “{found[0]}”.")
        for one in template.questions
        if (found := _EXAMPLE.search(answers.get(one.field, "")))
    ]
    if errors:
        raise Invalid(errors[0].message, errors)


def _refuse_where_workflows_are(session: Session, application: Application) -> None:
    names = session.scalars(
        select(Workflow.name).where(Workflow.application_id == application.id, Workflow.deleted_at.is_(None))
    ).all()
    if names:
        raise Conflict(
            f"{application.name} has workflows already: {', '.join(names)}. A template makes both. "
            "Delete them first, or add the connection without a template."
        )
