"""What a run means to a bulk retry: why it is left alone, and what has become of it after it was retried."""

from __future__ import annotations

from dataclasses import dataclass

from app.domain.states import RunStatus
from app.models import ItemStatus, Run, SkipReason
from app.queries.recovery_plan import retry_refusal


@dataclass(frozen=True, slots=True)
class Skip:
    """Why a run is left alone. `note` says more, as a sentence."""

    reason: SkipReason
    note: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What has become of a retried run.

    `passed` says what it proves of the others: True that the failed step works again, False that it does not, and
    None nothing, since the run was overtaken or cancelled meanwhile.
    """

    status: ItemStatus
    note: str
    passed: bool | None


def skip_of(run: Run, *, newer: int | None, stale: str | None) -> Skip | None:
    """Why a bulk retry leaves this run alone, or None. `newer` replaced it, `stale` says what overtook it."""
    if run.status != RunStatus.FAILED:
        return Skip(SkipReason.NOT_FAILED, f"It is {RunStatus(run.status).label.lower()}.")
    refused = retry_refusal(run, newer=newer, stale=stale)
    if refused is not None:
        return Skip(SkipReason.REPLACED if newer is not None else SkipReason.STALE, refused.message)
    if run.outcome_unknown:
        return Skip(
            SkipReason.NEEDS_CONFIRMATION,
            "It is unknown whether the failed call took effect: check in the other system, then retry it by itself.",
        )
    return None


def outcome_of(run: Run) -> Outcome | None:
    """What has become of a run since a bulk retry retried it; None while it is under way."""
    status = RunStatus(run.status)
    # A retry wipes the story of the failure: one that is there was written since.
    failed_since = run.failure_step is not None
    match status:
        case RunStatus.SUCCEEDED:
            return Outcome(ItemStatus.SUCCEEDED, "", True)
        case RunStatus.FAILED:
            return Outcome(ItemStatus.FAILED_AGAIN, run.failure_detail or "", False)
        case RunStatus.WAITING_MANUAL:
            asks = (
                "The step failed again and was handed to a person."
                if failed_since
                else "A person is asked next."
            )
            return Outcome(ItemStatus.WAITING_MANUAL, asks, not failed_since)
        case RunStatus.COMPENSATED:
            undone = (
                "The step failed again and what was done was undone." if failed_since else "It was undone."
            )
            return Outcome(ItemStatus.ENDED, f"Compensated. {undone}", not failed_since)
        case RunStatus.SUPERSEDED | RunStatus.CANCELLED:
            why = run.ended_because or run.cancel_reason or ""
            return Outcome(ItemStatus.ENDED, f"{status.label}. {why}".strip(), None)
        case _:
            return None
