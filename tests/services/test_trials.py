"""Whose turn it is while a connection is tried: nobody waits behind a trial that says nothing, or is sure to fail."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain.runs import signals as m
from app.domain.runs.calls import Outcome
from app.domain.states import FailureClass as F
from app.extensions import db
from app.models import Grant, Run, RunEvent
from app.permissions import Actor
from app.services import grants, run_pause, runs
from app.services.advance import Move, advance
from app.services.advance.releases import let_through
from app.services.connection_test import REACHABLE, TestResult
from tests.support.factories import http_step
from tests.support.services.outages import BROKEN, DONE, Outside


@pytest.fixture
def outside(session: Session, admin: Actor) -> Outside:
    return Outside(session, admin)


def tried(outside: Outside, waiting: int = 5) -> list[int]:
    """Down with so many runs waiting, up again, and its health path has answered: the runs, oldest first."""
    outside.answer = BROKEN
    outside.grant(waiting)
    outside.work()
    outside.answer = DONE
    outside.now += timedelta(seconds=15)
    outside.sweep()
    assert outside.state() == "trial"
    del outside.calls[:]
    return [one.id for one in outside.runs()]


def sweep(outside: Outside) -> None:
    """A sweep, and workers who take what is due until nothing is."""
    outside.now += timedelta(seconds=5)
    outside.sweep()
    for _ in range(5):
        outside.claim()
        outside.hear()


def answered(outcome: Outcome) -> Callable[[Outside, list[int]], None]:
    def unlucky(outside: Outside, ids: list[int]) -> None:
        outside.own = dict.fromkeys(ids, outcome)

    return unlucky


def revoked(outside: Outside, ids: list[int]) -> None:
    for one in outside.runs():
        if one.id in ids:
            grant = outside.session.get_one(Grant, one.grant_id)
            grants.revoke(outside.session, outside.actor, grant, now=outside.now)


def cancelled(outside: Outside, ids: list[int]) -> None:
    for one in outside.runs():
        if one.id in ids:
            runs.cancel(outside.session, outside.actor, one, reason="Not wanted any more")


NOTHING_SENT = {
    "revoked": revoked,
    "cancelled": cancelled,
    "mapping": answered(Outcome.failed(F.MAPPING)),
    "configuration": answered(Outcome.failed(F.CONFIGURATION)),
    "its pace": answered(Outcome.failed(F.TIMEOUT, ours=True)),
    "outcome unknown": answered(Outcome.failed(F.OUTCOME_UNKNOWN, lost=True)),
}


@pytest.mark.parametrize("ends", NOTHING_SENT.values(), ids=NOTHING_SENT)
def test_runs_that_leave_without_a_call_hold_nobody_up(
    outside: Outside, ends: Callable[[Outside, list[int]], None]
) -> None:
    ids = tried(outside)
    ends(outside, ids[:2])
    sweep(outside)
    assert ids[2] in [run for _, run in outside.calls], "within one sweep"
    assert outside.state() == "draining"


def test_runs_that_are_told_to_come_later_hold_nobody_up_and_are_tried_a_sweep_at_a_time(
    session: Session, admin: Actor
) -> None:
    retry = {"attempts": 3, "delay_seconds": 600, "backoff": "fixed", "wait_statuses": [429]}
    outside = Outside(session, admin, lambda c: [http_step("create", c, retry=retry)])
    ids = tried(outside)
    answered(Outcome.failed(F.WAIT, http_status=429))(outside, ids[:2])
    for count in (1, 2, 3):
        sweep(outside)
        assert [run for _, run in outside.calls] == ids[:count]
    assert outside.state() == "draining"


def test_a_trial_whose_worker_dies_lets_the_next_run_through(outside: Outside) -> None:
    ids = tried(outside)
    outside.sweep()
    outside.claim()
    assert list(outside.out) == ids[:1]
    outside.out.clear()
    advance(outside.session.connection(), [Move(ids[0], m.WorkerLost())], now=outside.now)
    outside.claim()
    assert list(outside.out) == ids[1:2]


def test_a_trial_that_is_cancelled_before_a_worker_takes_it_lets_the_next_run_through(
    outside: Outside,
) -> None:
    ids = tried(outside)
    outside.sweep()
    cancelled(outside, ids[:1])
    _, second, *others = outside.runs()
    assert second.let_through_id == outside.connection.id
    assert [one.id for one in others] == outside.waiting()


def test_what_nobody_told_of_the_sweeper_finds(outside: Outside) -> None:
    """However a run came to leave, its row shows it."""
    ids = tried(outside)
    outside.sweep()
    trial = outside.session.get_one(Run, ids[0], populate_existing=True)
    trial.due_at = outside.now + timedelta(hours=1)
    outside.session.flush()
    sweep(outside)
    assert outside.calls[0][1] == ids[1]


def test_runs_let_through_before_are_found_without_reading_the_history(only_sqlite: Flask) -> None:
    with only_sqlite.app_context():
        plan = db.session.connection().exec_driver_sql(
            "EXPLAIN QUERY PLAN "
            + str(let_through(7).compile(db.engine, compile_kwargs={"literal_binds": True}))
        )
        assert "ix_runs_lane_order" in str(plan.all())


def test_while_a_trial_is_under_way_no_other_run_goes(outside: Outside) -> None:
    ids = tried(outside)
    outside.sweep()
    outside.claim()
    for _ in range(20):
        outside.now += timedelta(seconds=5)
        outside.sweep()
        outside.claim()
    assert [run for _, run in outside.calls] == ids[:1]


def test_nothing_is_passed_on_while_runs_are_paused(outside: Outside) -> None:
    ids = tried(outside)
    outside.sweep()
    run_pause.pause(outside.session, outside.actor, reason="Look first", now=outside.now)
    cancelled(outside, ids[:1])
    assert len(outside.waiting()) == 4
    run_pause.resume(outside.session, outside.actor, now=outside.now)
    sweep(outside)
    assert outside.calls[0][1] == ids[1]


def test_a_run_let_through_in_an_earlier_round_does_not_call_beside_a_trial(
    session: Session, admin: Actor
) -> None:
    retry = {"attempts": 3, "delay_seconds": 100, "backoff": "fixed"}
    outside = Outside(session, admin, lambda c: [http_step("create", c, retry=retry)])
    outside.config = {}
    ids = tried(outside, 9)
    outside.own = dict.fromkeys(ids[1:3], BROKEN)
    sweep(outside)
    sweep(outside)
    resting = [one.id for one in outside.runs() if one.due_at is not None and one.due_at > outside.now]
    assert resting == ids[1:3], "they failed as runs went on again, and are tried once more later"
    outside.answer = BROKEN
    outside.live(5)
    assert outside.state() == "parked"
    outside.live(30)
    del outside.calls[:]
    outside.now += timedelta(seconds=100)
    outside.found = lambda: TestResult(REACHABLE, "", status=200)  # type: ignore[method-assign]
    outside.sweep()
    outside.sweep()
    outside.claim()
    assert len(outside.calls) == 1
    outside.hear()
    assert set(outside.waiting()) >= set(resting), "they wait, and no try of theirs was spent"


# Runs that never succeed, while the health path answers


def health_answers(outside: Outside) -> None:
    outside.found = lambda: TestResult(REACHABLE, "", status=200)  # type: ignore[method-assign]


@pytest.mark.parametrize("count", [1, 2, 5])
def test_requests_that_never_succeed_keep_neither_their_runs_nor_each_other_waiting_for_ever(
    session: Session, admin: Actor, count: int
) -> None:
    outside = Outside(session, admin, config={"park_after_failures": max(2, count)})
    health_answers(outside)
    outside.answer = BROKEN
    outside.grant(max(2, count))
    outside.work()
    for other in outside.runs()[count:]:
        runs.cancel(session, admin, other, reason="So that the other waits alone")
    outside.live(600, every=15)
    assert set(outside.statuses()[:count]) == {"running"}, "for so long it may be an outage"
    outside.live(3000, every=15)
    assert set(outside.statuses()[:count]) == {"failed"}
    assert outside.state() == "closed"
    told = session.scalars(select(RunEvent.message).where(RunEvent.kind == "waits_no_longer")).all()
    assert len(told) == count
    assert told[0].startswith(f"Waits no longer: {outside.connection.name} answers, and this call failed ")


def test_a_run_that_would_succeed_gets_through_behind_those_that_never_do(outside: Outside) -> None:
    health_answers(outside)
    outside.answer = BROKEN
    outside.grant(6)
    outside.work()
    ids = [one.id for one in outside.runs()]
    outside.own, outside.answer = dict.fromkeys(ids[:5], BROKEN), DONE
    outside.live(1200)
    by_run = dict(zip(ids, outside.statuses(), strict=True))
    assert by_run[ids[5]] == "succeeded"
    outside.live(2400)
    assert set(outside.statuses()[:5]) == {"failed"}
