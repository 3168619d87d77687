"""Runs: what was done in the outside world, step by step, and what went wrong."""

from __future__ import annotations

from typing import Annotated

from flask import current_app
from pydantic import Field

from app.api.blueprint import bp
from app.api.find import found, missing
from app.api.lists import ListQuery, page_of
from app.api.operation import Act, reads, writes
from app.api.present_runs import run_out
from app.engine.states import FailureClass, RunStatus
from app.guard import requires
from app.models import Run
from app.queries.runs import RunFilters, run_detail, run_list
from app.queries.timeline import timeline
from app.schemas.answers import Page, RunOut
from app.schemas.grants import CancelIn, RetryIn
from app.schemas.kinds import RecordId, Time
from app.services import recovery, runs

TAG = "Runs"

_Id = Annotated[int | None, RecordId()]


class RunsQuery(ListQuery):
    """What the list is narrowed to; what is left out does not narrow it."""

    status: RunStatus | None = None
    application_id: _Id = None
    grant_id: _Id = None
    user_id: _Id = None
    workflow_id: _Id = None
    failure_class: FailureClass | None = Field(default=None, alias="class")
    since: Time = None

    @property
    def filters(self) -> RunFilters:
        return RunFilters(
            statuses=frozenset({self.status} if self.status else ()),
            application_id=self.application_id,
            user_id=self.user_id,
            grant_id=self.grant_id,
            workflow_id=self.workflow_id,
            failure_class=self.failure_class,
            since=self.since,
        )


@bp.get("/runs")
@requires("workflow:read")
@reads(TAG, Page[RunOut], query=RunsQuery)
def list_runs(act: Act, query: RunsQuery) -> Page[RunOut]:
    """Runs, the newest first. Timeline and remedy are given for a single run."""
    rows = run_list(act.session, query.filters, limit=query.limit + 1, before=query.key)
    return page_of(
        rows,
        query,
        lambda row: run_out(row.run, act.actor, now=act.now, of=row.of, stale=row.stale),
        key=lambda row: row.run.id,
    )


@bp.get("/runs/<int:run_id>")
@requires("workflow:read")
@reads(TAG, RunOut)
def show_run(act: Act, run_id: int) -> RunOut:
    """One run with its timeline, and what may be done to it."""
    return _run(act, run_id)


@bp.post("/runs/<int:run_id>/retry")
@requires("workflow:run")
@writes(TAG, RunOut, body=RetryIn, repeatable=True)
def retry_run(act: Act, run_id: int, body: RetryIn) -> RunOut:
    """Go on with a failed run at the step that failed. Finished steps are not repeated."""
    run = found(act.session, Run, run_id)
    recovery.retry(
        act.session,
        act.actor,
        run,
        confirm_unknown=body.confirm_unknown,
        overrides=body.overrides,
        keyring=current_app.extensions["keyring"],
        token=body.token,
    )
    return run_answer(act, run)


@bp.post("/runs/<int:run_id>/cancel")
@requires("workflow:run")
@writes(TAG, RunOut, body=CancelIn, repeatable=True)
def cancel_run(act: Act, run_id: int, body: CancelIn) -> RunOut:
    """End a run that is not over. A call under way is let finish first."""
    run = found(act.session, Run, run_id)
    return run_answer(act, runs.cancel(act.session, act.actor, run, reason=body.reason))


def run_answer(act: Act, run: Run) -> RunOut:
    """The run as it was just written."""
    act.session.flush()  # what is read back must be there
    act.session.expire(run)
    return _run(act, run.id)


def _run(act: Act, run_id: int) -> RunOut:
    detail = run_detail(act.session, run_id)
    if detail is None:
        raise missing(Run, run_id)
    told = timeline(act.session, detail.run, detail.definition)
    return run_out(detail.run, act.actor, now=act.now, of=detail.of, stale=detail.stale, timeline=told)
