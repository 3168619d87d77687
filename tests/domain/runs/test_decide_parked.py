"""What a run does whose connection is parked."""

from __future__ import annotations

import pytest

from app.domain.runs import signals as m
from app.domain.runs.calls import Outcome
from app.domain.states import FailureClass as F
from app.domain.states import RunStatus
from app.domain.steps.base import ESCALATE, Compensate
from app.domain.steps.retry import Retry
from tests.support.domain.runs import (
    ASK,
    BROKEN,
    CANCEL,
    LOST,
    NOW,
    OK,
    REFUSED,
    RESEND,
    STALE,
    Journey,
    calls,
    post,
    put,
    queued,
    started,
    webhook,
)

PARKED = frozenset({"1"})
NEVER_SENT = Outcome.failed(F.NETWORK)


def parked(journey: Journey) -> Journey:
    journey.parked = PARKED
    return journey


def waiting() -> Journey:
    return parked(queued(post("create"))).proceed()


def test_a_run_whose_first_step_is_parked_begins_and_waits_without_a_try():
    run = waiting()
    assert run.kinds() == ["RunStarted", "StepReached", "ConnectionAwaited"]
    assert (run.run.status, run.run.waits_for, run.run.tries) == (RunStatus.RUNNING, "1", 0)


def test_it_says_so_once():
    assert waiting().proceed().events == []


def test_it_goes_on_where_it_stood_once_it_is_let_go():
    run = waiting()
    run.parked = frozenset()
    assert calls(run.proceed().events) == [("create", 1)]
    assert (run.run.waits_for, run.run.tries) == (None, 1)


def test_other_connections_are_not_held_up():
    assert calls(parked(queued(webhook("tell"))).proceed().events) == [("tell", 1)]


def test_a_step_that_is_reached_waits_and_the_one_before_counts_as_done():
    run = parked(started(webhook("tell"), post("create"))).answer(OK)
    assert run.kinds() == ["AttemptEnded", "StepReached", "ConnectionAwaited"]


@pytest.mark.parametrize("failure", [BROKEN, NEVER_SENT])
@pytest.mark.parametrize("retry", [Retry(), RESEND, ASK])
def test_a_failure_of_the_outage_fails_no_run_and_costs_no_try(failure, retry):
    run = parked(started(post("create", retry=retry))).answer(failure)
    assert run.kinds() == ["AttemptEnded", "ConnectionAwaited"]
    assert run.run.tries == 0
    run.parked = frozenset()
    begun = run.proceed().only(m.AttemptStarted)
    assert (begun.attempt, begun.tries) == (2, 1)


def test_tries_made_before_the_outage_still_count():
    run = started(put("create", retry=RESEND)).answer(BROKEN).proceed()
    assert parked(run).answer(BROKEN).run.tries == 1


def test_a_backoff_is_served_before_the_run_waits():
    run = parked(started(put("create", retry=RESEND)).answer(BROKEN))
    assert run.only(m.RetryScheduled).due > NOW
    assert run.proceed().kinds() == ["ConnectionAwaited"]


def test_a_lost_answer_of_a_step_that_may_not_be_repeated_follows_its_own_rule():
    assert parked(started(post("create"))).answer(LOST).run.status is RunStatus.FAILED
    assert parked(started(post("create", retry=ASK))).answer(LOST).run.status is RunStatus.WAITING_MANUAL
    assert parked(started(post("create", retry=RESEND))).answer(LOST).only(m.AttemptEnded).unknown


def test_a_lost_answer_of_a_step_that_may_be_repeated_is_the_outages():
    assert parked(started(put("create"))).answer(LOST).run.waits_for == "1"


def test_a_refusal_still_fails_the_run():
    unauthorised = Outcome.failed(F.HTTP_4XX, http_status=401)
    assert parked(started(post("create"))).answer(unauthorised).run.status is RunStatus.FAILED


def test_a_compensation_waits_as_well_and_is_then_made():
    run = started(webhook("tell", on_failure=Compensate("undo")), post("undo"))
    assert parked(run).answer(REFUSED).kinds()[-2:] == ["CompensationStarted", "ConnectionAwaited"]
    run.parked = frozenset()
    assert run.answer(OK).run.status is RunStatus.COMPENSATED


def test_a_waiting_run_that_is_stale_ends_without_a_call():
    run = waiting()
    run.stale = STALE
    assert run.send(m.Supersede()).run.status is RunStatus.SUPERSEDED
    assert run.run.waits_for is None


def test_a_run_that_went_stale_unnoticed_ends_when_it_is_let_go():
    run = waiting()
    run.stale, run.parked = STALE, frozenset()
    assert run.proceed().run.status is RunStatus.SUPERSEDED


def test_a_waiting_run_is_cancelled_at_once():
    assert waiting().send(CANCEL).run.status is RunStatus.CANCELLED


def test_a_retry_by_a_person_waits_too():
    run = parked(started(post("create")).answer(REFUSED)).send(m.Retry("bob")).proceed()
    assert run.kinds() == ["ConnectionAwaited"]


def test_an_escalated_step_that_is_sent_again_waits():
    run = started(post("create", on_failure=ESCALATE)).answer(REFUSED)
    run.send(m.TaskActed(m.TaskOutcome.RETRIED, "bob", {}))
    assert parked(run).proceed().run.waits_for == "1"
