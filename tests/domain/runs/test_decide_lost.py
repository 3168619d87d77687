"""When nobody can tell what became of a call: lost answers and dead workers."""

from __future__ import annotations

from datetime import timedelta

import pytest

from app.domain.runs import signals as m
from app.domain.runs.calls import Outcome
from app.domain.states import FailureClass as F
from app.domain.states import RunStatus as R
from app.domain.states import TaskOutcome
from app.domain.steps.base import CONTINUE, ESCALATE, STOP, Compensate, GoTo
from app.domain.steps.retry import Retry
from tests.support.domain.runs import (
    ASK,
    BROKEN,
    LOST,
    OK,
    REFUSED,
    RESEND,
    calls,
    post,
    put,
    started,
    webhook,
)


# Lost answers
@pytest.mark.parametrize("step", [post("create", retry=ASK), webhook("create", retry=ASK)])
def test_a_lost_answer_asks_a_person_when_the_step_says_so(step):
    journey = started(step).answer(LOST)
    assert journey.run.status is R.WAITING_MANUAL
    assert journey.only(m.AttemptEnded).unknown
    assert journey.only(m.TaskOpened).unknown


@pytest.mark.parametrize("step", [post("create", retry=RESEND), webhook("create", retry=RESEND)])
def test_a_lost_answer_is_sent_again_when_the_step_says_so(step):
    journey = started(step).answer(LOST)
    assert journey.only(m.AttemptEnded).unknown
    assert calls(journey.proceed().events) == [("create", 2)]


def test_a_lost_answer_with_retry_off_takes_the_failure_edge_and_is_flagged():
    journey = started(post("create")).answer(LOST)
    assert journey.run.status is R.FAILED
    assert journey.only(m.StepFailed) == m.StepFailed("create", LOST, unknown=True)


def test_a_run_that_fails_after_a_lost_answer_stays_flagged():
    """The second try was answered with 503, but whether the first one took effect is as unknown as before."""
    journey = started(post("create", retry=RESEND)).answer(LOST, BROKEN, BROKEN)
    assert journey.run.status is R.FAILED
    assert journey.only(m.StepFailed).unknown
    assert not journey.only(m.AttemptEnded).unknown


def test_a_person_who_is_asked_after_a_lost_answer_is_told_so():
    journey = started(post("create", retry=RESEND, on_failure=ESCALATE)).answer(LOST, REFUSED)
    assert journey.only(m.TaskOpened).unknown


def test_the_doubt_about_one_step_is_not_cast_on_the_next():
    journey = started(post("a", retry=RESEND), post("b")).answer(LOST, OK, REFUSED)
    assert journey.only(m.StepFailed) == m.StepFailed("b", REFUSED, unknown=False)


def test_a_confirmed_retry_clears_the_doubt():
    journey = started(post("create")).answer(LOST).send(m.Retry("bob")).answer(REFUSED)
    assert not journey.only(m.StepFailed).unknown


@pytest.mark.parametrize("retry", [ASK, RESEND])
def test_a_lost_answer_of_an_idempotent_step_is_an_ordinary_failure(retry):
    journey = started(put("create", retry=retry)).answer(LOST)
    assert not journey.only(m.AttemptEnded).unknown
    assert journey.answer(OK).run.status is R.SUCCEEDED
    assert not started(put("create")).answer(LOST).only(m.StepFailed).unknown


def test_a_failure_known_to_have_sent_nothing_is_never_in_doubt():
    refused_connection = Outcome.failed(F.NETWORK)
    journey = started(post("create", retry=ASK)).answer(refused_connection)
    assert not journey.only(m.AttemptEnded).unknown
    assert calls(journey.proceed().events) == [("create", 2)]


def test_a_compensation_whose_answer_is_lost_asks_and_ends_compensated_by_a_persons_word():
    journey = started(post("a", on_failure=Compensate("undo")), post("undo", retry=ASK)).answer(REFUSED, LOST)
    assert journey.run.status is R.WAITING_MANUAL
    journey.act(TaskOutcome.SUBMITTED, id="7")
    assert journey.run.status is R.COMPENSATED
    assert journey.only(m.StepCaptured) == m.StepCaptured("undo", {"id": "7"})


# A worker that dies
def test_an_idempotent_step_is_sent_again_at_once_and_it_costs_no_try():
    journey = started(put("create", retry=RESEND)).die()
    assert journey.kinds() == ["WorkerDied", "AttemptEnded", "RetryScheduled"]
    assert journey.only(m.AttemptEnded).outcome.failure is F.OUTCOME_UNKNOWN
    assert not journey.only(m.AttemptEnded).unknown
    assert journey.delay() == timedelta(0)
    assert journey.proceed().events == [m.AttemptStarted("create", 2, 1, 3)]


def test_an_idempotent_step_survives_two_deaths_even_with_retry_off():
    journey = started(put("create")).die(2)
    assert journey.answer(OK).run.status is R.SUCCEEDED


@pytest.mark.parametrize("edge", [STOP, CONTINUE, ESCALATE, GoTo("last"), Compensate("undo")])
def test_the_third_death_parks_the_run_as_failed_whatever_the_failure_edge(edge):
    journey = started(put("create", retry=Retry(attempts=10), on_failure=edge), put("undo"), put("last"))
    journey.die(3)
    assert journey.run.status is R.FAILED
    assert journey.only(m.StepFailed).outcome.failure is F.WORKER_LOST
    assert calls(journey.proceed().events) == []


def test_deaths_add_up_although_other_answers_come_in_between():
    journey = started(put("create", retry=Retry(attempts=10))).die().answer(BROKEN).die().answer(BROKEN).die()
    assert journey.run.status is R.FAILED
    assert journey.only(m.StepFailed).outcome.failure is F.WORKER_LOST


def test_deaths_are_counted_per_step():
    journey = started(put("a"), put("b")).die(2).answer(OK).die(2).answer(OK)
    assert journey.run.status is R.SUCCEEDED


def test_a_death_in_a_step_that_is_not_idempotent_asks_a_person_when_the_step_says_so():
    journey = started(post("create", retry=ASK)).die()
    assert journey.run.status is R.WAITING_MANUAL
    assert journey.only(m.TaskOpened).unknown


def test_a_death_in_a_step_that_is_not_idempotent_costs_a_try_when_it_may_be_sent_again():
    journey = started(post("create", retry=RESEND)).die()
    assert journey.only(m.AttemptEnded).unknown
    assert journey.delay() == timedelta(seconds=10)
    assert journey.proceed().events == [m.AttemptStarted("create", 2, 2, 3)]
    assert journey.die(2).run.status is R.FAILED
    assert journey.only(m.StepFailed).outcome.failure is F.WORKER_LOST
    assert journey.only(m.StepFailed).unknown


def test_a_death_with_retry_off_takes_the_failure_edge_flagged_unknown():
    journey = started(post("create")).die()
    assert journey.run.status is R.FAILED
    assert journey.only(m.StepFailed).unknown
    onward = started(post("create", on_failure=CONTINUE), put("b")).die()
    assert calls(onward.events) == [("b", 1)]


def test_a_death_reported_twice_changes_nothing_the_second_time():
    """A second report would otherwise make a run in backoff due at once."""
    journey = started(put("create", retry=RESEND)).die()
    assert journey.send(m.WorkerLost()).events == []
    waiting = started(put("create", retry=RESEND)).answer(BROKEN)
    assert waiting.send(m.WorkerLost()).events == []


def test_the_answer_of_a_worker_thought_dead_is_late():
    journey = started(put("create", retry=RESEND)).die()
    assert journey.send(m.Answered("create", 1, OK)).events == []
    assert journey.proceed().send(m.Answered("create", 1, OK)).events == []
