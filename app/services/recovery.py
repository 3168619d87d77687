"""Ways back from a failed run: Retry, with one-off values or without, It was done, and Replay with latest."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from app.crypto import KeyRing, bound_to_run
from app.database import db_now
from app.domain.grants.state import grant_state
from app.domain.json_reader import shown
from app.domain.runs import signals as m
from app.domain.states import RunStatus, Trigger
from app.domain.steps.registry import Step
from app.errors import Conflict, FieldError, Invalid
from app.models import ExternalAccount, Grant, Run, RunEvent, RunOverride, WorkflowVersion
from app.permissions import Actor
from app.queries.by_hand import typeable, wanted_of
from app.queries.recovery_plan import Action, check
from app.queries.run_rules import confirmation, failed_steps, status_refusal
from app.queries.situation import live_workflows
from app.queries.timeline import last_act
from app.queries.workflow_versions import read_version
from app.services import audit
from app.services.decisions import Event, lock_pair, start_run
from app.services.runs import move
from app.services.typed_values import read_wanted, refuse_anothers

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
    reason: str | None = None,
    account: Mapping[str, Any] | None = None,
    kept: Mapping[str, Any] | None = None,
) -> Run:
    """Try the failed step again in the same run, with a fresh set of attempts.

    `overrides` are one-off values for mapped fields, sealed with `keyring`; `reason` goes into the audit trail.
    `account` and `kept` are values that nobody knew, or that were wrong: they are kept with the person's account and
    with the grant, which takes a reason.
    Raises what `recovery_plan.check` says of the run and of `token`, a plan's; Invalid when the call may have taken
    effect, or has, and `confirm_unknown` is not given.
    """
    if account or kept:
        lock_pair(session, run.user_id, run.application_id)
    _lock(session, run)
    check(session, run, Action.RETRY, token)
    step = failed_steps(session, [run])[run.id]
    if not confirm_unknown and (question := confirmation(run, step)):
        raise Invalid.field("confirm_unknown", question)
    learnt = _keep_known(session, actor, run, account or {}, kept or {}, reason=reason)
    names = _keep_overrides(session, run, step, overrides or {}, keyring)
    move(session, run, m.Retry(actor.name), "Somebody else moved this run first.")
    now = db_now(session.connection())
    changes: dict[str, list[Any]] = {"overrides": [None, ", ".join(names)]} if names else {}
    changes |= learnt
    if names:
        message = f"With one-off values for {', '.join(names)}."
        session.add(RunEvent(run_id=run.id, at=now, kind="overrides", message=message[:2000], by=actor.name))
    audit.record(session, actor, "run.retry", run, now=now, reason=reason, changes=changes or None)
    return run


def replay(session: Session, actor: Actor, run: Run, *, token: str | None = None) -> Run:
    """Start a new run of the newest version in place of a failed one, which stays failed and is linked.

    Raises what `recovery_plan.check` says of the run and of `token`, a plan's.
    """
    lock_pair(session, run.user_id, run.application_id)
    _lock(session, run)
    check(session, run, Action.REPLAY, token)
    trigger = Trigger(run.trigger)
    workflow, _ = live_workflows(session, run.application_id, trigger)
    assert workflow is not None, "what has not been deleted is live"
    now = db_now(session.connection())
    grant = session.get_one(Grant, run.grant_id)
    event = Event(grant, trigger, f"Replayed by {actor.name}", occurred_at=run.occurred_at)
    run_id = start_run(session, actor, event, workflow, now=now, replaces=run)
    grant.newest_run_id, grant.state_reason = run_id, None
    grant.state = grant_state(trigger, RunStatus.QUEUED)
    message = f"Replayed by {actor.name}: run {run_id} replaces this one."
    session.add(RunEvent(run_id=run.id, at=now, kind="replayed", message=message, by=actor.name))
    audit.record(session, actor, "run.replay", run, now=now, changes={"replaced_by": [None, run_id]})
    return session.get_one(Run, run_id)


def done(
    session: Session,
    actor: Actor,
    run: Run,
    *,
    reason: str,
    captured: Mapping[str, Any] | None = None,
    token: str | None = None,
) -> Run:
    """Note that the failed step was done by hand, with the values that it would have captured: the run goes on.

    What its answer did hold is kept already and need not be given. Raises what `recovery_plan.check` says of the run
    and of `token`, a plan's, and Invalid naming each value as `captured.<name>`.
    """
    _lock(session, run)
    if run.status != RunStatus.FAILED and (before := last_act(session, run.id)):
        raise Conflict(f"{before} {status_refusal(run, 'continued by hand')}")
    check(session, run, Action.DONE, token)
    step = failed_steps(session, [run])[run.id]
    found = run.captured.get(run.cursor or "", {})
    values = read_wanted(wanted_of(step), captured or {}, under="captured", known=found)
    kept = {rule.name for rule in step.keeps if rule.keep == "account"} if step is not None else set()
    refuse_anothers(session, run, {n: v for n, v in values.items() if n in kept}, under="captured")
    move(session, run, m.Done(actor.name, values, reason), "Somebody else moved this run first.")
    changes = {"captured": [None, ", ".join(values)]} if values else None
    now = db_now(session.connection())
    audit.record(session, actor, "run.done", run, now=now, reason=reason, changes=changes)
    return run


def _lock(session: Session, run: Run) -> None:
    """Keep everybody else from moving the run, and from deciding about its person's access.

    Whoever decides passes over a run that is locked, and it would stay as it is if the act came to nothing.  The run
    itself is not waited for: a worker that is just moving it may itself wait for a lock that is held here.
    """
    of_pair = (ExternalAccount.user_id == run.user_id, ExternalAccount.application_id == run.application_id)
    session.execute(select(ExternalAccount.id).where(*of_pair).with_for_update(key_share=True))
    free = select(Run.id).where(Run.id == run.id).with_for_update(skip_locked=True, key_share=True)
    if session.scalar(free) is None:
        raise Conflict(f"Run {run.id} is being moved by somebody else at this moment. Look again.")
    session.refresh(run)


def _keep_known(
    session: Session,
    actor: Actor,
    run: Run,
    account: Mapping[str, Any],
    kept: Mapping[str, Any],
    *,
    reason: str | None,
) -> dict[str, list[Any]]:
    """Keep what was typed with the account and with the grant; gives what changed, for the audit trail."""
    if not (account or kept):
        return {}
    if not reason:
        raise Invalid.field("reason", "Enter a reason.")
    of_account, of_grant = typeable(read_version(session.get_one(WorkflowVersion, run.version_id)).definition)
    typed = read_wanted(of_account, account, under="account"), read_wanted(of_grant, kept, under="kept")
    if not any(typed):
        raise Invalid.field("account", "Type a value, or use Retry.")
    refuse_anothers(session, run, typed[0], under="account")
    now = db_now(session.connection())
    pair = (ExternalAccount.user_id == run.user_id, ExternalAccount.application_id == run.application_id)
    fresh: dict[str, Any] = {"populate_existing": True}
    known = session.scalars(select(ExternalAccount).where(*pair).execution_options(**fresh)).one()
    grant = session.get_one(Grant, run.grant_id, with_for_update={"key_share": True}, **fresh)
    changes = {f"account.{name}": [known.captured.get(name), value] for name, value in typed[0].items()}
    changes |= {f"grant.kept.{name}": [grant.kept.get(name), value] for name, value in typed[1].items()}
    if typed[0]:
        known.captured, known.updated_at = {**known.captured, **typed[0]}, now
    grant.kept = {**grant.kept, **typed[1]}
    message = f"{actor.name} gave {', '.join(changes)}: {reason}"
    session.add(RunEvent(run_id=run.id, at=now, kind="values", message=message[:2000], by=actor.name))
    return changes


def _keep_overrides(
    session: Session, run: Run, step: Step | None, overrides: Mapping[str, Any], keyring: KeyRing | None
) -> list[str]:
    """Seal one-off values for the next try of the failed step in place of earlier ones; returns their names.

    Raises Invalid naming each field that the step does not map or whose value is no scalar.
    """
    session.execute(delete(RunOverride).where(RunOverride.run_id == run.id))
    if not overrides:
        return []
    if keyring is None:
        raise ValueError("One-off values need keys to be sealed with.")
    if step is None or not step.calls_out:
        raise Invalid("The failed step asks a person: there are no mapped fields to override.")
    names = step.overridable()
    errors = [
        FieldError(f"overrides.{shown(name)}", _problem(value, name in names, names))
        for name, value in overrides.items()
    ]
    errors = [one for one in errors if one.message]
    if errors:
        raise Invalid("Some one-off values cannot be used.", errors)
    sealed = keyring.seal(json.dumps(dict(overrides)), bound_to_run(run.id))
    session.add(
        RunOverride(
            run_id=run.id,
            step_key=step.key,
            sealed=sealed.token,
            fields=sorted(overrides),
            created_at=db_now(session.connection()),
        )
    )
    session.flush()  # the move that follows reads it
    return sorted(overrides)


def _problem(value: Any, is_mapped: bool, names: list[str]) -> str:
    if not is_mapped:
        return f"The failed step maps no such field. It maps: {', '.join(names) or 'none'}."
    if isinstance(value, dict | list):
        return "Give a single value: text, a number, true, false or null."
    if isinstance(value, str) and len(value) > MAX_OVERRIDE:
        return f"Use at most {MAX_OVERRIDE:,} characters."
    return ""
