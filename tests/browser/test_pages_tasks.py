"""The inbox, tasks and the audit trail as approvers and auditors meet them, and by keyboard alone."""

from __future__ import annotations

from datetime import timedelta

from flask import Flask
from playwright.sync_api import Page, expect
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.clock import now
from app.extensions import db
from app.models import ManualTask, User
from app.permissions import ALL_PERMISSIONS, Actor
from app.services import grants, tasks
from app.services.advance import claim
from tests.support.browser.console import Open, add_person, open_as, write
from tests.support.browser.watched_page import assert_accessible, assert_good_everywhere
from tests.support.factories import human_step, make_application, make_group, make_user, make_workflow
from tests.support.services.tasks import HOLDER, escalated_task

LONG = "Maximiliana Konstantinopolitanskaya-Featherstonehaugh"
NASTY = "<img hx-get=/x onerror=1> {{7*7}} \u202eevil"
ALICE = Actor("user", "Alice Example", ALL_PERMISSIONS, source="192.0.2.1")
FIELDS = [
    {"name": "team", "label": "Team", "type": "choice", "required": True, "options": ["Red", "Blue"]},
    {"name": "seats", "label": "Seats", "type": "number", "required": True},
    {"name": "vip", "label": "Very important person", "type": "boolean", "required": False},
    {"name": "note", "label": "Note", "type": "text", "required": False},
]
PAGES = (
    "/tasks",
    "/tasks?show=mine",
    "/tasks?show=overdue",
    "/tasks?show=done",
    "/tasks?show=overdue&origin=escalated_failure",
    "/tasks?application=999",
    "/tasks/1",
    "/tasks/2",
    "/tasks/3",
    "/tasks/4",
    "/tasks/5",
    "/tasks/1/skip",
    "/tasks/1/fail",
    "/audit",
    "/audit?who=nobody",
    "/audit?from=x",
)


def fill(session: Session) -> None:
    for name, role in (("alice", "admin"), ("bob", "admin"), ("charlie", "viewer")):
        add_person(session, name, role)
    alice, bob = session.scalars(select(User).order_by(User.id).limit(2)).all()
    actor = Actor("user", alice.name, ALL_PERMISSIONS, user_id=alice.id, source="192.0.2.1")
    group = make_group(session, bob, name="Identity team")
    escalated_task(session, ALICE)
    jira = make_application(session, name="Jira Cloud")
    _waiting(session, jira, human_step(name="Choose a team", fields=FIELDS, due_hours=24), first_name="Jane")
    _waiting(
        session,
        make_application(session, name=NASTY),
        human_step(
            name="Approve " + NASTY, prompt=f"{NASTY}\nsecond line", assignee={"group_id": str(group.id)}
        ),
        first_name=LONG,
    )
    barred = _waiting(
        session,
        make_application(session),
        human_step(name="Second pair of eyes", granter_may_act=False),
        actor=actor,
    )
    done = _waiting(session, make_application(session), human_step(name="Done already"), first_name="Sam")
    session.execute(
        update(ManualTask).where(ManualTask.id == barred.id).values(due_at=now() - timedelta(hours=3))
    )
    tasks.submit(session, actor, done, {"team": "Red"})
    session.execute(update(ManualTask).where(ManualTask.id == 1).values(outcome_unknown=True))
    second = session.get_one(ManualTask, 2)
    tasks.claim(
        session, Actor("user", bob.name, ALL_PERMISSIONS, user_id=bob.id), second, seen=None, now=now()
    )


def _waiting(session: Session, application, step, *, actor: Actor = ALICE, **user_values) -> ManualTask:  # type: ignore[no-untyped-def]
    """A run of this step that waits, and its task."""
    make_workflow(session, application, step, human_step("after", name="After that"))
    user = make_user(session, **user_values)
    grant = grants.grant(session, actor, application=application, user=user, now=now(), access_level="Member")
    session.flush()
    claim(session.connection(), HOLDER, now=now(), ids=[grant.newest_run_id or 0], limit=1)
    return session.scalars(select(ManualTask).where(ManualTask.run_id == grant.newest_run_id)).one()


def test_every_page_is_accessible_and_fits(open_page: Open, base: str) -> None:
    assert_good_everywhere(open_as(open_page, base, "alice"), *PAGES)


def test_a_refused_form_and_an_open_dialog_are_accessible(open_page: Open, base: str) -> None:
    page = open_as(open_page, base, "alice", "/tasks/2", motion="reduce").page
    page.get_by_role("button", name="Submit", exact=True).click()
    expect(page.locator("#errors")).to_be_focused()
    assert_accessible(page)
    page.get_by_role("button", name="Fail run…").click()
    expect(page.get_by_role("dialog")).to_contain_text("The grant stays as it is.")
    assert_accessible(page)
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Fail run…")).to_be_focused()


def test_a_task_is_found_and_finished_by_keyboard(open_page: Open, base: str, console: Flask) -> None:
    number = _new_task(console)
    page = open_as(open_page, base, "alice").page
    page.keyboard.press("g")
    page.keyboard.press("i")
    page.wait_for_url(base + "/tasks")
    _tab_to(page, f'a[href="/tasks/{number}"]')
    page.keyboard.press("Enter")
    page.wait_for_url(f"{base}/tasks/{number}")
    _tab_to(page, "#input-team")
    page.keyboard.type("B")
    page.keyboard.press("Tab")
    page.keyboard.type("many")
    page.keyboard.press("Enter")
    expect(page.locator("#errors")).to_be_focused()
    expect(page.locator("#input-team")).to_have_value("Blue")
    expect(page.locator("#input-seats")).to_have_value("many")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#input-seats")).to_be_focused()
    page.keyboard.press("Control+a")
    page.keyboard.type("3")
    page.keyboard.press("Enter")
    page.wait_for_url(base + "/tasks")
    expect(page.locator("#flashes")).to_contain_text("Submitted. Run")
    assert _task(console, number).input == {"team": "Blue", "seats": 3}


def test_skip_is_refused_without_a_reason_in_the_dialog_and_goes_on_with_one(
    open_page: Open, base: str, console: Flask
) -> None:
    number = _new_task(console)
    page = open_as(open_page, base, "alice", f"/tasks/{number}").page
    page.get_by_role("button", name="Skip step…").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Skipping goes on to “After that”.")
    dialog.get_by_role("button", name="Skip step").click()
    expect(dialog.locator("#skip-errors")).to_contain_text("Say why")
    dialog.get_by_label("Reason").fill("Not needed")
    dialog.get_by_role("button", name="Skip step").click()
    page.wait_for_url(base + "/tasks")
    assert _task(console, number).outcome == "skipped"


def test_being_on_it_leaves_what_was_typed(open_page: Open, base: str, console: Flask) -> None:
    number = _new_task(console)
    page = open_as(open_page, base, "alice", f"/tasks/{number}").page
    page.get_by_label("Seats").fill("7")
    page.get_by_role("button", name="I am on it").click()
    expect(page.locator("#task-head")).to_contain_text("You are on it since")
    expect(page.get_by_label("Seats")).to_have_value("7")


def test_two_people_on_one_task_at_once(open_page: Open, base: str, console: Flask) -> None:
    number = _new_task(console)
    pages = [open_as(open_page, base, name, f"/tasks/{number}").page for name in ("alice", "bob")]
    for page, team in zip(pages, ("Red", "Blue"), strict=True):
        page.get_by_label("Team").select_option(team)
        page.get_by_label("Seats").fill("1")
    first, second = pages
    first.get_by_role("button", name="Submit", exact=True).click()
    first.wait_for_url(base + "/tasks")
    second.get_by_role("button", name="Submit", exact=True).click()
    expect(second.locator("#outcome")).to_contain_text("Submitted by Alice Example")
    expect(second.locator("#toasts")).to_contain_text("Alice Example acted on this task at")
    expect(second.locator("#task-form")).to_have_count(0)
    assert _task(console, number).input == {"team": "Red", "seats": 1}


def test_a_task_is_finished_without_script(open_page: Open, base: str, console: Flask) -> None:
    number = _new_task(console)
    watched = open_as(open_page, base, "alice", f"/tasks/{number}", script=False)
    page = watched.page
    page.get_by_label("Team").select_option("Red")
    page.get_by_role("button", name="Submit", exact=True).click()
    expect(page.locator("#errors")).to_contain_text("Enter Seats.")
    expect(page.get_by_label("Team")).to_have_value("Red")
    watched.goto(f"/tasks/{number}/fail")
    page.get_by_label("Reason").fill("Wrong person")
    page.get_by_role("button", name="Fail run").click()
    page.wait_for_url(base + "/tasks")
    assert _task(console, number).outcome == "failed"


def _new_task(console: Flask) -> int:
    found: list[int] = []

    def add(session: Session) -> None:
        step = human_step(name="Choose", fields=FIELDS)
        found.append(_waiting(session, make_application(session), step).id)

    write(console, add)
    return found[0]


def _task(console: Flask, number: int) -> ManualTask:
    with console.app_context():
        task = db.session.get_one(ManualTask, number)
        db.session.expunge(task)
        return task


def _tab_to(page: Page, selector: str) -> None:
    """Press Tab until the element has the focus; it must be within reach."""
    for _ in range(80):
        if page.evaluate("s => document.activeElement?.matches(s) ?? false", selector):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{selector} cannot be reached with the Tab key")
