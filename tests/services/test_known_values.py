"""A value that nobody knew is typed: it stays with the account or the grant, and the failed run goes on."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain.states import FailureClass
from app.errors import Invalid
from app.models import AuditEvent, ExternalAccount, Grant, RunEvent
from app.queries.by_hand import asked_of, known_to
from app.queries.run_rules import failed_steps
from app.services import recovery
from tests.support.factories import http_step, make_user
from tests.support.queries.stories import ALICE, Story, failed, ok

EMPTY = failed(
    FailureClass.MAPPING, detail="path: account.id is empty, so the path would name something else."
)


def leaving(session: Session) -> Story:
    """A revoke of which nobody knows the account, nor the membership."""

    def steps(c: int) -> list[dict[str, Any]]:
        path = "/users/{{ account.id }}/memberships/{{ grant.kept.member }}"
        step = http_step("leave", c, method="DELETE", path=path, only_if=[ANY])
        step.pop("body")
        return [step]

    return Story(session, steps, trigger="access_revoked").answer(EMPTY)


ANY = {"value": "{{ account.other }}", "is": "empty"}


def typed(story: Story, reason: str | None = "Looked up", **given: Any) -> None:
    recovery.retry(story.session, ALICE, story.run, reason=reason, **given)
    story.told()


def test_what_is_typed_stays_with_account_and_grant_and_the_run_goes_on(session: Session) -> None:
    story = leaving(session)
    step = failed_steps(session, [story.run])[story.run.id]
    asked = asked_of(step, story.run, *known_to(session, story.run))
    assert [(one.name, one.required) for one in asked] == [("account.id", True), ("kept.member", True)]
    typed(story, account={"id": "acc-7"}, kept={"member": "m-1"})
    assert known_to(session, story.run) == ({"id": "acc-7"}, {"member": "m-1"})
    assert asked_of(step, story.run, *known_to(session, story.run)) == []
    story.answer(ok(204))
    assert story.run.status == "succeeded"
    assert session.get_one(Grant, story.grant.id).kept == {"member": "m-1"}
    [told] = session.scalars(select(RunEvent.message).where(RunEvent.kind == "values"))
    assert told == "Alice Admin gave account.id, grant.kept.member: Looked up"
    [noted] = session.scalars(select(AuditEvent).where(AuditEvent.action == "run.retry"))
    assert noted.reason == "Looked up"
    assert "acc-7" in str(noted.changes)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"account": {"id": "a"}, "reason": None}, "reason"),
        ({"account": {"name": "a"}}, "account.name"),
        ({"kept": {"id": "a"}}, "kept.id"),
        ({"account": {"id": {}}}, "account.id"),
        ({"account": {"id": " "}}, "account"),
    ],
)
def test_a_value_that_no_step_names_or_that_cannot_be_kept_is_refused(
    session: Session, given: dict[str, Any], field: str
) -> None:
    story = leaving(session)
    with pytest.raises(Invalid) as refusal:
        typed(story, **given)
    assert [one.field for one in refusal.value.errors] == [field]
    session.rollback()
    assert session.scalars(select(ExternalAccount.captured)).all() == [{}]


def test_where_another_account_was_found_what_is_known_can_be_corrected(session: Session) -> None:
    rules = {"id": {"path": "$.id", "same": True}}
    story = Story(session, lambda c: [http_step("find", c, method="GET", body=None, capture=rules)])
    said = "id is not what is known of this person's account: nothing more was done with either."
    story.answer(failed(FailureClass.WRONG_ACCOUNT, http_status=200, detail=said))
    step = failed_steps(session, [story.run])[story.run.id]
    [asked] = asked_of(step, story.run, {"id": "old"}, {})
    assert (asked.name, asked.hint) == ("account.id", "Known: old.")
    typed(story, account={"id": "new"})
    assert known_to(session, story.run)[0] == {"id": "new"}


@pytest.mark.parametrize("known", ["acc-7", 7])
def test_an_account_that_is_known_as_another_person_s_is_refused_by_name(
    session: Session, known: Any
) -> None:
    story = leaving(session)
    bob = make_user(session, email="bob@example.org")
    application = story.run.application_id
    session.add(ExternalAccount(user_id=bob.id, application_id=application, captured={"id": known}))
    session.flush()
    with pytest.raises(Invalid) as refused:
        typed(story, account={"id": str(known)}, kept={"member": "m-1"})
    [error] = refused.value.errors
    assert (error.field, "bob@example.org" in error.message) == ("account.id", True)
