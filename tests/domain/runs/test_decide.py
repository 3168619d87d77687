"""What an answer does to a run: one example per rule. Odd orders live in test_run_machine."""

from __future__ import annotations

from datetime import timedelta

import pytest

from app.domain.runs import signals as m
from app.domain.runs.calls import Outcome
from app.domain.runs.retry import TRANSIENT, classify_status
from app.domain.states import OPEN, RUN_TRANSITIONS, RunStatus, TaskOrigin
from app.domain.states import FailureClass as F
from app.domain.steps.base import CONTINUE, END, ESCALATE, Compensate, Edge, GoTo
from app.domain.steps.retry import Retry
from app.domain.steps.statuses import SUCCESS, StatusSet
from tests.support.domain.runs import BROKEN, OK, REFUSED, RESEND, calls, post, put, queued, started

R = RunStatus
HAVE_NEXT = [R.QUEUED, R.RUNNING, R.WAITING_MANUAL, R.FAILED]


# The statuses
def test_the_status_table_is_the_one_of_the_specification():
    ended_otherwise = {R.SUPERSEDED, R.CANCELLED}
    table = {
        R.QUEUED: {R.RUNNING} | ended_otherwise,
        R.RUNNING: set(R) - {R.QUEUED, R.RUNNING},
        R.WAITING_MANUAL: {R.RUNNING, R.FAILED} | ended_otherwise,
        R.FAILED: {R.RUNNING, R.SUPERSEDED},
        R.SUCCEEDED: set(),
        R.COMPENSATED: set(),
        R.SUPERSEDED: set(),
        R.CANCELLED: set(),
    }
    assert table == RUN_TRANSITIONS


@pytest.mark.parametrize("status", R)
def test_open_means_that_a_run_can_still_move_without_a_retry(status):
    assert status.is_open == (status in OPEN) == (status in {R.QUEUED, R.RUNNING, R.WAITING_MANUAL})
    assert status.moves_by_itself == (status in {R.QUEUED, R.RUNNING})
    assert (status in HAVE_NEXT) == bool(RUN_TRANSITIONS[status])


def test_a_run_starts_and_sends_its_first_step():
    journey = started(post("create"), put("enrol"))
    assert journey.events == [m.RunStarted(), m.StepReached("create"), m.AttemptStarted("create", 1, 1, 1)]


def test_a_run_without_steps_succeeds_at_once():
    assert started().run.status is R.SUCCEEDED


def test_a_run_that_is_being_worked_on_begins_nothing_else():
    assert started(post("create")).proceed().events == []


# What an answer means
ANSWERS = [
    (200, None),
    (299, None),
    (100, F.UNEXPECTED_STATUS),
    (199, F.UNEXPECTED_STATUS),
    (300, F.REDIRECT),
    (399, F.REDIRECT),
    (400, F.HTTP_4XX),
    (404, F.HTTP_4XX),
    (429, F.WAIT),
    (499, F.HTTP_4XX),
    (500, F.HTTP_5XX),
    (599, F.HTTP_5XX),
]


@pytest.mark.parametrize(("status", "failure"), ANSWERS)
def test_a_status_line_has_one_meaning(status, failure):
    assert classify_status(status, success=SUCCESS, wait=StatusSet(((429, 429),))) is failure


def test_listing_statuses_replaces_what_counts_as_success():
    gone = StatusSet(((404, 404),))
    assert classify_status(404, success=gone, wait=StatusSet()) is None
    assert classify_status(200, success=gone, wait=StatusSet()) is F.UNEXPECTED_STATUS


def test_without_wait_statuses_a_429_is_an_ordinary_4xx():
    assert classify_status(429, success=SUCCESS, wait=StatusSet()) is F.HTTP_4XX


def test_the_transient_classes_are_those_of_the_answer_table():
    assert {F.HTTP_5XX, F.WAIT, F.TIMEOUT, F.NETWORK, F.OUTCOME_UNKNOWN} == TRANSIENT


@pytest.mark.parametrize("failure", F)
def test_only_a_transient_failure_is_tried_again(failure):
    journey = started(post("create", retry=RESEND)).answer(Outcome.failed(failure))
    assert (journey.run.status is R.RUNNING) == (failure in TRANSIENT)
    assert (m.RetryScheduled in map(type, journey.events)) == (failure in TRANSIENT)
    assert (journey.run.status is R.FAILED) != (failure in TRANSIENT)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 408, 409, 422, 423, 425, 429, 451])
def test_no_4xx_is_ever_tried_again_by_itself(status):
    failure = classify_status(status, success=SUCCESS, wait=StatusSet())
    assert failure is not None
    refused = Outcome.failed(failure, http_status=status, retry_after=5)
    journey = started(put("create", retry=Retry(attempts=10))).answer(refused)
    assert journey.run.status is R.FAILED
    assert journey.proceed().events == []


def test_a_transient_failure_with_retry_off_takes_the_failure_edge():
    assert started(put("create")).answer(BROKEN).run.status is R.FAILED


def test_tries_are_counted_and_the_last_failure_takes_the_failure_edge():
    journey = started(put("create", retry=RESEND)).answer(BROKEN, BROKEN)
    assert journey.run.status is R.RUNNING
    assert journey.proceed().events == [m.AttemptStarted("create", 3, 3, 3)]
    assert journey.answer(BROKEN).run.status is R.FAILED
    assert journey.only(m.StepFailed) == m.StepFailed("create", BROKEN, unknown=False)


def test_a_call_that_our_own_pace_held_back_costs_no_try_and_fails_no_run():
    held = Outcome.failed(F.TIMEOUT, ours=True)
    journey = started(post("create"))
    for _ in range(20):
        journey.answer(held)
        assert timedelta(seconds=30) <= journey.delay() <= timedelta(seconds=60)
        journey.proceed()
        assert journey.only(m.AttemptStarted).tries == 1
    assert journey.answer(OK).run.status is R.SUCCEEDED


def test_a_call_to_a_system_that_asked_to_be_left_alone_comes_again_when_that_is_over():
    journey = started(post("create")).answer(Outcome.failed(F.TIMEOUT, ours=True, retry_after=600))
    assert timedelta(seconds=600) <= journey.delay() <= timedelta(seconds=630)
    journey.proceed()
    assert journey.only(m.AttemptStarted).tries == 1


def test_the_next_step_has_tries_of_its_own():
    journey = started(put("create", retry=RESEND), put("enrol", retry=RESEND)).answer(BROKEN, OK)
    assert calls(journey.events) == [("enrol", 1)]
    assert journey.answer(BROKEN, BROKEN).run.status is R.RUNNING


# Success edges
def test_success_goes_on_to_the_step_below():
    journey = started(post("create"), put("enrol")).answer(Outcome.success(201, {"id": "7"}))
    assert journey.kinds() == ["AttemptEnded", "StepCaptured", "StepReached", "AttemptStarted"]
    assert journey.only(m.StepCaptured) == m.StepCaptured("create", {"id": "7"}, answered=True)
    assert journey.answer(OK).run.status is R.SUCCEEDED


def test_success_may_end_the_run_before_its_last_step():
    journey = started(post("create", on_success=END), put("enrol")).answer(OK)
    assert (journey.run.status, calls(journey.events)) == (R.SUCCEEDED, [])


def test_success_may_skip_to_a_named_step():
    journey = started(post("a", on_success=GoTo("c")), post("b"), put("c")).answer(OK)
    assert calls(journey.events) == [("c", 1)]


def test_steps_used_for_compensation_are_passed_over():
    journey = started(post("a", on_failure=Compensate("undo")), put("undo"), put("b")).answer(OK)
    assert calls(journey.events) == [("b", 1)]
    assert journey.answer(OK).run.status is R.SUCCEEDED


# Failure edges
def test_alert_and_stop_ends_the_run_as_failed():
    journey = started(post("create"), put("enrol")).answer(REFUSED)
    assert journey.events == [
        m.AttemptEnded("create", 1, REFUSED, "ends the run as failed"),
        m.StepFailed("create", REFUSED, unknown=False),
        m.RunEnded(R.FAILED),
    ]


def test_escalation_asks_a_person():
    journey = started(post("create", on_failure=ESCALATE)).answer(REFUSED)
    assert journey.run.status is R.WAITING_MANUAL
    assert journey.only(m.TaskOpened) == m.TaskOpened("create", 2, TaskOrigin.ESCALATED_FAILURE)


@pytest.mark.parametrize("edge", [CONTINUE, GoTo("c")])
def test_continuing_in_spite_of_a_failure_is_recorded(edge: Edge | GoTo):
    journey = started(post("a", on_failure=edge), put("c")).answer(REFUSED)
    assert calls(journey.events) == [("c", 1)]
    assert journey.answer(OK).run.status is R.SUCCEEDED
    assert journey.run.failure_ignored


def test_continuing_after_the_last_step_succeeds_with_the_failure_noted():
    run = started(put("a", on_failure=CONTINUE)).answer(REFUSED).run
    assert (run.status, run.failure_ignored) == (R.SUCCEEDED, True)


def test_a_compensation_step_runs_and_the_run_ends_compensated():
    journey = started(post("a"), post("b", on_failure=Compensate("undo")), put("c"), put("undo"))
    journey.answer(OK, REFUSED)
    assert calls(journey.events) == [("undo", 1)]
    assert journey.run.status is R.RUNNING
    assert journey.answer(OK).run.status is R.COMPENSATED


def test_a_compensation_step_is_tried_again_like_any_other():
    journey = started(post("a", on_failure=Compensate("undo")), put("undo", retry=RESEND))
    journey.answer(REFUSED, BROKEN, BROKEN)
    assert journey.run.status is R.RUNNING
    assert journey.answer(OK).run.status is R.COMPENSATED


@pytest.mark.parametrize("edge", [Edge.STOP, CONTINUE, ESCALATE, GoTo("last")])
def test_a_compensation_that_fails_ends_the_run_as_failed_whatever_its_own_edge(edge):
    journey = started(post("a", on_failure=Compensate("undo")), put("undo", on_failure=edge), put("last"))
    assert journey.answer(REFUSED, REFUSED).run.status is R.FAILED
    assert journey.only(m.StepFailed).step == "undo"


def test_the_words_on_the_timeline_name_the_edge_that_was_taken():
    def words(edge):
        steps = post("a", on_failure=edge), put("b", name="Tell the team"), put("c")
        return started(*steps).answer(REFUSED).only(m.AttemptEnded).edge

    assert words(CONTINUE) == "continues anyway: goes on to “Tell the team”"
    assert words(GoTo("c")) == "goes on to “C”"
    assert words(ESCALATE) == "asks a person"
    assert words(Compensate("c")) == "runs the compensation step “C”"


# Late and repeated answers
def test_late_and_repeated_answers_move_nothing():
    journey = started(put("a", retry=RESEND), put("b")).answer(BROKEN)
    assert journey.send(m.Answered("a", 1, OK)).events == []
    journey.proceed()
    assert journey.send(m.Answered("a", 1, OK)).events == []
    assert journey.send(m.Answered("b", 2, OK)).events == []
    journey.answer(OK)
    assert journey.send(m.Answered("a", 2, OK)).events == []


def test_a_worker_that_takes_no_more_leaves_the_next_call_to_another():
    journey = started(post("a"), put("b"))
    journey.may_send = False
    journey.answer(OK)
    assert (journey.run.status, journey.run.cursor, calls(journey.events)) == (R.RUNNING, "b", [])
    journey.may_send = True
    assert calls(journey.proceed().events) == [("b", 1)]


def test_deciding_does_not_change_the_run():
    journey = queued(put("a"))
    before = journey.run
    journey.proceed()
    assert (before.status, before.cursor) == (R.QUEUED, None)
