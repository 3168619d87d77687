"""Dry-run and backtest of a saved version as pages, drawn like a run's timeline."""

from __future__ import annotations

from flask import render_template, request
from flask.typing import ResponseReturnValue

from app.clock import now
from app.domain.states import Trigger
from app.errors import Invalid
from app.extensions import db
from app.guard import current_actor, requires
from app.models import Application, Workflow
from app.permissions import may, require
from app.queries.backtest import GRANTS, Verdict, backtest
from app.queries.dry_run import dry_run
from app.queries.replay import newest_definition
from app.queries.workflow_versions import saved_definition
from app.schemas.kinds import record_id
from app.web.applications.header import application_header
from app.web.loading import load
from app.web.reading import query
from app.web.workflows.blueprint import bp
from app.web.workflows.records import live
from app.web.workflows.samples import offered, whom

OFFERED_VERSIONS = 100


@bp.get("/workflows/<int:workflow_id>/dry-run")
@requires("workflow:read")
def dry_run_page(workflow_id: int) -> ResponseReturnValue:
    """`grant` in the address is whom it is tried for, each `fail` a step that is taken to fail.

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
    failing = [one for one in dict.fromkeys(request.args.getlist("fail")) if one in definition]
    found, refused = None, ""
    if chosen is not None:
        try:
            found = dry_run(session, workflow, chosen, now=now(), version=version or None, failing=failing)
        except Invalid as refusal:
            refused = refusal.message
    return render_template(
        "workflows/dry_run.html",
        choices=offered(workflow, chosen, person),
        person=person,
        steps=[(one.key, one.name) for one in definition.steps],
        failing=failing,
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
        **application_header(load(Application, workflow.application_id), "workflows"),
    }
