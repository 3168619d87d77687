"""Dry-run as a page: what the saved version would do for a grant, drawn like a run's timeline."""

from __future__ import annotations

from flask import render_template, request
from flask.typing import ResponseReturnValue

from app.clock import now
from app.engine.states import Trigger
from app.errors import Invalid
from app.extensions import db
from app.guard import current_actor, requires
from app.models import Application
from app.permissions import require
from app.services.dryrun import dry_run
from app.services.replaying import newest_definition
from app.web.applications.header import application_header
from app.web.loading import load
from app.web.reading import query
from app.web.workflows.blueprint import bp
from app.web.workflows.records import live
from app.web.workflows.samples import chosen_grant, offered_grants


@bp.get("/workflows/<int:workflow_id>/dry-run")
@requires("workflow:read")
def dry_run_page(workflow_id: int) -> ResponseReturnValue:
    """`grant` in the address is whom it is tried for, `fail` the step that is taken to fail."""
    require(current_actor(), "grant:read")  # the requests show whom the grant is for
    session, workflow = db.session(), live(workflow_id)
    grant, wanted = chosen_grant(workflow, request.args.get("grant", "")), query("fail")
    found, refused = None, ""
    if grant is not None:
        try:
            found = dry_run(session, workflow, grant, now=now(), fail_step=wanted)
        except Invalid as refusal:
            refused = refusal.message
    return render_template(
        "workflows/dry_run.html",
        workflow=workflow,
        trigger=Trigger(workflow.trigger),
        grant=grant,
        grants=offered_grants(workflow, grant),
        steps=[(one.key, one.name) for one in newest_definition(session, workflow).steps],
        failing=wanted,
        found=found,
        refused=refused,
        **application_header(load(Application, workflow.application_id), "workflows"),
    )
