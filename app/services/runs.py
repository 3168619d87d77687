"""What people may do to runs."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.database import db_now
from app.domain.grants.trigger import no_run_reason
from app.domain.runs import signals as m
from app.domain.states import Trigger
from app.errors import Conflict, Invalid
from app.models import Grant, Run, TriggerDecision
from app.permissions import Actor
from app.queries.run_rules import cancel_refusal
from app.queries.situation import situation_of
from app.services import audit
from app.services.advance import Move, advance
from app.services.decisions import Event, lock_pair, start_run
from app.services.transaction import notify_after_commit


def cancel(session: Session, actor: Actor, run: Run, *, reason: str) -> Run:
    """End a queued, running or waiting run; a call under way is let finish first.

    Raises Conflict when the run is over or is being cancelled already.
    """
    if (refused := cancel_refusal(run)) is not None:
        raise refused
    move(session, run, m.Cancel(actor.name, reason), "The run ended before it could be cancelled.")
    now = db_now(session.connection())
    audit.record(session, actor, "run.cancel", run, now=now, reason=reason)
    return run


def run_now(session: Session, actor: Actor, grant: Grant, trigger: Trigger) -> Run:
    """Start the one run of an event that started none, the cause having been mended.

    Raises Conflict when the event has its run, naming it, or never happened; Invalid while a cause still holds
    or when the event is stale by now.
    """
    lock_pair(session, grant.user_id, grant.application_id)
    now = db_now(session.connection())
    decision = session.scalars(
        select(TriggerDecision)
        .where(TriggerDecision.grant_id == grant.id, TriggerDecision.trigger == trigger)
        .with_for_update(key_share=True)
    ).one_or_none()
    if decision is None:
        raise Conflict(f"{trigger.label} has not happened to this grant.")
    if decision.run_id is not None:
        raise Conflict(f"This event has its run: run {decision.run_id}.", {"run_id": decision.run_id})
    if trigger is Trigger.ACCESS_GRANTED and not grant.is_active:
        raise Invalid("This grant has been revoked: a run that opens access would be out of date.")
    holds = situation_of(session, grant, trigger)
    reason = no_run_reason(holds.facts)
    if reason is not None:
        raise Invalid(f"It would still start no run: {reason.label}.")
    assert holds.workflow is not None
    event = Event(grant, trigger, f"Run now by {actor.name}", occurred_at=decision.at)
    run_id = start_run(session, actor, event, holds.workflow, now=now)
    decision.run_id = run_id
    if trigger is Trigger.ACCESS_REVOKED or grant.is_active:
        grant.newest_run_id, grant.state_reason = run_id, None
        grant.state = "provisioning" if trigger is Trigger.ACCESS_GRANTED else "deprovisioning"
    audit.record(session, actor, "run.start", audit.Subject("grant", grant.id, f"Run {run_id}"), now=now)
    return session.get_one(Run, run_id)


def move(session: Session, run: Run, signal: m.Signal, conflict: str) -> None:
    """Let a person's act move the run, and wake whom it concerns; raises Conflict when it no longer matters."""
    session.flush()  # the move reads and writes beside the session
    connection = session.connection()
    now: datetime = db_now(connection)
    [moved] = advance(connection, [Move(run.id, signal)], now=now)
    if not moved.applied:
        raise Conflict(conflict)
    session.refresh(run)
    notify_after_commit(session, *moved.wake, *([run.id] if moved.due_at else []))
