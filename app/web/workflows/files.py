"""Workflows as files: downloaded as YAML, and imported after the difference was shown."""

from __future__ import annotations

from typing import Any

from flask import Response, flash, render_template, request, url_for
from flask.typing import ResponseReturnValue

from app.clock import now
from app.domain.mapping.filters import slug
from app.domain.states import Trigger
from app.errors import Conflict, Invalid, NotFound
from app.extensions import db
from app.guard import current_actor, requires
from app.models import Application
from app.queries.lookup import load
from app.schemas.kinds import record_id
from app.schemas.workflow_file import FIELD, decoded
from app.schemas.yaml_text import MAX_BYTES
from app.services.transaction import transaction
from app.services.workflow_files import ImportPlan, export_workflow, import_workflow, plan_import
from app.web.applications.header import application_header
from app.web.forms import FormState
from app.web.htmx import see_other
from app.web.workflows.blueprint import bp
from app.web.workflows.version_diff import LOOKS, step_changes
from app.web.workflows.workflow_facts import live

# Room for the file as it was chosen and as the page holds it.
_MAX_REQUEST = 3 * MAX_BYTES


@bp.url_value_preprocessor
def _allow_a_file(endpoint: str | None, _values: dict[str, Any] | None) -> None:
    """Let this one form be larger than others, before anything has read it."""
    if endpoint == "workflows.import_workflow_file":
        request.max_content_length = request.max_form_memory_size = _MAX_REQUEST


@bp.get("/workflows/<int:workflow_id>/export.yaml")
@requires("workflow:read")
def export(workflow_id: int) -> ResponseReturnValue:
    """The newest version, or `version` of the address, as a file."""
    workflow = live(workflow_id)
    wanted = request.args.get("version", "")
    number = record_id(wanted) if wanted else None
    if wanted and number is None:
        raise NotFound("This workflow has no such version.")
    text = export_workflow(db.session(), workflow, number)
    application = load(db.session(), Application, workflow.application_id)
    name = f"{slug(application.name) or 'workflow'}-{slug(Trigger(workflow.trigger).label)}.yaml"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(text, mimetype="application/yaml", headers=headers)


@bp.get("/applications/<int:application_id>/workflows/import")
@requires("workflow:manage")
def start_import(application_id: int) -> ResponseReturnValue:
    """The empty form."""
    return _page(load(db.session(), Application, application_id), FormState())


@bp.post("/applications/<int:application_id>/workflows/import")
@requires("workflow:manage")
def import_workflow_file(application_id: int) -> ResponseReturnValue:
    """Show what the file would change; with the button Import do it, if it would still do what was shown."""
    chosen, text = request.files.get("file"), request.form.get(FIELD, "")
    application = load(db.session(), Application, application_id)
    try:
        if chosen is not None and chosen.filename:
            text = decoded(chosen.stream.read(MAX_BYTES + 1))
        plan = plan_import(db.session(), text, application)
    except (Invalid, Conflict) as refused:
        errors = (
            refused.errors if isinstance(refused, Invalid) else Invalid.field(FIELD, refused.message).errors
        )
        return _page(application, FormState.of({FIELD: text}, errors), status=422)
    if "save" not in request.form:
        return _page(application, FormState.of({FIELD: text}), plan)
    db.session.rollback()  # what was read is read again, in the transaction that writes
    try:
        with transaction() as session:
            into = load(session, Application, application_id)
            saved = import_workflow(
                session, current_actor(), text, into, now=now(), token=request.form.get("token", "")
            )
            workflow_id, number, is_new = saved.workflow.id, saved.workflow.version_number, saved.is_new
    except Conflict:
        application = load(db.session(), Application, application_id)
        plan = plan_import(db.session(), text, application)
        return _page(application, FormState.of({FIELD: text}), plan, saved_meanwhile=True, status=409)
    flash(f"Imported as version {number}." if is_new else "Imported.", "ok")
    return see_other(url_for(".edit", workflow_id=workflow_id))


def _page(
    application: Application,
    form: FormState,
    plan: ImportPlan | None = None,
    *,
    saved_meanwhile: bool = False,
    status: int = 200,
) -> ResponseReturnValue:
    page = render_template(
        "workflows/import.html",
        form=form,
        plan=plan,
        changes=step_changes(plan.old, plan.new, plan.names) if plan else (),
        looks=LOOKS,
        saved_meanwhile=saved_meanwhile,
        trigger=Trigger(plan.data.trigger) if plan else None,
        **application_header(application, "workflows"),
    )
    return page, status
