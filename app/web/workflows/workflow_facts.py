"""What these pages read besides the workflow itself: whether it is ready to run, and its last run."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from flask import url_for
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.connectors.types.table import needs_credential
from app.domain.grants.trigger import ALLOWED_POLICIES, Policy
from app.domain.states import Trigger
from app.domain.workflows.checks import check_definition
from app.errors import NotFound
from app.extensions import db
from app.models import Connection, Run, Workflow
from app.queries.lookup import load
from app.queries.run_words import RunChip, run_chip_of
from app.queries.workflow_scope import scope_info
from app.queries.workflow_versions import read_newest

POLICY_WORDS = {
    (Trigger.ACCESS_GRANTED, Policy.EACH_GRANT): ("Every grant", "Each grant starts a run."),
    (Trigger.ACCESS_GRANTED, Policy.FIRST_ACTIVE_GRANT): (
        "Only the first active grant",
        "A person who already has access to the application starts no run.",
    ),
    (Trigger.ACCESS_REVOKED, Policy.LAST_ACTIVE_GRANT): (
        "Only the last active grant",
        "Nobody is cut off who still holds another active grant.",
    ),
    (Trigger.ACCESS_REVOKED, Policy.EACH_GRANT): (
        "Every revoke",
        "Each revoke starts a run, also for a person who keeps other access.",
    ),
}


@dataclass(frozen=True, slots=True)
class Obstacle:
    """What makes runs fail or keeps the workflow from being enabled, with the page that mends it."""

    message: str
    href: str
    label: str
    refuses: bool = False


@dataclass(frozen=True, slots=True)
class LastRun:
    """The newest run of a workflow."""

    id: int
    chip: RunChip
    at: datetime


def live(workflow_id: int, *, session: Session | None = None) -> Workflow:
    """The workflow; raises NotFound, also for one that was deleted."""
    workflow = load(session or db.session(), Workflow, workflow_id)
    if workflow.deleted_at is not None:
        raise NotFound(
            "This workflow was deleted. Its runs and versions are kept with its application’s runs."
        )
    return workflow


def policy_choices(trigger: Trigger) -> list[tuple[str, str, str]]:
    """The policies of a trigger as choices: value, words, what it means."""
    return [(policy.value, *POLICY_WORDS[trigger, policy]) for policy in ALLOWED_POLICIES[trigger]]


def obstacles(session: Session, workflow: Workflow) -> list[Obstacle]:
    """What stands in the way of the workflow's runs, worst first."""
    edit = url_for("workflows.edit", workflow_id=workflow.id)
    if not workflow.step_count:
        return [Obstacle("It has no steps.", edit, "Add a step", refuses=True)]
    newest = read_newest(session, workflow)
    if newest.problem:
        return [
            Obstacle(
                newest.problem, url_for("workflows.versions", workflow_id=workflow.id), "Open the versions"
            )
        ]
    found: list[Obstacle] = []
    if workflow.to_review:
        message = (
            "It was saved before steps could say which account they mean, and may fail where they guess."
        )
        found.append(Obstacle(message, url_for("workflows.review"), "Look at it"))
    seen: set[str] = set()
    for step in newest.definition.steps:
        if step.connection_id is None or step.connection_id in seen:
            continue
        seen.add(step.connection_id)
        number = step.connection_number
        connection = session.get(Connection, number) if number is not None else None
        if connection is None:
            message = f"The connection of “{step.name}” does not exist any more."
            found.append(Obstacle(message, f"{edit}?step={step.key}", "Choose another"))
        elif needs_credential(connection) and connection.credential is None:
            href = url_for("connections.show", connection_id=connection.id) + "#credential"
            found.append(
                Obstacle(f"The connection {connection.name} has no credential.", href, "Add credential")
            )
    return found


def warnings(session: Session, workflow: Workflow) -> list[str]:
    """What the newest steps may do that their author may not expect, each with its step."""
    definition = read_newest(session, workflow).definition
    places = {step.key: f"{at}. {step.name}: " for at, step in enumerate(definition.steps, 1)}
    found = check_definition(definition, scope_info(session, workflow, definition))
    return [
        ("" if one.field == "steps" else places.get(one.step or "", "")) + one.message
        for one in found
        if one.severity == "warning"
    ]


def last_run(session: Session, workflow: Workflow, *, now: datetime) -> LastRun | None:
    """The workflow's newest run, from the application's own index."""
    run = session.scalars(
        select(Run)
        .where(Run.application_id == workflow.application_id, Run.workflow_id == workflow.id)
        .order_by(Run.id.desc())
        .limit(1)
    ).first()
    return None if run is None else LastRun(run.id, run_chip_of(run, now=now), run.created_at)
