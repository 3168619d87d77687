"""When a step is tried again, and a system that says “not yet”: when it is asked again, and for how long."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from app.domain.runs.calls import Outcome, storable
from app.domain.runs.retry import poll_delay, retry_delay
from app.domain.runs.run import Run, World
from app.domain.states import FailureClass
from app.domain.steps.registry import AnyCall
from app.domain.steps.retry import Retry, span


def asked_again(run: Run, step: AnyCall, outcome: Outcome, world: World) -> tuple[datetime, datetime] | None:
    """Since when the system has not been ready, and when it is asked again; None once its time is over."""
    since = run.told_to_wait_at or world.now
    until = since + timedelta(seconds=step.retry.poll.for_seconds)
    if world.now >= until:
        return None
    waited = (world.now - since).total_seconds()
    delay = poll_delay(step.retry, waited=waited, retry_after=outcome.retry_after, jitter=world.jitter)
    return since, min(until, world.now + timedelta(seconds=delay))


def delay_of(step: AnyCall, tries: int, outcome: Outcome, jitter: float) -> float:
    """Seconds until a step is tried again that failed the `tries`-th time."""
    return retry_delay(
        backoff=step.retry.backoff,
        delay_seconds=step.retry.delay_seconds,
        tries=tries,
        retry_after=outcome.retry_after,
        jitter=jitter,
    )


def words_of(retry: Retry) -> str:
    return f"asks again, for up to {span(retry.poll.for_seconds)} in all"


def waited_out(outcome: Outcome, retry: Retry) -> Outcome:
    """The system was not ready for as long as the step waits."""
    said = f" {outcome.detail}" if outcome.detail else ""
    detail = storable(f"It was not ready within {span(retry.poll.for_seconds)}.{said}")
    return replace(outcome, failure=FailureClass.TIMEOUT, retry_after=None, detail=detail)
