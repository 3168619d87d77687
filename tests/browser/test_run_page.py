"""A run's page while it is watched: what moves, what stays as the reader left it, and when it is quiet."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy.orm import Session

from app.domain.states import FailureClass
from tests.support.browser.console import Open
from tests.support.browser.watched_page import assert_accessible, assert_good_everywhere
from tests.support.queries.stories import STATES, Story, edge, failed, ok, refused, retried, with_person

LOOKS = ("failed with 401", "retrying", "waiting", "succeeded", "outcome unknown", "queued")


def polled(page: Page) -> None:
    """Wait for the answer of one more poll."""
    with page.expect_response("**/timeline?*"):
        pass


def test_a_step_appears_without_navigation_and_polling_ends_with_the_run(
    visit: Open, story_session: Session
) -> None:
    told = Story(story_session).take()
    watched = visit(f"/runs/{told.run.id}")
    page = watched.page
    page.evaluate("window.same = true")
    told.answer(ok(200, id="42"))
    told.take().moved(told.at)
    expect(page.get_by_role("heading", name="2. Create the account")).to_be_visible()
    expect(page.locator("#announce")).to_have_text("Step 2 of 2, Create the account, is running.")
    told.answer(ok(201))
    expect(page.locator("#run-chip")).to_have_text("Succeeded")
    expect(page.locator("[data-poll-status]")).to_have_text("Finished. This page is no longer updating.")
    expect(page).to_have_title(f"Run {told.run.id} · Succeeded · Access Automation")
    expect(page.locator("#run-actions button")).to_have_count(0)
    assert page.evaluate("window.same") is True
    assert page.locator("[data-poll]").count() == 0
    before = watched.hits(f"/runs/{told.run.id}/timeline")
    page.evaluate("htmx.trigger(document.body, 'wake')")
    page.goto(page.url)  # anything still on its way would be counted by now
    assert watched.hits(f"/runs/{told.run.id}/timeline") == before


def test_what_is_opened_and_focused_stays_so_over_changing_polls(visit: Open, story_session: Session) -> None:
    told = Story(story_session, edge("continue")).answer(refused(409)).take()
    watched = visit(f"/runs/{told.run.id}")
    page = watched.page
    folded = page.locator("#timeline details").last
    folded.locator("summary").click()
    name = folded.get_attribute("id")
    for act in (told.cancel, lambda: told.answer(ok(201))):
        before = page.locator("#timeline").get_attribute("hx-get")
        act()
        page.evaluate("htmx.trigger(document.body, 'wake')")
        expect(page.locator("#timeline")).not_to_have_attribute("hx-get", before or "")
        expect(page.locator(f"#{name}")).to_have_attribute("open", "")
        expect(page.locator(f"#{name} summary")).to_be_focused()


def test_focus_on_an_action_outside_the_timeline_survives_a_change(
    visit: Open, story_session: Session
) -> None:
    told = Story(story_session).take()
    page = visit(f"/runs/{told.run.id}").page
    page.locator("#cancel").focus()
    told.answer(ok(200))
    page.evaluate("htmx.trigger(document.body, 'wake')")
    expect(page.locator("#timeline .tl > li").first).to_contain_text("Succeeded")
    expect(page.locator("#cancel")).to_be_focused()


def test_an_unchanged_poll_leaves_every_element_in_place(visit: Open, story_session: Session) -> None:
    told = Story(story_session).take().answer(ok(200))
    page = visit(f"/runs/{told.run.id}").page
    page.evaluate("window.items = [...document.querySelectorAll('#timeline li')]")
    with page.expect_response("**/timeline?*") as answer:
        page.evaluate("htmx.trigger(document.body, 'wake')")
    assert answer.value.status == 204
    assert page.evaluate(
        "window.items.every((item, i) => item === document.querySelectorAll('#timeline li')[i])"
    )


def test_a_step_that_fails_while_watched_opens_and_offers_its_remedy(
    visit: Open, story_session: Session
) -> None:
    told = Story(story_session).take().answer(ok(200)).take()
    page = visit(f"/runs/{told.run.id}").page
    told.answer(refused(401))
    page.evaluate("htmx.trigger(document.body, 'wake')")
    expect(page.locator("#failed-step")).to_contain_text("Add the credential")
    expect(page.locator("article:has(#failed-step) details")).to_have_attribute("open", "")
    expect(page.locator("#run-notes")).to_contain_text("The grant is safe.")
    expect(page.locator("#retry")).to_be_visible()


def test_retry_on_a_finished_run_starts_polling_again(visit: Open, story_session: Session) -> None:
    told = Story(story_session).answer(ok(200), refused(401))
    # High enough for the banner above that the look of the system may or may not bring.
    watched = visit(f"/runs/{told.run.id}", height=1000)
    page = watched.page
    expect(page.locator("#failed-step")).to_be_in_viewport()
    page.locator("#retry").dblclick()
    expect(page.locator("#run-chip")).to_have_text("Running")
    expect(page.locator("#toasts")).to_contain_text("continues at the failed step")
    expect(page.locator("[data-poll]")).to_have_count(1)
    expect(page.get_by_text("Retried by Alice Example.")).to_have_count(1)
    before = watched.hits(f"/runs/{told.run.id}/timeline")
    polled(page)
    assert watched.hits(f"/runs/{told.run.id}/timeline") > before


def test_the_second_of_two_people_sees_who_was_first(visit: Open, story_session: Session) -> None:
    told = Story(story_session).answer(refused(401))
    page = visit(f"/runs/{told.run.id}").page
    told.retry()
    page.locator("#retry").click()
    expect(page.locator("#toasts")).to_contain_text("Alice Admin retried this run")
    expect(page.locator("#run-chip")).to_have_text("Running")
    expect(page.locator("[data-poll]")).to_have_count(1)


def test_an_unknown_outcome_is_confirmed_in_the_dialog(visit: Open, story_session: Session) -> None:
    told = Story(story_session).answer(ok(200), failed(FailureClass.TIMEOUT, lost=True))
    page = visit(f"/runs/{told.run.id}").page
    page.locator("#retry").click()
    page.get_by_role("button", name="Retry anyway").click()
    expect(page.locator("#retry-run [role=alert]")).to_be_focused()
    assert_accessible(page)
    page.get_by_role("checkbox").check()
    page.get_by_role("button", name="Retry anyway").click()
    expect(page.locator("#retry-run")).to_be_hidden()
    expect(page.locator("#run-chip")).to_have_text("Running")


def test_cancel_asks_for_a_reason_in_place(visit: Open, story_session: Session) -> None:
    told = Story(story_session, with_person).take()
    page = visit(f"/runs/{told.run.id}").page
    page.get_by_role("button", name="Cancel run…").click()
    expect(page.get_by_role("button", name="Keep it going")).to_be_focused()
    dialog = page.locator("#cancel-run")
    dialog.get_by_role("button", name="Cancel run").click()
    expect(dialog).to_contain_text("Enter a reason.")
    expect(dialog).to_be_visible()
    dialog.get_by_label("Reason").fill("Ordered by mistake")
    dialog.get_by_role("button", name="Cancel run").click()
    expect(dialog).to_be_hidden()
    expect(page.locator("#run-chip")).to_have_text("Cancelled")


@pytest.mark.parametrize("script", [True, False])
def test_the_list_narrows_by_what_is_typed(visit: Open, story_session: Session, script: bool) -> None:
    first, second = Story(story_session), Story(story_session)
    second.application.name = "Payroll"
    story_session.commit()
    page = visit("/runs", script=script).page
    expect(page.locator("#runs tbody tr")).to_have_count(2)
    page.locator("#q").fill("payroll")
    if not script:
        page.get_by_role("button", name="Apply").click()
    expect(page.locator("#runs tbody tr")).to_have_count(1)
    expect(page.locator("#runs tbody th")).to_have_text(str(second.run.id))
    if script:
        expect(page).to_have_url(re.compile(r"/runs\?q=payroll$"))
        page.locator("#runs tbody a").first.click()
        page.go_back()
        expect(page.locator("#q")).to_have_value("payroll")
        expect(page.locator("#runs tbody tr")).to_have_count(1)
    assert first.run.id < second.run.id


def test_axe_finds_nothing_and_nothing_overflows(visit: Open, story_session: Session) -> None:
    runs = [STATES[name].tell(story_session).run.id for name in LOOKS]
    runs.append(Story(story_session, retried).answer(failed(FailureClass.HTTP_5XX, http_status=503)).run.id)
    assert_good_everywhere(
        visit("/runs"), "/runs", "/runs?status=cancelled", *(f"/runs/{one}" for one in runs)
    )
