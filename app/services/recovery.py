"""Ways back from a failed run: Retry, with one-off values or without, and Replay with latest (SPEC §6)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import delete
from sqlalchemy.orm import Session

from app.connectors.perform import bound_to_run
from app.crypto import KeyRing
from app.database import db_now
from app.engine import messages as m
from app.engine.overrides import overridable
from app.engine.states import Trigger
from app.engine.steps import HumanStep
from app.errors import Conflict, FieldError, Invalid
from app.models import Grant, Run, RunEvent, RunOverride, Workflow
from app.permissions import Actor
from app.services import audit
from app.services.decisions import Event, LiveWorkflow, live_workflows, lock_pair, start_run
from app.services.planning import replay_refusal, retry_refusal, state_token
from app.services.replaying import definition_of, newest_definition
from app.services.runs import move

MAX_OVERRIDE = 2000


def retry(
    session: Session,
    actor: Actor,
    run: Run,
    *,
    confirm_unknown: bool = False,
    overrides: Mapping[str, Any] | None = None,
    keyring: KeyRing | None = None,
    token: str | None = None,
) -> Run:
    """Try the failed step again in the same run, with a fresh set of attempts.

    `overrides` are one-off values for mapped fields, sealed with `keyring`. Raises what `retry_refusal` says,
    Invalid when the outcome is unknown and `confirm_unknown` is not given, and Conflict when `token` no longer
    stands for how things are, or somebody else was faster.
    """
    check_token(session, run, session.get_one(Workflow, run.workflow_id), token)
    refusal = retry_refusal(session, run)
    if refusal is not None:
        raise refusal
    if run.outcome_unknown and not confirm_unknown:
        raise Invalid.field(
            "confirm_unknown",
            "It is unknown whether the failed call took effect. Check in the other system, then confirm.",
        )
    if overrides and keyring is None:
        raise ValueError("One-off values need keys to be sealed with.")
    names = keep_overrides(session, run, overrides, keyring) if keyring else keep_no_overrides(session, run)
    move(session, run, m.Retry(actor.name), "Somebody else moved this run first.")
    now = db_now(session.connection())
    changes = {"overrides": [None, ", ".join(names)]} if names else None
    if names:
        told = f"With one-off values for {', '.join(names)}."
        session.add(RunEvent(run_id=run.id, at=now, kind="overrides", message=told, by=actor.name))
    audit.record(session, actor, "run.retry", "run", run.id, f"Run {run.id}", now=now, changes=changes)
    return run


def replay(session: Session, actor: Actor, run: Run, *, token: str | None = None) -> Run:
    """Start a new run of the newest version in place of a failed one, which stays failed and is linked.

    Raises what `replay_refusal` says, and Conflict when `token` no longer stands for how things are.
    """
    lock_pair(session, run.user_id, run.application_id)
    session.refresh(run)
    workflow = session.get_one(Workflow, run.workflow_id, populate_existing=True)
    newest = newest_definition(session, workflow)
    check_token(session, run, workflow, token)
    refusal = replay_refusal(session, run, newest, workflow)
    if refusal is not None:
        raise refusal
    now = db_now(session.connection())
    grant = session.get_one(Grant, run.grant_id)
    trigger = Trigger(run.trigger)
    event = Event(grant, trigger, f"Replayed by {actor.name}")
    run_id = start_run(session, actor, event, _live(session, run, trigger), now=now, replaces=run)
    grant.newest_run_id, grant.state_reason = run_id, None
    grant.state = "provisioning" if trigger is Trigger.ACCESS_GRANTED else "deprovisioning"
    audit.record(session, actor, "run.replay", "run", run.id, f"Run {run.id}", now=now)
    return session.get_one(Run, run_id)


def keep_overrides(
    session: Session, run: Run, overrides: Mapping[str, Any] | None, keyring: KeyRing
) -> list[str]:
    """Seal one-off values for the next try of the failed step; None or none at all clears earlier ones.

    Returns their names. Raises Invalid naming each field that the step does not map or whose value is no scalar.
    """
    keep_no_overrides(session, run)
    if not overrides:
        return []
    step = definition_of(session, run.version_id).step(run.cursor or "")
    if isinstance(step, HumanStep):
        raise Invalid("The failed step asks a person: there are no mapped fields to override.")
    names = overridable(step)
    errors = [FieldError(name, _problem(name, value, names)) for name, value in overrides.items()]
    errors = [one for one in errors if one.message]
    if errors:
        raise Invalid("Some one-off values cannot be used.", errors)
    sealed = keyring.seal(json.dumps(dict(overrides)), bound_to_run(run.id))
    now = db_now(session.connection())
    session.add(
        RunOverride(
            run_id=run.id, step_key=step.key, sealed=sealed.token, fields=sorted(overrides), created_at=now
        )
    )
    session.flush()  # the move that follows reads it
    return sorted(overrides)


def keep_no_overrides(session: Session, run: Run) -> list[str]:
    """Forget one-off values of an earlier Retry."""
    session.execute(delete(RunOverride).where(RunOverride.run_id == run.id))
    return []


def check_token(session: Session, run: Run, workflow: Workflow, token: str | None) -> None:
    """Raise Conflict when a plan's token no longer stands for how things are; None is not checked."""
    if token is None:
        return
    pinned = definition_of(session, run.version_id)
    newest = newest_definition(session, workflow)
    if token != state_token(session, run, workflow, pinned, newest):
        raise Conflict("Something changed since this plan was shown. Look at the new plan, then decide.")


def _live(session: Session, run: Run, trigger: Trigger) -> LiveWorkflow:
    workflow, _ = live_workflows(session, run.application_id, trigger)
    if workflow is None or workflow.id != run.workflow_id:
        raise Invalid("The workflow of this run has been replaced by another one.")
    return workflow


def _problem(name: str, value: Any, names: list[str]) -> str:
    if name not in names:
        return f"The failed step maps no such field. It maps: {', '.join(names) or 'none'}."
    if isinstance(value, dict | list):
        return "Give a single value: text, a number, true, false or null."
    if isinstance(value, str) and len(value) > MAX_OVERRIDE:
        return f"Use at most {MAX_OVERRIDE:,} characters."
    return ""
