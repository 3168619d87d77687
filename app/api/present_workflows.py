"""Workflows and their versions in the shapes of API.md."""

from __future__ import annotations

from collections.abc import Sequence

from app.domain.json_reader import Problem
from app.domain.states import Trigger
from app.models import Workflow, WorkflowVersion
from app.queries.dry_run import DryRun, DryStep
from app.schemas.answers import VersionOut, WarningOut, WorkflowOut
from app.schemas.previews import DryRequestOut, DryRunOut, DryStepOut
from app.schemas.workflows import POLICY_FIELDS


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
    return VersionOut(
        number=version.number,
        steps=version.steps,
        note=version.note,
        created_at=version.created_at,
        created_by=version.created_by,
        warnings=[WarningOut(field=one.field, message=one.message) for one in warnings],
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
        outcome="succeeded" if one.visit.ok else "failed",
        edge=one.visit.edge,
        compensation=one.visit.compensation,
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
