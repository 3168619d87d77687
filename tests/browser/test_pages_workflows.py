"""Connections, workflows and the step editor as a reader meets them, and as a newcomer builds with the keyboard."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from flask import Flask
from playwright.sync_api import Locator, Page, expect
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.connectors.auth.methods import FIELDS, METHODS
from app.connectors.egress import EgressPolicy
from app.connectors.http import HttpClient
from app.extensions import db
from app.models import Application, Workflow, WorkflowVersion
from tests.support.browser.console import Open, open_as, write
from tests.support.browser.watched_page import assert_accessible, assert_good_everywhere
from tests.support.browser.workflow_pages import PAGES, fill  # noqa: F401  what `console` is filled by
from tests.support.factories import add_version, human_step
from tests.support.target import Answer, Target, running_target


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    with running_target() as running:
        running.answer = lambda _call: Answer(200, {})
        yield running


@pytest.fixture(scope="module")
def console(console: Flask) -> Iterator[Flask]:
    """The console, which may call the target."""
    console.extensions["egress"] = client = HttpClient(EgressPolicy("127.0.0.1"))
    yield console
    client.close()


def test_every_page_is_accessible_and_fits(open_page: Open, base: str) -> None:
    assert_good_everywhere(open_as(open_page, base, "alice"), *PAGES)


@pytest.mark.parametrize("script", [True, False])
def test_the_form_of_a_connection_shows_the_fields_of_the_chosen_way_alone(
    open_page: Open, base: str, script: bool
) -> None:
    page = open_as(open_page, base, "alice", "/applications/1/connections/new", script=script).page
    for method in METHODS.values():
        page.select_option("#auth", method.name)
        seen = [name for name in FIELDS if page.locator(f"#{name}").is_visible()]
        assert seen == [one.name for one in method.fields]


def test_a_refused_editor_is_accessible(open_page: Open, base: str) -> None:
    watched = open_as(open_page, base, "alice", "/workflows/1/edit?step=create")
    page = watched.page
    page.get_by_role("textbox", name="Path", exact=True).fill("users/{{ x")
    page.get_by_role("button", name="Save as version 2").click()
    expect(page.locator("#errors")).to_be_focused()
    assert_good_everywhere(watched)


def reach(page: Page, wanted: Locator, *, most: int = 150) -> None:
    """Press Tab until the element has the focus: what no Tab reaches, no keyboard can use."""
    wanted.wait_for()
    for _ in range(most):
        if wanted.evaluate("element => element === document.activeElement"):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{wanted} is not reached by Tab")


def press(page: Page, name: str, role: str = "button") -> None:
    wanted = page.get_by_role(role, name=name, exact=True)  # type: ignore[arg-type]
    reach(page, wanted)
    page.keyboard.press("Enter")


def enter(page: Page, label: str, text: str) -> None:
    reach(page, page.get_by_role("textbox", name=label, exact=True))
    page.keyboard.press("Control+A")
    page.keyboard.type(text)


def test_a_newcomer_builds_a_workflow_with_the_keyboard(
    open_page: Open, base: str, console: Flask, target: Target
) -> None:
    page = open_as(open_page, base, "alice", "/applications/4/connections").page
    press(page, "Add connection", "link")
    page.wait_for_url("**/connections/new")
    enter(page, "Name", "Target")
    enter(page, "Base URL", target.url)
    press(page, "Add connection")
    page.wait_for_url(re.compile(r"/connections/\d+$"))
    press(page, "Test connection")
    expect(page.locator("#test")).to_contain_text("Reachable. HTTP 200 at / in")

    page.goto(base + "/applications/4/workflows")
    press(page, "New workflow", "link")
    page.wait_for_url("**/workflows/new")
    enter(page, "Name", "Provision")
    press(page, "Add workflow")
    page.wait_for_url("**/edit")
    press(page, "API / HTTP")
    expect(page.get_by_role("textbox", name="Name", exact=True)).to_be_focused()
    page.keyboard.type("Create the account")
    enter(page, "Path", "/users")
    enter(page, "Name, body 1", "email")
    enter(page, "Value, body 1", "{{ grantee.email }}")
    press(page, "Human task")
    expect(page.get_by_role("heading", name="2. New step")).to_be_visible()
    expect(page.get_by_role("textbox", name="Name", exact=True)).to_be_focused()
    page.keyboard.type("Welcome")
    enter(page, "What the person is to do", "Say hello.")
    press(page, "Save as version 1")
    expect(page.get_by_text("Version 1 is saved.")).to_be_visible()
    with console.app_context():
        wanted = select(WorkflowVersion).order_by(WorkflowVersion.id.desc())
        version = db.session.scalars(wanted).first()
        assert version is not None
        assert [step["key"] for step in version.steps] == ["create_the_account", "welcome"]
        assert version.steps[0]["body"] == {"email": "{{ grantee.email }}"}
        assert db.session.scalar(select(Application.name).where(Application.id == 4)) == "Newcomer"
    page.goto(base + "/applications/4/workflows")
    press(page, "Enabled for Provision")
    expect(page.get_by_text("It runs from the next grant on.")).to_be_visible()


def test_moving_a_step_keeps_the_focus_on_its_button(open_page: Open, base: str) -> None:
    page = open_as(open_page, base, "alice", "/workflows/1/edit").page
    button = page.get_by_role("button", name="Move down: Create")
    button.focus()
    for place in ("2", "3"):
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name=f"{place}. Create")).to_be_visible()
        expect(button).to_be_focused()
    page.evaluate("document.querySelector('#editor').dataset.unsaved = 'sent'")


def test_a_removed_step_comes_back(open_page: Open, base: str) -> None:
    page = open_as(open_page, base, "alice", "/workflows/1/edit").page
    page.get_by_role("button", name="Remove: Tell").click()
    undo = page.get_by_role("button", name="Undo", exact=True)
    expect(undo).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="3. Tell")).to_be_visible()
    page.evaluate("document.querySelector('#editor').dataset.unsaved = 'sent'")


def test_the_schedule_follows_what_is_typed(open_page: Open, base: str) -> None:
    page = open_as(open_page, base, "alice", "/workflows/1/edit?step=create").page
    expect(page.locator("#step-create-schedule")).to_contain_text("Tries at 0 s, 2 s and 6 s")
    page.get_by_label("Attempts in all").fill("4")
    page.keyboard.press("Tab")
    expect(page.locator("#step-create-schedule")).to_contain_text("0 s, 2 s, 6 s and 14 s")
    page.evaluate("document.querySelector('#editor').dataset.unsaved = 'sent'")


def test_leaving_unsaved_work_asks_first_and_saving_does_not(open_page: Open, base: str) -> None:
    page = open_as(open_page, base, "alice", "/workflows/1/edit?step=ask").page
    asked: list[str] = []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
    page.get_by_role("textbox", name="Name", exact=True).press_sequentially(" now")
    page.get_by_role("link", name="Leave").click()
    page.wait_for_url("**/applications/1/workflows")
    assert asked == ["beforeunload"]
    page.goto(base + "/workflows/1/edit?step=ask")
    page.get_by_role("textbox", name="Name", exact=True).press_sequentially(" then")
    page.get_by_role("button", name="Save as version 2").click()
    expect(page.get_by_text("Version 2 is saved.")).to_be_visible()
    assert asked == ["beforeunload"]


def test_everything_works_without_script(open_page: Open, base: str) -> None:
    page = open_as(open_page, base, "alice", "/workflows/2/edit", script=False).page
    page.get_by_role("button", name="Human task").click()
    page.get_by_role("textbox", name="Name", exact=True).fill("Ask")
    page.get_by_role("textbox", name="What the person is to do", exact=True).fill("Do it.")
    page.get_by_label("Label, fields to fill in 1").fill("Team")
    page.get_by_role("button", name="Duplicate: ").first.click()
    expect(page.get_by_role("heading", name="2. Ask (copy)")).to_be_visible()
    page.get_by_role("button", name="Save as version 1").click()
    expect(page.get_by_text("Version 1 is saved.")).to_be_visible()


def test_enter_in_a_field_takes_over_what_was_typed_and_moves_nothing(open_page: Open, base: str) -> None:
    page = open_as(open_page, base, "alice", "/workflows/1/edit?step=undo").page
    page.get_by_role("textbox", name="Name", exact=True).fill("Undo it")
    with page.expect_response("**/workflows/1/edit"):
        page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="4. Undo it")).to_be_visible()
    page.evaluate("document.querySelector('#editor').dataset.unsaved = 'sent'")


def test_a_workflow_of_fifty_steps_is_edited(open_page: Open, base: str) -> None:
    page = open_as(open_page, base, "alice", "/workflows/3/edit").page
    page.get_by_role("button", name="Edit Step25").click()
    page.get_by_role("textbox", name="Path", exact=True).fill("/changed")
    page.get_by_role("button", name="Save as version 2").click()
    expect(page.get_by_text("Version 2 is saved.")).to_be_visible()
    expect(page.locator("#step-step25")).to_contain_text("/changed")


@pytest.mark.parametrize("width", [1280, 360])
def test_the_draft_is_tried_in_place_and_a_save_that_came_second_is_told(
    open_page: Open, base: str, console: Flask, width: int
) -> None:
    watched = open_as(
        open_page, base, "alice", "/workflows/4/edit?step=create", width=width, allow=("status of 409",)
    )
    page = watched.page
    page.get_by_role("textbox", name="Path", exact=True).fill("/Others")
    page.get_by_role("button", name="Dry-run the draft").click()
    expect(page.locator("#dry-create")).to_contain_text("POST https://target.example/Others")
    expect(page.get_by_role("heading", name="Try the draft")).to_be_focused()
    page.get_by_role("checkbox", name="ask").check()
    page.get_by_label("For the grant").select_option("sample")
    page.get_by_role("button", name="Dry-run the draft").click()
    expect(page.locator("#dry-ask")).to_contain_text("Fails")
    assert_accessible_whole(page, width)
    page.get_by_role("button", name="Backtest the draft").click()
    expect(page.locator("#trial")).to_contain_text("3 grants tried")
    expect(page.get_by_role("textbox", name="Path", exact=True)).to_have_value("/Others")
    assert_accessible_whole(page, width)
    assert watched.overflow() <= 0

    def save_first(session: Session) -> None:
        workflow = session.get_one(Workflow, 4)
        version = session.get_one(WorkflowVersion, workflow.version_id)
        add_version(session, workflow, *version.steps, human_step(f"late{width}"))

    write(console, save_first)
    page.get_by_role("button", name=re.compile("^Save as version")).click()
    expect(page.locator("#errors")).to_be_focused()
    expect(page.locator("#theirs")).to_contain_text(f"“late{width}” was added.")
    expect(page.locator("#mine")).to_contain_text("/Others")
    expect(page.get_by_role("textbox", name="Path", exact=True)).to_have_value("/Others")
    assert_accessible_whole(page, width)
    assert watched.overflow() <= 0
    page.evaluate("document.querySelector('#editor').dataset.unsaved = 'sent'")


def assert_accessible_whole(page: Page, width: int) -> None:
    """In a window as tall as the page the bar with Save has its own place and covers nothing."""
    page.set_viewport_size({"width": width, "height": 8000})
    assert_accessible(page)
