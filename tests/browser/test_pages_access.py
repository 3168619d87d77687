"""Sign-in, home, applications, grants and people as a reader meets them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from flask import Flask
from playwright.sync_api import expect
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.clock import now
from app.models import Grant, Run
from app.permissions import ALL_PERMISSIONS, Actor
from app.services import grants
from tests.support.browser.console import PASSWORD, Open, add_person, open_as, write
from tests.support.browser.watched_page import assert_accessible, assert_good_everywhere
from tests.support.factories import http_step, make_application, make_connection, make_user, make_workflow

LONG = "Maximiliana Konstantinopolitanskaya-Featherstonehaugh"
NASTY = "<img hx-get=/x onerror=1> {{7*7}} \u202eevil"
ALICE = Actor("user", "Alice Example", ALL_PERMISSIONS, source="test")

PAGES = (
    "/",
    "/applications",
    "/applications?q=nothing",
    "/applications?show=archived",
    "/applications/new",
    "/applications/1",
    "/applications/2",
    "/applications/1/edit",
    "/applications/1/archive",
    "/applications/1/grant",
    "/grants/1",
    "/grants/2",
    "/grants/1/edit",
    "/grants/1/revoke",
    "/people",
    "/people/new",
    "/people/4",
    "/people/4/edit",
    "/people/4/deactivate",
    "/account",
    "/nowhere",
)


def fill(session: Session) -> None:
    for name, role in (("alice", "admin"), ("bob", "member"), ("charlie", "viewer")):
        add_person(session, name, role)
    people = [
        make_user(session, first_name="Jane", last_name="Doe", email="jane@example.org"),
        make_user(session, first_name=LONG, last_name="(contractor, Reykjavík)", email="max@example.org"),
        make_user(session, first_name=NASTY, last_name="", email="nasty@example.org"),
        make_user(session, first_name="Sam", last_name="Sample", email="sam@example.org"),
        make_user(session, first_name="Ria", last_name="Okafor", email="ria@example.org"),
    ]
    jira = make_application(
        session,
        name="Jira Cloud",
        description="Issue tracker for engineering and support",
        vendor="Atlassian",
        category="Developer tools",
        url="jira.example.com",
        is_critical=True,
        notes="Ask the platform team first.\nLicences are counted monthly.",
    )
    payroll = make_application(session, name="Payroll", category="Finance")
    make_application(session, name=NASTY)
    make_application(session, name="Old wiki", archived_at=now())
    connection = make_connection(session, jira)
    make_workflow(session, jira, http_step(connection_id=connection.id), name="Provision Jira")
    make_workflow(
        session, payroll, http_step(connection_id=connection.id), name="Provision Payroll", is_enabled=False
    )
    for index, user in enumerate(people):
        record = grants.grant(
            session,
            ALICE,
            application=jira,
            user=user,
            now=now() - timedelta(hours=index),
            access_level=("Member", "Administrator of every project", "", "Member", "Guest")[index],
            notes="Ticket 42\nApproved by Bo" if not index else "",
            record_only=index == 1,
            expires_at=now() + timedelta(days=30) if index == 3 else None,
        )
        record.state = ("provisioned", "no_automation", "needs_attention", "waiting", "provisioning")[index]
    grants.grant(session, ALICE, application=payroll, user=people[0], now=now())


def test_every_page_is_accessible_and_fits(open_page: Open, base: str) -> None:
    assert_good_everywhere(open_as(open_page, base, "alice"), *PAGES)


def test_sign_in_is_accessible_and_a_refusal_takes_the_focus(open_page: Open, base: str) -> None:
    watched = open_page(base, "/sign-in?next=/people", motion="reduce")
    page = watched.page
    assert_accessible(page)
    expect(page.get_by_label("Email")).to_be_focused()
    page.get_by_label("Email").fill("alice@example.org")
    page.get_by_label("Password").fill("not the password")
    page.keyboard.press("Enter")
    expect(page.locator("#errors")).to_be_focused()
    expect(page.get_by_label("Email")).to_have_value("alice@example.org")
    expect(page.get_by_label("Password")).to_have_value("")
    assert_accessible(page)
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page).to_have_url(base + "/people")


def test_granting_by_keyboard_alone(open_page: Open, base: str) -> None:
    page = open_as(open_page, base, "alice", "/applications/2").page
    page.get_by_role("link", name="Grant access…").first.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_label("Find a person")).to_be_focused()
    with page.expect_response("**/grant/people?person=okafor*"):
        page.keyboard.type("okafor")
    expect(page.get_by_role("radio")).to_have_count(1)
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    with page.expect_response("**/grant/consequence*"):
        page.keyboard.press("Space")
    expect(page.get_by_role("radio")).to_be_checked()
    page.keyboard.press("Tab")
    page.keyboard.type("Guest")
    page.get_by_label("Record only").focus()
    with page.expect_response("**/grant/consequence*"):
        page.keyboard.press("Space")
    expect(page.locator("#consequence")).to_contain_text("No automation will run")
    page.get_by_role("button", name="Grant access").focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(base + "/applications/2")
    expect(page.locator("#flashes")).to_contain_text("Access granted to Ria Okafor and recorded.")
    expect(page.get_by_role("row").nth(1)).to_contain_text("Guest")


def test_granting_and_revoking_without_script(open_page: Open, base: str) -> None:
    page = open_as(open_page, base, "alice", "/applications/2/grant", script=False).page
    page.get_by_label("Access level").fill("Reader")
    page.get_by_label("Find a person").fill("sam sample")
    page.get_by_role("button", name="Find").click()
    expect(page.get_by_label("Access level")).to_have_value("Reader")
    page.get_by_role("radio").check()
    page.get_by_role("button", name="Grant access").click()
    expect(page.locator("#flashes")).to_contain_text("Access granted to Sam Sample")
    page.get_by_role("link", name="Revoke… Sam Sample").click()
    page.get_by_role("button", name="Revoke access").click()
    expect(page.locator("#flashes")).to_contain_text("Access revoked from Sam Sample.")


def test_the_dialog_opens_on_the_safe_button_and_is_accessible(open_page: Open, base: str) -> None:
    page = open_as(open_page, base, "alice", "/grants/1", motion="reduce").page
    page.get_by_role("button", name="Revoke…").click()
    expect(page.get_by_role("button", name="Cancel")).to_be_focused()
    assert_accessible(page)
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Revoke…")).to_be_focused()


def test_typing_narrows_the_list_and_keeps_one_history_entry(open_page: Open, base: str) -> None:
    page = open_as(open_page, base, "alice", "/people").page
    before = page.evaluate("history.length")
    with page.expect_response("**/people?q=okafor*"):
        page.get_by_label("Name, email").press_sequentially("okafor")
    expect(page.locator("#people tbody tr")).to_have_count(1)
    assert "q=okafor" in page.url
    assert page.evaluate("history.length") <= before + 1
    page.reload()
    expect(page.get_by_label("Name, email")).to_have_value("okafor")


def test_a_chip_changes_by_itself_and_the_page_falls_silent(
    open_page: Open, base: str, console: Flask
) -> None:
    def state(word: str) -> Callable[[Session], None]:
        def change(session: Session) -> None:
            for record in session.scalars(select(Grant).where(Grant.application_id == 1)):
                if record.id == 5:
                    record.state = word
                    # Something moves now, so the page asks often.
                    session.get_one(Run, record.newest_run_id).changed_at = now()
                elif record.state in ("provisioning", "waiting"):
                    record.state = "provisioned"

        return change

    write(console, state("provisioning"))
    watched = open_as(open_page, base, "alice", "/applications/1")
    page = watched.page
    expect(page.locator("#grant-5-chip")).to_contain_text("Provisioning…")
    write(console, state("provisioned"))
    expect(page.locator("#grant-5-chip")).to_contain_text("Provisioned")
    expect(page.locator("#announce")).to_have_text("Ria Okafor: Provisioned.")
    expect(page.locator("#chips-poll")).not_to_have_attribute("hx-get", ".*")
    assert page.locator("[data-poll]").count() == 0


def test_an_ended_session_leaves_the_form_and_offers_a_way_in(open_page: Open, base: str) -> None:
    watched = open_as(open_page, base, "alice", "/applications/new")
    page = watched.page
    page.get_by_label("Name").fill("Typed before the end")
    watched.context.clear_cookies()
    page.get_by_role("button", name="Add application").click()
    toast = page.locator("#toasts .toast")
    expect(toast).to_contain_text("You have been signed out.")
    expect(toast.get_by_role("link", name="Sign in again")).to_be_visible()
    expect(page.get_by_label("Name")).to_have_value("Typed before the end")


def test_nobody_reads_on_after_signing_out_by_going_back(open_page: Open, base: str) -> None:
    page = open_as(open_page, base, "alice", "/people").page
    page.get_by_role("button", name="Alice Example").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    page.go_back()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    assert "jane@example.org" not in page.content()
