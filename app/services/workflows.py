"""Workflows and their versions: made, changed, enabled, saved, restored, deleted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain.json_reader import Problem
from app.domain.states import Trigger
from app.domain.workflows.definition import Definition, canonical, parse_definition, to_json
from app.domain.workflows.doubts import doubts
from app.errors import Conflict, FieldError, Invalid, NotFound
from app.models import Application, Workflow, WorkflowVersion
from app.permissions import Actor
from app.queries.workflow_scope import check, scope_info
from app.queries.workflow_versions import ReadVersion, newest_version, read_version, version_of
from app.schemas.workflows import POLICY_FIELDS, VersionIn, WorkflowIn, WorkflowPatch, policy_errors
from app.services import audit
from app.services.record_changes import assign, lock, refusing_duplicates

_NO_STEPS = "It has no steps yet. Add a step, then enable it."


@dataclass(frozen=True, slots=True)
class Saved:
    """What saving came to: the newest version (None while there is none), whether it is new, and warnings."""

    workflow: Workflow
    version: WorkflowVersion | None
    is_new: bool = False
    warnings: Sequence[Problem] = field(default_factory=tuple)


def create_workflow(
    session: Session,
    actor: Actor,
    application: Application,
    data: WorkflowIn,
    *,
    now: datetime,
    saved_before: bool = False,
) -> Saved:
    """Add a workflow and, when steps were sent, its first version.

    Raises Conflict when the application has a live workflow for the trigger, naming it; Invalid for steps
    that cannot be saved, and for one that is to be enabled without any.
    """
    trigger = Trigger(data.trigger)
    if application.archived_at is not None:
        raise Conflict(f"{application.name} is archived. Restore it first.")
    _refuse_second(session, application.id, trigger)
    workflow = Workflow(
        application_id=application.id,
        name=data.name,
        description=data.description,
        trigger=trigger,
        policy=data.policy,
        created_at=now,
    )
    taken = Conflict(f"This application has a workflow for {trigger.label} already.")
    with refusing_duplicates(session, taken):
        session.add(workflow)
    audit.record(session, actor, "workflow.create", workflow, now=now)
    saved = Saved(workflow, None)
    if data.steps is not None:
        saved = save_version(
            session, actor, workflow, VersionIn(steps=data.steps), now=now, saved_before=saved_before
        )
    if data.enabled:
        _enable(session, actor, workflow, now)
    return saved


def change_workflow(
    session: Session, actor: Actor, workflow: Workflow, patch: WorkflowPatch, *, now: datetime
) -> Workflow:
    """Change what was sent.  Enabling starts nothing for grants that exist already.

    Raises Invalid for a policy of the other trigger, and for enabling without steps.
    """
    _lock_live(session, workflow)
    given = patch.given()
    policies: dict[str, str | None] = {
        name: given.pop(name) for name in POLICY_FIELDS.values() if name in given
    }
    errors = policy_errors(Trigger(workflow.trigger), policies)
    if errors:
        raise Invalid(errors[0].message, errors)
    enabled = given.pop("enabled", workflow.is_enabled)
    chosen = next((word for word in policies.values() if word is not None), None)
    changes = assign(workflow, {**given, **({"policy": chosen} if chosen else {})})
    if changes:
        audit.record(session, actor, "workflow.change", workflow, now=now, changes=changes)
    if enabled and not workflow.is_enabled:
        _enable(session, actor, workflow, now)
    elif workflow.is_enabled and not enabled:
        workflow.is_enabled = False
        audit.record(session, actor, "workflow.disable", workflow, now=now)
    return workflow


def save_version(
    session: Session,
    actor: Actor,
    workflow: Workflow,
    data: VersionIn,
    *,
    now: datetime,
    saved_before: bool = False,
) -> Saved:
    """Save steps as the next version; steps that mean the same as the newest make none.

    `saved_before`: they come from a file of a time when steps could not say which account they mean.  They are taken
    as they are, and the workflow is marked for somebody to look at.

    Raises Invalid with fields such as `steps[1].path`; Conflict when `based_on` is no longer the newest
    version, naming who saved what came after it.
    """
    lock(session, Application, workflow.application_id)  # no connection may go while its step is saved
    _lock_live(session, workflow)
    newest = newest_version(session, workflow)
    if data.based_on is not None and data.based_on != workflow.version_number:
        raise _saved_meanwhile(workflow, newest)
    definition = _parsed(data.steps)
    warnings = check(session, workflow, definition, saved_before=saved_before)
    if canonical(definition) == _canonical(newest):
        return Saved(workflow, newest, False, warnings)
    version = WorkflowVersion(
        workflow_id=workflow.id,
        number=workflow.version_number + 1,
        steps=to_json(definition),
        note=data.note,
        created_at=now,
        created_by=actor.name,
        created_by_id=actor.user_id,
    )
    session.add(version)
    session.flush()  # the workflow names its newest version's number
    workflow.version_id, workflow.version_number = version.id, version.number
    workflow.step_count = len(definition.steps)
    workflow.to_review = saved_before and bool(doubts(definition, scope_info(session, workflow, definition)))
    changes = {"version": [version.number - 1 or None, version.number]}
    audit.record(
        session, actor, "workflow.save", workflow, now=now, changes=changes, reason=data.note or None
    )
    return Saved(workflow, version, True, warnings)


def restore_version(
    session: Session,
    actor: Actor,
    workflow: Workflow,
    number: int,
    *,
    now: datetime,
    based_on: int | None = None,
) -> Saved:
    """Save the steps of an earlier version as the next one.

    Raises NotFound; Invalid when they no longer fit, such as for a connection that is gone; Conflict when
    `based_on` is no longer the newest version.
    """
    old = version_of(session, workflow, number)
    data = VersionIn(steps=old.steps, note=f"Restored from version {number}.", based_on=based_on)
    return save_version(session, actor, workflow, data, now=now)


def delete_workflow(session: Session, actor: Actor, workflow: Workflow, *, now: datetime) -> None:
    """Take a workflow out of use; its versions and runs stay, and runs under way go on."""
    _lock_live(session, workflow)
    workflow.deleted_at, workflow.is_enabled = now, False
    audit.record(session, actor, "workflow.delete", workflow, now=now)


def mark_reviewed(session: Session, actor: Actor, workflow: Workflow, *, now: datetime) -> None:
    """Somebody has looked at a workflow that was marked; does nothing where it is not."""
    _lock_live(session, workflow)
    if workflow.to_review:
        workflow.to_review = False
        audit.record(session, actor, "workflow.review", workflow, now=now)


def _lock_live(session: Session, workflow: Workflow) -> None:
    lock(session, Workflow, workflow.id)
    session.refresh(workflow)
    if workflow.deleted_at is not None:
        raise NotFound("This workflow has been deleted.")


def _enable(session: Session, actor: Actor, workflow: Workflow, now: datetime) -> None:
    if not workflow.step_count:
        raise Invalid.field("enabled", _NO_STEPS)
    workflow.is_enabled = True
    audit.record(session, actor, "workflow.enable", workflow, now=now)


def _refuse_second(session: Session, application_id: int, trigger: Trigger) -> None:
    other = session.scalars(
        select(Workflow).where(
            Workflow.application_id == application_id,
            Workflow.trigger == trigger,
            Workflow.deleted_at.is_(None),
        )
    ).one_or_none()
    if other is not None:
        raise Conflict(
            f"“{other.name}” answers {trigger.label} already: an application has one workflow for each.",
            {"workflow_id": str(other.id)},
        )


def _parsed(steps: Any) -> Definition:
    definition, problems = parse_definition(steps)
    if definition is None:
        errors = [FieldError(one.field, one.message) for one in problems]
        raise Invalid("The steps cannot be saved.", errors)
    return definition


def _canonical(version: WorkflowVersion | None) -> str:
    """The same for versions that mean the same; "" for one that cannot be read, which no other is like."""
    saved = read_version(version) if version is not None else ReadVersion(Definition())
    return "" if saved.problem else canonical(saved.definition)


def _saved_meanwhile(workflow: Workflow, newest: WorkflowVersion | None) -> Conflict:
    who = newest.created_by if newest else "Somebody"
    return Conflict(
        f"{who} saved version {workflow.version_number} while you were editing. Compare, then save yours "
        f"as version {workflow.version_number + 1}.",
        {"version": workflow.version_number},
    )
