"""The preview beside the open step, asked for again while somebody types. Nothing is sent or stored."""

from __future__ import annotations

from flask import render_template
from flask.typing import ResponseReturnValue

from app.extensions import db
from app.guard import requires
from app.queries.workflow_scope import scope_info
from app.web.workflows import cards
from app.web.workflows.blueprint import bp
from app.web.workflows.editor import draft_of_form
from app.web.workflows.previewing import look, pieces
from app.web.workflows.sample_grants import sampling
from app.web.workflows.workflow_facts import live


@bp.post("/workflows/<int:workflow_id>/edit/preview")
@requires("workflow:manage")
def preview(workflow_id: int) -> ResponseReturnValue:
    """What the open step of the draft would send for the chosen sample, and what is wrong with it."""
    workflow = live(workflow_id)
    draft = draft_of_form()
    reading = cards.read(draft)
    info = scope_info(db.session(), workflow, reading.definition)
    sample = sampling(workflow, draft.sample, info.account_names).sample
    found = look(db.session(), draft, reading.checked(info), info, sample)
    if found is None:
        return "", 204
    return render_template(
        "workflows/_previewed.html", preview=found, pieces=pieces, at=f"step-{draft.open}", apart=True
    )
