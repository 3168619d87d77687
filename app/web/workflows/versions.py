"""The versions of a workflow: listed, looked at, restored."""

from __future__ import annotations

from flask import flash, render_template, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from app.clock import now
from app.errors import Invalid, NotFound
from app.extensions import db
from app.guard import current_actor, requires
from app.models import Application, Workflow, WorkflowVersion
from app.permissions import may
from app.services import workflows
from app.services.transaction import transaction
from app.web.applications.header import application_header
from app.web.htmx import see_other
from app.web.loading import load
from app.web.workflows.blueprint import bp
from app.web.workflows.cards import cards, read
from app.web.workflows.drafts import Draft
from app.web.workflows.records import live
from app.web.workflows.rows import pretty

SHOWN = 100


@bp.get("/workflows/<int:workflow_id>/versions")
@requires("workflow:read")
def versions(workflow_id: int) -> ResponseReturnValue:
    """Every version, the newest first: the last hundred."""
    workflow = live(workflow_id)
    columns = (
        WorkflowVersion.number,
        WorkflowVersion.created_at,
        WorkflowVersion.created_by,
        WorkflowVersion.note,
    )
    rows = db.session.execute(
        select(*columns)
        .where(WorkflowVersion.workflow_id == workflow.id)
        .order_by(WorkflowVersion.number.desc())
        .limit(SHOWN)
    ).all()
    return render_template("workflows/versions.html", rows=rows, shown=SHOWN, **_frame(workflow))


@bp.get("/workflows/<int:workflow_id>/versions/<int:number>")
@requires("workflow:read")
def version(workflow_id: int, number: int) -> ResponseReturnValue:
    """One version, to read."""
    return _version_page(live(workflow_id), number)


@bp.post("/workflows/<int:workflow_id>/versions/<int:number>/restore")
@requires("workflow:manage")
def restore(workflow_id: int, number: int) -> ResponseReturnValue:
    """Save an earlier version's steps as the next version."""
    try:
        with transaction() as session:
            saved = workflows.restore_version(
                session, current_actor(), live(workflow_id, session=session), number, now=now()
            )
            new_number = saved.version.number if saved.version else 0
    except Invalid as refused:
        return _version_page(live(workflow_id), number, errors=refused), 422
    if saved.is_new:
        flash(f"Version {number} is restored as version {new_number}.", "ok")
    else:
        flash(f"Version {new_number} has these steps already, so nothing was saved.", "info")
    return see_other(url_for(".versions", workflow_id=workflow_id))


def _version_page(workflow: Workflow, number: int, *, errors: Invalid | None = None) -> str:
    found = db.session.scalars(
        select(WorkflowVersion).where(
            WorkflowVersion.workflow_id == workflow.id, WorkflowVersion.number == number
        )
    ).one_or_none()
    if found is None:
        raise NotFound(f"This workflow has no version {number}.")
    draft = Draft.of(found.steps, number)
    return render_template(
        "workflows/version.html",
        version=found,
        cards=cards(draft, read(draft)),
        texts={slot.uid: pretty(slot.step) for slot in draft.slots},
        refused=errors,
        **_frame(workflow),
    )


def _frame(workflow: Workflow) -> dict[str, object]:
    return {
        "workflow": workflow,
        "may_manage": may(current_actor(), "workflow:manage"),
        **application_header(load(Application, workflow.application_id), "workflows"),
    }
