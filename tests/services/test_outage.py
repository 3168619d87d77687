"""An outage of another system: what reaches it, what waits, and how it all goes on (issue: outage breaker)."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest
from sqlalchemy import event, func, select
from sqlalchemy.orm import Session

from app.domain.runs.calls import Outcome
from app.domain.states import FailureClass as F
from app.models import Attempt, ConnectionBreaker, RunEvent
from app.permissions import Actor
from app.services import grants, runs
from tests.support.factories import http_step, make_user
from tests.support.services.outages import BROKEN, DONE, UNAUTHORISED, Outside

LOST = Outcome.failed(F.TIMEOUT, lost=True)


@pytest.fixture
def outside(session: Session, admin: Actor) -> Outside:
    return Outside(session, admin)


def parked(outside: Outside, runs: int = 5) -> Outside:
    """Down, and as many runs as the threshold have met that."""
    outside.answer = BROKEN
    outside.grant(runs)
    outside.work()
    assert outside.state() == "parked"
    return outside


def test_an_hour_of_outage_with_200_grants_costs_the_threshold_and_probes_and_no_run_fails(
    session: Session, admin: Actor
) -> None:
    retry = {"attempts": 3, "delay_seconds": 120, "backoff": "fixed"}
    outside = Outside(session, admin, lambda c: [http_step("create", c, retry=retry), http_step("join", c)])
    outside.answer = BROKEN
    for _ in range(200):
        outside.grant()
        outside.live(20, every=20)
    assert len(outside.calls) == 3
    assert len(outside.probes) < 20
    assert set(outside.statuses()) == {"running"}
    assert outside.state() == "parked"

    outside.answer, outside.calls = DONE, []
    outside.live(600)
    assert set(outside.statuses()) == {"succeeded"}
    assert outside.state() == "closed"
    ids = [one.id for one in outside.runs()]
    trial, *others = [run for _, run in outside.went_on]
    assert outside.calls[0][1] == trial == ids[2], "the one that has waited longest"
    assert others == [one for one in ids if one != trial], "the oldest first, each once"
    done = select(Attempt.run_id, Attempt.step_key).where(Attempt.status == "succeeded")
    assert set(Counter(session.execute(done).all()).values()) == {1}, "nothing is done twice"


def test_a_burst_without_retries_fails_no_run_when_it_meets_an_outage(outside: Outside) -> None:
    outside.answer = BROKEN
    outside.grant(200)
    outside.live(60)
    assert len(outside.calls) == outside.room, "what was out already when it tripped, and nothing more"
    assert set(outside.statuses()) == {"running"}
    outside.answer = DONE
    outside.live(300)
    assert set(outside.statuses()) == {"succeeded"}


def test_runs_go_on_gently_at_first(outside: Outside) -> None:
    parked(outside).grant(195)
    outside.live(10)
    outside.answer = DONE
    outside.live(120)
    went = list(Counter(at for at, _ in outside.went_on).values())
    assert went == [1, 2, 5, 10, 20, 40, 50, 50, 22]
    assert set(outside.statuses()) == {"succeeded"}


def test_a_waiting_run_holds_neither_worker_nor_job_and_spends_no_try(outside: Outside) -> None:
    parked(outside)
    run = outside.runs()[0]
    assert (run.status, run.waits_for_id, run.waits_since) == ("running", outside.connection.id, outside.now)
    assert (run.worker, run.due_at, run.in_flight, run.tries) == (None, None, False, 0)
    assert run.holds_lane
    assert run.failure_class is None
    assert outside.claim() == []


def test_the_timeline_says_that_it_waits_and_that_it_goes_on(outside: Outside) -> None:
    parked(outside)
    outside.answer = DONE
    outside.live(60)
    first, second, *_ = outside.runs()
    assert outside.events(first) == ["waits", "goes_on"]
    words = select(RunEvent.message).where(RunEvent.run_id == second.id).order_by(RunEvent.id)
    name = outside.connection.name
    assert list(outside.session.scalars(words)) == [
        f"Waits: {name} is parked, since calls to it failed.",
        f"Goes on: {name} is back.",
    ]


def test_a_healthy_connection_gets_no_row_and_answers_cost_no_statement(outside: Outside) -> None:
    seen: list[str] = []
    outside.grant(3)
    outside.claim()

    def note(_c: object, _cursor: object, statement: str, *_: object) -> None:
        seen.append(statement)

    engine = outside.session.get_bind()
    event.listen(engine, "before_cursor_execute", note)
    try:
        outside.hear()
    finally:
        event.remove(engine, "before_cursor_execute", note)
    assert not [one for one in seen if "connection_breakers" in one and "FROM runs" not in one]
    assert outside.session.scalar(select(func.count()).select_from(ConnectionBreaker)) == 0


def test_failures_below_the_threshold_are_forgotten_at_the_first_answer(outside: Outside) -> None:
    outside.answer = BROKEN
    outside.grant(2)
    outside.work()
    assert outside.state() == "watched"
    assert set(outside.statuses()) == {"failed"}
    outside.answer = DONE
    outside.grant()
    outside.work()
    assert outside.state() == "closed"


def test_a_connection_that_is_never_to_be_parked_is_not(session: Session, admin: Actor) -> None:
    outside = Outside(session, admin, config={"park_after_failures": 0})
    outside.answer = BROKEN
    outside.grant(30)
    outside.work()
    assert outside.state() == "closed"
    assert set(outside.statuses()) == {"failed"}


def test_the_threshold_and_the_window_are_the_connections_own(session: Session, admin: Actor) -> None:
    outside = Outside(session, admin, config={"park_after_failures": 2, "park_window_seconds": 60})
    outside.answer = BROKEN
    for _ in range(3):
        outside.live(65)
        outside.grant()
        outside.work()
    assert outside.state() == "watched"
    outside.live(30)
    outside.grant()
    outside.work()
    assert outside.state() == "parked"


def test_an_answer_that_was_lost_is_owned_up_to_whatever_is_parked(outside: Outside) -> None:
    parked(outside, runs=5)
    outside.answer = DONE
    outside.live(100)
    outside.grant(6)
    outside.claim()
    outside.hear(LOST)
    later = outside.runs()[5:]
    assert outside.state() == "parked"
    assert {(one.status, one.outcome_unknown) for one in later} == {("failed", True)}


def test_one_person_s_runs_keep_their_order_and_a_revoked_grant_is_never_opened(
    session: Session, admin: Actor
) -> None:
    outside = parked(Outside(session, admin))
    person = make_user(session)
    [first] = outside.grant(user=person)
    second = grants.grant(session, admin, application=outside.application, user=person, now=outside.now)
    outside.live(10)
    waiting, behind = outside.runs()[-2:]
    assert (waiting.grant_id, waiting.waits_for_id) == (first.id, outside.connection.id)
    assert (behind.grant_id, behind.status, behind.waits_for_id) == (second.id, "queued", None)

    grants.revoke(session, admin, first, now=outside.now)
    outside.answer = DONE
    outside.live(60)
    by_grant = {one.grant_id: one.status for one in outside.runs()}
    assert (by_grant[first.id], by_grant[second.id]) == ("superseded", "succeeded")
    assert waiting.id not in [run for _, run in outside.calls]


def test_a_run_that_waits_can_be_cancelled(outside: Outside, admin: Actor) -> None:
    parked(outside)
    runs.cancel(outside.session, admin, outside.runs()[0], reason="not wanted")
    assert outside.statuses()[0] == "cancelled"
    assert len(outside.waiting()) == 4


def test_what_is_still_down_at_the_trial_parks_again_and_another_run_has_the_next_turn(
    session: Session, admin: Actor
) -> None:
    """The health path answers while every other call fails."""
    outside = parked(Outside(session, admin))
    found = outside.found()
    outside.found = lambda: type(found)("reachable", "", status=200)  # type: ignore[method-assign]
    outside.live(600)
    tried = [run for _, run in outside.calls[5:]]
    assert tried == [one.id for one in outside.runs()][: len(tried)]
    assert 3 <= len(tried) <= 5
    assert set(outside.statuses()) == {"running"}
    gaps = [b - a for a, b in zip(outside.probes, outside.probes[1:], strict=False)]
    assert gaps == sorted(gaps)


def test_one_run_whose_tries_are_used_up_takes_its_failure_edge(session: Session, admin: Actor) -> None:
    retry = {"attempts": 10, "delay_seconds": 1, "backoff": "fixed"}
    outside = Outside(session, admin, lambda c: [http_step("create", c, retry=retry)])
    outside.answer = BROKEN
    outside.grant()
    outside.live(120)
    assert (len(outside.calls), outside.statuses(), outside.waiting()) == (10, ["failed"], [])


# Credential refused


def test_refusals_park_without_any_probe_and_what_waits_is_not_refused_as_well(outside: Outside) -> None:
    outside.answer, outside.room = UNAUTHORISED, 1
    outside.grant(20)
    outside.live(3600, every=60)
    assert outside.state() == "refused"
    assert (len(outside.calls), len(outside.probes)) == (5, 0)
    assert Counter(outside.statuses()) == {"failed": 5, "running": 15}


# Webhooks


def test_a_webhook_lets_one_run_through_to_see(session: Session, admin: Actor) -> None:
    step = {"key": "tell", "type": "webhook", "name": "Tell", "body": {}}
    outside = Outside(session, admin, lambda c: [step | {"connection_id": str(c)}], kind="webhook")
    parked(outside).grant(10)
    outside.live(300)
    assert outside.probes == []
    assert 3 <= len(outside.calls) - 5 <= 5
    outside.answer = DONE
    outside.live(400)
    assert set(outside.statuses()) == {"succeeded"}


def test_runs_that_wait_for_a_connection_that_was_deleted_go_on_to_say_so(outside: Outside) -> None:
    parked(outside)
    outside.session.delete(outside.connection)
    outside.session.flush()
    outside.live(5)
    assert {(one.status, one.failure_class) for one in outside.runs()} == {("failed", "configuration")}


def test_the_trial_is_made_again_when_nobody_made_its_call(outside: Outside) -> None:
    parked(outside)
    outside.answer = DONE
    outside.now += timedelta(seconds=20)
    outside.sweep()
    outside.sweep()
    assert [run for _, run in outside.went_on] == [outside.runs()[0].id]
    outside.now += timedelta(seconds=151)
    outside.sweep()
    assert [run for _, run in outside.went_on] == [one.id for one in outside.runs()[:2]]
