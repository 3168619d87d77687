"""A run whose intent no longer holds, and Retry, which asks for that as well."""

from __future__ import annotations

import pytest

from app.domain.runs import signals as m
from app.domain.states import RunStatus as R
from app.domain.states import TaskOrigin
from app.domain.steps.base import CONTINUE, ESCALATE, Compensate
from tests.support.domain.runs import (
    AGAIN,
    ASK,
    BROKEN,
    FAIL,
    LOST,
    OK,
    REFUSED,
    RESEND,
    SKIP,
    STALE,
    SUBMIT,
    Journey,
    calls,
    escalated,
    human,
    post,
    put,
    queued,
    started,
)


# Stale intent
def test_a_stale_run_does_not_start():
    journey = queued(post("create"))
    journey.stale = STALE
    assert journey.proceed().events == [m.RunEnded(R.SUPERSEDED, STALE)]


def test_a_stale_run_stops_before_its_next_step_and_keeps_what_it_captured():
    journey = started(post("create"), put("b"))
    journey.stale = STALE
    journey.answer(OK.success(201, {"id": "7"}))
    assert journey.kinds() == ["AttemptEnded", "StepCaptured", "StepReached", "RunEnded"]
    assert journey.run.status is R.SUPERSEDED


def test_a_run_whose_last_step_is_done_has_succeeded_even_if_it_is_stale_by_now():
    journey = started(post("create"))
    journey.stale = STALE
    assert journey.answer(OK).run.status is R.SUCCEEDED


STALE_WHILE_A_CALL_IS_OUT = [
    (post("create", retry=RESEND), BROKEN),
    (post("create", retry=RESEND), LOST),
    (post("create", retry=ASK), LOST),
    (post("create", on_failure=ESCALATE), REFUSED),
    (post("create", on_failure=CONTINUE), REFUSED),
    (post("create"), REFUSED),
]


@pytest.mark.parametrize(("step", "outcome"), STALE_WHILE_A_CALL_IS_OUT)
def test_a_run_superseded_while_its_call_is_out_ends_with_the_answer(step, outcome):
    """Neither an hour of backoff nor an unanswered task may hold up, or outlive, the newer run."""
    journey = started(step, put("b"))
    journey.stale = STALE
    assert journey.send(m.Supersede()).events == []
    journey.answer(outcome)
    assert journey.run.status is R.SUPERSEDED
    assert not {m.TaskOpened, m.RetryScheduled, m.AttemptStarted} & set(map(type, journey.events))


def superseded(journey: Journey) -> Journey:
    journey.stale = STALE
    return journey.send(m.Supersede())


def test_going_stale_ends_a_run_that_is_queued_waiting_in_backoff_or_failed():
    assert superseded(queued(post("a"))).run.status is R.SUPERSEDED
    assert superseded(started(post("a", retry=RESEND)).answer(BROKEN)).run.status is R.SUPERSEDED
    assert superseded(started(post("a")).answer(REFUSED)).run.status is R.SUPERSEDED
    waiting = superseded(started(human("ask")))
    assert waiting.only(m.TaskClosed) == m.TaskClosed("ask", 1, None)
    assert waiting.run.status is R.SUPERSEDED


def test_a_run_whose_intent_holds_is_not_superseded():
    assert started(human("ask")).send(m.Supersede()).events == []


@pytest.mark.parametrize("outcome", [SUBMIT, SKIP, FAIL, AGAIN])
def test_acting_on_the_task_of_a_stale_run_ends_it_as_superseded(outcome):
    journey = escalated(put("b"))
    journey.stale = STALE
    journey.act(outcome)
    assert journey.only(m.TaskClosed).outcome is None
    assert journey.run.status is R.SUPERSEDED


def test_a_compensation_goes_on_although_the_run_is_stale():
    journey = started(post("a", on_failure=Compensate("undo")), put("undo", retry=RESEND))
    journey.stale = STALE
    journey.answer(REFUSED, BROKEN)
    assert journey.send(m.Supersede()).events == []
    assert journey.answer(OK).run.status is R.COMPENSATED


def test_a_compensation_is_not_begun_again_once_another_run_may_have_passed():
    """A run that failed or waits gave up its lane: access may have been granted again since (promise 10)."""
    failed = started(post("a", on_failure=Compensate("undo")), put("undo")).answer(REFUSED, REFUSED)
    failed.stale = STALE
    assert failed.send(m.Retry("bob")).events == []
    asked = started(post("a", on_failure=Compensate("undo")), post("undo", retry=ASK)).answer(REFUSED, LOST)
    asked.stale = STALE
    assert asked.act(AGAIN).run.status is R.SUPERSEDED


def test_a_compensation_by_hand_is_not_asked_for_on_behalf_of_a_stale_run():
    journey = started(post("a", on_failure=Compensate("undo")), human("undo"))
    journey.stale = STALE
    assert journey.answer(REFUSED).run.status is R.SUPERSEDED
    by_hand = started(human("a", on_failure=Compensate("undo")), human("undo")).act(FAIL)
    by_hand.stale = STALE
    assert by_hand.proceed().run.status is R.SUPERSEDED


def test_a_compensation_that_a_person_set_going_comes_before_a_newer_run():
    journey = started(human("a", on_failure=Compensate("undo")), put("undo")).act(FAIL)
    journey.stale = STALE
    assert journey.send(m.Supersede()).events == []
    assert journey.answer(OK).run.status is R.COMPENSATED


# Retry
def test_retry_goes_on_from_the_failed_step_with_fresh_tries_and_new_numbers():
    journey = started(post("a"), put("b", retry=RESEND)).answer(OK, BROKEN, BROKEN, BROKEN)
    assert journey.run.status is R.FAILED
    assert journey.send(m.Retry("bob")).run.status is R.RUNNING
    assert journey.proceed().events == [m.AttemptStarted("b", 4, 1, 3)]
    assert journey.answer(BROKEN, BROKEN, OK).run.status is R.SUCCEEDED
    assert calls(journey.history) == [("a", 1), *[("b", number) for number in range(1, 7)]]


def test_retry_of_a_failed_human_task_asks_again():
    journey = started(human("ask")).act(FAIL).send(m.Retry("bob")).proceed()
    assert journey.only(m.TaskOpened) == m.TaskOpened("ask", 2, TaskOrigin.HUMAN_TASK)


def test_retry_of_a_failed_compensation_tries_the_compensation_again():
    journey = started(post("a", on_failure=Compensate("undo")), put("undo")).answer(REFUSED, REFUSED)
    assert journey.send(m.Retry("bob")).answer(OK).run.status is R.COMPENSATED


def test_a_retry_gives_a_parked_run_three_more_deaths():
    journey = started(put("a")).die(3).send(m.Retry("bob")).die(2).answer(OK)
    assert journey.run.status is R.SUCCEEDED


def test_retry_of_a_stale_run_does_nothing():
    journey = started(post("a")).answer(REFUSED)
    journey.stale = STALE
    assert journey.send(m.Retry("bob")).events == []


def test_only_a_failed_run_can_be_retried():
    assert queued(post("a")).send(m.Retry("bob")).events == []
    assert started(post("a")).send(m.Retry("bob")).events == []
    assert started(human("a")).send(m.Retry("bob")).events == []
    assert started(post("a")).answer(OK).send(m.Retry("bob")).events == []
