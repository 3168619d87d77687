"""The versions of a workflow: listed, looked at, restored."""

from __future__ import annotations

from functools import partial

from flask import flash, render_template, request, url_for
from flask.typing import ResponseReturnValue

from app.clock import now
from app.domain.steps.rows import pretty
from app.errors import Conflict, Invalid
from app.extensions import db
from app.guard import current_actor, requires
from app.models import Application, Workflow
from app.permissions import may
from app.queries import workflow_versions
from app.queries.lookup import load
from app.queries.workflow_scope import names_for
from app.queries.workflow_versions import read_version, stored_steps
from app.schemas.kinds import record_id
from app.services import workflows
from app.services.transaction import transaction
from app.web.applications.header import application_header
from app.web.htmx import see_other
from app.web.paging import links, read_page
from app.web.workflows.blueprint import bp
from app.web.workflows.cards import cards, read
from app.web.workflows.drafts import Draft
from app.web.workflows.version_diff import LOOKS, in_words, step_changes
from app.web.workflows.workflow_facts import live

SHOWN = 50
# Versions to choose from in a list; any other is reached by its address.
OFFERED = 100


@bp.get("/workflows/<int:workflow_id>/versions")
@requires("workflow:read")
def versions(workflow_id: int) -> ResponseReturnValue:
    """Every version, the newest first, a page at a time."""
    workflow = live(workflow_id)
    read_from = partial(workflow_versions.version_list, db.session(), workflow, with_steps=False)
    page = read_page(read_from, size=SHOWN, key=lambda row: row.number)
    return render_template(
        "workflows/versions.html", rows=page.rows, links=links(request.path, [], page), **_frame(workflow)
    )


@bp.get("/workflows/<int:workflow_id>/versions/<int:number>")
@requires("workflow:read")
def version(workflow_id: int, number: int) -> ResponseReturnValue:
    """One version, to read."""
    return _version_page(live(workflow_id), number)


@bp.get("/workflows/<int:workflow_id>/compare")
@requires("workflow:read")
def compare(workflow_id: int) -> ResponseReturnValue:
    """What differs between two versions: `from` in the address to `to`, by default the newest and the one before."""
    session, workflow = db.session(), live(workflow_id)
    newest = workflow.version_number
    new = workflow_versions.version_of(session, workflow, _asked("to", newest))
    old = workflow_versions.version_of(session, workflow, _asked("from", max(newest - 1, 1)))
    read = [read_version(one) for one in (old, new)]
    unreadable = [one.problem for one in read if one.problem]
    before, after = (one.definition for one in read)
    names = names_for(session, workflow.application_id, [before, after])
    changes = [] if unreadable else step_changes(before, after, names)
    offered = set(range(max(newest - OFFERED, 0) + 1, newest + 1)) | {old.number, new.number}
    return render_template(
        "workflows/compare.html",
        old=old,
        new=new,
        numbers=sorted(offered, reverse=True),
        changes=changes,
        unreadable=list(dict.fromkeys(unreadable)),
        words="" if unreadable else in_words(changes),
        looks=LOOKS,
        **_frame(workflow),
    )


def _asked(name: str, default: int) -> int:
    """A version's number in the address; 0, which no version has, for what is none."""
    text = request.args.get(name, "")
    return (record_id(text) or 0) if text else default


@bp.post("/workflows/<int:workflow_id>/versions/<int:number>/restore")
@requires("workflow:manage")
def restore(workflow_id: int, number: int) -> ResponseReturnValue:
    """Save an earlier version's steps as the next version."""
    seen = record_id(request.form.get("based_on", ""))  # without it nothing was seen, so nothing is compared
    try:
        with transaction() as session:
            workflow = live(workflow_id, session=session)
            saved = workflows.restore_version(
                session, current_actor(), workflow, number, now=now(), based_on=seen
            )
            new_number = saved.version.number if saved.version else 0
    except Invalid as refused:
        return _version_page(live(workflow_id), number, errors=refused), 422
    except Conflict as conflict:
        return _version_page(live(workflow_id), number, saved_meanwhile=conflict.message), 409
    if saved.is_new:
        flash(f"Version {number} is restored as version {new_number}.", "ok")
    else:
        flash(f"Version {new_number} has these steps already, so nothing was saved.", "info")
    return see_other(url_for(".versions", workflow_id=workflow_id))


def _version_page(
    workflow: Workflow, number: int, *, errors: Invalid | None = None, saved_meanwhile: str = ""
) -> str:
    found = workflow_versions.version_of(db.session(), workflow, number)
    draft = Draft.of(stored_steps(found.steps), number)
    return render_template(
        "workflows/version.html",
        version=found,
        unreadable=read_version(found).problem,
        cards=cards(draft, read(draft)),
        texts={slot.uid: pretty(slot.step) for slot in draft.slots},
        refused=errors,
        saved_meanwhile=saved_meanwhile,
        may_try=may(current_actor(), "grant:read"),
        **_frame(workflow),
    )


def _frame(workflow: Workflow) -> dict[str, object]:
    return {
        "workflow": workflow,
        "may_manage": may(current_actor(), "workflow:manage"),
        **application_header(load(db.session(), Application, workflow.application_id), "workflows"),
    }
