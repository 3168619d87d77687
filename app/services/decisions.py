"""What a grant event comes to: the decision, and the run that it starts (SPEC §3)."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from app.engine import messages as m
from app.engine.chips import grant_state
from app.engine.intent import Policy
from app.engine.states import RunStatus, Trigger
from app.engine.trigger import Check, TriggerFacts, checks, no_run_reason
from app.models import ExternalAccount, Grant, Run, TriggerDecision, Workflow
from app.permissions import Actor
from app.services.advance.loading import load, runs_with_facts
from app.services.advance.moving import Move, apply
from app.services.transaction import ring_after_commit


@dataclass(frozen=True, slots=True)
class Event:
    """A grant event about to be decided. `cause` is shown on the run: "Granted by Ada"."""

    grant: Grant
    trigger: Trigger
    cause: str
    record_only: bool = False


def lock_pair(session: Session, user_id: int, application_id: int) -> ExternalAccount:
    """Make deciding about this person on this application exclusive until the transaction ends.

    Everything that takes this lock takes it before it locks a grant or a run, so that nobody waits in a circle.
    """
    wanted = select(ExternalAccount).where(
        ExternalAccount.user_id == user_id, ExternalAccount.application_id == application_id
    )
    locked = wanted.with_for_update().execution_options(populate_existing=True)
    found = session.scalars(locked).one_or_none()
    if found is None:
        dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
        row = {"user_id": user_id, "application_id": application_id, "captured": {}, "state": "unknown"}
        session.execute(dialect.insert(ExternalAccount).values(row).on_conflict_do_nothing())
        found = session.scalars(locked).one()
    return found


def facts_now(session: Session, grant: Grant, trigger: Trigger, *, record_only: bool = False) -> TriggerFacts:
    """What stands for and against a run of this event at this moment."""
    workflow, other = live_workflows(session, grant.application_id, trigger)
    return TriggerFacts(
        trigger=trigger,
        has_workflow=workflow is not None,
        other_trigger_has_workflow=other is not None,
        enabled=workflow is not None and workflow.is_enabled,
        step_count=workflow.step_count if workflow else 0,
        policy=Policy(workflow.policy) if workflow else Policy.EACH_GRANT,
        other_active_grants=other_active_grants(session, grant),
        record_only=record_only,
        workflow_name=workflow.name if workflow else "",
    )


def live_workflows(
    session: Session, application_id: int, trigger: Trigger
) -> tuple[Workflow | None, Workflow | None]:
    """The application's workflow for `trigger`, and the one for the other trigger."""
    rows = session.scalars(
        select(Workflow).where(Workflow.application_id == application_id, Workflow.deleted_at.is_(None))
    ).all()
    mine = next((one for one in rows if one.trigger == trigger), None)
    return mine, next((one for one in rows if one.trigger != trigger), None)


def other_active_grants(session: Session, grant: Grant) -> int:
    """How many active grants the person holds on the application besides this one."""
    count = session.scalar(
        select(func.count(Grant.id)).where(
            Grant.user_id == grant.user_id,
            Grant.application_id == grant.application_id,
            Grant.revoked_at.is_(None),
            Grant.id != grant.id,
        )
    )
    return count or 0


def decide_event(session: Session, actor: Actor, event: Event, *, now: datetime) -> TriggerDecision:
    """Store what the event comes to and, when it fires, its queued run. The pair must be locked."""
    grant, trigger = event.grant, event.trigger
    facts = facts_now(session, grant, trigger, record_only=event.record_only)
    reason = no_run_reason(facts)
    workflow, _ = live_workflows(session, grant.application_id, trigger)
    decision = TriggerDecision(
        grant_id=grant.id,
        trigger=trigger,
        at=now,
        outcome="no_run" if reason else "run",
        reason=reason,
        workflow_id=workflow.id if workflow else None,
        version_id=workflow.version_id if workflow else None,
        checks=[check_json(one) for one in checks(facts)],
    )
    run = None
    if reason is None:
        assert workflow is not None
        run = start_run(session, actor, event, workflow, now=now)
        decision.run_id = run.id
    grant.newest_run_id = run.id if run else None
    grant.state = grant_state(trigger, RunStatus.QUEUED if run else None)
    grant.state_reason = reason
    session.add(decision)
    overtake(session, grant.user_id, grant.application_id, now=now)
    return decision


def start_run(
    session: Session,
    actor: Actor,
    event: Event,
    workflow: Workflow,
    *,
    now: datetime,
    replaces: Run | None = None,
) -> Run:
    """A queued run of the workflow's newest version for the event; the bell is rung after the commit."""
    assert workflow.version_id is not None
    run = Run(
        uid=secrets.token_hex(16),
        workflow_id=workflow.id,
        version_id=workflow.version_id,
        version_number=workflow.version_number,
        grant_id=event.grant.id,
        application_id=event.grant.application_id,
        user_id=event.grant.user_id,
        trigger=event.trigger,
        policy=workflow.policy,
        sequence=replaces.sequence + 1 if replaces else 0,
        replaces_run_id=replaces.id if replaces else None,
        occurred_at=now,
        cause=event.cause,
        caused_by_id=actor.user_id,
        status=RunStatus.QUEUED,
        due_at=now,
        created_at=now,
        changed_at=now,
    )
    session.add(run)
    session.flush()  # the decision and the bell need its number
    ring_after_commit(session, run.id)
    return run


def overtake(session: Session, user_id: int, application_id: int, *, now: datetime) -> None:
    """End the pair's runs whose intent no longer holds, where nothing is under way.

    A run that a worker is just moving is passed over: it checks its intent itself before its next step.
    """
    session.flush()  # what follows reads and writes beside the session
    connection = session.connection()
    statement = (
        runs_with_facts()
        .where(
            Run.user_id == user_id,
            Run.application_id == application_id,
            Run.status.in_((RunStatus.QUEUED, RunStatus.WAITING_MANUAL, RunStatus.FAILED)),
        )
        .with_for_update(of=Run, skip_locked=True)
    )
    loaded = [one for one in load(connection, statement, now) if one.world.stale is not None]
    if loaded:
        moved = apply(
            connection, [(Move(one.row.id, m.Overtaken()), one) for one in loaded], now=now, holder=None
        )
        ring_after_commit(session, *(run_id for one in moved for run_id in one.wake))


def check_json(check: Check) -> dict[str, object]:
    """A check as it is stored with its decision and shown by the API."""
    return {"check": check.reason.value, "ok": check.ok, "detail": check.detail}
