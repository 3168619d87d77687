"""Trying the unsaved draft: dry-run and backtest below the editor, from its own form. Nothing is kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from flask import make_response, render_template, request
from flask.typing import ResponseReturnValue

from app.clock import now
from app.errors import Invalid
from app.extensions import db
from app.guard import current_actor, requires
from app.models import Application, Workflow
from app.permissions import require
from app.queries.backtest import GRANTS, Backtest, backtest
from app.queries.dry_run import DryRun, dry_run
from app.web.applications.header import application_header
from app.web.htmx import is_fragment, retarget
from app.web.loading import load
from app.web.reading import storable
from app.web.workflows import cards, editor
from app.web.workflows.blueprint import bp
from app.web.workflows.drafts import Draft
from app.web.workflows.dryruns import VERDICTS
from app.web.workflows.records import live
from app.web.workflows.samples import offered, whom


@dataclass(frozen=True, slots=True)
class Trial:
    """What trying the draft came to: a dry-run, a backtest, or why neither can be made."""

    choices: list[tuple[str, str, bool]]
    person: str
    steps: list[tuple[str, str, bool]]
    way: DryRun | None = None
    tested: Backtest | None = None
    refused: str = ""
    problems: list[str] = field(default_factory=list)


@bp.post("/workflows/<int:workflow_id>/dry-run")
@requires("workflow:manage")
def try_draft(workflow_id: int) -> ResponseReturnValue:
    """Dry-run the draft of the editor's form, or with `do` backtest it against the last grants."""
    require(current_actor(), "grant:read")  # the requests show whom the grants are for
    workflow = live(workflow_id)
    draft = editor.draft_of_form()
    trial = _tried(workflow, draft, is_backtest=request.form.get("do") == "backtest")
    status = 422 if trial.refused else 200
    if not is_fragment():
        return editor.page(workflow, draft, trial=trial, **_words(workflow)), status
    part = render_template(
        "workflows/_trial.html",
        workflow=workflow,
        trial=trial,
        **_words(workflow),
        **application_header(load(Application, workflow.application_id), "workflows"),
    )
    return retarget(make_response(part, status), "#trial", "outerHTML")


def _words(workflow: Workflow) -> dict[str, Any]:
    return {
        "most": GRANTS,
        "verdicts": VERDICTS,
        "version": workflow.version_number,
    }


def _tried(workflow: Workflow, draft: Draft, *, is_backtest: bool) -> Trial:
    session = db.session()
    person = storable(request.form.get("try_person", ""))
    chosen = whom(workflow, request.form.get("try_grant", ""), person)
    keys = [slot.key for slot in draft.slots]
    failing = {one for one in request.form.getlist("try_fail") if one in keys}
    choices = offered(workflow, chosen, person)
    steps = [(slot.key, slot.name, slot.key in failing) for slot in draft.slots if slot.key]
    if draft.errors:
        return Trial(choices, person, steps, refused=_NOT_YET, problems=[one.message for one in draft.errors])
    try:
        if is_backtest:
            tested = backtest(session, workflow, now=now(), steps=draft.steps())
            return Trial(choices, person, steps, tested=tested)
        way = None
        if chosen is not None:
            way = dry_run(session, workflow, chosen, now=now(), steps=draft.steps(), failing=failing)
        return Trial(choices, person, steps, way=way)
    except Invalid as refused:
        return Trial(choices, person, steps, refused=refused.message, problems=_problems(draft, refused))


_NOT_YET = "The open step cannot be read yet."


def _problems(draft: Draft, refused: Invalid) -> list[str]:
    """Each error with the step that it is about."""
    told = [
        f"{at + 1}. {draft.slots[at].name}: {one.message}"
        for at, found in cards.by_step(refused.errors).items()
        if at < len(draft.slots)
        for one in found
    ]
    return told + [one.message for one in refused.errors if not one.field.startswith("steps[")]
