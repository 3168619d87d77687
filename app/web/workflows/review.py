"""Workflows from before steps could say which account they mean: what to look at in each."""

from __future__ import annotations

from flask import flash, render_template, url_for
from flask.typing import ResponseReturnValue

from app.clock import now
from app.extensions import db
from app.guard import current_actor, requires
from app.queries.workflow_doubts import SHOWN, doubtful, to_review
from app.services.transaction import transaction
from app.services.workflows import mark_reviewed
from app.web.htmx import see_other
from app.web.workflows.blueprint import bp
from app.web.workflows.workflow_facts import live


@bp.get("/workflows/review")
@requires("workflow:manage")
def review() -> ResponseReturnValue:
    """The marked workflows, each with what its author should look at."""
    found = doubtful(db.session())
    return render_template("workflows/review.html", found=found, count=to_review(db.session()), shown=SHOWN)


@bp.post("/workflows/<int:workflow_id>/reviewed")
@requires("workflow:manage")
def reviewed(workflow_id: int) -> ResponseReturnValue:
    """Take a workflow off the list: somebody has looked at it."""
    with transaction() as session:
        workflow = live(workflow_id, session=session)
        mark_reviewed(session, current_actor(), workflow, now=now())
        name = workflow.name
    flash(f"“{name}” is off the list.", "ok")
    return see_other(url_for("workflows.review"))
