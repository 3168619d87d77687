"""Whether a failed step is tried again, and when: a 4xx never is."""

from __future__ import annotations

from app.domain.states import FailureClass
from app.domain.steps.base import BaseStep
from app.domain.steps.calls import StatusSet

MAX_DELAY_SECONDS = 3600.0
JITTER_SHARE = 0.1
# A call that its connection's pace did not let out comes again after so long, up to twice as long.
TURN_SECONDS = 30.0

# The same call may succeed later without anybody changing anything.
TRANSIENT = frozenset(
    {
        FailureClass.HTTP_5XX,
        FailureClass.WAIT,
        FailureClass.TIMEOUT,
        FailureClass.NETWORK,
        FailureClass.OUTCOME_UNKNOWN,
    }
)


def classify_status(status: int, *, success: StatusSet, wait: StatusSet) -> FailureClass | None:
    """None when `status` is a success for the step, otherwise the class of its failure."""
    if status in success:
        return None
    if status in wait:
        return FailureClass.WAIT
    if status >= 500:
        return FailureClass.HTTP_5XX
    if status >= 400:
        return FailureClass.HTTP_4XX
    if 300 <= status < 400:
        return FailureClass.REDIRECT
    return FailureClass.UNEXPECTED_STATUS


def carried_out(failure: FailureClass | str | None, status: int | None) -> bool:
    """Whether a call that failed so was done all the same, as far as its answer tells.

    The answer came and was a success, by the step's own statuses (then a value was missing from it) or by HTTP's.  A
    3xx and whatever counts as "not yet" were not done.
    """
    if failure == FailureClass.MAPPING:
        return status is not None
    return failure == FailureClass.UNEXPECTED_STATUS


def stands(step: BaseStep | None, failure: FailureClass | str | None, status: int | None) -> bool:
    """Whether a step that failed so was carried out all the same, and could be done twice if it were sent again."""
    return step is not None and step.may_double and carried_out(failure, status)


def retry_delay(
    *, backoff: str, delay_seconds: float, tries: int, retry_after: float | None, jitter: float
) -> float:
    """Seconds to wait after try number `tries` (from 1) of a step failed.

    Exponential delays double and are capped at an hour.  A `Retry-After` of up to an hour is honoured when it
    is longer; a longer one is not ours to wait for.  `jitter` is drawn by the caller from 0 to 1 and adds up
    to a tenth, so that runs that failed together do not return together.
    """
    delay = float(delay_seconds)
    if backoff == "exponential":
        delay = min(MAX_DELAY_SECONDS, delay * 2.0 ** (tries - 1))
    if retry_after is not None and delay < retry_after <= MAX_DELAY_SECONDS:
        delay = retry_after
    return delay * (1 + JITTER_SHARE * jitter)
