"""Whether a failed step is tried again, and when: a 4xx never is."""

from __future__ import annotations

from app.domain.states import FailureClass
from app.domain.steps.base import BaseStep
from app.domain.steps.retry import Retry
from app.domain.steps.statuses import StatusSet

MAX_DELAY_SECONDS = 3600.0
JITTER_SHARE = 0.1
# A call that its connection's pace did not let out comes again after so long, up to twice as long.
TURN_SECONDS = 30.0
# Where a step does not say how often it asks again.
SHORTEST_POLL_SECONDS, LONGEST_POLL_SECONDS = 1.0, 300.0

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
    """None when `status` is a success for the step, otherwise the class of its failure.

    A status to wait for wins over a range of successes: 202 among 200-299.
    """
    if status in success and (status not in wait or success.lists(status)):
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

    The answer came and was a success, by the step's own statuses (then a value was missing from it, or was another
    account's, or the answer is not what its author expects) or by HTTP's.  A
    3xx and whatever counts as "not yet" were not done.
    """
    if failure == FailureClass.MAPPING:
        return status is not None
    if failure == FailureClass.TIMEOUT:
        # It was taken (HTTP 202, say), and not ready for as long as the step waited.
        return status is not None and 200 <= status < 300
    return failure in (
        FailureClass.UNEXPECTED_STATUS,
        FailureClass.UNEXPECTED_ANSWER,
        FailureClass.WRONG_ACCOUNT,
    )


def stands(step: BaseStep | None, failure: FailureClass | str | None, status: int | None) -> bool:
    """Whether a step that failed so was carried out all the same, and could be done twice if it were sent again."""
    return step is not None and step.may_double and carried_out(failure, status)


def poll_delay(retry: Retry, *, waited: float, retry_after: float | None, jitter: float) -> float:
    """Seconds until a system is asked again that has said “not yet” for `waited` seconds.

    As often as the step says; otherwise after its delay, and the longer it takes the less often.
    """
    every = retry.poll.every_seconds
    delay = max(SHORTEST_POLL_SECONDS, float(retry.delay_seconds if every is None else every))
    if every is None and retry.backoff == "exponential":
        delay = min(LONGEST_POLL_SECONDS, max(delay, waited))
    return _no_sooner(delay, retry_after, jitter)


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
    return _no_sooner(delay, retry_after, jitter)


def _no_sooner(delay: float, retry_after: float | None, jitter: float) -> float:
    """The delay, no shorter than the other system asks for, with its jitter."""
    if retry_after is not None and delay < retry_after <= MAX_DELAY_SECONDS:
        delay = retry_after
    return delay * (1 + JITTER_SHARE * jitter)
