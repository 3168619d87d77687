"""Conditions before a step, ways by status, a system that is not ready, and what a person says was done."""

from __future__ import annotations

import inspect
from datetime import timedelta

import pytest

from app.domain.runs import decide as deciding
from app.domain.runs import polling
from app.domain.runs import run as folding
from app.domain.runs import signals as m
from app.domain.runs.calls import Outcome
from app.domain.states import FailureClass as F
from app.domain.states import RunStatus
from app.domain.steps.base import CONTINUE, CaptureRule, Compensate, GoTo
from app.domain.steps.conditions import Condition, Is
from app.domain.steps.retry import Poll, Retry
from tests.support.domain.runs import (
    BROKEN,
    CANCEL,
    LOST,
    NOW,
    OK,
    REFUSED,
    STALE,
    calls,
    human,
    post,
    put,
    started,
)
from tests.support.domain.seeds import seed

KNOWN = (Condition("{{ account.id }}", Is.NOT_EMPTY),)
UNKNOWN = (Condition("{{ account.id }}", Is.EMPTY),)
NOT_FOUND = Outcome.failed(F.HTTP_4XX, http_status=404, branches=True)
NOT_YET = Outcome.failed(F.WAIT, http_status=202, detail="Not yet: $.status is pending.")
LOOK = put("look", method="GET", on_status={404: GoTo("create")}, on_success=GoTo("done"))


def test_a_step_whose_condition_does_not_hold_is_skipped_and_says_so():
    journey = started(put("update", only_if=KNOWN), post("create", only_if=UNKNOWN), put("done"))
    skipped = journey.only(m.StepSkipped)
    assert (skipped.step, skipped.attempt, skipped.why) == (
        "update", 1, "Condition not met: “account.id is not empty”.",
    )  # fmt: skip
    assert skipped.edge == "goes on to “Create”"
    assert calls(journey.events) == [("create", 1)]


def test_a_condition_sees_what_an_earlier_step_of_this_move_captured():
    found = (Condition("{{ steps.look.id }}", Is.EMPTY),)
    journey = started(put("look"), post("create", only_if=found), put("done"))
    assert calls(journey.answer(Outcome.success(200, {"id": "u1"})).events) == [("done", 1)]


def test_a_condition_on_what_cannot_be_read_takes_neither_way():
    for value in ("not a date", [{"a": 1}], {"a": 1}):
        unread = (Condition('{{ account.when | date("%Y") }}', Is.EMPTY),)
        journey = started(put("look"), post("create", only_if=unread))
        journey.context = {"account": {"when": value}}
        journey.answer(OK)
        assert journey.run.status is RunStatus.FAILED
        assert journey.only(m.StepFailed).outcome.failure is F.MAPPING
        assert calls(journey.events) == []


def test_a_new_answer_takes_the_place_of_all_that_an_earlier_try_found():
    found = CaptureRule("id", "$.id", optional=True), CaptureRule("mail", "$.mail")
    step = post("look", method="GET", capture=found)
    known = (Condition("{{ steps.look.id }}", Is.NOT_EMPTY),)
    journey = started(step, put("update", only_if=known), put("done"))
    journey.answer(Outcome.failed(F.MAPPING, http_status=200, captured={"id": "A"}))
    journey.send(m.Retry("bob")).proceed().answer(Outcome.success(200, {"mail": "a@x"}))
    assert journey.run.learnt == {"look": {"mail": "a@x"}}
    assert calls(journey.events) == [("done", 1)]


def test_a_run_whose_every_step_is_skipped_has_succeeded():
    journey = started(put("a", only_if=KNOWN), human("b", only_if=KNOWN))
    assert journey.run.status is RunStatus.SUCCEEDED
    assert not journey.run.failure_ignored


def test_a_compensation_whose_condition_does_not_hold_ends_the_run():
    journey = started(post("create", on_failure=Compensate("undo")), put("undo", only_if=KNOWN)).answer(
        REFUSED
    )
    assert journey.only(m.StepSkipped).edge == "ends the run as compensated"
    assert journey.run.status is RunStatus.COMPENSATED


def test_a_status_with_a_way_of_its_own_is_neither_failure_nor_success():
    journey = started(LOOK, post("create"), put("done")).answer(NOT_FOUND)
    ended = journey.only(m.AttemptEnded)
    assert (ended.branched, ended.edge) == (True, "goes on to “Create”")
    assert calls(journey.events) == [("create", 1)]
    assert journey.answer(OK, OK).run.status is RunStatus.SUCCEEDED
    assert not journey.run.failure_ignored
    assert [one for one in journey.history if isinstance(one, m.StepFailed)] == []


def test_a_way_by_status_is_taken_before_any_retry_and_a_lost_answer_has_none():
    busy = Outcome.failed(F.HTTP_5XX, http_status=503, branches=True)
    retried = Retry(attempts=3, delay_seconds=1)
    step = put("look", retry=retried, on_status={503: GoTo("create")}, on_failure=CONTINUE)
    assert calls(started(step, post("create")).answer(busy).events) == [("create", 1)]
    assert started(step, post("create")).answer(LOST).kinds() == ["AttemptEnded", "RetryScheduled"]


def test_a_way_by_status_is_not_taken_by_a_stale_or_cancelled_run():
    stale = started(LOOK, post("create"))
    stale.stale = STALE
    assert stale.answer(NOT_FOUND).run.status is RunStatus.SUPERSEDED
    assert started(LOOK, post("create")).send(CANCEL).answer(NOT_FOUND).run.status is RunStatus.CANCELLED


@pytest.mark.parametrize("attempts", [1, 3])
def test_a_system_that_is_not_ready_is_asked_again_and_spends_no_try(attempts):
    retry = Retry(attempts=attempts, poll=Poll(every_seconds=600, for_seconds=3_600))
    journey = started(put("look", retry=retry))
    for _ in range(6):
        journey.answer(NOT_YET)
        assert journey.only(m.AttemptEnded).edge == "asks again, for up to 1 h in all"
        assert journey.delay() == timedelta(minutes=10)
        assert journey.run.tries == 0
        journey.now += timedelta(minutes=10)
        journey.proceed()
    assert journey.run.told_to_wait_at == NOW
    failed = journey.answer(NOT_YET).only(m.StepFailed).outcome
    assert (failed.failure, failed.http_status) == (F.TIMEOUT, 202)
    assert failed.detail == "It was not ready within 1 h. Not yet: $.status is pending."
    assert journey.run.status is RunStatus.FAILED


def test_being_told_to_wait_leaves_the_tries_for_failures():
    retry = Retry(attempts=2, backoff="fixed", delay_seconds=5, poll=Poll(1, 60))
    journey = started(put("look", retry=retry))
    journey.answer(NOT_YET).proceed().answer(BROKEN)
    assert journey.delay() == timedelta(seconds=5)
    journey.proceed().answer(NOT_YET).proceed()
    assert journey.answer(OK).run.status is RunStatus.SUCCEEDED


def test_the_time_to_wait_begins_anew_with_each_step_and_each_retry():
    journey = started(put("a", retry=Retry(poll=Poll(10, 10))), put("b", retry=Retry(poll=Poll(10, 10))))
    journey.answer(NOT_YET)
    journey.now += timedelta(seconds=10)
    assert journey.proceed().answer(OK).run.told_to_wait_at is None
    assert journey.answer(NOT_YET).only(m.RetryScheduled).waits_since == journey.now
    journey.now += timedelta(seconds=10)
    assert journey.proceed().answer(NOT_YET).run.status is RunStatus.FAILED
    assert journey.send(m.Retry("bob")).run.told_to_wait_at is None


def test_a_stale_run_does_not_wait_for_a_system():
    journey = started(put("look", retry=Retry(poll=Poll(10, 3_600))))
    journey.stale = STALE
    assert journey.answer(NOT_YET).run.status is RunStatus.SUPERSEDED


def test_what_an_answer_did_hold_is_kept_when_the_step_fails():
    part = Outcome.failed(F.MAPPING, http_status=201, captured={"id": "acc7"})
    journey = started(post("create", capture=(CaptureRule("id", "$.id"), CaptureRule("mail", "$.mail"))))
    captured = journey.answer(part).only(m.StepCaptured)
    assert (captured.step, dict(captured.values)) == ("create", {"id": "acc7"})
    assert journey.run.status is RunStatus.FAILED


def test_a_person_says_that_the_failed_step_was_done_and_the_run_goes_on():
    journey = started(post("create"), put("done")).answer(REFUSED)
    journey.send(m.Done("bob", {"id": "u1"}, "made by hand"))
    done = journey.only(m.StepDone)
    assert (done.step, done.attempt, done.edge) == ("create", 2, "goes on to “Done”")
    assert journey.kinds() == ["StepDone", "StepCaptured", "RunResumed", "StepReached"]
    assert (journey.run.status, journey.run.cursor) == (RunStatus.RUNNING, "done")
    assert calls(journey.proceed().events) == [("done", 1)]


def test_only_a_failed_run_whose_intent_holds_takes_that_word():
    done = m.Done("bob", {}, "made by hand")
    assert started(post("create")).send(done).events == []
    journey = started(post("create")).answer(REFUSED)
    journey.stale = STALE
    assert journey.send(done).events == []


def test_a_failed_compensation_that_was_done_by_hand_ends_compensated():
    journey = started(post("create", on_failure=Compensate("undo")), put("undo")).answer(REFUSED, REFUSED)
    assert journey.run.status is RunStatus.FAILED
    assert journey.send(m.Done("bob", {}, "undone by hand")).run.status is RunStatus.COMPENSATED


def _waits() -> None:
    test_a_system_that_is_not_ready_is_asked_again_and_spends_no_try(1)


SKIPS = test_a_step_whose_condition_does_not_hold_is_skipped_and_says_so
SEES = test_a_condition_sees_what_an_earlier_step_of_this_move_captured
BRANCHES = test_a_status_with_a_way_of_its_own_is_neither_failure_nor_success
KEEPS = test_what_an_answer_did_hold_is_kept_when_the_step_fails
DONE = test_only_a_failed_run_whose_intent_holds_takes_that_word
SEEDS = [
    (
        deciding,
        "    if unmet:\n        return _skip",
        "    if False:\n        return _skip",
        SKIPS,
    ),
    (
        folding,
        "return replace(run, learnt={**run.learnt,",
        "return replace(run, learnt={} and {**run.learnt,",
        SEES,
    ),
    (
        deciding,
        "if outcome.branches and not run.compensating:",
        "if False:",
        BRANCHES,
    ),
    (
        deciding,
        "branched=True)",
        "branched=False)",
        BRANCHES,
    ),
    (deciding, "due, waits_since=since, costs_try=False", "due, waits_since=since", _waits),
    (deciding, "again_at is None or not goes_on", "False or not goes_on", _waits),
    (folding, "told_to_wait_at=since or run.told_to_wait_at", "told_to_wait_at=run.told_to_wait_at", _waits),
    (polling, "if world.now >= until:", "if False:", _waits),
    (
        deciding,
        "[ended, *_captured(step, outcome), failed]",
        "[ended, failed]",
        KEEPS,
    ),
    (deciding, "world.stale is not None\n        or world.unreadable", "world.unreadable", DONE),
]


@pytest.mark.parametrize(("module", "passage", "bug", "test"), SEEDS)
def test_each_seeded_bug_is_noticed(module, passage, bug, test, monkeypatch):
    if module is polling:
        broken: dict[str, object] = {"__name__": module.__name__}
        source = inspect.getsource(module)
        assert source.count(passage) == 1
        exec(source.replace(passage, bug), broken)
        monkeypatch.setattr(polling, "asked_again", broken["asked_again"])
    else:
        seed(monkeypatch, module, passage, bug)
    with pytest.raises(Exception):  # noqa: B017, PT011 - whatever the examples stumble over
        test()
