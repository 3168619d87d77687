"""What people do to a run: tasks and cancelling, an example per rule."""

from __future__ import annotations

import pytest

from app.domain.runs import signals as m
from app.domain.states import RunStatus as R
from app.domain.states import TaskOrigin
from app.domain.steps.base import CONTINUE, ESCALATE, STOP, Compensate, GoTo
from tests.support.domain.runs import (
    AGAIN,
    ASK,
    BROKEN,
    CANCEL,
    FAIL,
    LOST,
    OK,
    REFUSED,
    RESEND,
    SKIP,
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


# A human task
@pytest.mark.parametrize(("outcome", "values"), [(SUBMIT, {"desk": "4"}), (SKIP, {})])
def test_a_human_task_goes_on_when_it_is_submitted_or_skipped(outcome, values):
    journey = started(human("ask"), put("b"))
    assert journey.run.status is R.WAITING_MANUAL
    assert journey.only(m.TaskOpened) == m.TaskOpened("ask", 1, TaskOrigin.HUMAN_TASK)
    journey.act(outcome, **values)
    assert journey.only(m.TaskClosed).outcome is outcome
    assert (m.StepCaptured("ask", values) in journey.events) == bool(values)
    assert calls(journey.events) == []  # a worker sends it, when the run has its turn
    assert calls(journey.proceed().events) == [("b", 1)]


def test_a_human_task_at_the_end_ends_the_run():
    assert started(human("ask")).act(SUBMIT).proceed().run.status is R.SUCCEEDED


@pytest.mark.parametrize("edge", [STOP, ESCALATE])
def test_a_human_task_that_is_failed_ends_the_run_and_never_asks_again(edge):
    assert started(human("ask", on_failure=edge), put("b")).act(FAIL).run.status is R.FAILED


@pytest.mark.parametrize("edge", [CONTINUE, GoTo("b")])
def test_a_human_task_that_is_failed_takes_its_failure_edge(edge):
    journey = started(human("ask", on_failure=edge), put("b")).act(FAIL)
    assert journey.run.failure_ignored
    assert calls(journey.proceed().events) == [("b", 1)]


def test_a_human_task_that_is_failed_may_be_compensated():
    journey = (
        started(post("a"), human("ask", on_failure=Compensate("undo")), put("undo")).answer(OK).act(FAIL)
    )
    assert calls(journey.proceed().events) == [("undo", 1)]
    assert journey.answer(OK).run.status is R.COMPENSATED


def test_a_compensation_may_itself_be_a_human_task():
    def undoing() -> Journey:
        return started(post("a", on_failure=Compensate("undo")), human("undo")).answer(REFUSED)

    assert undoing().run.status is R.WAITING_MANUAL
    assert undoing().act(SUBMIT).run.status is R.COMPENSATED
    assert undoing().act(FAIL).run.status is R.FAILED


def test_a_task_is_acted_on_once():
    assert started(human("ask"), put("b")).act(SUBMIT).act(SUBMIT).events == []


def test_there_is_nothing_to_try_again_in_a_human_task():
    assert started(human("ask")).act(AGAIN).events == []


# An escalated failure
def test_an_escalated_failure_done_by_hand_goes_on_with_the_values():
    journey = escalated(put("b")).act(SUBMIT, id="7")
    assert journey.only(m.StepCaptured) == m.StepCaptured("create", {"id": "7"})
    assert calls(journey.proceed().events) == [("b", 1)]


def test_an_escalated_failure_that_is_skipped_goes_on_without_values():
    journey = escalated(put("b")).act(SKIP)
    assert m.StepCaptured not in map(type, journey.events)
    assert calls(journey.proceed().events) == [("b", 1)]


def test_an_escalated_failure_that_is_failed_ends_the_run():
    assert escalated(put("b")).act(FAIL).run.status is R.FAILED


def test_an_escalated_failure_can_be_tried_again_with_fresh_tries_and_a_new_number():
    journey = started(post("create", retry=RESEND, on_failure=ESCALATE)).answer(BROKEN, BROKEN, BROKEN)
    journey.act(AGAIN)
    assert journey.run.status is R.RUNNING
    assert journey.proceed().events == [m.AttemptStarted("create", 5, 1, 3)]


def test_a_lost_answer_is_only_sent_again_at_a_persons_word():
    journey = started(post("create", retry=ASK)).answer(LOST)
    assert journey.proceed().events == []
    assert calls(journey.act(AGAIN).proceed().events) == [("create", 3)]


# Cancel
def test_a_run_is_cancelled_at_once_while_it_is_queued():
    assert queued(post("create")).send(CANCEL).run.status is R.CANCELLED


def test_a_run_is_cancelled_at_once_while_it_waits_to_try_again():
    assert started(post("create", retry=RESEND)).answer(BROKEN).send(CANCEL).run.status is R.CANCELLED


def test_cancelling_a_run_that_waits_for_a_person_closes_its_task():
    journey = started(human("ask")).send(CANCEL)
    assert journey.only(m.TaskClosed) == m.TaskClosed("ask", 1, None)
    assert journey.run.status is R.CANCELLED


@pytest.mark.parametrize("outcome", [OK, BROKEN, REFUSED, LOST])
def test_cancelling_lets_the_ongoing_call_finish_first(outcome):
    journey = started(post("create", retry=ASK, on_failure=CONTINUE), put("b")).send(CANCEL)
    assert journey.events == [m.CancelRequested("bob", "no longer wanted")]
    journey.answer(outcome)
    assert journey.run.status is R.CANCELLED
    assert calls(journey.events) == []


@pytest.mark.parametrize("step", [put("create"), post("create", retry=ASK)])
def test_a_worker_that_dies_after_a_cancel_ends_the_run(step):
    assert started(step).send(CANCEL).die().run.status is R.CANCELLED


def test_a_second_cancel_says_nothing_new():
    assert started(post("create")).send(CANCEL, CANCEL).events == []
