"""Dry-run and backtest, of a saved version as pages and of the unsaved draft below its editor; nothing is kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from flask import make_response, render_template, request
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import MultiDict

from app.clock import now
from app.domain.runs.simulate import Supposing
from app.domain.states import Trigger
from app.domain.workflows.definition import Definition
from app.errors import Invalid
from app.extensions import db
from app.guard import current_actor, requires
from app.models import Application, Workflow
from app.permissions import may, require
from app.queries.backtest import GRANTS, Backtest, Verdict, backtest
from app.queries.dry_run import DryRun, can_be_absent, dry_run
from app.queries.lookup import load
from app.queries.workflow_versions import newest_definition, saved_definition
from app.schemas.kinds import record_id
from app.web.applications.header import application_header
from app.web.htmx import is_fragment, retarget
from app.web.request_values import query, small_number, storable
from app.web.workflows import cards, editor
from app.web.workflows.blueprint import bp
from app.web.workflows.drafts import Draft
from app.web.workflows.sample_grants import offered, whom
from app.web.workflows.workflow_facts import live

OFFERED_VERSIONS = 100


@bp.get("/workflows/<int:workflow_id>/dry-run")
@requires("workflow:read")
def dry_run_page(workflow_id: int) -> ResponseReturnValue:
    """`grant` in the address is whom it is tried for. `fail`, `answers` (`find:404`), `absent` are what is supposed:
    steps that fail, a status that one is answered with, a value that is not there.

    `version` is the newest by default; `person` narrows the grants that are offered.
    """
    require(current_actor(), "grant:read")  # the requests show whom the grant is for
    session, workflow = db.session(), live(workflow_id)
    version = _version(workflow)
    definition = (
        saved_definition(session, workflow, version) if version else newest_definition(session, workflow)
    )
    person = query("person")
    chosen = whom(workflow, request.args.get("grant", ""), person)
    suppose = _supposing(definition, request.args, "")
    found, refused = None, ""
    if chosen is not None:
        try:
            found = dry_run(session, workflow, chosen, now=now(), version=version or None, supposing=suppose)
        except Invalid as refusal:
            refused = refusal.message
    return render_template(
        "workflows/dry_run.html",
        choices=offered(workflow, chosen, person),
        person=person,
        steps=[(one.key, one.name) for one in definition.steps],
        failing=suppose.failing,
        supposable=_supposable(definition, suppose),
        found=found,
        refused=refused,
        **_frame(workflow, version),
    )


@bp.get("/workflows/<int:workflow_id>/backtest")
@requires("workflow:read")
def backtest_page(workflow_id: int) -> ResponseReturnValue:
    """A version against the last grants, compared with the newest version."""
    require(current_actor(), "grant:read")
    workflow = live(workflow_id)
    version = _version(workflow)
    found, refused = None, ""
    try:
        found = backtest(db.session(), workflow, now=now(), version=version or None)
    except Invalid as refusal:
        refused = refusal.message
    return render_template(
        "workflows/backtest.html",
        found=found,
        refused=refused,
        most=GRANTS,
        verdicts=VERDICTS,
        **_frame(workflow, version),
    )


# What became of a grant: tone, word, icon.
VERDICTS = {
    Verdict.BREAKS: ("bad", "Breaks", "alert"),
    Verdict.STILL_BREAKS: ("wait", "Fails as before", "alert"),
    Verdict.CHANGED: ("run", "Changed", "edit"),
    Verdict.SAME: ("ok", "The same", "check"),
}


def _version(workflow: Workflow) -> int:
    """The version that the address names, the newest by default; 0 while there is none."""
    text = request.args.get("version", "")
    return (record_id(text) or 2**31 - 1) if text else workflow.version_number


def _frame(workflow: Workflow, version: int) -> dict[str, object]:
    newest = workflow.version_number
    offered = set(range(max(newest - OFFERED_VERSIONS, 0) + 1, newest + 1)) | (
        {version} if version else set()
    )
    return {
        "workflow": workflow,
        "trigger": Trigger(workflow.trigger),
        "version": version,
        "versions": sorted(offered, reverse=True),
        "may_manage": may(current_actor(), "workflow:manage"),
        **application_header(load(db.session(), Application, workflow.application_id), "workflows"),
    }


def _supposing(definition: Definition, sent: MultiDict[str, str], prefix: str) -> Supposing:
    """What the page asks to suppose; what the steps do not have is left out."""
    statuses: dict[str, int] = {}
    for one in sent.getlist(f"{prefix}answers"):
        key, _, status = one.rpartition(":")
        number = small_number(status)
        call = definition.step(key).call if key in definition else None
        if call is not None and number is not None and number in call.on_status:
            statuses[key] = number
    failing = [one for one in dict.fromkeys(sent.getlist(f"{prefix}fail")) if one in definition]
    known = dict(can_be_absent(definition))
    return Supposing(failing, statuses, [one for one in sent.getlist(f"{prefix}absent") if one in known])


def _supposable(definition: Definition, chosen: Supposing) -> list[tuple[str, str, str, bool]]:
    """What can be supposed besides failures: the input's name, its value, words, and whether it is."""
    answers = [
        ("answers", f"{step.key}:{status}", f"“{step.name}” answers HTTP {status}", step.key, status)
        for step in definition.steps
        for status in (step.call.on_status if step.call else ())
    ]
    return [
        *(
            (name, value, words, chosen.statuses.get(key) == status)
            for name, value, words, key, status in answers
        ),
        *(("absent", token, words, token in chosen.absent) for token, words in can_be_absent(definition)),
    ]


@dataclass(frozen=True, slots=True)
class Trial:
    """What trying the draft came to: a dry-run, a backtest, or why neither can be made."""

    choices: list[tuple[str, str, bool]]
    person: str
    steps: list[tuple[str, str, bool]]
    supposable: list[tuple[str, str, str, bool]]
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
        return editor.page(workflow, draft, trial=trial, **_trial_words(workflow)), status
    part = render_template(
        "workflows/_trial.html",
        workflow=workflow,
        trial=trial,
        **_trial_words(workflow),
        **application_header(load(db.session(), Application, workflow.application_id), "workflows"),
    )
    return retarget(make_response(part, status), "#trial", "outerHTML")


def _trial_words(workflow: Workflow) -> dict[str, Any]:
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
    definition = cards.read(draft).definition
    suppose = _supposing(definition, request.form, "try_")
    supposable = _supposable(definition, suppose)
    choices = offered(workflow, chosen, person)
    steps = [(slot.key, slot.name, slot.key in failing) for slot in draft.slots if slot.key]
    if draft.errors:
        return Trial(
            choices,
            person,
            steps,
            supposable,
            refused=_NOT_YET,
            problems=[one.message for one in draft.errors],
        )
    try:
        if is_backtest:
            tested = backtest(session, workflow, now=now(), steps=draft.steps())
            return Trial(choices, person, steps, supposable, tested=tested)
        way = None
        if chosen is not None:
            way = dry_run(session, workflow, chosen, now=now(), steps=draft.steps(), supposing=suppose)
        return Trial(choices, person, steps, supposable, way=way)
    except Invalid as refused:
        return Trial(
            choices, person, steps, supposable, refused=refused.message, problems=_problems(draft, refused)
        )


_NOT_YET = "The open step cannot be read yet."


def _problems(draft: Draft, refused: Invalid) -> list[str]:
    """Each error with the step that it is about."""
    messages = [
        f"{at + 1}. {draft.slots[at].name}: {one.message}"
        for at, found in cards.by_step(refused.errors).items()
        if at < len(draft.slots)
        for one in found
    ]
    return messages + [one.message for one in refused.errors if not one.field.startswith("steps[")]
