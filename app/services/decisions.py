"""What a grant event comes to: the decision, and the run that it starts."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, insert, update
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import set_committed_value

from app.database import PreparedUpsert, at_latest_now
from app.domain.grants.state import grant_state
from app.domain.grants.trigger import Check, checks, no_run_reason
from app.domain.runs import signals as m
from app.domain.states import RunStatus, Trigger
from app.models import ExternalAccount, Grant, Run, TriggerDecision
from app.permissions import Actor
from app.queries.run_facts import load, runs_with_facts
from app.queries.situation import SUPERSEDABLE, LiveWorkflow, situation_of
from app.services.advance.moves import Move, apply
from app.services.transaction import notify_after_commit


@dataclass(frozen=True, slots=True)
class Event:
    """A grant event about to be decided. `cause` is shown on the run: "Granted by Ada".

    `occurred_at` is given where it happened before: templates name the event's time and not its run's.
    """

    grant: Grant
    trigger: Trigger
    cause: str
    record_only: bool = False
    occurred_at: datetime | None = None


def _locking(statement: Any) -> Any:
    """Writing a value over itself locks the row, and makes it where there is none, in one round trip."""
    return statement.on_conflict_do_update(
        index_elements=["user_id", "application_id"], set_={"user_id": statement.excluded.user_id}
    )


# Every grant runs these: made once, and past the session, they take half the time of statements made anew.
_lock_pair = PreparedUpsert(ExternalAccount.__table__, _locking)
_due = bindparam("b_due", type_=Run.__table__.c.due_at.type)
# Sweeps and claims go by the database's clock: on a host whose own is ahead, a run would wait for nothing.
_insert_run = insert(Run.__table__).values(due_at=at_latest_now(_due)).returning(Run.__table__.c.id)
_insert_decision = insert(TriggerDecision.__table__)
_decided = (
    update(Grant.__table__)
    .where(Grant.__table__.c.id == bindparam("b_id"))
    .values({name: bindparam(name) for name in ("newest_run_id", "state", "state_reason")})
)


def lock_pair(session: Session, user_id: int, application_id: int) -> None:
    """Make deciding about this person on this application exclusive until the transaction ends.

    Everything that takes this lock takes it before it locks a grant or a run, so that nobody waits in a circle.
    """
    session.flush()
    connection = session.connection()
    connection.execute(
        _lock_pair.on(connection),
        {"user_id": user_id, "application_id": application_id, "captured": {}, "state": "unknown"},
    )


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
    connection = session.connection()
    connection.execute(
        _insert_decision,
        {
            "grant_id": grant.id,
            "trigger": trigger,
            "at": now,
            "outcome": "no_run" if reason else "run",
            "reason": reason,
            "workflow_id": workflow.id if workflow else None,
            "version_id": workflow.version_id if workflow else None,
            "checks": [check_json(one) for one in checks(holds.facts)],
            "run_id": run_id,
        },
    )
    state = grant_state(trigger, RunStatus.QUEUED if run_id else None)
    changed = {"newest_run_id": run_id, "state": state, "state_reason": reason}
    connection.execute(_decided, {"b_id": grant.id, **changed})
    for name, value in changed.items():
        set_committed_value(grant, name, value)
    if holds.may_supersede:
        supersede(session, grant.user_id, grant.application_id, now=now)
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
    """Queue a run of the workflow's newest version for the event; workers are notified after the commit."""
    session.flush()
    connection = session.connection()
    inserted = connection.execute(
        _insert_run,
        {
            "uid": secrets.token_hex(16),
            "workflow_id": workflow.id,
            "version_id": workflow.version_id,
            "version_number": workflow.version_number,
            "grant_id": event.grant.id,
            "application_id": event.grant.application_id,
            "user_id": event.grant.user_id,
            "trigger": event.trigger,
            "policy": workflow.policy,
            "sequence": replaces.sequence + 1 if replaces else 0,
            "replaces_run_id": replaces.id if replaces else None,
            "occurred_at": event.occurred_at or now,
            "cause": event.cause[:200],
            "caused_by_id": actor.user_id,
            "status": RunStatus.QUEUED,
            "b_due": now,
            "created_at": now,
            "changed_at": now,
        },
    )
    run_id: int = inserted.scalar_one()
    notify_after_commit(session, run_id)
    return run_id


def supersede(session: Session, user_id: int, application_id: int, *, now: datetime) -> None:
    """End the pair's runs whose intent no longer holds, where nothing is under way.

    A run that a worker is just moving is passed over: it checks its intent before its next step, and once more where
    it stops.
    """
    session.flush()  # what follows reads and writes beside the session
    connection = session.connection()
    statement = (
        runs_with_facts()
        .where(
            Run.user_id == user_id,
            Run.application_id == application_id,
            Run.status.in_(SUPERSEDABLE),
        )
        .with_for_update(of=Run, skip_locked=True, key_share=True)
    )
    loaded = [one for one in load(connection, statement, now) if one.world.stale is not None]
    if loaded:
        moved = apply(
            connection, [(Move(one.row.id, m.Supersede()), one) for one in loaded], now=now, holder=None
        )
        notify_after_commit(session, *(run_id for one in moved for run_id in one.wake))


def check_json(check: Check) -> dict[str, object]:
    """A check as it is stored with its decision and shown by the API."""
    return {"check": check.reason.value, "ok": check.ok, "detail": check.detail}
