"""It was done: a failed run goes on after a step that a person vouches for, with the values that it lacks."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain.runs.calls import Outcome
from app.domain.states import FailureClass
from app.errors import Conflict, Invalid
from app.models import Attempt, AuditEvent, ExternalAccount, Grant
from app.queries.recovery_plan import Action, plan
from app.services import recovery
from tests.support.factories import http_step
from tests.support.queries.stories import ALICE, STATES, Story, edge, ok, refused, with_person

F = FailureClass
BOTH = {"id": "$.id", "mail": "$.mail", "note": {"path": "$.note", "optional": True}}
HALF = Outcome.failed(F.MAPPING, http_status=201, detail="capture mail: nothing", captured={"id": "acc7"})


def half_answered(session: Session) -> Story:
    """A create whose answer held the id alone, and a step after it."""
    return Story(
        session,
        lambda c: [http_step("create", c, capture=BOTH), http_step("tell", c, path="/tell")],
    ).answer(HALF)


def done(story: Story, reason: str = "Made by hand", **captured: Any) -> Story:
    recovery.done(story.session, ALICE, story.run, reason=reason, captured=captured)
    return story.told()


def account(story: Story) -> dict[str, Any]:
    found = select(ExternalAccount.captured).where(ExternalAccount.user_id == story.person.id)
    return story.session.execute(found).scalar_one()


def test_the_missing_value_is_typed_and_the_run_goes_on_after_the_step(session: Session) -> None:
    story = done(half_answered(session), mail="a@example.com")
    assert (story.run.status, story.run.cursor, story.run.failure_class) == ("running", "tell", None)
    assert account(story) == {"id": "acc7", "mail": "a@example.com"}
    story.answer(ok(200))
    assert story.run.status == "succeeded"
    told = [
        (one.step_key, one.status, one.detail)
        for one in story.session.scalars(select(Attempt).order_by(Attempt.id))
    ]
    assert told[1:] == [("create", "submitted", "Made by hand"), ("tell", "succeeded", None)]
    [noted] = story.session.scalars(select(AuditEvent).where(AuditEvent.action == "run.done"))
    assert (noted.reason, noted.actor) == ("Made by hand", "Alice Admin")


def test_what_is_required_and_not_known_must_be_given_and_is_named(session: Session) -> None:
    story = half_answered(session)
    for typed, field in (
        ({}, "captured.mail"),
        ({"mail": " "}, "captured.mail"),
        ({"mail": "a", "other": "b"}, "captured.other"),
        ({"mail": ["a"]}, "captured.mail"),
        ({"mail": "a\0"}, "captured.mail"),
        ({"mail": "a" * 2001}, "captured.mail"),
    ):
        with pytest.raises(Invalid) as refusal:
            done(story, **typed)
        assert [one.field for one in refusal.value.errors] == [field], typed
    assert story.run.status == "failed"


def test_a_list_is_typed_one_a_line_and_kept_with_the_grant_where_the_step_says_so(session: Session) -> None:
    rules = {"ids": {"path": "$[*].id", "list": True, "keep": "grant"}}
    story = Story(session, lambda c: [http_step("join", c, capture=rules)]).answer(refused(400))
    done(story, ids="m-1\n\n m-2 ")
    assert story.run.status == "running"
    assert session.get_one(Grant, story.grant.id).kept == {"ids": ["m-1", "m-2"]}


@pytest.mark.parametrize("name", [name for name in STATES if name.startswith(("failed", "outcome unknown"))])
def test_every_failed_run_can_go_on_so(session: Session, name: str) -> None:
    story = STATES[name].tell(session)
    needed = {"team": "Red"} if story.run.cursor == "team" else {}
    done(story, **needed)
    assert story.run.status == "running"
    assert plan(session, story.run, Action.DONE).allowed is False


def test_a_failed_compensation_that_was_done_ends_the_run_compensated(session: Session) -> None:
    story = Story(session, edge({"compensate": "undo"})).answer(refused(400), refused(409))
    assert (story.run.status, story.run.cursor) == ("failed", "undo")
    assert [one.will for one in plan(session, story.run, Action.DONE).steps] == ["skip", "skip"]
    assert done(story).run.status == "compensated"


def test_of_two_people_the_second_is_told_who_was_first(session: Session) -> None:
    story = done(half_answered(session), mail="a@example.com")
    with pytest.raises(Conflict, match=r"Alice Admin said that it was done, at .* UTC\. Run \d+ is running"):
        done(story, mail="b@example.com")


def test_what_was_shown_and_is_no_longer_so_is_refused(session: Session) -> None:
    story = half_answered(session)
    seen = plan(session, story.run, Action.DONE).token
    done(story, mail="a@example.com").answer(refused(400))
    with pytest.raises(Conflict, match="Something changed"):
        recovery.done(session, ALICE, story.run, reason="Again", token=seen)


def test_a_run_that_was_overtaken_or_replaced_is_left_alone(session: Session) -> None:
    stale = half_answered(session)
    stale.session.execute(
        Grant.__table__.update().where(Grant.id == stale.grant.id).values(revoked_at=stale.at, revoked_by="x")
    )
    session.commit()
    with pytest.raises(Conflict, match="was overtaken"):
        done(stale, mail="a")
    replaced = Story(session).answer(refused(401))
    newer = recovery.replay(session, ALICE, replaced.run)
    session.commit()
    with pytest.raises(Conflict, match=f"Run {newer.id} has replaced this one"):
        done(replaced)


def test_a_person_who_failed_a_task_may_give_what_it_asks_for_after_all(session: Session) -> None:
    story = Story(session, with_person).take().fail("No team yet")
    with pytest.raises(Invalid) as refusal:
        done(story)
    assert [one.message for one in refusal.value.errors] == ["Enter Team."]
    done(story, team="Red").answer(ok())
    assert (story.run.status, story.run.captured["team"]) == ("succeeded", {"team": "Red"})
