"""Groups: who is in them, which workflows ask them, and who may change that."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.models import AuditEvent, Group, GroupMember, User
from tests.support.factories import human_step, make_application, make_group, make_user, make_workflow
from tests.support.web.readers import Reader, fresh


@pytest.fixture
def jane(web: Session) -> User:
    user = make_user(web, first_name="Jane", last_name="Doe", email="jane@example.org")
    web.commit()
    return user


def names(page) -> list[str]:  # type: ignore[no-untyped-def]
    return [row["Name"] for row in page.table("groups")]


def test_a_group_is_added_filled_and_emptied(alice: Reader, web: Session, jane: User) -> None:
    empty = alice.client.get("/groups")
    assert "No groups yet" in empty.text
    done = alice.client.get("/groups/new").form("group").fill(name="Platform").submit()
    page = alice.client.get(done.location)
    assert page.h1 == "Platform"
    assert "Nobody is in this group" in page.text
    found = alice.client.get(f"{done.location}?q=jane")
    again = alice.client.get(found.press("Add Jane Doe").location)
    assert "Jane Doe joined." in again.text
    assert [row["Name"] for row in again.table("people")] == ["Jane Doe"]
    assert "Nobody active outside the group matches “jane”." in again.text
    assert alice.client.get("/groups").table("groups")[0]["Members"] == "1"
    left = alice.client.get(again.press("Remove Jane Doe").location)
    assert "Jane Doe left." in left.text
    fresh(web)
    assert web.scalar(select(func.count()).select_from(GroupMember)) == 0
    entries = web.scalars(
        select(AuditEvent.action).where(AuditEvent.subject_type == "group").order_by(AuditEvent.id)
    )
    assert list(entries) == ["group.create", "group.members", "group.members"]


def test_a_second_click_says_so_and_changes_nothing(alice: Reader, web: Session, jane: User) -> None:
    group = make_group(web, jane)
    web.commit()
    alice.client.get(f"/groups/{group.id}")
    joined = alice.client.post(f"/groups/{group.id}/add", {"user_id": jane.id})
    assert "Jane Doe is in this group already." in alice.client.get(joined.location).text
    alice.client.post(f"/groups/{group.id}/remove", {"user_id": jane.id})
    left = alice.client.post(f"/groups/{group.id}/remove", {"user_id": jane.id})
    assert "Jane Doe is not in this group any more." in alice.client.get(left.location).text


def test_somebody_who_was_deactivated_does_not_join(alice: Reader, web: Session, jane: User) -> None:
    group = make_group(web)
    jane.is_active = False
    web.commit()
    assert "candidates" not in alice.client.get(f"/groups/{group.id}?q=jane").html
    refused = alice.client.post(f"/groups/{group.id}/add", {"user_id": jane.id}, expect=422)
    assert "Jane Doe is deactivated. Reactivate the person first." in refused.text


@pytest.mark.parametrize("typed", ["", "x", "0", "9" * 30, "77"])
def test_a_person_that_is_none_is_refused(alice: Reader, web: Session, typed: str) -> None:
    group = make_group(web)
    web.commit()
    alice.client.get(f"/groups/{group.id}")
    alice.client.post(f"/groups/{group.id}/add", {"user_id": typed}, expect=404 if typed == "77" else 422)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "Enter a name."),
        ("x" * 201, "Use at most 200 characters."),
        ("OPERATIONS", "There is a group with this name."),
    ],
)
def test_a_refused_name_is_kept(alice: Reader, web: Session, name: str, message: str) -> None:
    make_group(web, name="Operations")
    other = make_group(web, name="Other")
    web.commit()
    for address in ("/groups/new", f"/groups/{other.id}/edit"):
        page = alice.client.get(address).form("group").fill(name=name).submit(expect=422)
        assert page.errors()["name"] == message
        assert page.form("group")["name"] == name
    fresh(web)
    assert web.scalars(select(Group.name).order_by(Group.id)).all() == ["Operations", "Other"]


def test_renaming(alice: Reader, web: Session) -> None:
    group = make_group(web, name="Old")
    web.commit()
    form = alice.client.get(f"/groups/{group.id}").follow("Rename").form("group")
    assert form["name"] == "Old"
    assert alice.client.get(form.fill(name="New").submit().location).h1 == "New"


def test_the_list_is_searched_and_paged_by_name(bob: Reader, web: Session) -> None:
    for number in range(30):
        make_group(web, name=f"Team {number:02}")
    web.commit()
    first = bob.client.get("/groups")
    second = first.follow("Next")
    assert names(first) + names(second) == [f"Team {number:02}" for number in range(30)]
    assert names(second.follow("Previous")) == names(first)
    assert names(bob.client.get("/groups?q=TEAM+07")) == ["Team 07"]
    assert "No group matches “<b>”" in bob.client.get("/groups?q=<b>").text


@pytest.mark.parametrize("query", ["q=%00", "before=%00x", "after=%ff", "before=" + "x" * 500])
def test_an_edited_address_is_read_as_far_as_it_makes_sense(bob: Reader, query: str) -> None:
    bob.client.get(f"/groups?{query}", expect=200)


def test_it_names_the_steps_that_ask_the_group(alice: Reader, bob: Reader, web: Session) -> None:
    group, other = make_group(web, name="Platform"), make_group(web)
    jira = make_application(web, name="Jira")
    step = human_step(name="Choose a team", assignee={"group_id": str(group.id)})
    make_workflow(web, jira, human_step("first"), step, name="Provision Jira")
    web.commit()
    page = alice.client.get(f"/groups/{group.id}")
    assert page.table("workflows") == [
        {"Workflow": "Provision Jira", "Application": "Jira", "Step": "Choose a team", "Status": "Enabled"}
    ]
    assert "No step of a live workflow asks this group." in alice.client.get(f"/groups/{other.id}").text
    assert "shown to those with workflow:read" in bob.client.get(f"/groups/{group.id}").text


def test_bob_sees_groups_and_why_he_may_not_change_them(bob: Reader, web: Session, jane: User) -> None:
    group = make_group(web, jane)
    web.commit()
    assert "Needs user:manage. Ask an administrator." in bob.client.get("/groups").text
    page = bob.client.get(f"/groups/{group.id}")
    assert "Jane Doe" in page.text
    assert "Add people" not in page.text
    bob.client.post("/groups", {"name": "Mine"}, expect=403)
    for act in ("edit", "add", "remove"):
        bob.client.post(f"/groups/{group.id}/{act}", {"user_id": jane.id, "name": "Mine"}, expect=403)


def test_charlie_sees_nothing(charlie: Reader, web: Session) -> None:
    group = make_group(web, name="Secret")
    web.commit()
    assert "Secret" not in charlie.client.get("/groups", expect=403).text
    assert "Secret" not in charlie.client.get(f"/groups/{group.id}", expect=403).text


def test_what_acts_is_no_link(alice: Reader, web: Session) -> None:
    group = make_group(web)
    web.commit()
    for act in ("add", "remove"):
        alice.client.get(f"/groups/{group.id}/{act}", expect=405)


@pytest.mark.parametrize("name", ["<img hx-get=/x onerror=1>", "{{7*7}}", "🙂 " * 60])
def test_an_odd_name_is_shown_as_it_is(alice: Reader, web: Session, name: str) -> None:
    group = make_group(web, name=name.strip())
    web.commit()
    assert alice.client.get(f"/groups/{group.id}").h1 == name.strip()
    assert names(alice.client.get("/groups")) == [name.strip()]
