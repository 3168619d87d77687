"""Replay with latest: guarded by all runs of the event and by what was sent, whatever the steps are called."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.domain.states import FailureClass, Trigger
from app.errors import Conflict, Invalid
from app.models import AuditEvent, Grant, Run, RunEvent
from app.queries.recovery_plan import Action, plan
from app.queries.replay import replay_refusals
from app.services import recovery, runs, workflows
from tests.support.factories import NOW, add_version, http_step
from tests.support.queries.statements import statements
from tests.support.queries.stories import ALICE, Story, edge, failed, ok, refused

F = FailureClass
LOST = failed(F.TIMEOUT, lost=True)
CREATED = {"id": "u-7"}


def create_then_tell(connection_id: int) -> list[dict[str, Any]]:
    """A create, which is not to be repeated, and a PUT after it, which may be."""
    return [
        http_step("create", connection_id, name="Create the account", capture={"id": "$.id"}),
        http_step("tell", connection_id, name="Tell the team", method="PUT", path="/teams"),
    ]


def replayed(story: Story) -> Run:
    return recovery.replay(story.session, ALICE, story.run)


def reason(story: Story, run: Run | None = None) -> str:
    """Why it is refused: before the click and on it, in the same words."""
    run = run or story.run
    shown = plan(story.session, run, Action.REPLAY)
    assert not shown.allowed
    with pytest.raises((Invalid, Conflict)) as refusal:
        recovery.replay(story.session, ALICE, run)
    assert refusal.value.message == shown.reason
    return shown.reason


def again(story: Story) -> Story:
    """Replay, and go on telling the story of the new run."""
    story.run = replayed(story)
    return story.told()


def new_version(story: Story, *steps: dict[str, Any]) -> None:
    add_version(story.session, story.workflow, *steps)


# What it makes


def test_it_makes_a_new_run_of_the_newest_version_linked_to_the_old_one(session: Session) -> None:
    story = Story(session).answer(ok(200), refused(422))
    new_version(story, *create_then_tell(story.connection.id))
    old, new = story.run, replayed(story)
    assert (new.sequence, new.replaces_run_id, new.version_number, new.status) == (1, old.id, 2, "queued")
    assert (new.cursor, new.cause, new.occurred_at) == (None, "Replayed by Alice Admin", old.occurred_at)
    session.refresh(old)
    assert (old.status, old.version_number) == ("failed", 1)
    grant = session.get_one(Grant, old.grant_id, populate_existing=True)
    assert (grant.newest_run_id, grant.state) == (new.id, "provisioning")
    told = session.scalars(select(RunEvent.message).where(RunEvent.run_id == old.id)).all()
    assert told == [f"Replayed by Alice Admin: run {new.id} replaces this one."]
    audit = session.scalars(select(AuditEvent).where(AuditEvent.action == "run.replay")).one()
    assert audit.changes == {"replaced_by": [None, new.id]}


def test_it_begins_with_the_first_step(session: Session) -> None:
    story = again(Story(session).answer(ok(200), refused(422)))
    assert story.take().run.cursor == "lookup"


def test_a_replayed_revoke_shows_deprovisioning(session: Session) -> None:
    def steps(c: int) -> list[dict[str, Any]]:
        return [http_step("remove", c, method="DELETE", path="/Users/1")]

    story = Story(session, steps, trigger="access_revoked").answer(refused(404))
    replayed(story)
    session.refresh(story.grant)
    assert story.grant.state == "deprovisioning"


def test_a_failed_replay_can_be_replayed_in_turn(session: Session) -> None:
    story = again(Story(session).answer(ok(200), refused(422))).answer(ok(200), refused(422))
    assert replayed(story).sequence == 2


# What stands against it: what was sent


def test_a_completed_create_refuses_naming_step_time_and_what_it_captured(session: Session) -> None:
    story = Story(session, create_then_tell).answer(ok(201, **CREATED), refused(422))
    words = reason(story)
    assert words.startswith("“Create the account” already ran at ")
    assert "and captured id u-7," in words
    assert words.endswith("Or revoke this grant and grant the access again: that starts a clean run.")


def test_a_create_that_was_refused_does_not_stand_against_it(session: Session) -> None:
    assert replayed(Story(session, create_then_tell).answer(refused(422))).sequence == 1


@pytest.mark.parametrize("outcome", [LOST, failed(F.NETWORK, lost=True)], ids=["timeout", "reset"])
def test_a_create_whose_answer_was_lost_may_have_run(session: Session, outcome: Any) -> None:
    story = Story(session, create_then_tell).answer(outcome)
    assert reason(story).startswith("“Create the account” may have run at ")


def test_an_unknown_outcome_stands_against_it_after_a_confirmed_retry_too(session: Session) -> None:
    story = Story(session, create_then_tell).answer(LOST).retry(confirm=True).answer(refused(422))
    assert not story.run.outcome_unknown
    assert "may have run" in reason(story)


def test_a_create_whose_worker_died_may_have_run(session: Session) -> None:
    story = Story(session, create_then_tell).take().lose_worker()
    assert "may have run" in reason(story)


@pytest.mark.parametrize("status", [202, 204])
def test_a_create_that_was_answered_well_though_not_as_its_author_wants_was_done(
    session: Session, status: int
) -> None:
    story = Story(session, create_then_tell).answer(failed(F.UNEXPECTED_STATUS, http_status=status))
    assert "already ran" in reason(story)


def test_a_create_whose_answer_lacked_what_was_to_be_captured_was_done(session: Session) -> None:
    story = Story(session, create_then_tell).answer(failed(F.MAPPING, http_status=201))
    assert "already ran" in reason(story)


def test_a_create_that_was_taken_and_is_not_ready_may_have_run(session: Session) -> None:
    story = Story(session, create_then_tell).answer(failed(F.TIMEOUT, http_status=202))
    assert "may have run" in reason(story)


@pytest.mark.parametrize(
    "outcome",
    [
        failed(F.REDIRECT, http_status=302),
        failed(F.TIMEOUT, http_status=429),
        failed(F.CONFIGURATION, http_status=200, detail="No access token: it holds none."),
    ],
    ids=["redirect", "asked to wait", "token"],
)
def test_a_create_that_did_nothing_does_not_stand_against_it(session: Session, outcome: Any) -> None:
    assert replayed(Story(session, create_then_tell).answer(outcome)).sequence == 1


@pytest.mark.parametrize("kind", [F.MAPPING, F.CONFIGURATION, F.EGRESS_BLOCKED, F.TLS, F.NETWORK])
def test_a_create_that_never_left_does_not_stand_against_it(session: Session, kind: FailureClass) -> None:
    assert replayed(Story(session, create_then_tell).answer(failed(kind))).sequence == 1


def test_a_create_done_by_hand_stands_against_it(session: Session) -> None:
    def steps(c: int) -> list[dict[str, Any]]:
        first, second = create_then_tell(c)
        return [first | {"on_failure": "escalate"}, second]

    story = Story(session, steps).answer(refused(422)).submit(id="u-9").answer(refused(422))
    assert "“Create the account” already ran" in reason(story)


def test_a_create_that_was_skipped_by_hand_does_not(session: Session) -> None:
    def steps(c: int) -> list[dict[str, Any]]:
        first, second = create_then_tell(c)
        return [first | {"on_failure": "escalate"}, second]

    story = Story(session, steps).answer(refused(422)).skip("Not needed").answer(refused(422))
    assert replayed(story).sequence == 1


def test_a_webhook_stands_against_it_like_a_create(session: Session) -> None:
    def steps(c: int) -> list[dict[str, Any]]:
        hook = {"key": "hook", "name": "Tell", "type": "webhook", "connection_id": str(c), "body": {"a": 1}}
        return [hook, http_step("put", c, method="PUT")]

    story = Story(session, steps).answer(ok(200), refused(422))
    assert "“Tell” already ran" in reason(story)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_methods_that_repeat_harmlessly_do_not_stand_against_it(session: Session, method: str) -> None:
    story = Story(session, lambda c: [http_step("one", c, method=method), http_step("two", c)])
    assert replayed(story.answer(ok(200), refused(422))).sequence == 1


def test_a_create_after_compensation_still_stands_against_it(session: Session) -> None:
    def steps(c: int) -> list[dict[str, Any]]:
        first, *others = edge({"compensate": "undo"})(c)
        return [http_step("make", c, name="Make"), first, *others]

    story = Story(session, steps).answer(ok(201), refused(422), refused(499))
    assert story.run.status == "failed"
    assert "“Make” already ran" in reason(story)


# ... whatever happened to names and versions since


def _renamed(c: int) -> dict[str, Any]:
    return http_step("make", c, name="Make an account", capture={"id": "$.id"})


def _removed(c: int) -> dict[str, Any]:
    return http_step("tell", c, method="PUT", path="/teams")


def _moved_elsewhere(c: int) -> dict[str, Any]:
    return http_step("create", c, path="/People", idempotent=True)


@pytest.mark.parametrize("edit", [_renamed, _removed, _moved_elsewhere])
def test_an_edited_version_does_not_hide_what_was_sent(
    session: Session, edit: Callable[[int], dict[str, Any]]
) -> None:
    story = Story(session, create_then_tell).answer(ok(201, **CREATED), refused(422))
    new_version(story, edit(story.connection.id))
    assert "“Create the account” already ran" in reason(story)


def test_marking_the_very_call_as_idempotent_in_the_newest_version_allows_it(session: Session) -> None:
    story = Story(session, create_then_tell).answer(ok(201, **CREATED), refused(422))
    new_version(story, http_step("make", story.connection.id, idempotent=True))
    assert replayed(story).sequence == 1


def test_a_version_that_marked_it_when_it_was_sent_allows_it(session: Session) -> None:
    def steps(c: int) -> list[dict[str, Any]]:
        return [http_step("create", c, idempotent=True), http_step("tell", c, method="PUT")]

    assert replayed(Story(session, steps).answer(ok(201), refused(422))).sequence == 1


def test_what_an_earlier_run_of_the_event_sent_counts(session: Session) -> None:
    story = Story(session, lambda c: [http_step("look", c, method="GET"), http_step("create", c)])
    story.answer(ok(200), refused(422))
    new_version(story, *create_then_tell(story.connection.id))
    again(story).answer(ok(201, **CREATED), refused(422))
    new_version(story, http_step("other", story.connection.id, method="PUT"))
    assert "“Create the account” already ran" in reason(story)


def test_the_other_event_of_the_grant_does_not_count(session: Session) -> None:
    def steps(c: int) -> list[dict[str, Any]]:
        return [http_step("remove", c, method="DELETE", path="/Users/1")]

    story = Story(session, steps, trigger="access_revoked").answer(refused(404))
    assert replayed(story).sequence == 1


# What stands against it otherwise


def test_a_second_replay_is_refused_naming_the_newer_run(session: Session) -> None:
    story = Story(session).answer(ok(200), refused(422))
    newer = replayed(story)
    assert reason(story) == f"Run {newer.id} has replaced this one already."
    session.rollback()


def test_a_deleted_workflow_is_refused(session: Session) -> None:
    story = Story(session).answer(ok(200), refused(422))
    workflows.delete_workflow(session, ALICE, story.workflow, now=NOW)
    assert reason(story).endswith("has been deleted: there is no newest version to run.")


def test_a_disabled_workflow_is_refused(session: Session) -> None:
    story = Story(session).answer(ok(200), refused(422))
    story.workflow.is_enabled = False
    session.flush()
    assert reason(story).endswith("is disabled. Enable it first.")


def test_a_newest_version_without_steps_is_refused(session: Session) -> None:
    story = Story(session).answer(ok(200), refused(422))
    new_version(story)
    assert "has no steps" in reason(story)


def test_a_stale_run_is_refused_with_the_reason(session: Session) -> None:
    story = Story(session).answer(ok(200), refused(422))
    session.execute(
        update(Grant).where(Grant.id == story.grant.id).values(revoked_at=story.at, revoked_by="Bob")
    )
    session.expire_all()
    assert "was overtaken: Its grant has been revoked." in reason(story)


# The plan


def test_the_plan_tells_what_is_sent_sent_again_and_new(session: Session) -> None:
    story = Story(session).answer(ok(200), refused(422))
    connection = story.connection.id
    look, create = http_step("lookup", connection, method="GET", path="/Users"), http_step("make", connection)
    look.pop("body")
    new_version(story, look, create, http_step("tell", connection, method="PUT", path="/teams"))
    shown = plan(session, story.run, Action.REPLAY)
    assert [(one.key, one.will) for one in shown.steps] == [
        ("lookup", "send_again"),
        ("make", "send_again"),  # the very call that was refused, under another name
        ("tell", "new"),
    ]
    assert shown.newest_version == 2


def test_without_a_newer_version_it_says_to_use_retry(session: Session) -> None:
    note = plan(session, Story(session).answer(failed(F.HTTP_5XX, http_status=503)).run, Action.REPLAY).note
    assert note.startswith("Version 1 is the newest, so a fresh run sends the same requests. Retry ")


def test_a_list_is_answered_in_a_fixed_number_of_statements(session: Session) -> None:
    def refusals(count: int) -> int:
        told = [
            Story(session, create_then_tell).answer(ok(201, **CREATED), refused(422)) for _ in range(count)
        ]
        told += [Story(session).answer(ok(200), refused(422)) for _ in range(count)]
        rows = [one.run for one in told]
        for row in rows:
            session.refresh(row)
        with statements(session.get_bind()) as sent:
            found = replay_refusals(session, rows, dict.fromkeys([one.id for one in rows]))
        assert [found[one.id] is None for one in rows] == [False] * count + [True] * count
        return len(sent)

    assert refusals(4) <= refusals(1)


def test_a_run_started_later_keeps_the_time_of_its_event(session: Session) -> None:
    story = Story(session).answer(ok(200), refused(422))
    story.workflow.is_enabled = False
    grant = story.granted()
    story.workflow.is_enabled = True
    session.flush()
    run = runs.run_now(session, ALICE, grant, Trigger.ACCESS_GRANTED)
    assert run.occurred_at == grant.granted_at
