"""What a grant event comes to: the decision, and the run that it starts (SPEC §3)."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import func, insert, literal_column, select
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


OVERTAKABLE = (RunStatus.QUEUED, RunStatus.WAITING_MANUAL, RunStatus.FAILED)


@dataclass(frozen=True, slots=True)
class Event:
    """A grant event about to be decided. `cause` is shown on the run: "Granted by Ada"."""

    grant: Grant
    trigger: Trigger
    cause: str
    record_only: bool = False


def lock_pair(session: Session, user_id: int, application_id: int) -> None:
    """Make deciding about this person on this application exclusive until the transaction ends.

    Everything that takes this lock takes it before it locks a grant or a run, so that nobody waits in a circle.
    """
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    row = {"user_id": user_id, "application_id": application_id, "captured": {}, "state": "unknown"}
    statement = dialect.insert(ExternalAccount).values(row)
    # Writing a value over itself locks the row, and makes it where there is none, in one round trip.
    session.execute(
        statement.on_conflict_do_update(
            index_elements=["user_id", "application_id"], set_={"user_id": statement.excluded.user_id}
        )
    )


class LiveWorkflow(NamedTuple):
    """What deciding needs of a workflow: read as a plain row, since every grant reads it."""

    id: int
    name: str
    trigger: str
    policy: str
    is_enabled: bool
    version_id: int | None
    version_number: int
    step_count: int


@dataclass(frozen=True, slots=True)
class Situation:
    """What a decision looks at: the application's workflow for the trigger, and the facts for and against."""

    workflow: LiveWorkflow | None
    facts: TriggerFacts


def situation(
    session: Session,
    *,
    user_id: int,
    application_id: int,
    trigger: Trigger,
    besides: int | None = None,
    record_only: bool = False,
) -> Situation:
    """What stands for and against a run at this moment, for a grant that exists (`besides`) or one to come."""
    workflow, other = live_workflows(session, application_id, trigger)
    facts = TriggerFacts(
        trigger=trigger,
        has_workflow=workflow is not None,
        other_trigger_has_workflow=other is not None,
        enabled=workflow is not None and workflow.is_enabled,
        step_count=workflow.step_count if workflow else 0,
        policy=Policy(workflow.policy) if workflow else Policy.EACH_GRANT,
        other_active_grants=active_grants(session, user_id, application_id, besides=besides),
        record_only=record_only,
        workflow_name=workflow.name if workflow else "",
    )
    return Situation(workflow, facts)


def situation_of(session: Session, grant: Grant, trigger: Trigger, *, record_only: bool = False) -> Situation:
    """The situation of an event of `grant`."""
    return situation(
        session,
        user_id=grant.user_id,
        application_id=grant.application_id,
        trigger=trigger,
        besides=grant.id,
        record_only=record_only,
    )


def live_workflows(
    session: Session, application_id: int, trigger: Trigger
) -> tuple[LiveWorkflow | None, LiveWorkflow | None]:
    """The application's workflow for `trigger`, and the one for the other trigger."""
    columns = [getattr(Workflow, name) for name in LiveWorkflow._fields]
    statement = select(*columns).where(
        Workflow.application_id == application_id, Workflow.deleted_at.is_(None)
    )
    rows = [LiveWorkflow(*row) for row in session.execute(statement)]
    mine = next((one for one in rows if one.trigger == trigger), None)
    return mine, next((one for one in rows if one.trigger != trigger), None)


def active_grants(session: Session, user_id: int, application_id: int, *, besides: int | None) -> int:
    """How many active grants the person holds on the application, `besides` left out."""
    statement = select(func.count(Grant.id)).where(
        Grant.user_id == user_id, Grant.application_id == application_id, Grant.revoked_at.is_(None)
    )
    if besides is not None:
        statement = statement.where(Grant.id != besides)
    return session.scalar(statement) or 0


def decide_event(session: Session, actor: Actor, event: Event, *, now: datetime) -> int | None:
    """Store what the event comes to and, when it fires, its queued run, whose number is returned.

    The pair must be locked, and the grant flushed.
    """
    grant, trigger = event.grant, event.trigger
    holds = situation_of(session, grant, trigger, record_only=event.record_only)
    workflow = holds.workflow
    reason = no_run_reason(holds.facts)
    run_id = None
    if reason is None:
        assert workflow is not None
        run_id = start_run(session, actor, event, workflow, now=now)
    session.execute(
        insert(TriggerDecision).values(
            grant_id=grant.id,
            trigger=trigger,
            at=now,
            outcome="no_run" if reason else "run",
            reason=reason,
            workflow_id=workflow.id if workflow else None,
            version_id=workflow.version_id if workflow else None,
            checks=[check_json(one) for one in checks(holds.facts)],
            run_id=run_id,
        )
    )
    grant.newest_run_id = run_id
    grant.state = grant_state(trigger, RunStatus.QUEUED if run_id else None)
    grant.state_reason = reason
    overtake(session, grant.user_id, grant.application_id, now=now, newest=run_id)
    return run_id


def start_run(
    session: Session,
    actor: Actor,
    event: Event,
    workflow: LiveWorkflow,
    *,
    now: datetime,
    replaces: Run | None = None,
) -> int:
    """Queue a run of the workflow's newest version for the event; the bell is rung after the commit."""
    inserted = session.execute(
        insert(Run)
        .values(
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
            cause=event.cause[:200],
            caused_by_id=actor.user_id,
            status=RunStatus.QUEUED,
            due_at=now,
            created_at=now,
            changed_at=now,
        )
        .returning(Run.id)
    )
    run_id: int = inserted.scalar_one()
    ring_after_commit(session, run_id)
    return run_id


def overtake(
    session: Session, user_id: int, application_id: int, *, now: datetime, newest: int | None
) -> None:
    """End the pair's runs whose intent no longer holds, where nothing is under way; `newest` has just begun.

    A run that a worker is just moving is passed over: it checks its intent itself before its next step.
    """
    session.flush()  # what follows reads and writes beside the session
    connection = session.connection()
    others = select(Run.id).where(
        Run.user_id == user_id,
        Run.application_id == application_id,
        # As constants: the index of what may still be overtaken answers this, whatever the history.
        Run.status.in_([literal_column(f"'{one.value}'") for one in OVERTAKABLE]),
        Run.id != (newest or 0),
    )
    if not connection.execute(others.limit(1)).first():
        return
    statement = (
        runs_with_facts()
        .where(
            Run.user_id == user_id,
            Run.application_id == application_id,
            Run.status.in_(OVERTAKABLE),
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
