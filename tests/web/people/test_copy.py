"""Copying somebody's access: what it would start is said first, and each grant stands by itself."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.clock import now
from app.models import Application, Grant, Run, User
from app.services import grants
from tests.support.factories import http_step, make_application, make_connection, make_user, make_workflow
from tests.support.page import Page
from tests.support.web.readers import Reader, actor


@pytest.fixture
def jane(web: Session) -> User:
    user = make_user(web, first_name="Jane", last_name="Doe", email="jane@example.org")
    web.commit()
    return user


@pytest.fixture
def sam(web: Session) -> User:
    user = make_user(web, first_name="Sam", last_name="New", email="sam@example.org")
    web.commit()
    return user


@pytest.fixture
def jira(web: Session) -> Application:
    application = make_application(web, name="Jira")
    step = http_step(connection_id=make_connection(web, application).id)
    make_workflow(web, application, step, name="Provision Jira", policy="first_active_grant")
    web.commit()
    return application


def held(session: Session, user: User) -> list[tuple[str, str, bool]]:
    """The person's active grants: application, level, whether a run began."""
    session.rollback()
    rows = session.execute(
        select(Application.name, Grant.access_level, Grant.newest_run_id)
        .join(Application, Application.id == Grant.application_id)
        .where(Grant.user_id == user.id, Grant.revoked_at.is_(None))
        .order_by(Grant.id)
    )
    return [(name, level, run is not None) for name, level, run in rows]


def give(session: Session, by: Reader, user: User, application: Application, **more: object) -> Grant:
    made = grants.grant(session, actor(session, by), application=application, user=user, now=now(), **more)  # type: ignore[arg-type]
    session.commit()
    return made


def choose(reader: Reader, jane: User, sam: User) -> Page:
    page = reader.client.get(f"/people/{jane.id}").follow("Copy access to…")
    return reader.client.get(f"{page.url}?q=sam").follow(f"Choose {sam.name}")


def test_access_is_copied_with_what_it_starts(
    bob: Reader, web: Session, jane: User, sam: User, jira: Application
) -> None:
    end = now().replace(microsecond=0) + timedelta(days=30)
    wiki = make_application(web, name="Wiki")
    give(web, bob, jane, jira, access_level="Member", expires_at=end)
    give(web, bob, jane, jira, access_level="Admin")
    give(web, bob, jane, wiki)
    page = choose(bob, jane, sam)
    assert page.h1 == "Copy access to Sam New"
    asked = page.form("copy").submit(expect=200)
    assert [(row["Application"], row["Level"], row["What it starts"]) for row in asked.table("copies")] == [
        ("Jira", "Member", "“Provision Jira” (version 1, 1 step) will run."),
        ("Jira", "Admin", "No automation will run: the person holds another active grant."),
        ("Wiki", "–", "No automation will run: the application has no workflow."),
    ]
    assert held(web, sam) == []
    done = asked.press("Grant access", expect=200)
    assert [row["Outcome"] for row in done.table("made")] == ["Granted"] * 3
    assert held(web, sam) == [("Jira", "Member", True), ("Jira", "Admin", False), ("Wiki", "", False)]
    copied = web.scalars(select(Grant).where(Grant.user_id == sam.id).order_by(Grant.id)).first()
    assert copied is not None
    assert (copied.expires_at, copied.granted_by) == (end, "Bob Example")
    assert copied.notes == "Copied from grant 1 of Jane Doe"


def test_recorded_only_starts_nothing(
    bob: Reader, web: Session, jane: User, sam: User, jira: Application
) -> None:
    give(web, bob, jane, jira, record_only=True)
    asked = choose(bob, jane, sam).form("copy").fill(record_only="1").submit(expect=200)
    assert asked.table("copies")[0]["What it starts"].startswith("No automation will run:")
    asked.press("Grant access", expect=200)
    assert held(web, sam) == [("Jira", "", False)]
    assert web.scalars(select(Run)).all() == []


def test_a_second_click_makes_nothing_twice(
    bob: Reader, web: Session, jane: User, sam: User, jira: Application
) -> None:
    give(web, bob, jane, jira)
    form = choose(bob, jane, sam).form("copy").submit(expect=200).form("confirm")
    assert form.submit(expect=200).table("made") == form.submit(expect=200).table("made")
    assert len(held(web, sam)) == 1


def test_what_the_other_holds_already_is_not_ticked(
    bob: Reader, web: Session, jane: User, sam: User, jira: Application
) -> None:
    give(web, bob, jane, jira, access_level="Member")
    give(web, bob, sam, jira, access_level="Member")
    page = choose(bob, jane, sam)
    assert "Sam New holds this level already." in page.text
    assert "grant" not in page.form("copy").fields
    refused = page.form("copy").submit(expect=422)
    assert "Choose at least one grant to copy." in refused.text


def test_one_that_is_refused_takes_nothing_from_the_others(
    bob: Reader, web: Session, jane: User, sam: User, jira: Application
) -> None:
    wiki, old = make_application(web, name="Wiki"), make_application(web, name="Old")
    revoked = give(web, bob, jane, jira)
    give(web, bob, jane, old)
    give(web, bob, jane, wiki)
    asked = choose(bob, jane, sam).form("copy").submit(expect=200)
    grants.revoke(web, actor(web, bob), revoked, now=now())
    old.archived_at = now()
    web.commit()
    done = asked.press("Grant access", expect=200)
    assert [tuple(row.values())[2:] for row in done.table("made")] == [
        ("Not made", "Not made: it has been revoked meanwhile."),
        ("Not made", "Not made: Old is archived."),
        ("Granted", "Recorded. No automation ran: the application has no workflow."),
    ]
    assert held(web, sam) == [("Wiki", "", False)]
    assert "Old is archived." in choose(bob, jane, sam).text


def test_only_grants_of_this_person_are_copied(bob: Reader, web: Session, jane: User, sam: User) -> None:
    other = make_user(web)
    foreign = give(web, bob, other, make_application(web, name="Payroll"))
    bob.client.get(f"/people/{jane.id}/copy")
    body = {"to": sam.id, "grant": [foreign.id, "x", 77]}
    done = bob.client.post(f"/people/{jane.id}/copy", body, expect=200)
    assert [row["Outcome"] for row in done.table("made")] == ["Not made"] * 2
    assert "Payroll" not in done.text
    assert held(web, sam) == []


@pytest.mark.parametrize("to", ["", "x", "77", "self", "gone"])
def test_somebody_else_who_is_active_must_be_chosen(bob: Reader, web: Session, jane: User, to: str) -> None:
    gone = make_user(web, is_active=False)
    web.commit()
    typed = {"self": str(jane.id), "gone": str(gone.id)}.get(to, to)
    page = bob.client.get(f"/people/{jane.id}/copy?to={typed}")
    assert page.h1 == "Copy access of Jane Doe"
    for address in (f"/people/{jane.id}/copy/check", f"/people/{jane.id}/copy"):
        bob.client.post(address, {"to": typed, "grant": "1"}, expect=409)


def test_somebody_without_access_has_nothing_to_copy(bob: Reader, jane: User, sam: User) -> None:
    assert "Nothing to copy" in bob.client.get(f"/people/{jane.id}/copy?to={sam.id}").text
    assert "Nobody else who is active matches" in bob.client.get(f"/people/{jane.id}/copy?q=%00zzz").text


def test_charlie_is_refused_and_a_link_copies_nothing(charlie: Reader, bob: Reader, jane: User) -> None:
    charlie.client.get(f"/people/{jane.id}/copy", expect=403)
    for address in (f"/people/{jane.id}/copy/check", f"/people/{jane.id}/copy"):
        charlie.client.post(address, {"to": bob.id, "grant": "1"}, expect=403)
    bob.client.get(f"/people/{jane.id}/copy/check", expect=405)
    bob.client.get("/people/77/copy", expect=404)
