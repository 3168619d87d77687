"""What is asked before a person may move a run: why not, is its intent still the newest, and whose turn is it?

Buttons, plans, the API and refusals ask the same functions, so that they give the same sentence.
"""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain.runs import retry
from app.domain.states import FailureClass, RunStatus
from app.domain.steps.registry import Step
from app.errors import Conflict, Invalid
from app.models import Grant, Run
from app.models.run import is_ahead_of, replaces
from app.queries.run_facts import active_grants, stale_in
from app.queries.workflow_versions import UnreadableVersion, versions_by_id

Refusal = Conflict | Invalid


def status_refusal(run: Run, verb: str) -> Conflict | None:
    """Why a run in this state cannot be retried or replayed, or None."""
    if run.status == RunStatus.FAILED:
        return None
    return Conflict(f"Run {run.id} is {run.state_in_words}: only a failed run can be {verb}.")


def retry_refusal(
    run: Run, *, newer: int | None, stale: str | None, unreadable: str = "", verb: str = "retried"
) -> Refusal | None:
    """Why the run cannot be retried (or whatever else `verb` says), or None.

    `newer` is the run that replaced it, `stale` why its intent no longer holds, `unreadable` why nobody knows its
    steps.
    """
    if (refused := status_refusal(run, verb)) is not None:
        return refused
    if newer is not None:
        return Conflict(f"Run {newer} has replaced this one. Go on there.", {"run_id": newer})
    if stale is not None:
        return Invalid(f"Run {run.id} was overtaken: {stale} Nothing would be sent.")
    return UnreadableVersion(unreadable) if unreadable else None


def done_refusal(run: Run, *, newer: int | None, stale: str | None, unreadable: str = "") -> Conflict | None:
    """Why nobody can say any more that the failed step was done, or None."""
    why = retry_refusal(run, newer=newer, stale=stale, unreadable=unreadable, verb="continued by hand")
    return why if why is None or isinstance(why, Conflict) else Conflict(why.message)


def stands(run: Run, step: Step | None) -> bool:
    """Whether the failed `step` was carried out all the same, and could be done twice if it were sent again."""
    is_its = run.status == RunStatus.FAILED and step is not None and step.key == run.failure_step
    return is_its and retry.stands(step, run.failure_class, run.failure_status)


def confirmation(run: Run, step: Step | None) -> str:
    """What has to be confirmed before the failed `step` is sent again, as a sentence; "" when nothing."""
    if run.outcome_unknown:
        return "It is unknown whether the failed call took effect. Check in the other system, then confirm."
    if not stands(run, step):
        return ""
    unclear = run.failure_class in (FailureClass.UNEXPECTED_ANSWER, FailureClass.TIMEOUT)
    carried = "it may have been" if unclear else "it was"
    return (
        f"The failed call was answered with HTTP {run.failure_status}, so {carried} carried out, and sending it "
        "again may do it twice. Check in the other system, then confirm, or say that it was done."
    )


def failed_steps(session: Session, runs: Collection[Run]) -> dict[int, Step | None]:
    """The step that each run stands at, by the run's number, as its version has it; None where nobody knows."""
    read = versions_by_id(session.connection(), {one.version_id for one in runs})
    return {one.id: read[one.version_id].step(one.cursor) for one in runs}


def cancel_refusal(run: Run) -> Conflict | None:
    """Why the run cannot be cancelled, or None."""
    if not RunStatus(run.status).is_open:
        return Conflict(f"Run {run.id} is {run.state_in_words}: there is nothing left to cancel.")
    if run.cancel_requested_by is not None:
        return Conflict(f"{run.cancel_requested_by} has asked for this already; a call under way ends first.")
    return None


def stale_reason_of(session: Session, run: Run) -> str | None:
    """Why the run's intent no longer holds, or None: the check that every way back into a run makes."""
    facts = select(Grant.revoked_at, active_grants).select_from(Run).join(Grant, Grant.id == Run.grant_id)
    return stale_in(run, session.execute(facts.where(Run.id == run.id)).one())


def replaced_by(session: Session, run: Run) -> int | None:
    """The run that a replay of this one started, or None."""
    return session.scalar(select(Run.id).where(replaces(Run, run)))


def waits_for(session: Session, run: Run) -> int | None:
    """The run whose turn comes first, when this one waits for its lane; None when nothing is in its way."""
    if not RunStatus(run.status).moves_by_itself or run.holds_lane:
        return None
    ahead = select(Run.id).where(is_ahead_of(Run, run)).order_by(Run.holds_lane.desc(), Run.id).limit(1)
    return session.scalar(ahead)
