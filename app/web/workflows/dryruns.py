"""Dry-run as a page: what the saved version would do for a grant, drawn like a run's timeline."""

from __future__ import annotations

from flask import render_template, request
from flask.typing import ResponseReturnValue

from app.clock import now
from app.engine.states import Trigger
from app.errors import Invalid
from app.extensions import db
from app.guard import current_actor, requires
from app.models import Application, Grant, Workflow
from app.permissions import require
from app.queries.access import grants_page
from app.schemas.kinds import record_id
from app.services.dryrun import dry_run
from app.services.replaying import newest_definition
from app.web.applications.header import application_header
from app.web.loading import load
from app.web.reading import query
from app.web.workflows.blueprint import bp
from app.web.workflows.records import live

OFFERED = 50


@bp.get("/workflows/<int:workflow_id>/dry-run")
@requires("workflow:read")
def dry_run_page(workflow_id: int) -> ResponseReturnValue:
    """`grant` in the address is whom it is tried for, `fail` the step that is taken to fail."""
    require(current_actor(), "grant:read")  # the requests show whom the grant is for
    session, workflow = db.session(), live(workflow_id)
    grant, wanted = _grant(workflow), query("fail")
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
        grants=_offered(workflow, grant),
        steps=[(one.key, one.name) for one in newest_definition(session, workflow).steps],
        failing=wanted,
        found=found,
        refused=refused,
        **application_header(load(Application, workflow.application_id), "workflows"),
    )


def _grant(workflow: Workflow) -> Grant | None:
    """The grant of the address, else the newest active one; None without any, or for one that does not exist."""
    asked = request.args.get("grant", "")
    if asked:
        number = record_id(asked)
        return db.session.get(Grant, number) if number is not None else None
    newest = grants_page(db.session(), size=1, application_id=workflow.application_id, shown="active")
    return newest[0] if newest else None


def _offered(workflow: Workflow, chosen: Grant | None) -> list[tuple[int, str]]:
    """The newest active grants as choices, and the one that is looked at wherever it stands."""
    rows = list(
        grants_page(db.session(), size=OFFERED, application_id=workflow.application_id, shown="active")
    )[:OFFERED]
    offered = [(one.id, _words(one, one.user.name)) for one in rows]
    if chosen is not None and chosen.id not in [number for number, _ in offered]:
        offered.append((chosen.id, f"Grant {chosen.id}"))
    return offered


def _words(grant: Grant, name: str) -> str:
    level = f", {grant.access_level}" if grant.access_level else ""
    return f"{name}{level} (grant {grant.id})"
