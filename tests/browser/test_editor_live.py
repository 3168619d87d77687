"""The step editor while somebody writes: tokens picked, the request shown, both workflows of an application built."""

from __future__ import annotations

import re

import pytest
from flask import Flask
from playwright.sync_api import Page, expect
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.extensions import db
from app.models import Workflow, WorkflowVersion
from app.services import grants
from tests.support.browser.console import Open, add_person, open_as
from tests.support.browser.watched_page import THEMES, assert_accessible
from tests.support.factories import (
    NOW,
    http_step,
    make_application,
    make_connection,
    make_user,
    make_workflow,
)
from tests.support.queries.stories import ALICE

SECONDS_PER_ACTION = 0.8  # UX.md, check 75


def fill(session: Session) -> None:
    add_person(session, "alice", "admin")
    crm = make_application(session, name="CRM")
    api = make_connection(
        session, crm, name="CRM API", config={"base_url": "https://crm.example", "auth": "none"}
    )
    make_workflow(session, crm, http_step("create", api.id, capture={"id": "$.id"}), name="Provision CRM")
    jane = make_user(session, first_name="Jane", last_name="Doe", email="jane@example.org", employee_id=None)
    grants.grant(session, ALICE, application=crm, user=jane, now=NOW, access_level="Editor")
    new = make_application(session, name="Fresh")
    make_connection(
        session, new, name="Fresh API", config={"base_url": "https://fresh.example", "auth": "none"}
    )


def leave(page: Page) -> None:
    """Let the page go although it holds unsaved work."""
    page.evaluate("document.querySelector('#editor').dataset.unsaved = 'sent'")


class Hands:
    """A person at the page, whose actions are counted: each a click, or a field filled in."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.actions = 0

    def click(self, name: str, role: str = "button", *, nth: int = 0) -> None:
        self.actions += 1
        self.page.get_by_role(role, name=name, exact=True).nth(nth).click()  # type: ignore[arg-type]

    def fill(self, label: str, text: str) -> None:
        self.actions += 1
        self.page.get_by_role("textbox", name=label, exact=True).fill(text)

    def choose(self, label: str, option: str) -> None:
        self.actions += 1
        self.page.get_by_label(label, exact=True).select_option(label=option)

    def pick(self, into: str, letters: str) -> None:
        """Open the picker beside some fields, narrow it, and take the first token."""
        self.click(f"Insert a token into {into}")
        self.actions += 2
        self.page.keyboard.type(letters)
        self.page.keyboard.press("Enter")


def test_a_newcomer_builds_both_workflows_of_an_application(
    open_page: Open, base: str, console: Flask
) -> None:
    page = open_as(open_page, base, "alice", "/applications").page
    hands = Hands(page)
    hands.click("Fresh", "link")
    hands.click("Workflows", "link")
    hands.click("New workflow", "link")
    hands.fill("Name", "Provision Fresh")
    hands.click("Add workflow")
    hands.click("API / HTTP")
    hands.fill("Name", "Create the account")
    hands.fill("Path", "/users")
    hands.fill("Name, body 1", "email")
    hands.pick("body", "email")
    expect(page.get_by_label("Value, body 1", exact=True)).to_have_value("{{ grantee.email }}")
    expect(page.get_by_label("Body", exact=True)).to_have_text('{"email":"sam.sample@example.com"}')
    expect(page.locator("#step-new-line")).to_have_text("POST https://fresh.example/users")
    hands.fill("Name, capture 1", "id")
    hands.fill("Where it is found, capture 1", "$.id")
    page.get_by_text("Try them on an answer").click()
    hands.fill("An answer of the other system", '{"id": "u-1"}')
    expect(page.locator("#step-new-tried")).to_contain_text('id: "u-1"')
    hands.click("Save as version 1")
    expect(page.get_by_text("Version 1 is saved.")).to_be_visible()

    hands.click("New workflow for Access revoked", "link")
    hands.fill("Name", "Deprovision Fresh")
    hands.click("Add workflow")
    hands.click("API / HTTP")
    hands.fill("Name", "Remove the account")
    hands.choose("Method", "DELETE")
    hands.fill("Path", "/users/")
    hands.pick("the path", "account")
    expect(page.locator("#step-new-line")).to_have_text("DELETE https://fresh.example/users/‹account.id›")
    hands.click("No body")
    hands.click("Save as version 1")
    expect(page.get_by_text("Version 1 is saved.")).to_be_visible()
    expect(page.locator(".spine .warned")).to_have_count(0)
    for name in ("Provision Fresh", "Deprovision Fresh"):
        page.goto(base + "/applications/2/workflows")
        hands.click(f"Enabled for {name}")
        expect(page.get_by_text(f"{name} is enabled.")).to_be_visible()

    assert hands.actions * SECONDS_PER_ACTION < 120
    with console.app_context():
        rows = db.session.execute(
            select(Workflow.trigger, Workflow.is_enabled, WorkflowVersion.steps)
            .join(WorkflowVersion, Workflow.version_id == WorkflowVersion.id)
            .where(Workflow.application_id == 2)
        ).all()
    built = {trigger: steps[0] for trigger, enabled, steps in rows if enabled}
    assert built["access_granted"]["body"] == {"email": "{{ grantee.email }}"}
    assert built["access_granted"]["capture"] == {"id": "$.id"}
    assert built["access_revoked"]["path"] == "/users/{{ account.id }}"
    assert built["access_revoked"]["body"] is None


def test_tokens_are_picked_with_the_keyboard_at_the_caret(open_page: Open, base: str) -> None:
    watched = open_as(open_page, base, "alice", "/workflows/1/edit?step=create")
    page, keys = watched.page, watched.page.keyboard
    path = page.get_by_role("textbox", name="Path", exact=True)
    path.fill("/a//b")
    for _ in range(2):
        keys.press("ArrowLeft")
    keys.press("Tab")
    expect(page.get_by_role("button", name="Insert a token into the path")).to_be_focused()
    keys.press("Enter")
    box = page.get_by_role("searchbox", name="Filter the tokens")
    expect(box).to_be_focused()
    keys.type("grantee na")
    offered = page.locator("[data-insert]:visible code")
    expect(offered).to_have_text(["grantee.first_name", "grantee.last_name", "grantee.username"])
    expect(page.locator("[data-insert]:visible").first).to_contain_text("Jane")
    keys.press("ArrowDown")
    keys.press("ArrowDown")
    keys.press("ArrowUp")
    keys.press("Tab")
    keys.press("Enter")
    expect(path).to_be_focused()
    expect(path).to_have_value("/a/{{ grantee.last_name }}/b")
    expect(page.locator("#step-create-line")).to_have_text("POST https://crm.example/a/Doe/b")
    # Escape leaves all as it is; letters that no token has say so; the filter is no change of the draft.
    keys.press("Tab")
    keys.press("Enter")
    expect(box).to_be_focused()
    keys.press("Control+A")
    keys.type("zzz")
    expect(page.get_by_text("No token has these letters.")).to_be_visible()
    keys.press("Enter")
    keys.press("Escape")
    expect(page.locator("[data-picker]")).to_be_hidden()
    expect(page.get_by_role("button", name="Insert a token into the path")).to_be_focused()
    leave(page)


def test_what_is_typed_is_answered_at_once(open_page: Open, base: str) -> None:
    lost = ("htmx:sendError", "htmx:afterRequest")
    watched = open_as(open_page, base, "alice", "/workflows/1/edit?step=create", allow=lost)
    page = watched.page
    before = watched.hits("/workflows/1/edit/preview")
    page.get_by_role("textbox", name="Path", exact=True).press_sequentially("/{{ grantee.emial }}", delay=5)
    expect(page.locator("#step-create-line")).to_have_text(
        "grantee.emial is not available. Did you mean grantee.email?"
    )
    assert watched.hits("/workflows/1/edit/preview") - before < 5, "one request for a pause, not for a key"
    page.get_by_role("textbox", name="Path", exact=True).fill("/users")
    page.get_by_text("As JSON", exact=True).click()
    page.get_by_label("Value, body 1").fill("{{ grantee.first_name }}")
    expect(page.get_by_label("Body", exact=True)).to_have_text('{"userName":"Jane"}')
    expect(page.get_by_label("The body as JSON")).to_contain_text('"userName": "{{ grantee.first_name }}"')
    page.get_by_label("For", exact=True).select_option(label="Sam Sample, a made-up person")
    expect(page.get_by_label("Body", exact=True)).to_have_text('{"userName":"Sam"}')
    expect(page.get_by_label("Value, body 1")).to_be_focused()
    page.route("**/edit/preview", lambda route: route.abort())
    page.get_by_label("Value, body 1").fill("x")
    expect(page.get_by_text("This is older than what you typed")).to_be_visible()
    expect(page.locator(".toast")).to_have_count(0)
    page.unroute("**/edit/preview")
    page.route("**/edit/preview", lambda route: route.fulfill(status=401, body="signed out"))
    page.get_by_label("Value, body 1").fill("xx")
    expect(page.locator("#signed-out")).to_be_visible()
    expect(page.locator(".toast")).to_have_count(0)
    page.unroute("**/edit/preview")
    page.get_by_label("Value, body 1").fill("y")
    expect(page.get_by_label("Body", exact=True)).to_have_text('{"userName":"y"}')
    expect(page.get_by_text("This is older than what you typed")).to_be_hidden()
    expect(page.locator("#signed-out")).to_be_hidden()
    leave(page)


@pytest.mark.parametrize("theme", THEMES)
def test_the_editor_with_its_picker_open_is_accessible(open_page: Open, base: str, theme: str) -> None:
    watched = open_as(open_page, base, "alice", "/workflows/1/edit?step=create", theme=theme, motion="reduce")
    page = watched.page
    page.get_by_text("Try them on an answer").click()
    page.get_by_label("An answer of the other system", exact=True).fill('{"no": 1}')
    expect(page.locator("#step-create-tried")).to_contain_text("The step would fail.")
    page.get_by_label("Value, body 1").fill("{{ grantee.employee_id }}{{ nobody }}")
    expect(page.locator("[data-apart] .warned")).not_to_have_count(0)
    assert_accessible(page)
    page.get_by_role("button", name="Insert a token into body").click()
    expect(page.get_by_role("searchbox", name="Filter the tokens")).to_be_focused()
    page.get_by_text("All filters").click()
    for width in (1600, 360):
        page.set_viewport_size({"width": width, "height": 900})
        assert_accessible(page, within="[data-picker]")
        assert watched.overflow() <= 0
        assert watched.small_targets() == []
    leave(page)


def test_a_condition_is_added_from_the_keyboard_and_is_accessible(open_page: Open, base: str) -> None:
    watched = open_as(open_page, base, "alice", "/workflows/1/edit?step=create", motion="reduce")
    page = watched.page
    page.get_by_role("button", name="Only if …").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_label("Value, only if 1")).to_be_focused()
    expect(page.get_by_label("Compared with, only if 1")).to_be_hidden()
    page.keyboard.type("{{ grantee.username }}")
    page.get_by_role("button", name="Slack: ok").click()
    expect(page.get_by_label("Where in the answer, conditions 1")).to_have_value("$.ok")
    expect(page.get_by_text("When it runs: only if grantee.username is empty")).to_be_visible()
    for width in (1600, 360):
        page.set_viewport_size({"width": width, "height": 900})
        assert_accessible(page)
        assert watched.overflow() <= 0
        assert watched.small_targets() == []
    leave(page)


def test_tokens_previews_and_captures_without_script(open_page: Open, base: str) -> None:
    page = open_as(open_page, base, "alice", "/workflows/1/edit?step=create", script=False).page
    page.locator("noscript summary").click()
    expect(page.locator("noscript li", has_text="{{ grantee.email }}")).to_contain_text("jane@example.org")
    expect(page.get_by_role("button", name=re.compile("^Insert a token"))).to_have_count(0)
    page.get_by_role("textbox", name="Path", exact=True).fill("/people/{{ grantee.emial }}")
    page.get_by_role("button", name="Show it as typed").click()
    expect(page.locator("#step-create-line")).to_contain_text("Did you mean grantee.email?")
    page.get_by_role("textbox", name="Path", exact=True).fill("/people/{{ grantee.email }}")
    page.get_by_text("Try them on an answer").click()
    page.get_by_label("An answer of the other system", exact=True).fill('{"id": 7}')
    page.get_by_role("button", name="Try them").click()
    expect(page.locator("#step-create-tried")).to_have_text("id: 7")
    expect(page.locator("#step-create-line")).to_have_text(
        "POST https://crm.example/people/jane%40example.org"
    )
