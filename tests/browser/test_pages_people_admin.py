"""Groups, roles, tokens, importing people and copying access as a reader meets them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect
from sqlalchemy.orm import Session

from app.clock import now
from app.permissions import ALL_PERMISSIONS, Actor
from app.schemas.people import TokenIn
from app.services import grants, tokens
from tests.support.browser.console import Open, add_person, open_as
from tests.support.browser.watched_page import assert_good_everywhere
from tests.support.factories import (
    http_step,
    human_step,
    make_application,
    make_connection,
    make_group,
    make_user,
    make_workflow,
)

LONG = "Maximiliana Konstantinopolitanskaya-Featherstonehaugh"
ALICE = Actor("user", "Alice Example", ALL_PERMISSIONS, source="test")
CSV = "email,first_name,last_name,role\nnew@example.org,Nia,New,member\njane@example.org,Jane,Roe,\nnonsense,,,\n"

PAGES = (
    "/groups",
    "/groups?q=nothing",
    "/groups/new",
    "/groups/1",
    "/groups/1?q=a",
    "/groups/2",
    "/groups/1/edit",
    "/roles",
    "/tokens",
    "/tokens/new",
    "/tokens/1/revoke",
    "/tokens/2/revoke",
    "/people",
    "/people/import",
    "/people/3",
    "/people/3/copy",
    "/people/3/copy?to=4",
    "/people/5/copy?to=4",
)


def fill(session: Session) -> None:
    for name, role in (("alice", "admin"), ("charlie", "viewer")):
        add_person(session, name, role)
    jane = make_user(session, first_name="Jane", last_name="Doe", email="jane@example.org")
    long = make_user(session, first_name=LONG, last_name="(contractor)", email="max@example.org")
    make_user(session, first_name="Sam", last_name="New", email="sam@example.org")
    group = make_group(session, jane, long, name="Platform team")
    make_group(session, name=LONG)
    jira, wiki = (
        make_application(session, name="Jira Cloud"),
        make_application(session, name=f"Wiki of {LONG}"),
    )
    steps = (
        http_step(connection_id=make_connection(session, jira).id),
        human_step(name="Choose a team", assignee={"group_id": str(group.id)}),
    )
    make_workflow(session, jira, *steps, name="Provision Jira")
    for application, level in ((jira, "Member"), (jira, "Administrator of every project"), (wiki, "")):
        grants.grant(session, ALICE, application=application, user=jane, now=now(), access_level=level)
    for name in ("HR sync", LONG):
        data = TokenIn(name=name, permissions=["grant:read", "user:manage"], expires_at=None)
        token, _ = tokens.create_token(session, ALICE, data, now=now())
    tokens.revoke_token(session, ALICE, token, now=now())


def test_every_page_is_accessible_and_fits(open_page: Open, base: str) -> None:
    assert_good_everywhere(open_as(open_page, base, "alice"), *PAGES)


def test_what_pages_answer_with_is_accessible_and_fits(open_page: Open, base: str) -> None:
    watched = open_as(open_page, base, "alice", "/roles")
    page = watched.page
    page.get_by_label("Viewer: See applications, people and who has access to what").check()
    page.get_by_label("Viewer: Add, change and deactivate people, roles and groups").check()
    page.get_by_role("button", name="Review changes").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Review changes")
    assert_good_everywhere(watched)
    watched.goto("/people/import")
    page.get_by_label("Or paste its text").fill(CSV)
    page.get_by_role("button", name="Check the lines").click()
    expect(page.get_by_role("heading", name="What each line would do")).to_be_visible()
    assert_good_everywhere(watched)
    watched.goto("/people/3/copy?to=4")
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("button", name="Grant access")).to_be_visible()
    assert_good_everywhere(watched)
    watched.goto("/tokens/new")
    page.get_by_label("Name").fill("Made in a browser")
    page.get_by_label("See applications, people and who has access to what").check()
    page.get_by_role("button", name="Create token").click()
    expect(page.locator("main .ref code")).to_have_text(re.compile("^aa_"))
    assert page.url == f"{base}/tokens"
    assert_good_everywhere(watched)


@pytest.mark.parametrize("script", [True, False])
def test_a_file_is_imported_with_and_without_script(
    open_page: Open, base: str, tmp_path: Path, script: bool
) -> None:
    file = tmp_path / "people.csv"
    file.write_text(f"email,first_name\nfile-{script}@example.org,Filed\n", encoding="utf-8")
    page = open_as(open_page, base, "alice", "/people/import", script=script).page
    page.get_by_label("CSV file").set_input_files(file)
    page.get_by_role("button", name="Check the lines").click()
    page.get_by_role("button", name="Save 1 line").click()
    expect(page.get_by_text("1 line saved.")).to_be_visible()


@pytest.mark.parametrize("script", [True, False])
def test_people_are_found_and_join_a_group(open_page: Open, base: str, script: bool) -> None:
    page = open_as(open_page, base, "alice", "/groups/2", script=script).page
    page.get_by_label("Name, email, username or employee id").fill("jane")
    if not script:
        page.get_by_role("button", name="Find").click()
    page.get_by_role("button", name="Add Jane Doe").click()
    page.get_by_role("button", name="Remove Jane Doe").click()
    expect(page.get_by_text("Nobody is in this group")).to_be_visible()
