"""A task's page: what it tells, the typed form, and every act with what it said before."""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.models import Attempt, AuditEvent, ManualTask, Run, User
from app.services import tasks
from tests.support.factories import http_step, human_step, make_group, make_user
from tests.support.web.readers import Reader, person, sign_in
from tests.support.web.tasks import Waiting, as_actor, may_only, task_of

EVERY_TYPE = [
    {"name": "team", "label": "Team", "type": "choice", "required": True, "options": ["Red", "Blue"]},
    {"name": "seats", "label": "Seats", "type": "number", "required": True},
    {"name": "vip", "label": "VIP", "type": "boolean", "required": False},
    {"name": "note", "label": "Note", "type": "text", "required": False},
]


def test_the_page_tells_what_is_asked_and_what_each_act_would_do(alice: Reader, waiting: Waiting) -> None:
    number = waiting(human_step(name="Choose a team"), human_step("second", name="Second"))
    page = alice.client.get(f"/tasks/{number}")
    assert page.h1.startswith("Choose a team · Ada Person")
    assert "Run 1 has come to “Choose a team”, step 1 of 2, and waits for a person." in page.text
    assert "Which team for Ada?" in page.text
    assert "Submitting goes on to “Second”." in page.text
    assert "Skipping goes on to “Second”." in page.text
    assert "Failing ends the run as failed. The grant stays." in page.text


def test_typed_values_reach_the_run_in_their_types(alice: Reader, waiting: Waiting, web: Session) -> None:
    number = waiting(human_step(fields=EVERY_TYPE))
    form = alice.client.get(f"/tasks/{number}").form("task-form")
    form.fill({"input.team": "Blue", "input.seats": "3", "input.vip": "false", "input.note": " <b>hi</b> "})
    inbox = form.submit().follow_redirect()
    assert inbox.h1 == "Inbox"
    task = task_of(web, number)
    assert "Submitted. Run 1 continues." in inbox.text
    assert inbox.one('#flashes a[href="/runs/1"]')
    assert task.input == {"team": "Blue", "seats": 3, "vip": False, "note": "<b>hi</b>"}
    assert task.acted_by == "Alice Example"
    assert alice.client.get(f"/tasks/{number}").texts("#outcome dd") == ["Blue", "3", "No", "<b>hi</b>"]


@pytest.mark.parametrize("htmx", [False, True])
def test_refused_values_are_named_and_all_is_kept(
    alice: Reader, waiting: Waiting, web: Session, htmx: bool
) -> None:
    number = waiting(human_step(fields=EVERY_TYPE))
    form = alice.client.get(f"/tasks/{number}").form("task-form")
    form.fill({"input.seats": "many", "input.note": "keep me"})
    page = form.submit(expect=422, htmx=htmx)
    assert page.errors() == {"input.team": "Enter Team.", "input.seats": "Enter a number."}
    assert page.form("task-form")["input.seats"] == "many"
    assert page.form("task-form")["input.note"] == "keep me"
    assert page.one('#errors a[href="#input-seats"]')
    if not htmx:
        assert page.title.startswith("Error: ")
    assert task_of(web, number).status == "pending"


def test_a_field_that_nobody_asked_for_is_refused(alice: Reader, waiting: Waiting, web: Session) -> None:
    number = waiting()
    alice.client.get(f"/tasks/{number}")
    page = alice.client.post(f"/tasks/{number}/submit", {"input.team": "Red", "input.admin": "1"}, expect=422)
    assert "There is no such field." in page.text
    assert task_of(web, number).status == "pending"


@pytest.mark.parametrize(("button", "outcome"), [("Skip step", "skipped"), ("Fail run", "failed")])
def test_skip_and_fail_ask_for_a_reason_first(
    alice: Reader, waiting: Waiting, web: Session, button: str, outcome: str
) -> None:
    number = waiting()
    question = alice.client.get(f"/tasks/{number}").open_dialog_page(f"{button}…")
    assert "ends the run" in question.text
    refused = question.form_with(button).submit(expect=422)
    assert refused.errors() == {"reason": "Say why: the reason is kept with the run."}
    done = refused.form_with(button).fill(reason="Not needed").submit().follow_redirect()
    assert done.h1 == "Inbox"
    assert (task_of(web, number).outcome, task_of(web, number).reason) == (outcome, "Not needed")


def test_a_refused_reason_goes_back_into_the_open_dialog(alice: Reader, waiting: Waiting) -> None:
    number = waiting()
    alice.client.get(f"/tasks/{number}")
    part = alice.client.post(f"/tasks/{number}/skip", {"reason": " "}, htmx=True, expect=422)
    assert part.headers["HX-Retarget"] == part.headers["HX-Reselect"] == "#skip-task form"


@pytest.mark.parametrize("verb", ["skip", "fail"])
def test_a_dialog_left_open_while_somebody_else_acted_tells_who_did(
    alice: Reader, doer: Reader, waiting: Waiting, verb: str
) -> None:
    number = waiting()
    alice.client.get(f"/tasks/{number}")
    doer.client.get(f"/tasks/{number}").form("task-form").fill({"input.team": "Red"}).submit()
    part = alice.client.post(f"/tasks/{number}/{verb}", {"reason": " "}, htmx=True, expect=409)
    assert "Bob Example acted on this task" in part.text


def test_an_escalated_failure_tells_what_failed_and_how_it_was_answered(
    alice: Reader, escalated: int
) -> None:
    page = alice.client.get(f"/tasks/{escalated}")
    assert "“Create” failed" in page.text
    assert page.texts("#what-happened .meta li") == ["HTTP 403 Forbidden", "attempt 1 of 1", "POST /Users"]
    assert page.select("#what-happened .hint")
    assert "Recording this goes on to “Second”." in page.text
    assert "Failing ends the run as failed." in page.text


def test_it_was_done_by_hand_asks_for_what_the_step_would_have_captured(
    alice: Reader, escalated: int, web: Session
) -> None:
    page = alice.client.get(f"/tasks/{escalated}")
    form = page.form("task-form").fill({"input.id": "42"})
    done = form.submit("It was done by hand").follow_redirect()
    assert "Recorded as done by hand. Run 1 continues." in done.text
    run = web.get_one(Run, task_of(web, escalated).run_id)
    assert run.captured == {"create": {"id": "42"}}


def test_the_step_is_tried_again(alice: Reader, escalated: int, web: Session) -> None:
    alice.client.get(f"/tasks/{escalated}").press("Try the step again").follow_redirect()
    assert task_of(web, escalated).outcome == "retried"


def test_an_unknown_outcome_says_send_again_and_what_that_may_do(
    alice: Reader, escalated: int, web: Session
) -> None:
    web.execute(update(ManualTask).values(outcome_unknown=True))
    web.commit()
    page = alice.client.get(f"/tasks/{escalated}")
    assert "If the first one arrived, it may be done twice." in page.text
    assert page.form_with("Send again")


def test_a_create_that_was_answered_says_that_it_was_carried_out(
    alice: Reader, escalated: int, web: Session
) -> None:
    answered = {"failure_class": "mapping", "http_status": 201}
    web.execute(update(Attempt).where(Attempt.status == "failed").values(answered))
    web.commit()
    page = alice.client.get(f"/tasks/{escalated}")
    assert "The first one was carried out: it may be done twice." in page.text
    assert page.form_with("Send again")


def test_the_second_of_two_people_is_told_who_and_when(alice: Reader, doer: Reader, waiting: Waiting) -> None:
    number = waiting()
    mine, theirs = (one.client.get(f"/tasks/{number}").form("task-form") for one in (alice, doer))
    mine.fill({"input.team": "Red"}).submit()
    page = theirs.fill({"input.team": "Blue"}).submit(expect=409)
    assert "Alice Example acted on this task at" in page.text
    assert page.texts("#outcome dd") == ["Red"]
    assert not page.select("#task-form")


def test_the_second_of_two_people_sees_it_in_place(alice: Reader, doer: Reader, waiting: Waiting) -> None:
    number = waiting()
    form = doer.client.get(f"/tasks/{number}").form("task-form").fill({"input.team": "Blue"})
    alice.client.get(f"/tasks/{number}").form("task-form").fill({"input.team": "Red"}).submit()
    part = form.submit(expect=409, htmx=True)
    assert part.headers["HX-Retarget"] == "#task"
    assert "Alice Example acted on this task at" in part.text
    assert part.one("#nav-tasks-count")


def test_who_may_not_act_sees_who_may_and_no_form(
    alice: Reader, only_sqlite: Flask, web: Session, waiting: Waiting
) -> None:
    may_only(web, "workflow:read", "workflow:task")
    bob = sign_in(only_sqlite, person(only_sqlite, web, "bob", "member"))
    group = make_group(web, web.get_one(User, alice.id), name="IT team")
    number = waiting(human_step(assignee={"group_id": str(group.id)}))
    page = bob.client.get(f"/tasks/{number}")
    assert "This task is for IT team; you are not in it." in page.text
    assert "Who can: Alice Example." in page.text
    assert not page.select("#task-form, #other-ways, dialog[id$='-task'], #assign")
    refused = bob.client.post(f"/tasks/{number}/submit", {"input.team": "Red"}, expect=403)
    assert "This task is for IT team; you are not in it." in refused.text


def test_whoever_granted_is_told_that_somebody_else_completes_it(
    alice: Reader, doer: Reader, web: Session, waiting: Waiting
) -> None:
    number = waiting(human_step(granter_may_act=False), granter=as_actor(web, alice))
    page = alice.client.get(f"/tasks/{number}")
    assert "You granted this access, so somebody else completes this task." in page.text
    assert not page.select("#task-form")
    alice.client.post(f"/tasks/{number}/submit", {"input.team": "Red"}, expect=403)
    doer.client.get(f"/tasks/{number}").form("task-form").fill({"input.team": "Red"}).submit()


def test_being_on_it_shows_to_others_and_bars_nobody(alice: Reader, doer: Reader, waiting: Waiting) -> None:
    number = waiting()
    doer.client.get(f"/tasks/{number}").press("I am on it")
    page = alice.client.get(f"/tasks/{number}")
    assert "Bob Example is on it since" in page.text
    assert page.select("#task-form")
    assert "Bob Example is on it" in alice.client.get("/tasks").table("tasks")[0]["Task"]
    page = page.press("Take over from Bob Example").follow_redirect()
    assert "You are on it since" in page.text
    assert "Alice Example is on it" in doer.client.post(f"/tasks/{number}/release", expect=409).text
    assert "Nobody is on it yet." in page.press("Leave it to others").follow_redirect().text


def test_two_who_take_it_on_at_once_are_told_apart(alice: Reader, doer: Reader, waiting: Waiting) -> None:
    number = waiting()
    first, second = (one.client.get(f"/tasks/{number}") for one in (alice, doer))
    first.press("I am on it")
    page = second.press("I am on it", expect=409)
    assert "Alice Example is on this task since" in page.text
    assert page.form_with("Take over from Alice Example")


def test_taking_it_on_in_place_leaves_the_form_alone(alice: Reader, waiting: Waiting) -> None:
    number = waiting()
    part = alice.client.get(f"/tasks/{number}").press("I am on it", htmx=True, expect=200)
    assert part.headers["HX-Retarget"] == part.headers["HX-Reselect"] == "#task-head"


def test_a_task_is_given_to_somebody_else(
    alice: Reader, doer: Reader, web: Session, waiting: Waiting
) -> None:
    number = waiting()
    form = alice.client.get(f"/tasks/{number}").form("assign-form")
    page = form.fill(assignee=f"user:{doer.id}").submit().follow_redirect()
    assert "The task is now for Bob Example." in page.text
    assert "This task is for Bob Example." in page.text
    assert task_of(web, number).assignee_user_id == doer.id
    event = web.scalars(select(AuditEvent).where(AuditEvent.action == "task.assign")).one()
    assert event.changes == {"assignee": ["Anyone with the permission", "Bob Example"]}


@pytest.mark.parametrize("choice", ["", "user:0", "user:99", "group:x", "nobody", "user:²"])
def test_a_choice_that_is_not_in_the_list_is_refused(alice: Reader, waiting: Waiting, choice: str) -> None:
    number = waiting()
    form = alice.client.get(f"/tasks/{number}").form("assign-form").fill(assignee=choice)
    assert form.submit(expect=422).errors() == {"assignee": "Choose who is to do it from the list."}


def test_a_person_without_the_right_is_refused_by_name(alice: Reader, web: Session, waiting: Waiting) -> None:
    viewer = make_user(web, "viewer", first_name="Vi", last_name="")
    web.commit()
    number = waiting()
    alice.client.get(f"/tasks/{number}")
    page = alice.client.post(f"/tasks/{number}/assign", {"assignee": f"user:{viewer.id}"}, expect=422)
    assert page.errors() == {"assignee": "Vi may not complete tasks: their role lacks workflow:task."}


def test_a_nasty_prompt_stays_text(alice: Reader, waiting: Waiting) -> None:
    number = waiting(human_step(prompt="<img hx-get=/x onerror=1>\nsecond line", fields=[]))
    page = alice.client.get(f"/tasks/{number}")
    assert "<img hx-get=/x onerror=1>" in page.text
    assert not page.select("main img")
    assert "There is nothing to fill in." in page.text


def test_a_stale_run_closes_its_task(alice: Reader, web: Session, waiting: Waiting) -> None:
    from app.models import Grant
    from app.services import grants
    from tests.support.factories import NOW

    number = waiting()
    run = web.get_one(Run, task_of(web, number).run_id)
    form = alice.client.get(f"/tasks/{number}").form("task-form").fill({"input.team": "Red"})
    grants.revoke(web, as_actor(web, alice), web.get_one(Grant, run.grant_id), now=NOW)
    web.commit()
    page = form.submit(expect=409)
    assert "This task is no longer needed" in page.text


def test_a_webhook_that_failed_asks_for_nothing(alice: Reader, web: Session, waiting: Waiting) -> None:
    number = waiting(human_step(fields=[]), http_step("tell"))
    assert tasks.read_values(task_of(web, number).fields, {}) == {}
    assert alice.client.get(f"/tasks/{number}").form("task-form").submit().location == "/tasks"
