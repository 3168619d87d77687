"""A run in words: its label, what may be done to it, and what an answer means."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus

from app.domain.states import FailureClass, RunStatus
from app.errors import AppError
from app.models import Run
from app.permissions import Actor, may
from app.queries.run_rules import cancel_refusal, done_refusal, retry_refusal

RUN_PERMISSION = "workflow:run"
WAITING_FOR_CONNECTION = "Waiting (connection)"

CLASS_WORDS: dict[FailureClass, str] = {
    FailureClass.HTTP_5XX: "Server error",
    FailureClass.WAIT: "Not yet",
    FailureClass.HTTP_4XX: "Refused",
    FailureClass.UNEXPECTED_ANSWER: "Not the answer that was expected",
    FailureClass.WRONG_ACCOUNT: "Another account",
    FailureClass.REDIRECT: "Redirect",
    FailureClass.UNEXPECTED_STATUS: "Unexpected status",
    FailureClass.TIMEOUT: "No answer in time",
    FailureClass.NETWORK: "Network error",
    FailureClass.TLS: "Certificate not trusted",
    FailureClass.EGRESS_BLOCKED: "Target not allowed",
    FailureClass.CONFIGURATION: "Connection not ready",
    FailureClass.MAPPING: "Data mapping",
    FailureClass.OUTCOME_UNKNOWN: "Outcome unknown",
    FailureClass.WORKER_LOST: "Worker lost three times",
}


_NOT_THE_STATUS = (
    FailureClass.MAPPING,
    FailureClass.UNEXPECTED_ANSWER,
    FailureClass.WRONG_ACCOUNT,
    FailureClass.TIMEOUT,
)


@dataclass(frozen=True, slots=True)
class RunChip:
    """A run's status as a chip shows it: the status' own look under a label that may say more."""

    value: str
    label: str
    tone: str


@dataclass(frozen=True, slots=True)
class Allowed:
    """Whether an action may be taken now, and if not, why not, as a sentence."""

    allowed: bool
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Actions:
    """What somebody may do to a run."""

    retry: Allowed
    replay: Allowed
    done: Allowed
    cancel: Allowed


def status_words(http_status: int | None) -> str:
    """`HTTP 401 Unauthorized`; the bare number where it has no registered meaning; "" for none."""
    if http_status is None:
        return ""
    try:
        return f"HTTP {http_status} {HTTPStatus(http_status).phrase}"
    except ValueError:
        return f"HTTP {http_status}"


def failure_words(failure: FailureClass | str | None, http_status: int | None) -> str:
    """Why a try failed in one phrase: the status with its meaning, else the class."""
    if http_status is not None and failure in _NOT_THE_STATUS:
        # The status is not what failed, but what the answer holds, or lacks.
        kept = failure == FailureClass.MAPPING
        what = "A value could not be kept" if kept else CLASS_WORDS[FailureClass(failure)]
        return f"{what}, after {status_words(http_status)}"
    if http_status is not None:
        return status_words(http_status)
    return CLASS_WORDS[FailureClass(failure)] if failure else ""


def in_backoff(run: Run, now: datetime) -> bool:
    """True while the run waits for the time of its next try."""
    return (
        run.status == RunStatus.RUNNING
        and not run.in_flight
        and run.attempt > 0
        and run.due_at is not None
        and run.due_at > now
    )


def run_label(run: Run, *, now: datetime, of: int | None = None) -> str:
    """The run's status for a person. `of` is how many tries the step at hand has, where known."""
    if run.waits_for_id is not None:
        return WAITING_FOR_CONNECTION
    if in_backoff(run, now):
        assert run.due_at is not None
        if run.told_to_wait_at is not None:
            return f"Not ready, asked again at {run.due_at:%H:%M} UTC"
        if not run.tries:
            return (
                f"Next try at {run.due_at:%H:%M} UTC"  # what was tried so far never left, and does not count
            )
        which = f" {run.tries + 1} of {of}" if of else ""
        return f"Retrying{which} at {run.due_at:%H:%M} UTC"
    if run.status == RunStatus.SUCCEEDED and run.failure_ignored:
        return "Succeeded (a failure was ignored)"
    return RunStatus(run.status).label


def run_chip_of(run: Run, *, now: datetime, of: int | None = None) -> RunChip:
    """The run's chip."""
    status = RunStatus(run.status)
    tone = "idle" if run.waits_for_id is not None else status.tone
    return RunChip(status.value, run_label(run, now=now, of=of), tone)


def actions(
    run: Run,
    actor: Actor,
    *,
    stale: str | None,
    replaced_by: int | None,
    no_replay: AppError | None,
    unreadable: str = "",
) -> Actions:
    """What `actor` may do to `run` now: the one answer for page and API.

    `stale` says why the run's intent no longer holds, None while it does, `replaced_by` which run took its place
    and `unreadable` why its steps are not known (`RunDetail`); `no_replay` why it cannot be replayed.
    """
    return Actions(
        retry=_allowed(retry_refusal(run, newer=replaced_by, stale=stale, unreadable=unreadable), actor),
        replay=_allowed(no_replay, actor),
        done=_allowed(done_refusal(run, newer=replaced_by, stale=stale, unreadable=unreadable), actor),
        cancel=_allowed(cancel_refusal(run), actor),
    )


def _allowed(refusal: AppError | None, actor: Actor) -> Allowed:
    if refusal is not None:
        return Allowed(False, refusal.message)
    if not may(actor, RUN_PERMISSION):
        return Allowed(False, f"This needs the permission {RUN_PERMISSION}. Ask an administrator.")
    return Allowed(True)
