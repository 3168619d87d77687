"""The inbox: whose tasks come first, its filters in the address, its pages, and the count in the navigation."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import update
from sqlalchemy.orm import Session

from app.clock import now
from app.extensions import db
from app.models import ManualTask, User
from app.permissions import Actor
from app.queries import task_rules
from app.queries.tasks import InboxFilters, inbox, waiting_for
from app.services.accounts import actor_for_user
from app.web.tasks import views
from tests.support.factories import human_step, make_group, make_user
from tests.support.web.readers import Reader, person, sign_in
from tests.support.web.tasks import Waiting, as_actor, may_only, task_of


def listed(page) -> list[str]:  # type: ignore[no-untyped-def]
    return [row["Task"] for row in page.table("tasks")]


def test_an_empty_inbox_says_when_tasks_appear(alice: Reader) -> None:
    page = alice.client.get("/tasks")
    assert "Nothing needs a person" in page.text
    assert "Tasks appear when a run reaches a Human task step" in page.text


def test_own_tasks_come_first_then_those_of_others(alice: Reader, web: Session, waiting: Waiting) -> None:
    other = make_user(web, "admin", first_name="Cy", last_name="")
    web.commit()
    waiting(human_step(name="Of Cy", assignee={"user_id": str(other.id)}))
    waiting(human_step(name="Of Alice", assignee={"user_id": str(alice.id)}))
    waiting(human_step(name="Of anyone"))
    page = alice.client.get("/tasks")
    assert [one.split(",")[0] for one in listed(page)] == ["Of Alice", "Of anyone", "Of Cy"]
    assert [row["Why you see it"] for row in page.table("tasks")] == [
        "Assigned to you",
        "Open to anyone who may do tasks",
        "For Cy",
    ]
    assert len(listed(page.follow("For me"))) == 2


def test_filters_are_in_the_address(alice: Reader, web: Session, waiting: Waiting, escalated: int) -> None:
    number = waiting(human_step(name="Late"))
    web.execute(update(ManualTask).where(ManualTask.id == number).values(due_at=now() - timedelta(hours=1)))
    web.commit()
    late = alice.client.get("/tasks").follow("Overdue")
    assert late.url == "/tasks?show=overdue"
    [row] = late.table("tasks")
    assert row["Task"].startswith("Late")
    assert row["Due"].startswith("Overdue")
    failures = alice.client.get("/tasks").form("filters").fill(origin="escalated_failure").submit()
    assert [row["Origin"] for row in failures.table("tasks")] == ["Escalated failure"]
    application = str(task_of(web, escalated).application_id)
    of_one = alice.client.get("/tasks").form("filters").fill(application=application).submit()
    assert len(listed(of_one)) == 1
    assert "No task here" in failures.follow("Overdue").text


@pytest.mark.parametrize(
    "query", ["show=mime", "application=x", "application=99", "origin=outer", "application=²"]
)
def test_filters_that_cannot_be_used_are_named(alice: Reader, query: str) -> None:
    page = alice.client.get(f"/tasks?{query}", expect=422)
    assert "These filters cannot be used" in page.text
    assert page.follow("Clear filters").h1 == "Inbox"


@pytest.mark.parametrize("cursor", ["x", "m", "m-1", "²", "m99999999999999999999", "o1'"])
def test_an_edited_cursor_is_a_first_page(alice: Reader, waiting: Waiting, cursor: str) -> None:
    waiting()
    assert len(listed(alice.client.get("/tasks", query={"before": cursor}))) == 1


def test_pages_neither_skip_nor_repeat(
    alice: Reader, web: Session, waiting: Waiting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "PAGE", 2)
    other = make_user(web, "admin")
    web.commit()
    for number in range(3):
        waiting(human_step(name=f"Mine {number}"))
        waiting(human_step(name=f"Other {number}", assignee={"user_id": str(other.id)}))
    page = alice.client.get("/tasks")
    seen = [listed(page)]
    for _ in range(2):
        page = page.follow("Next")
        seen.append(listed(page))
    names = [one.split(",")[0] for part in seen for one in part]
    assert names == ["Mine 0", "Mine 1", "Mine 2", "Other 0", "Other 1", "Other 2"]
    assert not page.select('a[rel="next"]')
    for part in reversed(seen[:-1]):
        page = page.follow("Previous")
        assert listed(page) == part


def test_done_tasks_come_newest_first_with_who_did_what(alice: Reader, waiting: Waiting) -> None:
    for name in ("First", "Second"):
        number = waiting(human_step(name=name))
        alice.client.get(f"/tasks/{number}").form("task-form").fill({"input.team": "Red"}).submit()
    page = alice.client.get("/tasks").follow("Done")
    assert [one.split(",")[0] for one in listed(page)] == ["Second", "First"]
    assert page.table("tasks")[0]["Outcome"] == "Submitted"
    assert "by Alice Example" in page.table("tasks")[0]["Acted on"]


def test_who_only_does_tasks_sees_their_own_and_no_others(
    doer: Reader, web: Session, waiting: Waiting
) -> None:
    other = make_user(web, "admin")
    web.commit()
    hidden = waiting(human_step(name="Hidden", assignee={"user_id": str(other.id)}))
    open_to_all = waiting(human_step(name="Open"))
    assert [one.split(",")[0] for one in listed(doer.client.get("/tasks"))] == ["Open"]
    doer.client.get(f"/tasks/{open_to_all}")
    for path in ("", "/skip", "/fail"):
        doer.client.get(f"/tasks/{hidden}{path}", expect=404)


def test_nobody_reaches_a_task_that_is_not_theirs(
    doer: Reader, web: Session, only_sqlite: Flask, waiting: Waiting, charlie: Reader
) -> None:
    """Every route of a task, for somebody who is not asked, somebody without rights, and a task there is none of."""
    other = make_user(web, "admin")
    web.commit()
    foreign = waiting(human_step(assignee={"user_id": str(other.id)}))
    rules = [
        one for one in only_sqlite.url_map.iter_rules() if one.endpoint.startswith("tasks.") and one.arguments
    ]
    assert len(rules) >= 10
    for rule in rules:
        for number, reader, status in ((foreign, doer, 404), (99, doer, 404), (foreign, charlie, 403)):
            url = rule.rule.replace("<int:task_id>", str(number))
            if "GET" in (rule.methods or ()):
                reader.client.get(url, expect=status)
            else:
                data = {"input.team": "Red", "reason": "x", "assignee": "anyone", "seen": ""}
                reader.client.get("/account")
                reader.client.post(url, data, expect=status)
    task = task_of(web, foreign)
    assert (task.status, task.claimed_by_id, task.assignee_user_id) == ("pending", None, other.id)


def test_readers_of_workflows_find_the_inbox_and_have_no_count(
    only_sqlite: Flask, web: Session, waiting: Waiting
) -> None:
    may_only(web, "workflow:read")
    reader = sign_in(only_sqlite, person(only_sqlite, web, "rae", "member"))
    waiting(human_step(name="Look"))
    page = reader.client.get("/tasks")
    assert [row["Why you see it"] for row in page.table("tasks")] == ["For anyone who may do tasks"]
    assert page.select('nav a[href="/tasks"]')
    assert not page.select("#nav-tasks-count")


def test_the_inbox_is_closed_to_those_without_rights(charlie: Reader) -> None:
    assert "workflow:task" in charlie.client.get("/tasks", expect=403).text


def test_the_navigation_counts_what_one_may_act_on(
    alice: Reader, doer: Reader, web: Session, waiting: Waiting
) -> None:
    other = make_user(web, "admin")
    web.commit()
    waiting(human_step(assignee={"user_id": str(other.id)}))
    assert alice.client.get("/").texts("#nav-tasks-count") == [""]
    number = waiting()
    assert alice.client.get("/").texts("#nav-tasks-count") == ["1"]
    page = doer.client.get(f"/tasks/{number}").form("task-form").fill({"input.team": "Red"}).submit()
    assert page.follow_redirect().texts("#nav-tasks-count") == [""]


def test_the_count_stops_at_twenty_and_is_one_statement(
    alice: Reader, web: Session, waiting: Waiting, statements, only_sqlite: Flask
) -> None:
    for _ in range(22):
        waiting()
    assert alice.client.get("/").texts("#nav-tasks-count") == ["20+"]
    with only_sqlite.app_context():
        actor = actor_for_user(db.session.get_one(User, alice.id), "test")
        assert statements(lambda: waiting_for(db.session(), actor)) == 1


def test_a_long_inbox_takes_no_more_statements_than_a_short_one(
    alice: Reader, web: Session, waiting: Waiting, statements
) -> None:
    waiting()
    few = statements(lambda: alice.client.get("/tasks"))
    for _ in range(6):
        waiting()
    assert statements(lambda: alice.client.get("/tasks")) <= few


def test_the_list_and_the_rule_agree_on_who_may_act(
    only_sqlite: Flask, web: Session, waiting: Waiting
) -> None:
    """Every kind of assignee and bar, for every kind of reader: the conditions say what `may_act` says."""
    may_only(web, "workflow:read", "workflow:task")
    readers = {
        name: sign_in(only_sqlite, person(only_sqlite, web, name, "member")) for name in ("ann", "ben", "cat")
    }
    group = make_group(web, web.get_one(User, readers["ann"].id), web.get_one(User, readers["ben"].id))
    web.commit()
    granter = as_actor(web, readers["ann"])
    for barred in (False, True):
        for assignee in (
            {"anyone": True},
            {"group_id": str(group.id)},
            {"user_id": str(readers["ann"].id)},
            {"user_id": str(readers["cat"].id)},
        ):
            waiting(human_step(assignee=assignee, granter_may_act=not barred), granter=granter)
    actors = [
        Actor("user", name, frozenset(p), user_id=one.id)
        for name, one in readers.items()
        for p in ({"workflow:read", "workflow:task"}, {"workflow:task"}, {"workflow:read"})
    ]
    with only_sqlite.app_context():
        for actor in actors:
            rows = inbox(db.session(), actor, InboxFilters(), now=now(), limit=50)
            allowed = {
                one.task.id for one in rows if task_rules.may_act(db.session(), actor, one.task).allowed
            }
            assert {one.task.id for one in rows if one.mine} == allowed
            everything = db.session.query(ManualTask).all()
            assert {one.task.id for one in rows} == {
                one.id for one in everything if task_rules.may_see(db.session(), actor, one)
            }
            assert waiting_for(db.session(), actor) == len(allowed)
