"""Runs: what was done in the outside world, step by step, and what went wrong."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

from pydantic import Field

from app.api.blueprint import bp
from app.api.lists import ListQuery, page_of
from app.api.operation import Act, reads, writes
from app.api.remedies import remedy_out
from app.domain.states import FailureClass, RunStatus
from app.errors import AppError
from app.extensions import keyring
from app.guard import requires
from app.models import Run
from app.permissions import Actor
from app.queries import run_rules
from app.queries.lookup import load, missing
from app.queries.recovery_plan import Action, RecoveryPlan, plan
from app.queries.replay import replay_refusals
from app.queries.run_words import Allowed, actions, failure_words, in_backoff, run_label
from app.queries.runs import RunFilters, RunRow, run_detail, run_list
from app.queries.timeline import Entry, timeline
from app.schemas.answers import (
    ActionsOut,
    AllowedOut,
    FailureOut,
    Page,
    RemedyOut,
    RunOut,
    TimelineEntryOut,
    WaitingOut,
)
from app.schemas.base import Input
from app.schemas.grants import CancelIn, DoneIn, ReplayIn, RetryIn
from app.schemas.kinds import RecordId, Time
from app.schemas.workflows import ChangeOut, PlannedStepOut, PlanOut
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


class PlanQuery(Input):
    """Which way back the plan is for."""

    action: Action = Action.RETRY


@bp.get("/runs")
@requires("workflow:read")
@reads(TAG, Page[RunOut], query=RunsQuery)
def list_runs(act: Act, query: RunsQuery) -> Page[RunOut]:
    """Runs, the newest first. Timeline and remedy are given for a single run."""
    rows = run_list(act.session, query.filters, limit=query.limit + 1, before=query.key)
    refused = replay_refusals(act.session, [row.run for row in rows], {row.run.id: row.stale for row in rows})

    def present(row: RunRow) -> RunOut:
        return run_out(
            row.run,
            act.actor,
            now=act.now,
            of=row.of,
            stale=row.stale,
            replaced_by=row.replaced_by,
            no_replay=refused[row.run.id],
        )

    return page_of(rows, query, present, key=lambda row: row.run.id)


@bp.get("/runs/<int:run_id>")
@requires("workflow:read")
@reads(TAG, RunOut)
def show_run(act: Act, run_id: int) -> RunOut:
    """One run with its timeline, and what may be done to it."""
    return _run(act, run_id)


@bp.get("/runs/<int:run_id>/plan")
@requires("workflow:read")
@reads(TAG, PlanOut, query=PlanQuery)
def show_plan(act: Act, query: PlanQuery, run_id: int) -> PlanOut:
    """What Retry, Replay with latest or It was done would do now: skip, send, send again; how the versions differ."""
    return plan_out(plan(act.session, load(act.session, Run, run_id), query.action))


@bp.post("/runs/<int:run_id>/retry")
@requires("workflow:run")
@writes(TAG, RunOut, body=RetryIn, repeatable=True)
def retry_run(act: Act, run_id: int, body: RetryIn) -> RunOut:
    """Go on with a failed run at the step that failed. Finished steps are not repeated."""
    run = load(act.session, Run, run_id)
    recovery.retry(
        act.session,
        act.actor,
        run,
        confirm_unknown=body.confirm_unknown,
        overrides=body.overrides,
        keyring=keyring(),
        token=body.token,
        reason=body.reason or None,
        account=body.account,
        kept=body.kept,
    )
    return run_answer(act, run)


@bp.post("/runs/<int:run_id>/done")
@requires("workflow:run")
@writes(TAG, RunOut, body=DoneIn, repeatable=True)
def done_run(act: Act, run_id: int, body: DoneIn) -> RunOut:
    """Say that the failed step was done: the run goes on after it, with the values given."""
    run = load(act.session, Run, run_id)
    recovery.done(act.session, act.actor, run, reason=body.reason, captured=body.captured, token=body.token)
    return run_answer(act, run)


@bp.post("/runs/<int:run_id>/replay")
@requires("workflow:run")
@writes(TAG, RunOut, body=ReplayIn, status=201, repeatable=True)
def replay_run(act: Act, run_id: int, body: ReplayIn) -> RunOut:
    """Start a new run of the newest version in place of a failed one, which stays failed."""
    run = load(act.session, Run, run_id)
    return run_answer(act, recovery.replay(act.session, act.actor, run, token=body.token))


@bp.post("/runs/<int:run_id>/cancel")
@requires("workflow:run")
@writes(TAG, RunOut, body=CancelIn, repeatable=True)
def cancel_run(act: Act, run_id: int, body: CancelIn) -> RunOut:
    """End a run that is not over. A call under way is let finish first."""
    run = load(act.session, Run, run_id)
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
    run = detail.run
    refused = replay_refusals(act.session, [run], {run.id: detail.stale})
    return run_out(
        run,
        act.actor,
        now=act.now,
        of=detail.of,
        stale=detail.stale,
        replaced_by=detail.replaced_by,
        no_replay=refused[run.id],
        unreadable=detail.version.problem,
        ahead=run_rules.waits_for(act.session, run),
        timeline=timeline(act.session, run, detail.version),
    )


def run_out(
    run: Run,
    actor: Actor,
    *,
    now: datetime,
    of: int | None,
    stale: str | None,
    replaced_by: int | None,
    no_replay: AppError | None,
    unreadable: str = "",
    ahead: int | None = None,
    timeline: Sequence[Entry] | None = None,
) -> RunOut:
    """`of`, `stale` and `replaced_by` as the queries for runs give them; `no_replay`: why it cannot be replayed.

    `ahead` is the run whose turn comes first.  Without a `timeline` the remedy is left out too.
    """
    may_do = actions(
        run, actor, stale=stale, replaced_by=replaced_by, no_replay=no_replay, unreadable=unreadable
    )
    return RunOut(
        id=str(run.id),
        status=run.status,
        label=run_label(run, now=now, of=of),
        trigger=run.trigger,
        application_id=str(run.application_id),
        grant_id=str(run.grant_id),
        user_id=str(run.user_id),
        workflow_id=str(run.workflow_id),
        version=run.version_number,
        sequence=run.sequence,
        replaces_run_id=str(run.replaces_run_id) if run.replaces_run_id else None,
        cause=run.cause,
        created_at=run.created_at,
        started_at=run.started_at,
        finished_at=run.finished_at,
        next_attempt_at=run.due_at if in_backoff(run, now) else None,
        waits_for_run_id=str(ahead) if ahead is not None else None,
        waits_for_connection=WaitingOut(connection_id=str(run.waits_for_id), since=run.waits_since)
        if run.waits_for_id is not None and run.waits_since is not None
        else None,
        failure=_failure_out(run, timeline),
        actions=ActionsOut(
            retry=_allowed_out(may_do.retry),
            replay=_allowed_out(may_do.replay),
            done=_allowed_out(may_do.done),
            cancel=_allowed_out(may_do.cancel),
        ),
        timeline=[_entry_out(one) for one in timeline] if timeline is not None else None,
    )


def plan_out(plan: RecoveryPlan) -> PlanOut:
    return PlanOut(
        allowed=plan.allowed,
        reason=plan.reason or None,
        note=plan.note or None,
        advised=plan.advised,
        confirm=plan.confirm or None,
        steps=[PlannedStepOut(key=one.key, name=one.name, will=one.will.value) for one in plan.steps],
        diff=[
            ChangeOut(
                kind=one.kind,
                step=one.step,
                field=one.field,
                old=one.old,
                new=one.new,
                message=one.words,
            )
            for one in plan.changes
        ],
        token=plan.token,
    )


def _failure_out(run: Run, timeline: Sequence[Entry] | None) -> FailureOut | None:
    if run.failure_class is None:
        return None
    words = failure_words(run.failure_class, run.failure_status)
    return FailureOut(
        step=run.failure_step,
        failure_class=run.failure_class,
        status=run.failure_status,
        message=" ".join(part for part in (f"{words}.", run.failure_detail) if part),
        remedy=_remedy_out(run, timeline or ()),
        outcome_unknown=run.outcome_unknown,
    )


def _remedy_out(run: Run, timeline: Sequence[Entry]) -> RemedyOut | None:
    """That of the failed step's last try."""
    tries = (one for one in reversed(timeline) if one.step == run.failure_step and one.remedy is not None)
    last = next(tries, None)
    return remedy_out(last.remedy, last.where(run)) if last is not None else None


def _allowed_out(allowed: Allowed) -> AllowedOut:
    return AllowedOut(allowed=allowed.allowed, reason=allowed.reason)


def _entry_out(entry: Entry) -> TimelineEntryOut:
    return TimelineEntryOut(
        at=entry.at,
        kind=entry.kind,
        step=entry.step,
        step_type=entry.step_type,
        attempt=entry.attempt,
        of=entry.of,
        outcome=entry.outcome,
        status=entry.http_status,
        failure_class=entry.failure_class,
        duration_ms=entry.duration_ms,
        edge=entry.edge,
        next_attempt_at=entry.next_attempt_at,
        host=entry.host,
        method=entry.method,
        path_template=entry.path_template,
        fields=list(entry.fields) if entry.kind == "attempt" else None,
        captured=dict(entry.captured) if entry.captured is not None else None,
        task_id=str(entry.task_id) if entry.task_id else None,
        message=entry.message,
    )
