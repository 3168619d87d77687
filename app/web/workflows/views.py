"""The Workflows tab of an application, and making, switching, describing and deleting a workflow."""

from __future__ import annotations

from typing import Any

from flask import flash, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import func, select

from app.clock import now
from app.domain.grants.trigger import DEFAULT_POLICY, Policy
from app.domain.states import RunStatus, Trigger
from app.errors import Conflict, Invalid
from app.extensions import db
from app.guard import current_actor, requires
from app.models import Application, Run, Workflow
from app.permissions import may
from app.queries.grants import has_grants_without_run
from app.queries.lookup import load
from app.queries.workflow_versions import workflow_list
from app.schemas.base import parse
from app.schemas.workflows import POLICY_FIELDS, WorkflowIn, WorkflowPatch
from app.services import workflows
from app.services.transaction import transaction
from app.web.applications.header import application_header
from app.web.forms import FormState, form_page, shows_again
from app.web.htmx import see_other
from app.web.login_session import viewer_may
from app.web.workflows.blueprint import bp
from app.web.workflows.workflow_facts import POLICY_WORDS, last_run, live, obstacles, policy_choices, warnings


@bp.get("/applications/<int:application_id>/workflows")
@requires("workflow:read")
def index(application_id: int) -> ResponseReturnValue:
    """The workflows of an application: one for each trigger, or what it means that there is none."""
    application = load(db.session(), Application, application_id)
    return render_template(
        "workflows/index.html",
        cards=[_card(one) for one in _by_trigger(application)],
        triggers=list(Trigger),
        may_manage=may(current_actor(), "workflow:manage"),
        **application_header(application, "workflows"),
    )


def _by_trigger(application: Application) -> list[Workflow]:
    found = workflow_list(db.session(), application.id, limit=len(Trigger))
    return sorted((workflow for workflow, _newest in found), key=lambda workflow: workflow.trigger)


def _card(workflow: Workflow) -> dict[str, Any]:
    trigger = Trigger(workflow.trigger)
    label, meaning = POLICY_WORDS[trigger, Policy(workflow.policy)]
    return {
        "workflow": workflow,
        "trigger": trigger,
        "policy": label,
        "policy_means": meaning,
        "obstacles": obstacles(db.session(), workflow),
        "warnings": warnings(db.session(), workflow) if not workflow.is_enabled else [],
        "last_run": last_run(db.session(), workflow, now=now()),
        "offers_runs": workflow.is_enabled
        and trigger is Trigger.ACCESS_GRANTED
        and viewer_may("workflow:run")
        and has_grants_without_run(db.session(), workflow.application_id),
    }


@bp.get("/applications/<int:application_id>/workflows/new")
@requires("workflow:manage")
def new(application_id: int) -> ResponseReturnValue:
    """The empty form. `trigger` in the address says for which event."""
    application = load(db.session(), Application, application_id)
    taken = {one.trigger for one in _by_trigger(application)}
    free = [one for one in Trigger if one.value not in taken]
    wanted = request.args.get("trigger", "")
    chosen = wanted if wanted in free else (free[0].value if free else Trigger.ACCESS_GRANTED.value)
    return _new(FormState.of({"trigger": chosen, **_default_policies()}), application_id)


def _default_policies() -> dict[str, str]:
    return {POLICY_FIELDS[trigger]: policy.value for trigger, policy in DEFAULT_POLICY.items()}


def _new(form: FormState, application_id: int) -> ResponseReturnValue:
    return form_page(
        "workflows/new",
        form,
        triggers=[(one.value, one.label) for one in Trigger],
        policies={POLICY_FIELDS[one]: (one, policy_choices(one)) for one in Trigger},
        **application_header(load(db.session(), Application, application_id), "workflows"),
    )


@bp.post("/applications/<int:application_id>/workflows")
@requires("workflow:manage")
@shows_again(_new)
def create(application_id: int) -> ResponseReturnValue:
    """Add a workflow, disabled and without steps, and open its editor."""
    sent: dict[str, object] = {
        name: request.form.get(name, "") for name in ("name", "trigger", "description")
    }
    policy_field = _policy_field(request.form.get("trigger", ""))
    if policy_field and request.form.get(policy_field):
        sent[policy_field] = request.form[policy_field]
    try:
        data = parse(WorkflowIn, sent)
        with transaction() as session:
            application = load(session, Application, application_id)
            saved = workflows.create_workflow(session, current_actor(), application, data, now=now())
            workflow_id, name = saved.workflow.id, saved.workflow.name
    except Conflict as refused:
        raise Invalid.field("trigger", refused.message) from None
    flash(f"{name} is added. Add its steps, then enable it.", "ok")
    return see_other(url_for(".edit", workflow_id=workflow_id))


def _policy_field(trigger: str) -> str:
    """The name of the policy that belongs to the trigger, "" for what is no trigger."""
    return next((name for one, name in POLICY_FIELDS.items() if one.value == trigger), "")


@bp.post("/workflows/<int:workflow_id>/enabled")
@requires("workflow:manage")
def switch(workflow_id: int) -> ResponseReturnValue:
    """Enable or disable. Enabling starts nothing for grants that exist already."""
    wanted = request.form.get("enabled") == "1"
    try:
        with transaction() as session:
            workflow = live(workflow_id, session=session)
            application_id, name, trigger = workflow.application_id, workflow.name, Trigger(workflow.trigger)
            patch = parse(WorkflowPatch, {"enabled": wanted})
            workflows.change_workflow(session, current_actor(), workflow, patch, now=now())
    except Invalid as refused:
        flash(f"{name} was not enabled. {refused.message}", "bad")
    else:
        when = (
            "It runs from the next grant on."
            if trigger is Trigger.ACCESS_GRANTED
            else "It runs from the next revoke on."
        )
        flash(f"{name} is enabled. {when}" if wanted else f"{name} is disabled. Runs under way go on.", "ok")
    return see_other(url_for(".index", application_id=application_id) + f"#workflow-{workflow_id}")


@bp.get("/workflows/<int:workflow_id>/settings")
@requires("workflow:manage")
def settings(workflow_id: int) -> ResponseReturnValue:
    """Name, description and policy."""
    workflow = live(workflow_id)
    field = POLICY_FIELDS[Trigger(workflow.trigger)]
    values = {"name": workflow.name, "description": workflow.description, field: workflow.policy}
    return _settings(FormState.of(values), workflow_id)


def _settings(form: FormState, workflow_id: int) -> ResponseReturnValue:
    workflow = live(workflow_id)
    trigger = Trigger(workflow.trigger)
    return form_page(
        "workflows/settings",
        form,
        workflow=workflow,
        trigger=trigger,
        policy_field=POLICY_FIELDS[trigger],
        policies=policy_choices(trigger),
        **application_header(load(db.session(), Application, workflow.application_id), "workflows"),
    )


@bp.post("/workflows/<int:workflow_id>/settings")
@requires("workflow:manage")
@shows_again(_settings)
def update(workflow_id: int) -> ResponseReturnValue:
    """Save name, description and policy."""
    with transaction() as session:
        workflow = live(workflow_id, session=session)
        application_id = workflow.application_id
        field = POLICY_FIELDS[Trigger(workflow.trigger)]
        sent = {name: request.form.get(name, "") for name in ("name", "description", field)}
        workflows.change_workflow(session, current_actor(), workflow, parse(WorkflowPatch, sent), now=now())
    flash("Saved.", "ok")
    return see_other(url_for(".index", application_id=application_id))


@bp.get("/workflows/<int:workflow_id>/delete")
@requires("workflow:manage")
def confirm_delete(workflow_id: int) -> ResponseReturnValue:
    """What deleting means."""
    workflow = live(workflow_id)
    open_statuses = (RunStatus.QUEUED, RunStatus.RUNNING, RunStatus.WAITING_MANUAL)
    count = select(func.count()).where(
        Run.application_id == workflow.application_id,
        Run.workflow_id == workflow.id,
        Run.status.in_(open_statuses),
    )
    return render_template(
        "workflows/delete.html",
        workflow=workflow,
        trigger=Trigger(workflow.trigger),
        open_runs=db.session.scalar(count) or 0,
        **application_header(load(db.session(), Application, workflow.application_id), "workflows"),
    )


@bp.post("/workflows/<int:workflow_id>/delete")
@requires("workflow:manage")
def delete(workflow_id: int) -> ResponseReturnValue:
    """Take it out of use; versions and runs stay."""
    with transaction() as session:
        workflow = live(workflow_id, session=session)
        application_id, name = workflow.application_id, workflow.name
        workflows.delete_workflow(session, current_actor(), workflow, now=now())
    flash(f"{name} is deleted. Grants are recorded and nothing else happens for them.", "ok")
    return see_other(url_for(".index", application_id=application_id))
