"""Runs of one person on one application: who goes on, who leaves, and what a worker may still send."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.domain.runs import signals as m
from app.domain.runs.calls import Outcome
from app.domain.states import FailureClass, RunStatus, TaskOutcome
from app.models import Attempt, EngineState, ExternalAccount, ManualTask, Run, RunEvent
from app.permissions import Actor
from app.services import grants
from app.services.advance import adopt, claim, renew, take_back_lost
from app.services.advance.claims import Sent
from app.services.advance.moves import Holder
from app.services.advance.places import Places
from tests.support.factories import (
    NOW,
    damage_versions,
    human_step,
    make_application,
    make_connection,
    make_user,
    make_workflow,
)
from tests.support.factories import http_step as step_of
from tests.support.services.stage import DOWN, OK, OTHER, REFUSED, Stage
from tests.support.services.tasks import HOLDER

LATER = NOW + timedelta(seconds=16)


@pytest.fixture
def stage(session: Session, admin: Actor) -> Stage:
    return Stage(session, admin)


def test_who_holds_the_lane_goes_on_when_an_older_run_comes_back(stage: Stage) -> None:
    stage.workflow(stage.step(retry={"attempts": 2, "delay_seconds": 60}))
    stage.grant()
    stage.claim()
    stage.answer(REFUSED)
    stage.grant()
    stage.claim()
    stage.answer(DOWN, run=stage.run(1))
    stage.send(m.Retry("Bo"), stage.run(0), holder=None, fence=None)
    due = NOW + timedelta(minutes=2)
    [going_on] = stage.claim(now=due)
    assert (going_on.run_id, going_on.order is not None) == (stage.run(1).id, True)
    stage.answer(OK, now=due, run=stage.run(1))
    [after_it] = stage.claim(now=due)
    assert after_it.run_id == stage.run(0).id


def test_a_cancelled_call_keeps_its_worker_and_lease(stage: Stage) -> None:
    stage.workflow(stage.step())
    stage.grant()
    stage.claim()
    before = stage.run().lease_until
    stage.send(m.Cancel("Bo", "Wrong person"), holder=None, fence=None, now=NOW + timedelta(seconds=5))
    run = stage.run()
    assert (run.worker, run.lease_until, run.in_flight) == ("worker-1", before, True)
    take_back_lost(stage.session.connection(), now=LATER, limit=10)
    assert stage.run().status == "cancelled"


@pytest.mark.parametrize(
    "broken",
    [
        {"worker": None},
        {"lease_until": None},
        {"due_at": NOW},
        {"in_flight": False},
        {"in_flight": False, "worker": None, "lease_until": None},
    ],
)
def test_a_run_that_nothing_would_ever_move_cannot_be_written(
    stage: Stage, broken: dict[str, object]
) -> None:
    stage.workflow(stage.step())
    stage.grant()
    stage.claim()
    with pytest.raises(IntegrityError), stage.session.begin_nested():
        stage.session.execute(update(Run).values(broken))


@pytest.mark.parametrize("waits", ["in backoff", "for its turn"])
def test_revoking_ends_a_run_that_does_nothing(stage: Stage, waits: str) -> None:
    stage.workflow(stage.step(retry={"attempts": 2, "delay_seconds": 600}))
    stage.workflow(stage.step("remove", method="DELETE", body=None), trigger="access_revoked")
    grant = stage.grant()
    stage.claim()
    ours = Outcome.failed(FailureClass.TIMEOUT, ours=True)
    stage.answer(DOWN if waits == "in backoff" else ours)
    assert stage.run().status == "running"
    grants.revoke(stage.session, stage.admin, grant, now=NOW)
    assert (stage.run(0).status, stage.run(0).due_at) == ("superseded", None)
    [remove] = stage.claim()
    assert remove.order is not None and remove.order.step.key == "remove"


def test_a_revoke_lets_a_call_that_is_out_end_first(stage: Stage) -> None:
    stage.workflow(stage.step())
    stage.workflow(stage.step("remove", method="DELETE", body=None), trigger="access_revoked")
    grant = stage.grant()
    stage.claim()
    grants.revoke(stage.session, stage.admin, grant, now=NOW)
    assert (stage.run(0).status, stage.claim()) == ("running", [])


def test_what_two_runs_of_a_pair_learn_is_kept_together(stage: Stage) -> None:
    stage.workflow(stage.step(capture={"id": "$.id"}))
    stage.grant()
    stage.claim()
    account = update(ExternalAccount).values(captured={"mail": "ada@other.example", "id": "old"})
    stage.session.execute(account)
    stage.answer(Outcome.success(201, {"id": "u-9"}))
    stage.session.expire_all()
    found = stage.session.scalars(select(ExternalAccount)).one()
    assert found.captured == {"mail": "ada@other.example", "id": "u-9"}


def test_a_lease_is_kept_only_for_the_fence_that_the_worker_knows(stage: Stage) -> None:
    stage.workflow(stage.step())
    stage.grant()
    stage.claim()
    run = stage.run()
    connection = stage.session.connection()
    assert renew(connection, HOLDER, now=NOW, fences={run.id: run.fence - 1}) == []
    assert renew(connection, HOLDER, now=NOW, fences={run.id: run.fence}) == [run.id]


def in_doubt(run: Run) -> dict[int, Sent]:
    assert run.cursor is not None
    return {run.id: Sent(run.fence, run.cursor, run.attempt)}


def test_a_call_whose_commit_was_in_doubt_is_adopted(stage: Stage) -> None:
    stage.workflow(stage.step())
    stage.grant()
    stage.claim()
    [found] = adopt(stage.session.connection(), HOLDER, now=NOW, in_doubt=in_doubt(stage.run()))
    assert found.order is not None and found.order.step.key == "create"


def test_a_call_that_no_commit_in_doubt_ordered_is_left_to_its_lease(stage: Stage) -> None:
    stage.workflow(stage.step())
    stage.grant()
    stage.claim()
    run = stage.run()
    assert adopt(stage.session.connection(), HOLDER, now=NOW, in_doubt={}) == []
    other_try = {run.id: Sent(run.fence, "create", run.attempt + 1)}
    assert adopt(stage.session.connection(), HOLDER, now=NOW, in_doubt=other_try) == []


@pytest.mark.parametrize("held_back", ["runs are paused", "the worker stops"])
def test_a_call_in_doubt_is_given_back_where_it_may_not_be_made(stage: Stage, held_back: str) -> None:
    stage.workflow(stage.step())
    stage.grant()
    stage.claim()
    if held_back == "runs are paused":
        stage.session.execute(
            update(EngineState).values(paused_at=NOW, paused_by="Bo", paused_because="Look")
        )
    holder = Holder("worker-1", timedelta(seconds=15), takes_more=held_back == "runs are paused")
    [given_back] = adopt(stage.session.connection(), holder, now=NOW, in_doubt=in_doubt(stage.run()))
    run = stage.run()
    assert (given_back.order, run.worker, run.tries, run.outcome_unknown) == (None, None, 0, False)
    assert run.due_at is not None and run.due_at > NOW


def test_a_run_whose_version_cannot_be_read_fails_with_words_and_stops_nobody_else(stage: Stage) -> None:
    stage.workflow(stage.step())
    stage.grant()
    damage_versions(stage.session, [{"type": "later"}])
    other = make_application(stage.session)
    make_workflow(stage.session, other, step_of("create", make_connection(stage.session, other).id))
    stage.grant(application=other)
    moved = stage.claim()
    assert [one.order is not None for one in moved] == [False, True]
    run = stage.run(0)
    assert (run.status, run.failure_class) == ("failed", "configuration")
    assert run.failure_detail is not None and "Version 1 cannot be read" in run.failure_detail


def test_a_dead_worker_s_run_of_an_unreadable_version_is_unknown(stage: Stage) -> None:
    stage.workflow(stage.step())
    stage.grant()
    stage.claim()
    damage_versions(stage.session, [{"type": "later"}])
    assert len(take_back_lost(stage.session.connection(), now=LATER, limit=10)) == 1
    run = stage.run()
    assert (run.status, run.outcome_unknown) == ("failed", True)
    assert stage.attempts() == [("create", 1, "failed", "outcome_unknown")]


def test_what_a_call_of_an_unreadable_version_came_to_is_kept(stage: Stage) -> None:
    stage.workflow(stage.step(capture={"id": "$.id"}))
    stage.grant()
    stage.claim()
    damage_versions(stage.session, [{"type": "later"}])
    stage.answer(Outcome.success(201, {"id": "u-9"}))
    assert stage.session.scalars(select(ExternalAccount.captured)).one() == {"id": "u-9"}
    assert stage.attempts() == [("create", 1, "succeeded", None)]


def test_revoking_works_where_the_waiting_run_s_version_cannot_be_read(stage: Stage) -> None:
    stage.workflow(human_step())
    grant = stage.grant()
    stage.claim()
    damage_versions(stage.session, [{"type": "later"}])
    grants.revoke(stage.session, stage.admin, grant, now=NOW)
    assert stage.run().status == "superseded"
    assert stage.session.scalars(select(ManualTask.status)).one() == "obsolete"


def many_runs(stage: Stage, count: int) -> None:
    for _ in range(count):
        stage.grant(user=make_user(stage.session))


def holder_of(total: int, *connections: int, busy: tuple[int, ...] = ()) -> Holder:
    return Holder("worker-1", timedelta(seconds=15), places=Places.of(total, connections, busy))


def test_one_connection_may_have_every_place_that_nobody_else_wants(stage: Stage) -> None:
    stage.workflow(stage.step())
    many_runs(stage, 10)
    assert len(stage.claim(holder=holder_of(8), limit=8)) == 8


def test_what_a_connection_has_over_its_half_is_not_taken_from_others(stage: Stage) -> None:
    stage.workflow(stage.step())
    many_runs(stage, 10)
    other = make_application(stage.session)
    make_workflow(stage.session, other, step_of("create", make_connection(stage.session, other).id))
    for _ in range(10):
        stage.grant(application=other, user=make_user(stage.session))
    slow = [stage.connection.id] * 8
    holder = holder_of(8, *slow)
    assert holder.places is not None
    taken = stage.claim(holder=holder, limit=holder.places.room)
    assert {stage.session.get_one(Run, one.run_id).application_id for one in taken} == {other.id}
    assert len(taken) == 4


def test_another_application_s_run_is_found_behind_a_thousand(stage: Stage) -> None:
    stage.workflow(stage.step())
    many_runs(stage, 300)
    other = make_application(stage.session)
    make_workflow(stage.session, other, step_of("create", make_connection(stage.session, other).id))
    grant = stage.grant(application=other, now=NOW + timedelta(seconds=1))
    taken = stage.claim(now=NOW + timedelta(seconds=2), holder=holder_of(4), limit=4)
    assert grant.newest_run_id in [one.run_id for one in taken]
    assert taken.more


def test_another_application_s_run_is_found_in_the_middle_of_a_busy_one_s(stage: Stage) -> None:
    stage.workflow(stage.step())
    many_runs(stage, 300)
    other = make_application(stage.session)
    make_workflow(stage.session, other, step_of("create", make_connection(stage.session, other).id))
    grant = stage.grant(application=other)
    many_runs(stage, 50)
    holder = holder_of(4, *[stage.connection.id] * 4, busy=(stage.application.id,))
    assert [one.run_id for one in stage.claim(holder=holder, limit=2)] == [grant.newest_run_id]


def test_of_many_ids_each_application_has_its_turn(stage: Stage) -> None:
    stage.workflow(stage.step())
    many_runs(stage, 20)
    other = make_application(stage.session)
    make_workflow(stage.session, other, step_of("create", make_connection(stage.session, other).id))
    grant = stage.grant(application=other)
    ids = list(stage.session.scalars(select(Run.id)))
    taken = claim(stage.session.connection(), holder_of(4), now=NOW, ids=ids, limit=4)
    assert grant.newest_run_id in [one.run_id for one in taken]


def test_a_run_waits_where_its_next_call_has_no_place(stage: Stage) -> None:
    other = make_connection(stage.session, stage.application)
    stage.workflow(stage.step(), step_of("second", other.id))
    stage.grant()
    stage.claim()
    full = [other.id] * 4
    moved = stage.answer(OK, holder=holder_of(4, *full))
    run = stage.run()
    assert (moved.order, run.status, run.worker, run.due_at) == (None, RunStatus.RUNNING, None, NOW)
    assert stage.claim(holder=holder_of(4, *full)) == []
    [goes_on] = stage.claim(holder=holder_of(4, *full[1:]))
    assert goes_on.order is not None and goes_on.order.step.key == "second"


def test_an_unsent_call_of_a_run_that_was_taken_over_leaves_no_note(stage: Stage) -> None:
    stage.workflow(stage.step(method="PUT"))
    stage.grant()
    stage.claim()
    fence = stage.run().fence
    take_back_lost(stage.session.connection(), now=LATER, limit=10)
    stage.claim(now=LATER, holder=OTHER)
    unsent = Outcome.failed(FailureClass.TIMEOUT, ours=True)
    stage.send(m.Answered("create", 1, unsent), fence=fence, now=LATER)
    assert set(stage.session.scalars(select(Attempt.late_note))) == {None}


def test_a_task_of_an_unreadable_version_is_refused_with_words(stage: Stage) -> None:
    stage.workflow(human_step())
    stage.grant()
    stage.claim()
    damage_versions(stage.session, [{"type": "later"}])
    with pytest.raises(Exception, match="cannot be read"):
        stage.send(m.TaskActed(TaskOutcome.SUBMITTED, "Bo", {"team": "Red"}), holder=None, fence=None)


def test_a_recovered_run_says_so(stage: Stage) -> None:
    stage.workflow(stage.step(method="PUT"))
    stage.grant()
    stage.claim()
    take_back_lost(stage.session.connection(), now=LATER, limit=10)
    assert stage.session.scalars(select(RunEvent.kind)).all() == ["recovered"]


def test_a_lease_of_a_clock_that_was_set_back_is_over(stage: Stage) -> None:
    stage.workflow(stage.step(method="PUT"))
    stage.grant()
    stage.claim()
    stage.session.execute(update(Run).values(lease_until=NOW + timedelta(hours=1)))
    assert len(take_back_lost(stage.session.connection(), now=NOW, limit=10)) == 1
