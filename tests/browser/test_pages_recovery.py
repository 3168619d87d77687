"""The ways back from a failed run in a browser, and what is shown before each of them."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain.states import FailureClass
from app.models import Run
from app.services import grants
from tests.support.browser.console import Open
from tests.support.browser.watched_page import assert_good_everywhere
from tests.support.factories import add_version, http_step, make_user, make_workflow
from tests.support.queries.stories import ALICE, Story, failed, ok, refused

CANARY = "Canary-2be4"


def created_then_failed(session: Session) -> Story:
    def steps(c: int) -> list[dict[str, Any]]:
        create = http_step("create", c, name="Create the account", capture={"id": "$.id"})
        return [create, http_step("tell", c, name="Tell the team", method="PUT", path="/teams")]

    return Story(session, steps).answer(ok(201, id="u-7"), refused(422))


def edited(told: Story) -> Story:
    look = http_step("lookup", told.connection.id, name="Look up the account", method="GET", path="/People")
    look.pop("body")
    create = http_step("create", told.connection.id, name="Create the account")
    add_version(told.session, told.workflow, look, create)
    told.session.commit()
    return told


def start_later(session: Session, told: Story) -> str:
    """Somebody who had access before the workflow was enabled; the page that offers to run it."""
    told.workflow.is_enabled = False
    session.flush()
    user = make_user(session, first_name="Nia", last_name="New")
    grants.grant(session, ALICE, application=told.application, user=user, now=told.at)
    told.workflow.is_enabled = True
    session.commit()
    return f"/workflows/{told.workflow.id}/start-runs"


def test_retry_is_one_click_under_its_plan_and_the_run_goes_on(visit: Open, story_session: Session) -> None:
    told = Story(story_session)
    told.connection.config = told.connection.config | {"auth": "none"}
    told.answer(ok(200), refused(422))
    page = visit(f"/runs/{told.run.id}").page
    expect(page.locator("#run-plan")).to_contain_text("Sent again")
    expect(page.locator("#run-plan")).to_contain_text("the same request would be sent again")
    page.locator("#retry").click()
    expect(page.locator("#run-chip")).to_have_text("Running")
    expect(page.locator("[id=timeline]")).to_have_count(1)
    expect(page.locator("#run-plan section")).to_have_count(0)
    expect(page.locator("#run-notes")).to_contain_text("No worker is online")


def test_a_refused_replay_is_explained_before_the_click(visit: Open, story_session: Session) -> None:
    told = created_then_failed(story_session)
    page = visit(f"/runs/{told.run.id}").page
    expect(page.locator("#replay")).to_have_attribute("aria-disabled", "true")
    expect(page.locator("#replay-why")).to_contain_text("“Create the account” already ran at")
    page.get_by_role("link", name="Re-grant access: revoke first…").click()
    expect(page).to_have_url(page.url)
    expect(page.get_by_role("heading", level=1)).to_contain_text("Revoke")


@pytest.mark.parametrize("script", [True, False])
def test_one_off_values_are_typed_and_used_once(visit: Open, story_session: Session, script: bool) -> None:
    told = Story(story_session).answer(ok(200), refused(422))
    page = visit(f"/runs/{told.run.id}", script=script).page
    page.get_by_role("link", name="Retry with overrides…").click()
    page.get_by_label("Value", exact=True).fill(CANARY)
    page.get_by_role("button", name="Retry with these values").click()
    expect(page.get_by_role("alert")).to_contain_text("Choose the field")
    expect(page.get_by_label("Value", exact=True)).to_have_value(CANARY)
    page.get_by_label("Field", exact=True).select_option("userName")
    page.get_by_role("button", name="Retry with these values").click()
    expect(page.locator("#timeline")).to_contain_text("With one-off values for userName.")
    assert CANARY not in page.content()


@pytest.mark.parametrize("script", [True, False])
def test_a_replay_shows_what_changed_and_links_both_runs(
    visit: Open, story_session: Session, script: bool
) -> None:
    told = edited(Story(story_session).answer(ok(200), refused(422)))
    page = visit(f"/runs/{told.run.id}", script=script).page
    page.get_by_role("link", name="Replay with latest…").click()
    expect(page.locator("#changes")).to_contain_text("path changed from /Users to /People")
    page.get_by_role("button", name="Replay with version 2").click()
    expect(page.get_by_role("link", name=f"Replaces run {told.run.id}")).to_be_visible()
    page.get_by_role("link", name=f"Replaces run {told.run.id}").click()
    expect(page.locator("#run-actions")).to_contain_text("has replaced this one")


def test_a_double_click_on_replay_makes_one_run(visit: Open, story_session: Session) -> None:
    told = Story(story_session).answer(ok(200), refused(422))
    page = visit(f"/runs/{told.run.id}/replay", allow=("409",)).page
    page.get_by_role("button", name="Replay with version 1").dblclick()
    expect(page).not_to_have_url(f"{page.url}#")
    page.wait_for_load_state()
    story_session.rollback()
    assert len(story_session.scalars(select(Run.id)).all()) == 2


def test_a_failing_step_is_simulated_without_script(visit: Open, story_session: Session) -> None:
    told = Story(story_session)
    page = visit(f"/workflows/{told.workflow.id}/dry-run", script=False).page
    expect(page.locator("#dry-run-banner")).to_contain_text("Dry-run. Nothing was sent.")
    page.get_by_role("checkbox", name="Look up the account").check()
    page.get_by_role("button", name="Dry-run").click()
    expect(page.locator("#dry-lookup")).to_contain_text("Failure → ends the run as failed")


def test_runs_are_started_for_chosen_grants(visit: Open, story_session: Session) -> None:
    path = start_later(story_session, Story(story_session))
    page = visit(path).page
    page.get_by_role("checkbox", name="Nia New").check()
    page.get_by_role("button", name="Start runs for those chosen").click()
    expect(page.locator("#outcomes")).to_contain_text("Started")


def test_axe_finds_nothing_and_nothing_overflows(visit: Open, story_session: Session) -> None:
    told = edited(Story(story_session).answer(ok(200), refused(422)))
    undone = created_then_failed(story_session)
    unknown = Story(story_session).answer(ok(200), failed(FailureClass.TIMEOUT, lost=True))
    make_workflow(story_session, undone.application, trigger="access_revoked")
    path = {
        "path": "/Users/{{ account.id }}",
        "method": "PUT",
        "capture": {"ids": {"path": "$", "list": True}},
    }
    empty = "path: account.id is empty, so the path would name something else."
    lacking = Story(story_session, lambda c: [http_step("put", c, **path)])
    lacking.answer(failed(FailureClass.MAPPING, detail=empty))
    paths = [
        f"/runs/{lacking.run.id}",
        f"/runs/{lacking.run.id}/done",
        f"/runs/{lacking.run.id}/values",
        f"/runs/{told.run.id}",
        f"/runs/{undone.run.id}",
        f"/runs/{told.run.id}/overrides",
        f"/runs/{told.run.id}/replay",
        f"/runs/{undone.run.id}/replay",
        f"/runs/{unknown.run.id}/retry",
        f"/workflows/{undone.workflow.id}/dry-run",
        f"/workflows/{undone.workflow.id}/dry-run?fail=create",
        start_later(story_session, told),
        f"/applications/{told.application.id}/workflows",
    ]
    assert_good_everywhere(visit("/runs"), *paths)
