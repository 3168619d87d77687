"""Runs in the database: claimed, moved, taken back, kept in their lanes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.domain.runs import signals as m
from app.domain.runs.calls import Outcome
from app.domain.states import TaskOutcome
from app.models import Attempt, Credential, ExternalAccount, ManualTask, Run
from app.permissions import Actor
from app.services import grants
from app.services.advance import renew, take_back_lost
from app.services.advance.moves import CredentialUse, Holder
from tests.support.factories import (
    NOW,
    http_step,
    human_step,
    make_application,
    make_connection,
    make_user,
)
from tests.support.services.stage import DOWN, LOST, OK, OTHER, REFUSED, Stage
from tests.support.services.tasks import HOLDER


@pytest.fixture
def stage(session: Session, admin: Actor) -> Stage:
    return Stage(session, admin)


def test_a_claim_writes_the_attempt_before_it_gives_the_order(stage: Stage) -> None:
    stage.workflow(stage.step())
    stage.grant()
    [moved] = stage.claim()
    assert moved.order is not None
    assert moved.order.context["grantee"]["email"] == "ada@example.org"
    assert stage.attempts() == [("create", 1, "started", None)]
    attempt = stage.session.scalars(select(Attempt)).one()
    assert (attempt.method, attempt.host, attempt.path_template) == ("POST", "target.example", "/Users")
    assert attempt.fields == ["userName"]
    run = stage.run()
    assert (run.status, run.worker, run.holds_lane) == ("running", "worker-1", True)


def test_a_run_is_claimed_once(stage: Stage) -> None:
    stage.workflow(stage.step())
    stage.grant()
    assert len(stage.claim()) == 1
    assert stage.claim(holder=OTHER) == []


def test_answers_walk_the_run_to_its_end_and_the_chip_follows(stage: Stage) -> None:
    stage.workflow(stage.step("create", capture={"id": "$.id"}), stage.step("notify"))
    grant = stage.grant()
    stage.claim()
    second = stage.answer(Outcome.success(201, {"id": "u-7"}))
    assert second.order is not None
    assert second.order.context["steps"]["create"] == {"id": "u-7"}
    assert second.order.idempotency_key.endswith("-notify")
    last = stage.answer(OK)
    assert (last.order, last.status) == (None, "succeeded")
    run = stage.run()
    assert (run.worker, run.holds_lane, run.due_at, run.captured) == (
        None,
        False,
        None,
        {"create": {"id": "u-7"}},
    )
    stage.session.refresh(grant)
    assert grant.state == "provisioned"
    account = stage.session.scalars(select(ExternalAccount)).one()
    assert (account.captured, account.state, account.run_id) == ({"id": "u-7"}, "provisioned", run.id)


def test_the_idempotency_key_is_the_same_for_all_tries_of_a_step(stage: Stage) -> None:
    stage.workflow(stage.step(retry={"attempts": 3, "delay_seconds": 1}))
    stage.grant()
    [first] = stage.claim()
    stage.answer(DOWN)
    [second] = stage.claim(now=NOW + timedelta(seconds=5))
    assert first.order is not None and second.order is not None
    assert first.order.idempotency_key == second.order.idempotency_key


def test_a_transient_failure_waits_for_its_time_and_keeps_its_lane(stage: Stage) -> None:
    stage.workflow(stage.step(retry={"attempts": 2, "delay_seconds": 60}))
    stage.grant()
    stage.claim()
    moved = stage.answer(DOWN)
    run = stage.run()
    assert moved.due_at == run.due_at and run.due_at is not None
    assert NOW + timedelta(seconds=60) <= run.due_at <= NOW + timedelta(seconds=66)
    assert (run.status, run.worker, run.holds_lane) == ("running", None, True)
    assert stage.claim(now=NOW + timedelta(seconds=59)) == []
    assert len(stage.claim(now=NOW + timedelta(seconds=67))) == 1


def test_a_permanent_failure_ends_the_run_and_needs_attention(stage: Stage) -> None:
    stage.workflow(stage.step(retry={"attempts": 5}))
    grant = stage.grant()
    stage.claim()
    stage.answer(REFUSED)
    run = stage.run()
    assert (run.status, run.failure_step, run.failure_class, run.failure_status) == (
        "failed",
        "create",
        "http_4xx",
        401,
    )
    stage.session.refresh(grant)
    assert grant.state == "needs_attention"


def test_a_retry_makes_the_run_due_again_with_a_fresh_set_of_attempts(stage: Stage) -> None:
    stage.workflow(stage.step(), stage.step("second"))
    stage.grant()
    stage.claim()
    stage.answer(OK)
    stage.answer(REFUSED)
    stage.send(m.Retry("Bo"), holder=None, fence=None)
    run = stage.run()
    assert (run.status, run.failure_class, run.holds_lane, run.due_at) == ("running", None, False, NOW)
    [moved] = stage.claim()
    assert moved.order is not None and moved.order.step.key == "second"
    assert stage.attempts() == [
        ("create", 1, "succeeded", None),
        ("second", 1, "failed", "http_4xx"),
        ("second", 2, "started", None),
    ]
    assert stage.events() == ["retried"]


def test_runs_of_one_person_on_one_application_take_turns(stage: Stage) -> None:
    stage.workflow(stage.step())
    stage.grant()
    stage.grant()
    assert [one.run_id for one in stage.claim()] == [stage.run(0).id]
    done = stage.answer(OK)
    assert done.wake == [stage.run(1).id]
    assert [one.run_id for one in stage.claim()] == [stage.run(1).id]


def test_a_run_in_backoff_lets_nobody_pass(stage: Stage) -> None:
    stage.workflow(stage.step(retry={"attempts": 2, "delay_seconds": 600}))
    stage.grant()
    stage.grant()
    stage.claim()
    stage.answer(DOWN)
    assert stage.claim(now=NOW + timedelta(seconds=60)) == []


def test_a_run_that_waits_for_a_person_lets_later_ones_pass(stage: Stage) -> None:
    stage.workflow(human_step())
    stage.grant()
    stage.grant()
    [waiting] = stage.claim(limit=1)
    assert (waiting.status, waiting.wake) == ("waiting_manual", [stage.run(1).id])
    assert [one.run_id for one in stage.claim()] == [stage.run(1).id]


def test_a_resumed_run_waits_for_the_one_that_passed_it(stage: Stage) -> None:
    stage.workflow(human_step(), stage.step())
    other = make_application(stage.session)
    stage.grant()
    stage.claim()
    stage.send(m.TaskActed(TaskOutcome.SUBMITTED, "Bo", {"team": "Red"}), holder=None, fence=None)
    first = stage.run(0)
    assert (first.status, first.holds_lane) == ("running", False)
    stage.grant(application=other)
    stage.session.execute(update(Run).where(Run.id == first.id).values(due_at=NOW + timedelta(hours=1)))
    stage.grant()
    assert stage.claim() == [], "an earlier run of the lane that is still to go comes first"


def test_the_database_itself_refuses_two_runs_under_way_in_one_lane(stage: Stage) -> None:
    stage.workflow(stage.step())
    stage.grant()
    stage.grant()
    with pytest.raises(IntegrityError):
        stage.session.execute(update(Run).values(holds_lane=True))


def test_people_on_other_applications_do_not_wait(stage: Stage) -> None:
    stage.workflow(stage.step())
    stage.grant()
    stage.grant(user=make_user(stage.session))
    assert len(stage.claim()) == 2


def test_a_human_step_opens_a_task_with_its_prompt_filled_in(stage: Stage) -> None:
    stage.workflow(human_step(due_hours=24))
    grant = stage.grant()
    stage.claim()
    task = stage.session.scalars(select(ManualTask)).one()
    assert (task.prompt, task.origin, task.due_at) == (
        "Which team for Ada?",
        "human_task",
        NOW + timedelta(hours=24),
    )
    entry = stage.session.scalars(select(Attempt)).one()
    assert (entry.status, entry.task_id) == ("waiting", task.id)
    stage.session.refresh(grant)
    assert grant.state == "waiting"


def test_what_a_person_typed_feeds_later_steps(stage: Stage) -> None:
    stage.workflow(human_step(), stage.step(body={"team": "{{ steps.ask.team }}"}))
    stage.grant()
    stage.claim()
    stage.send(m.TaskActed(TaskOutcome.SUBMITTED, "Bo", {"team": "Red"}), holder=None, fence=None)
    [moved] = stage.claim()
    assert moved.order is not None and moved.order.context["steps"]["ask"] == {"team": "Red"}
    account = stage.session.scalars(select(ExternalAccount)).one()
    assert account.captured == {}, "typed values are not the outside account's"


def test_revoking_closes_the_open_task_and_supersedes_the_run(stage: Stage) -> None:
    stage.workflow(human_step())
    grant = stage.grant()
    stage.claim()
    grants.revoke(stage.session, stage.admin, grant, now=NOW)
    task = stage.session.scalars(select(ManualTask)).one()
    assert (stage.run().status, task.status, task.outcome) == ("superseded", "obsolete", None)
    assert stage.session.scalars(select(Attempt)).one().status == "obsolete"


def test_a_run_whose_grant_was_revoked_stops_before_its_next_step(stage: Stage) -> None:
    stage.workflow(stage.step("create", capture={"id": "$.id"}), stage.step("second"))
    stage.workflow(stage.step("remove", path="/Users/{{ account.id }}", body=None), trigger="access_revoked")
    grant = stage.grant()
    stage.claim()
    grants.revoke(stage.session, stage.admin, grant, now=NOW)
    moved = stage.answer(Outcome.success(201, {"id": "u-7"}), run=stage.run(0))
    assert (moved.status, moved.order) == ("superseded", None)
    [remove] = stage.claim()
    assert remove.order is not None
    assert remove.order.context["account"] == {"id": "u-7"}, "the newer run knows what was captured"


def test_a_lost_worker_s_idempotent_call_is_sent_again(stage: Stage) -> None:
    stage.workflow(stage.step(method="PUT"))
    stage.grant()
    stage.claim()
    late = NOW + timedelta(seconds=16)
    assert len(take_back_lost(stage.session.connection(), now=late, limit=10)) == 1
    [again] = stage.claim(now=late, holder=OTHER)
    assert again.order is not None and again.order.attempt == 2
    assert stage.attempts() == [
        ("create", 1, "failed", "outcome_unknown"),
        ("create", 2, "started", None),
    ]


def test_a_lost_worker_s_create_with_retry_off_fails_as_unknown(stage: Stage) -> None:
    stage.workflow(stage.step())
    stage.grant()
    stage.claim()
    take_back_lost(stage.session.connection(), now=NOW + timedelta(seconds=16), limit=10)
    run = stage.run()
    assert (run.status, run.failure_class, run.outcome_unknown) == ("failed", "outcome_unknown", True)


def test_a_lost_worker_s_create_that_asks_opens_a_task(stage: Stage) -> None:
    stage.workflow(stage.step(retry={"attempts": 3, "lost_answer": "ask"}, capture={"id": "$.id"}))
    stage.grant()
    stage.claim()
    take_back_lost(stage.session.connection(), now=NOW + timedelta(seconds=16), limit=10)
    task = stage.session.scalars(select(ManualTask)).one()
    assert (task.origin, task.outcome_unknown) == ("escalated_failure", True)
    assert [one["name"] for one in task.fields] == ["id"]


def test_a_renewed_lease_is_not_taken_back(stage: Stage) -> None:
    stage.workflow(stage.step())
    stage.grant()
    stage.claim()
    run = stage.run()
    renew(stage.session.connection(), HOLDER, now=NOW + timedelta(seconds=10), fences={run.id: run.fence})
    assert take_back_lost(stage.session.connection(), now=NOW + timedelta(seconds=16), limit=10) == []


def test_an_answer_that_comes_after_the_takeover_moves_nothing_and_is_noted(stage: Stage) -> None:
    stage.workflow(stage.step(method="PUT"))
    stage.grant()
    stage.claim()
    fence = stage.run().fence
    take_back_lost(stage.session.connection(), now=NOW + timedelta(seconds=16), limit=10)
    moved = stage.send(m.Answered("create", 1, OK), fence=fence)
    assert not moved.applied
    first = stage.session.scalars(select(Attempt)).one()
    assert first.status == "failed"
    assert first.late_note == "An answer (HTTP 201) came after the run had been taken over."


def test_a_worker_that_is_leaving_records_the_answer_and_begins_nothing(stage: Stage) -> None:
    stage.workflow(stage.step(), stage.step("second"))
    stage.grant()
    stage.claim()
    moved = stage.answer(OK, holder=Holder("worker-1", timedelta(seconds=15), takes_more=False))
    run = stage.run()
    assert (moved.order, run.cursor, run.worker, run.due_at) == (None, "second", None, NOW)
    [next_one] = stage.claim(holder=OTHER)
    assert next_one.order is not None and next_one.order.step.key == "second"


def test_cancelling_a_call_in_the_air_ends_the_run_with_its_answer(stage: Stage) -> None:
    stage.workflow(stage.step(), stage.step("second"))
    grant = stage.grant()
    stage.claim()
    stage.send(m.Cancel("Bo", "Wrong person"), holder=None, fence=None)
    assert stage.run().status == "running"
    assert stage.answer(OK).status == "cancelled"
    run = stage.run()
    assert (run.cancel_requested_by, run.cancel_reason) == ("Bo", "Wrong person")
    stage.session.refresh(grant)
    assert (grant.state, grant.state_reason) == ("no_automation", "cancelled")


def test_compensation_calls_its_step_and_the_run_ends_compensated(stage: Stage) -> None:
    stage.workflow(
        stage.step("create"),
        stage.step("licence", on_failure={"compensate": "undo"}),
        stage.step("undo", method="DELETE", path="/Users/1", body=None),
    )
    stage.grant()
    stage.claim()
    stage.answer(OK)
    undo = stage.answer(REFUSED)
    assert undo.order is not None and undo.order.step.key == "undo"
    assert stage.answer(OK).status == "compensated"
    assert stage.run().failure_step == "licence"


def test_a_step_whose_connection_is_gone_is_ordered_without_one(stage: Stage) -> None:
    stage.workflow(http_step("create", 999))
    stage.grant()
    [moved] = stage.claim()
    assert moved.order is not None and moved.order.connection is None


def test_a_step_never_borrows_the_connection_of_another_application(stage: Stage) -> None:
    elsewhere = make_connection(stage.session, make_application(stage.session))
    stage.workflow(http_step("create", elsewhere.id))
    stage.grant()
    [moved] = stage.claim()
    assert moved.order is not None and moved.order.connection is None


@pytest.mark.parametrize(
    ("steps", "signal"),
    [
        ((human_step(),), lambda: m.TaskActed(TaskOutcome.SKIPPED, "Bo", {}, "Not needed")),
        ((human_step(),), lambda: m.TaskActed(TaskOutcome.FAILED, "Bo", {}, "Wrong person")),
    ],
    ids=["skipped", "failed"],
)
def test_acting_on_a_task_ends_its_entry(
    stage: Stage, steps: tuple[dict[str, Any], ...], signal: Callable[[], m.TaskActed]
) -> None:
    stage.workflow(*steps)
    stage.grant()
    stage.claim()
    acted = signal()
    stage.send(acted, holder=None, fence=None)
    entry = stage.session.scalars(select(Attempt)).one()
    task = stage.session.scalars(select(ManualTask)).one()
    assert (entry.status, task.status, task.outcome) == (acted.outcome, "done", acted.outcome)


def test_a_run_failed_by_a_person_tells_who_and_why(stage: Stage) -> None:
    stage.workflow(human_step())
    stage.grant()
    stage.claim()
    stage.send(m.TaskActed(TaskOutcome.FAILED, "Bo", {}, "Wrong person"), holder=None, fence=None)
    run = stage.run()
    assert (run.status, run.failure_step, run.failure_detail) == (
        "failed",
        "ask",
        "Failed by Bo: Wrong person",
    )


def test_an_ignored_failure_is_remembered_on_the_run_that_succeeded(stage: Stage) -> None:
    stage.workflow(stage.step(on_failure="continue"), stage.step("second"))
    stage.grant()
    stage.claim()
    stage.answer(REFUSED)
    stage.answer(OK)
    run = stage.run()
    assert (run.status, run.failure_ignored) == ("succeeded", True)


def test_every_visible_change_raises_the_revision(stage: Stage) -> None:
    stage.workflow(stage.step(), stage.step("second"))
    stage.grant()
    seen = [stage.run().revision]
    stage.claim()
    seen.append(stage.run().revision)
    stage.answer(OK)
    seen.append(stage.run().revision)
    assert seen == sorted(set(seen))


def test_the_database_refuses_a_status_that_the_table_does_not_lead_to(stage: Stage) -> None:
    stage.workflow(stage.step())
    stage.grant()
    with pytest.raises(IntegrityError, match="cannot go from that status"):
        stage.session.execute(update(Run).values(status="succeeded", due_at=None))


def test_a_lost_answer_is_flagged_on_its_attempt(stage: Stage) -> None:
    stage.workflow(stage.step())
    stage.grant()
    stage.claim()
    stage.answer(LOST)
    attempt = stage.session.scalars(select(Attempt)).one()
    assert (attempt.outcome_unknown, stage.run().outcome_unknown) == (True, True)


def test_a_use_of_the_credential_is_noted_unless_it_was_replaced_since(stage: Stage) -> None:
    credential = Credential(
        connection_id=stage.connection.id, sealed="…", key_id="k", set_at=NOW, set_by="Alice Admin"
    )
    stage.session.add(credential)
    stage.workflow(stage.step(), stage.step("second"))
    stage.grant()
    [moved] = stage.claim()
    assert moved.order is not None and moved.order.connection is not None
    assert moved.order.connection.credential_set_at == NOW
    place = stage.connection.id
    stage.answer(OK, credential_use=CredentialUse(place, NOW, accepted=True))
    stage.answer(REFUSED, credential_use=CredentialUse(place, NOW - timedelta(days=1), accepted=False))
    stage.session.refresh(credential)
    assert (credential.last_used_at, credential.last_ok) == (NOW, True)


def test_a_lost_answer_is_remembered_when_a_later_try_fails_otherwise(stage: Stage) -> None:
    stage.workflow(stage.step(retry={"attempts": 2, "delay_seconds": 1}))
    stage.grant()
    stage.claim()
    stage.answer(LOST)
    stage.claim(now=NOW + timedelta(seconds=5))
    stage.answer(REFUSED)
    run = stage.run()
    assert (run.status, run.failure_class, run.outcome_unknown) == ("failed", "http_4xx", True)
