"""Starting runs for grants that exist already, after a workflow was enabled: chosen one by one, never by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flask import render_template, request, url_for
from flask.typing import ResponseReturnValue

from app.clock import now
from app.domain.states import Trigger
from app.errors import AppError, NotFound
from app.extensions import db
from app.guard import current_actor, requires
from app.models import Application, Grant, Workflow
from app.permissions import may, require
from app.queries.dry_run import DryRun, reachable, try_out
from app.queries.grants import grants_without_run
from app.queries.lookup import load
from app.queries.samples import samples_of
from app.queries.workflow_versions import newest_definition
from app.schemas.kinds import record_id
from app.services import runs
from app.services.transaction import transaction
from app.web.applications.header import application_header
from app.web.forms import FormState
from app.web.workflows.blueprint import bp
from app.web.workflows.workflow_facts import live

PAGE_SIZE = 50


@dataclass(frozen=True, slots=True)
class Started:
    """What became of one chosen grant: its new run, or why there is none."""

    grant_id: int
    run_id: int | None
    words: str


@bp.get("/workflows/<int:workflow_id>/start-runs")
@requires("workflow:run")
def start_runs(workflow_id: int) -> ResponseReturnValue:
    """Active grants without a run, to choose from."""
    return _page(_granting(workflow_id))


@bp.post("/workflows/<int:workflow_id>/start-runs")
@requires("workflow:run")
def start_chosen_runs(workflow_id: int) -> ResponseReturnValue:
    """Start a run for each chosen grant, each by itself: one that is refused holds up no other."""
    workflow = _granting(workflow_id)
    chosen = [record_id(text) for text in request.form.getlist("grant")]
    numbers = list(dict.fromkeys(one for one in chosen if one is not None))[:PAGE_SIZE]
    if not numbers:
        return _page(workflow, refused="Choose at least one grant."), 422
    return _page(workflow, done=[_start(workflow.application_id, one) for one in numbers])


def _start(application_id: int, grant_id: int) -> Started:
    try:
        with transaction() as session:
            grant = load(session, Grant, grant_id)
            if grant.application_id != application_id:
                return Started(grant_id, None, "It is of another application.")
            run = runs.run_now(session, current_actor(), grant, Trigger.ACCESS_GRANTED)
            number = run.id
    except AppError as refusal:
        return Started(grant_id, None, refusal.message)
    return Started(grant_id, number, f"Run {number} started.")


def _granting(workflow_id: int) -> Workflow:
    require(current_actor(), "grant:read")
    workflow = live(workflow_id)
    if workflow.trigger != Trigger.ACCESS_GRANTED:
        raise NotFound("Only a workflow that answers granting can be started for grants that exist.")
    return workflow


def _page(workflow: Workflow, *, done: Sequence[Started] = (), refused: str = "") -> str:
    workflow = live(workflow.id)  # the acts have ended the transaction that it was read in
    after = record_id(request.args.get("after", ""))
    rows = grants_without_run(db.session(), workflow.application_id, limit=PAGE_SIZE + 1, after=after)
    here = url_for("workflows.start_runs", workflow_id=workflow.id)
    more = f"{here}?after={rows[PAGE_SIZE - 1].id}" if len(rows) > PAGE_SIZE else ""
    may_try = may(current_actor(), "workflow:read")
    return render_template(
        "workflows/start_runs.html",
        workflow=workflow,
        rows=rows[:PAGE_SIZE],
        tried=_tried(workflow, rows[:PAGE_SIZE]) if may_try else {},
        done=done,
        refused=refused,
        form=FormState(),
        first=here if after else "",
        more=more,
        may_try=may_try,
        **application_header(load(db.session(), Application, workflow.application_id), "workflows"),
    )


def _tried(workflow: Workflow, rows: Sequence[Grant]) -> dict[int, DryRun]:
    """A dry-run for each grant, by its number, in as many statements as one takes."""
    session = db.session()
    definition = newest_definition(session, workflow)
    if definition.first is None or not rows:
        return {}
    reach = reachable(session, workflow.application_id, [definition])
    samples = samples_of(session, workflow, rows, now=now())
    return {one.id: try_out(definition, samples[one.id], reach) for one in rows}
