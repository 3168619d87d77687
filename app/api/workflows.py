"""Workflows and their versions."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.orm import Session

from app.api.blueprint import bp
from app.api.lists import ListQuery, page_of
from app.api.operation import Act, looks, reads, writes
from app.domain.json_reader import Problem
from app.domain.states import Trigger
from app.errors import Invalid
from app.guard import requires
from app.models import Application, Grant, Workflow, WorkflowVersion
from app.permissions import require
from app.queries.dry_run import DryRun, DryStep, dry_run
from app.queries.lookup import load, missing
from app.queries.workflow_versions import (
    Newest,
    live_workflow,
    newest_version,
    read_version,
    stored_steps,
    version_list,
    workflow_list,
)
from app.schemas.answers import Page, VersionOut, WarningOut, WorkflowOut
from app.schemas.workflows import (
    POLICY_FIELDS,
    DryRequestOut,
    DryRunIn,
    DryRunOut,
    DryStepOut,
    VersionIn,
    WorkflowIn,
    WorkflowPatch,
)
from app.services import workflows

TAG = "Workflows"


@bp.get("/applications/<int:application_id>/workflows")
@requires("workflow:read")
@reads(TAG, Page[WorkflowOut], query=ListQuery)
def list_workflows(act: Act, query: ListQuery, application_id: int) -> Page[WorkflowOut]:
    """An application's workflows: at most one for each trigger."""
    application = load(act.session, Application, application_id)
    rows = workflow_list(act.session, application.id, limit=query.limit + 1, before=query.key)
    return page_of(rows, query, lambda row: workflow_out(*row), key=lambda row: row[0].id)


@bp.post("/applications/<int:application_id>/workflows")
@requires("workflow:manage")
@writes(TAG, WorkflowOut, body=WorkflowIn, status=201, repeatable=True)
def create_workflow(act: Act, application_id: int, body: WorkflowIn) -> WorkflowOut:
    """Add a workflow, with its first version when there are steps."""
    application = load(act.session, Application, application_id)
    saved = workflows.create_workflow(act.session, act.actor, application, body, now=act.now)
    return workflow_out(saved.workflow, saved.version, saved.warnings)


@bp.get("/workflows/<int:workflow_id>")
@requires("workflow:read")
@reads(TAG, WorkflowOut)
def show_workflow(act: Act, workflow_id: int) -> WorkflowOut:
    """One workflow with its newest version."""
    return workflow_out(*_live(act.session, workflow_id))


@bp.patch("/workflows/<int:workflow_id>")
@requires("workflow:manage")
@writes(TAG, WorkflowOut, body=WorkflowPatch)
def change_workflow(act: Act, workflow_id: int, body: WorkflowPatch) -> WorkflowOut:
    """Change or enable a workflow. Enabling one starts nothing for grants that exist already."""
    workflow, _ = _live(act.session, workflow_id)
    changed = workflows.change_workflow(act.session, act.actor, workflow, body, now=act.now)
    return workflow_out(changed, newest_version(act.session, changed))


@bp.delete("/workflows/<int:workflow_id>")
@requires("workflow:manage")
@writes(TAG)
def delete_workflow(act: Act, workflow_id: int) -> None:
    """Take a workflow out of use. Its runs and versions are kept, and runs under way go on."""
    workflow, _ = _live(act.session, workflow_id)
    workflows.delete_workflow(act.session, act.actor, workflow, now=act.now)


@bp.get("/workflows/<int:workflow_id>/versions")
@requires("workflow:read")
@reads(TAG, Page[VersionOut], query=ListQuery)
def list_versions(act: Act, query: ListQuery, workflow_id: int) -> Page[VersionOut]:
    """A workflow's versions, the newest first; those of a deleted one as well."""
    workflow = load(act.session, Workflow, workflow_id)
    rows = version_list(act.session, workflow, limit=query.limit + 1, before=query.key)
    return page_of(rows, query, version_out, key=lambda version: version.number)


@bp.post("/workflows/<int:workflow_id>/versions")
@requires("workflow:manage")
@writes(TAG, VersionOut, body=VersionIn, status=201, repeatable=True)
def save_version(act: Act, workflow_id: int, body: VersionIn) -> VersionOut:
    """Save steps as the next version.

    Steps that mean the same as those of the newest version make none: that one is given.
    """
    workflow, _ = _live(act.session, workflow_id)
    saved = workflows.save_version(act.session, act.actor, workflow, body, now=act.now)
    if saved.version is None:
        raise Invalid.field("steps", "Add a step: a first version without any does nothing.")
    return version_out(saved.version, saved.warnings)


@bp.post("/workflows/<int:workflow_id>/dry-run")
@requires("workflow:read")
@looks(TAG, DryRunOut, body=DryRunIn)
def dry_run_workflow(act: Act, workflow_id: int, body: DryRunIn) -> DryRunOut:
    """What the newest or another version, or unsaved steps, would do for a grant. Nothing is sent.

    Needs grant:read as well.
    """
    require(act.actor, "grant:read")  # the requests show whom the grant is for
    workflow, _ = _live(act.session, workflow_id)
    grant = act.session.get(Grant, body.grant_id)
    if grant is None:
        raise Invalid.field("grant_id", "There is no such grant.")
    found = dry_run(
        act.session,
        workflow,
        grant,
        now=act.now,
        steps=body.steps,
        version=body.version,
        supposing=body.supposing,
    )
    return dry_run_out(found)


def _live(session: Session, workflow_id: int) -> Newest:
    pair = live_workflow(session, workflow_id)
    if pair is None:
        raise missing(Workflow, workflow_id)
    return pair


def workflow_out(
    workflow: Workflow, version: WorkflowVersion | None, warnings: Sequence[Problem] = ()
) -> WorkflowOut:
    """`version` is the newest one; `warnings` are known where it was just saved."""
    policies = dict.fromkeys(POLICY_FIELDS.values()) | {
        POLICY_FIELDS[Trigger(workflow.trigger)]: workflow.policy
    }
    return WorkflowOut(
        id=str(workflow.id),
        application_id=str(workflow.application_id),
        name=workflow.name,
        description=workflow.description,
        trigger=workflow.trigger,
        enabled=workflow.is_enabled,
        grant_policy=policies["grant_policy"],
        revoke_policy=policies["revoke_policy"],
        version=version_out(version, warnings) if version else None,
        created_at=workflow.created_at,
    )


def version_out(version: WorkflowVersion, warnings: Sequence[Problem] = ()) -> VersionOut:
    problem = read_version(version).problem
    damaged = [Problem("steps", problem)] if problem else []
    return VersionOut(
        number=version.number,
        steps=stored_steps(version.steps),
        note=version.note,
        created_at=version.created_at,
        created_by=version.created_by,
        warnings=[WarningOut(field=one.field, message=one.message) for one in (*damaged, *warnings)],
    )


def dry_run_out(found: DryRun) -> DryRunOut:
    return DryRunOut(
        steps=[_dry_step_out(one) for one in found.steps], end=found.end.value, warnings=list(found.warnings)
    )


def _dry_step_out(one: DryStep) -> DryStepOut:
    request = one.request
    return DryStepOut(
        key=one.step.key,
        name=one.step.name,
        type=one.step.type.value,
        outcome=one.visit.outcome,
        edge=one.visit.edge,
        compensation=one.visit.compensation,
        skipped=one.visit.skipped or None,
        request=DryRequestOut(
            method=request.method,
            url=request.url,
            headers=dict(request.headers),
            body=request.body.decode() if request.body is not None else None,
        )
        if request
        else None,
        prompt=one.prompt or None,
        warnings=list(one.warnings),
    )
