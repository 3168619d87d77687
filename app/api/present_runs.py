"""Runs in the shape of API.md: in lists as they stand, alone with timeline and remedy."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from app.api.remedies import remedy_out
from app.errors import AppError
from app.models import Run
from app.permissions import Actor
from app.queries.recovery_plan import Plan
from app.queries.run_words import Allowed, actions, failure_words, in_backoff, run_label
from app.queries.timeline import Entry
from app.schemas.answers import (
    ActionsOut,
    AllowedOut,
    FailureOut,
    RemedyOut,
    RunOut,
    TimelineEntryOut,
    WaitingOut,
)
from app.schemas.previews import ChangeOut, PlannedStepOut, PlanOut


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
            cancel=_allowed_out(may_do.cancel),
        ),
        timeline=[_entry_out(one) for one in timeline] if timeline is not None else None,
    )


def plan_out(plan: Plan) -> PlanOut:
    return PlanOut(
        allowed=plan.allowed,
        reason=plan.reason or None,
        note=plan.note or None,
        advised=plan.advised,
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
