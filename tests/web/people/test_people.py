"""The directory: finding, adding and changing people, and what ends with their leaving."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.models import Grant, Run, User
from app.services import grants, tasks
from tests.support.factories import (
    NOW,
    http_step,
    human_step,
    make_application,
    make_connection,
    make_user,
    make_workflow,
)
from tests.support.page import PageClient
from tests.support.services.tasks import waiting_task
from tests.support.web.readers import Reader, actor, fresh


@pytest.fixture
def jane(web: Session) -> User:
    user = make_user(web, first_name="Jane", last_name="Doe", email="jane@example.org")
    web.commit()
    return user


def names(page) -> list[str]:  # type: ignore[no-untyped-def]
    return [row["Name"] for row in page.table("people")]


def test_the_list_is_searched_in_the_address(bob: Reader, web: Session, jane: User) -> None:
    make_user(web, first_name="Old", last_name="Timer", is_active=False)
    web.commit()
    assert names(bob.client.get("/people?q=jane+DOE")) == ["Jane Doe"]
    assert names(bob.client.get("/people?status=deactivated")) == ["Old Timer"]
    assert "Old Timer" not in names(bob.client.get("/people"))
    assert names(bob.client.get("/people?role=member")) == ["Bob Example"]
    assert names(bob.client.get("/people?role=viewer&q=doe")) == ["Jane Doe"]
    assert "Nobody here" in bob.client.get("/people?role=admin").text
    page = bob.client.get("/people?q=%3Cb%3E%25")
    assert "Nobody matches “<b>%”" in page.text
    assert "Jane Doe" in names(page.follow("Clear filters"))


@pytest.mark.parametrize("query", ["q=%00", "before=x", "after=0", "status=odd", "before=99999999"])
def test_an_edited_address_is_read_as_far_as_it_makes_sense(bob: Reader, query: str) -> None:
    bob.client.get(f"/people?{query}", expect=200)


def test_it_pages_by_email_with_the_same_few_statements(
    bob: Reader, web: Session, statements: Callable[[Callable[[], object]], int]
) -> None:
    few = statements(lambda: bob.client.get("/people"))
    for number in range(40):
        make_user(web, email=f"p{number:02}@example.org", first_name=f"P{number:02}", last_name="")
    web.commit()
    assert statements(lambda: bob.client.get("/people")) == few <= 4
    first = bob.client.get("/people")
    second = first.follow("Next")
    assert names(first) + names(second) == ["Bob Example", *(f"P{number:02}" for number in range(40))]
    assert names(second.follow("Previous")) == names(first)


def test_adding_somebody_opens_their_page(alice: Reader, web: Session) -> None:
    form = alice.client.get("/people/new").form("person")
    assert form["role"] == "viewer"
    done = form.fill(email="New@Example.org", first_name="Nia", employee_id="E-77").submit()
    page = alice.client.get(done.location)
    assert (page.h1, "Nia is added." in page.text) == ("Nia", True)
    saved = web.scalars(select(User).where(User.email == "new@example.org")).one()
    assert (saved.employee_id, saved.username, saved.role.kind) == ("E-77", None, "viewer")


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("email", "", "Enter an email address."),
        ("email", "no address", "Enter an email address, such as"),
        ("email", "JANE@example.org", "Somebody else has this email address."),
        ("first_name", "x" * 201, "Use at most 200 characters."),
        ("last_name", "a\0b", ""),
        ("username", "x" * 201, "Use at most 200 characters."),
    ],
)
def test_a_refused_field_is_named_and_the_rest_stays(
    alice: Reader, web: Session, jane: User, *, field: str, value: str, message: str
) -> None:
    values = {"email": "ok@example.org", "last_name": "Kept", field: value}
    page = alice.client.get("/people/new").form("person").fill(values).submit(expect=422)
    assert message in page.errors()[field]
    assert page.form("person")[field] == value.replace("\0", "")
    if field != "last_name":
        assert page.form("person")["last_name"] == "Kept"
    assert web.scalar(select(func.count(User.id))) == 2


@pytest.mark.parametrize("name", ["<img hx-get=/x onerror=1>", "{{7*7}}", "🙂", 'O\'Brien "x"'])
def test_an_odd_name_is_shown_as_it_is(alice: Reader, web: Session, name: str) -> None:
    user = make_user(web, first_name=name, last_name="")
    web.commit()
    assert alice.client.get(f"/people/{user.id}").h1 == name
    assert name in names(alice.client.get("/people"))
    alice.client.get(f"/people/{user.id}/edit")
    alice.client.get(f"/people/{user.id}/deactivate")


def test_changing_somebody(alice: Reader, web: Session, jane: User) -> None:
    form = alice.client.get(f"/people/{jane.id}/edit").form("person")
    assert form["email"] == "jane@example.org"
    form.fill(last_name="Roe", username="", role="member").submit()
    fresh(web)
    assert (jane.name, jane.username, jane.role.kind) == ("Jane Roe", None, "member")


def test_nobody_changes_their_own_role(alice: Reader) -> None:
    form = alice.client.get(f"/people/{alice.id}/edit").form("person")
    assert "role" not in form.names()
    data = {"email": alice.email, "role": "viewer"}
    refused = alice.client.post(f"/people/{alice.id}/edit", data, expect=409)
    assert "You cannot change your own role." in refused.text


def test_the_person_page_lists_grants_and_pages_them(
    bob: Reader, alice: Reader, web: Session, jane: User
) -> None:
    for number in range(30):
        application = make_application(web, name=f"App {number:02}")
        grants.grant(web, actor(web, alice), application=application, user=jane, now=NOW)
    web.commit()
    first = bob.client.get(f"/people/{jane.id}")
    second = first.follow("Older")
    listed = [row["Application"] for row in first.table("grants") + second.table("grants")]
    assert listed == [f"App {number:02}" for number in reversed(range(30))]
    assert "Nothing here" in first.follow("Revoked").text


def test_deactivating_names_what_will_be_revoked_and_what_runs(
    alice: Reader, web: Session, jane: User
) -> None:
    jira, wiki = make_application(web, name="Jira"), make_application(web, name="Wiki")
    step = http_step(connection_id=make_connection(web, jira).id)
    make_workflow(web, jira, step, trigger="access_revoked", name="Deprovision Jira")
    for application, level in ((jira, "Member"), (jira, "Admin"), (wiki, "")):
        grants.grant(web, actor(web, alice), application=application, user=jane, now=NOW, access_level=level)
    web.commit()
    page = alice.client.get(f"/people/{jane.id}").follow("Deactivate…")
    assert "3 active grants will be revoked:" in page.text
    told = page.texts("main .panel > ul > li")
    assert told[0].startswith("Jira: “Deprovision Jira” (version 1, 1 step) will run. Grant 1, Member, since")
    assert "Grant 2, Admin, since" in told[0]
    assert told[1].startswith("Wiki: No automation will run: the application has no workflow. Grant 3, since")
    done = page.press("Deactivate")
    after = alice.client.get(done.location)
    assert "Their sessions have ended and their grants are revoked." in after.text
    fresh(web)
    assert jane.is_active is False
    assert web.scalar(select(func.count(Grant.id)).where(Grant.revoked_at.is_(None))) == 0
    after.press("Reactivate")
    fresh(web)
    assert jane.is_active is True


def test_the_page_shows_their_runs_and_tasks_to_those_who_may_see_runs(
    alice: Reader, bob: Reader, web: Session, jane: User
) -> None:
    granter = actor(web, alice)
    asked = waiting_task(web, granter, human_step(name="Choose", assignee={"user_id": str(jane.id)}))
    done = waiting_task(web, granter, human_step(name="Look"))
    web.get_one(Run, done.run_id).user_id = jane.id
    tasks.skip(web, granter, done, "not needed")
    waiting_task(web, granter, human_step(name="Of others"))
    for user in (jane, make_user(web, first_name="Other")):
        application = make_application(web)
        make_workflow(web, application, http_step(connection_id=make_connection(web, application).id))
        grants.grant(web, granter, application=application, user=user, now=NOW)
    web.commit()
    page = alice.client.get(f"/people/{jane.id}")
    assert len(page.table("person-runs")) == 2
    assert [row["Status"] for row in page.table("person-tasks")] == ["Waiting (manual)", "Skipped"]
    assert [row["Asked of"] for row in page.table("person-tasks")] == ["Jane Doe", "Anyone who may do tasks"]
    assert page.follow("Choose").url == f"/tasks/{asked.id}"
    others = page.follow("Runs of Jane Doe")
    assert "Jane Doe" in others.text
    assert "Other" not in others.text
    seen_by_bob = bob.client.get(f"/people/{jane.id}")
    assert not seen_by_bob.select("#runs, #tasks")


def test_the_page_takes_the_same_few_statements_however_much_there_is(
    alice: Reader, web: Session, jane: User, statements: Callable[[Callable[[], object]], int]
) -> None:
    granter = actor(web, alice)
    ask = human_step(assignee={"user_id": str(jane.id)})
    waiting_task(web, granter, ask)
    web.commit()
    alice.client.get(f"/people/{jane.id}")
    few = statements(lambda: alice.client.get(f"/people/{jane.id}"))
    for _ in range(12):
        task = waiting_task(web, granter, ask)
        web.get_one(Run, task.run_id).user_id = jane.id
    web.commit()
    assert statements(lambda: alice.client.get(f"/people/{jane.id}")) <= few + 2
    assert len(alice.client.get(f"/people/{jane.id}").table("person-tasks")) == 10


def test_nobody_deactivates_themselves(alice: Reader) -> None:
    assert "Deactivate…" not in alice.client.get(f"/people/{alice.id}").text
    refused = alice.client.post(f"/people/{alice.id}/deactivate", expect=409)
    assert "You cannot deactivate yourself." in refused.text


def test_a_deactivated_person_is_out_at_once(alice: Reader, bob: Reader) -> None:
    alice.client.get(f"/people/{bob.id}/deactivate").press("Deactivate")
    bob.client.get("/people", expect=303)


def test_a_sign_in_link_is_shown_once_and_works(only_sqlite: Flask, alice: Reader, jane: User) -> None:
    page = alice.client.get(f"/people/{jane.id}").press("Make sign-in link", expect=200)
    address = page.texts("main .ref code")[0]
    assert address.startswith("http://localhost/sign-in/")
    welcome = PageClient(only_sqlite).get(address.removeprefix("http://localhost"))
    assert welcome.h1 == "Welcome, Jane"
    assert address not in alice.client.get(f"/people/{jane.id}").html


def test_bob_sees_people_and_why_he_may_not_change_them(bob: Reader, jane: User) -> None:
    assert "Needs user:manage. Ask an administrator." in bob.client.get("/people").text
    assert "Needs user:manage. Ask an administrator." in bob.client.get(f"/people/{jane.id}").text
    for path in ("edit", "deactivate", "reactivate", "sign-in-link"):
        bob.client.post(f"/people/{jane.id}/{path}", {"email": "x@example.org"}, expect=403)


def test_an_unknown_person_is_not_found(alice: Reader) -> None:
    for part in ("", "/edit", "/deactivate"):
        assert "There is no person 77." in alice.client.get(f"/people/77{part}", expect=404).text


def test_what_acts_is_no_link(alice: Reader, jane: User) -> None:
    for path in ("reactivate", "sign-in-link"):
        alice.client.get(f"/people/{jane.id}/{path}", expect=405)
