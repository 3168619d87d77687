"""Granting access: finding the person, the consequence before the click, and one grant for two clicks."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.clock import now
from app.models import Application, Grant, TriggerDecision, User
from app.services import grants
from tests.support.factories import (
    NOW,
    http_step,
    make_application,
    make_connection,
    make_user,
    make_workflow,
)
from tests.support.web.readers import Reader, actor, fresh


@pytest.fixture
def jira(web: Session) -> Application:
    application = make_application(web, name="Jira")
    step = http_step(connection_id=make_connection(web, application).id)
    make_workflow(web, application, step, {**step, "key": "second"}, name="Provision Jira")
    web.commit()
    return application


@pytest.fixture
def jane(web: Session) -> User:
    user = make_user(web, first_name="Jane", last_name="Doe", email="jane@example.org")
    web.commit()
    return user


def form_of(reader: Reader, application: Application):  # type: ignore[no-untyped-def]
    return reader.client.get(f"/applications/{application.id}/grant").form("grant-form")


def grants_of(web: Session) -> list[Grant]:
    fresh(web)
    return list(web.scalars(select(Grant).order_by(Grant.id)))


def test_granting_records_starts_the_run_and_says_so(
    bob: Reader, web: Session, jira: Application, jane: User
) -> None:
    page = bob.client.get(f"/applications/{jira.id}/grant")
    assert "“Provision Jira” (version 1, 2 steps) will run." in page.text
    form = page.form("grant-form").fill(user_id=jane.id, access_level="Member", notes="Ticket 42")
    done = form.fill(expires_at="2099-01-31T08:30").submit()
    assert done.location == f"/applications/{jira.id}"
    after = bob.client.get(done.location)
    assert "Access granted to Jane Doe. Provisioning started: run 1." in after.text
    [grant] = grants_of(web)
    assert (grant.access_level, grant.notes, grant.granted_by) == ("Member", "Ticket 42", "Bob Example")
    assert grant.expires_at is not None
    assert grant.expires_at.isoformat() == "2099-01-31T08:30:00+00:00"


def test_record_only_starts_nothing_and_says_so(
    bob: Reader, web: Session, jira: Application, jane: User
) -> None:
    done = form_of(bob, jira).fill(user_id=jane.id, record_only=True).submit()
    assert "No automation ran: recorded only, by choice." in bob.client.get(done.location).text
    assert web.scalars(select(TriggerDecision)).one().reason == "recorded_only"


def test_the_consequence_names_the_cause_and_who_may_mend_it(
    alice: Reader, bob: Reader, web: Session
) -> None:
    application = make_application(web)
    web.commit()
    path = f"/applications/{application.id}/grant"
    page = alice.client.get(path)
    assert "No automation will run: the application has no workflow." in page.text
    link = page.one("#consequence a")
    assert link["href"] == f"/applications/{application.id}/workflows/new?trigger=access_granted"
    assert "Create workflow: needs workflow:manage." in bob.client.get(path).text


def test_the_consequence_follows_the_person_and_the_switch(alice: Reader, web: Session, jane: User) -> None:
    application = make_application(web)
    step = http_step(connection_id=make_connection(web, application).id)
    make_workflow(web, application, step, policy="first_active_grant")
    grants.grant(web, actor(web, alice), application=application, user=jane, now=NOW)
    web.commit()
    path = f"/applications/{application.id}/grant/consequence"
    assert "will run." in alice.client.fragment(path).text
    part = alice.client.fragment(f"{path}?user_id={jane.id}")
    assert "No automation will run: the person holds another active grant." in part.text
    assert "recorded only" in alice.client.fragment(f"{path}?record_only=1").text
    alice.client.fragment(f"{path}?user_id=abc&record_only=x")


def test_people_are_found_without_script_and_what_was_typed_stays(
    bob: Reader, jira: Application, jane: User, web: Session
) -> None:
    make_user(web, first_name="Janet", last_name="Gone", is_active=False)
    web.commit()
    form = form_of(bob, jira).fill(person="jane", access_level="Member", record_only=True)
    page = form.submit("Find", expect=200)
    assert page.texts("#user_id label") == ["Jane Doe"]
    again = page.form("grant-form")
    assert (again["person"], again["access_level"], again["record_only"]) == ("jane", "Member", "1")
    assert again.fill(user_id=jane.id).submit("Grant access").status == 303


def test_htmx_finds_people_as_a_piece_of_the_form(bob: Reader, jira: Application, jane: User) -> None:
    part = bob.client.fragment(f"/applications/{jira.id}/grant/people?person=DOE")
    assert part.texts("#user_id label") == ["Jane Doe"]
    nobody = bob.client.fragment(f"/applications/{jira.id}/grant/people?person=%00zz%25")
    assert "Nobody active matches “zz%”." in nobody.text


def test_the_chosen_person_stays_while_another_is_searched(
    bob: Reader, jira: Application, jane: User
) -> None:
    part = bob.client.fragment(f"/applications/{jira.id}/grant/people?person=bob&user_id={jane.id}")
    assert part.texts("#user_id label") == ["Jane Doe", "Bob Example"]
    assert part.one("input[checked]")["value"] == str(jane.id)


def test_a_link_may_choose_the_person(bob: Reader, jira: Application, jane: User) -> None:
    page = bob.client.get(f"/applications/{jira.id}/grant?user_id={jane.id}")
    assert page.form("grant-form")["user_id"] == str(jane.id)


def test_a_person_says_what_they_hold_already(
    alice: Reader, web: Session, jira: Application, jane: User
) -> None:
    grants.grant(web, actor(web, alice), application=jira, user=jane, now=NOW)
    web.commit()
    assert "already holds 1 active grant here" in alice.client.get(f"/applications/{jira.id}/grant").text


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("access_level", "x" * 101, "Use at most 100 characters."),
        ("access_level", "a\0b", ""),
        ("notes", "x" * 2001, "Use at most 2,000 characters."),
        ("expires_at", "tomorrow", "Enter a date and time (UTC)"),
        ("expires_at", "2020-01-01T00:00", "The expiry must lie in the future."),
    ],
)
def test_a_refused_field_is_named_and_the_rest_stays(
    bob: Reader, web: Session, jira: Application, jane: User, *, field: str, value: str, message: str
) -> None:
    form = form_of(bob, jira).fill({"user_id": jane.id, "notes": "kept", field: value})
    page = form.submit("Grant access", expect=422)
    assert message in page.errors()[field]
    assert page.form("grant-form")["user_id"] == str(jane.id)
    assert page.form("grant-form")[field].strip("\n") == value.replace("\0", "")
    assert grants_of(web) == []


@pytest.mark.parametrize("user_id", ["", "0", "999999", "abc", "9" * 30])
def test_nobody_chosen_is_named(bob: Reader, web: Session, jira: Application, user_id: str) -> None:
    data = {"user_id": user_id, "access_level": "kept"}
    bob.client.get(f"/applications/{jira.id}/grant")
    page = bob.client.post(f"/applications/{jira.id}/grant", data, expect=422)
    assert page.texts("#user_id-error") != []
    assert page.form("grant-form")["access_level"] == "kept"


def test_a_deactivated_person_gets_no_access(
    bob: Reader, web: Session, jira: Application, jane: User
) -> None:
    form = form_of(bob, jira).fill(user_id=jane.id)
    jane.is_active = False
    web.commit()
    assert "Jane Doe is deactivated." in form.submit("Grant access", expect=422).text


@pytest.mark.parametrize("text", ["<img hx-get=/x onerror=1>", "{{7*7}}", "🙂"])
def test_odd_words_are_shown_as_they_are(
    bob: Reader, web: Session, jira: Application, jane: User, text: str
) -> None:
    done = form_of(bob, jira).fill(user_id=jane.id, access_level=text, notes=text).submit("Grant access")
    assert text in bob.client.get(done.location).text
    assert bob.client.get("/grants/1").text.count(text) == 2


def test_a_double_click_makes_one_grant(bob: Reader, web: Session, jira: Application, jane: User) -> None:
    form = form_of(bob, jira).fill(user_id=jane.id, access_level="Member")
    first, second = form.submit("Grant access"), form.submit("Grant access")
    assert first.location == second.location
    assert len(grants_of(web)) == 1
    assert web.scalar(select(func.count(TriggerDecision.id))) == 1


def test_two_clicks_at_once_make_one_grant(
    only_sqlite: Flask, bob: Reader, web: Session, jira: Application, jane: User
) -> None:
    form = form_of(bob, jira).fill(user_id=jane.id)
    data = {name: list(values) for name, values in form.fields.items()}
    cookie = bob.client.flask.get_cookie("session")
    assert cookie is not None
    answers: list[int] = []

    def click() -> None:
        client = only_sqlite.test_client()
        client.set_cookie("session", cookie.value)
        answers.append(client.post(f"/applications/{jira.id}/grant", data=data).status_code)

    clicks = [threading.Thread(target=click) for _ in range(4)]
    for one in clicks:
        one.start()
    for one in clicks:
        one.join()
    assert answers == [303] * 4
    assert len(grants_of(web)) == 1


def test_the_form_opened_again_grants_again(bob: Reader, web: Session, jira: Application, jane: User) -> None:
    for _ in range(2):
        form_of(bob, jira).fill(user_id=jane.id, access_level="Member").submit("Grant access")
    assert len(grants_of(web)) == 2


@pytest.mark.parametrize("mark", ["", "abc", "9" * 13, "9" * 40, "-1"])
def test_an_edited_mark_still_grants(
    bob: Reader, web: Session, jira: Application, jane: User, mark: str
) -> None:
    form_of(bob, jira).fill(user_id=jane.id, shown_at=mark).submit("Grant access")
    assert len(grants_of(web)) == 1


def test_htmx_is_sent_on_to_the_application(bob: Reader, jira: Application, jane: User) -> None:
    done = form_of(bob, jira).fill(user_id=jane.id).submit("Grant access", htmx=True, expect=204)
    assert done.location == f"/applications/{jira.id}"


def test_granting_needs_its_permission(charlie: Reader, web: Session, jira: Application, jane: User) -> None:
    charlie.client.get("/")
    page = charlie.client.post(f"/applications/{jira.id}/grant", {"user_id": jane.id}, expect=403)
    assert "This needs the permission grant:write." in page.text
    assert grants_of(web) == []


def test_granting_on_nothing_is_not_found(bob: Reader) -> None:
    bob.client.get("/applications/999/grant", expect=404)
    bob.client.post("/applications/999/grant", expect=404)


def test_an_expiry_just_ahead_is_taken(bob: Reader, web: Session, jira: Application, jane: User) -> None:
    soon = (now() + timedelta(minutes=2)).strftime("%Y-%m-%dT%H:%M")
    form_of(bob, jira).fill(user_id=jane.id, expires_at=soon).submit("Grant access")
    assert len(grants_of(web)) == 1
