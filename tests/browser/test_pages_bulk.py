"""Many failed runs retried together, in browsers: chosen, started once, watched, and stopped by somebody else."""

from __future__ import annotations

import re

from playwright.sync_api import expect
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.models import BulkRetry
from tests.support.browser.console import Open
from tests.support.browser.watched_page import assert_good_everywhere
from tests.support.failed_runs import Outage
from tests.support.queries.stories import refused

ADDRESS = re.compile(r"/bulk-retries/\d+$")


def only_job(story_session: Session) -> BulkRetry:
    story_session.rollback()
    return story_session.scalars(select(BulkRetry)).one()


def test_all_that_match_are_started_by_a_double_click_and_somebody_else_stops_them(
    visit: Open, story_session: Session
) -> None:
    outage = Outage(story_session, 4)
    alice = visit("/runs?status=attention").page
    alice.get_by_role("link", name="Retry all 4 failed runs that match…").click()
    expect(alice.get_by_label("Reason")).to_have_value("Retry from console by alice@example.org")
    alice.get_by_role("button", name="Start").dblclick()
    expect(alice).to_have_url(ADDRESS)
    bulk = only_job(story_session)
    outage.go_on(bulk)
    expect(alice.locator("#bulk-chip")).to_have_text("Probing")
    expect(alice.locator("#progress-words")).to_have_text("0 of 4 done: 3 waiting, 1 under way.")

    ben = visit(f"/bulk-retries/{bulk.id}", "ben").page
    ben.get_by_role("button", name="Stop").click()
    expect(ben.locator("#bulk-chip")).to_have_text("Stopping")
    expect(alice.locator("#progress")).to_contain_text("Stopped by Ben Example")
    expect(alice.locator("#stop-why")).to_contain_text("Ben Example has stopped it")

    outage.until_over(bulk)
    expect(alice.locator("#bulk-chip")).to_have_text("Stopped")
    expect(alice.locator("#progress-words")).to_have_text("4 of 4 done: 1 succeeded, 3 skipped.")
    expect(alice.locator("[data-poll-status]")).to_have_text("Over. This page is no longer updating.")
    assert outage.statuses() == ["succeeded", *["failed"] * 3]


def test_ticked_runs_are_retried_without_script(visit: Open, story_session: Session) -> None:
    outage = Outage(story_session, 3)
    page = visit("/runs", script=False).page
    for number in outage.ids[1:]:
        page.get_by_role("checkbox", name=f"Run {number},").check()
    page.get_by_role("button", name="Retry those ticked…").click()
    page.get_by_label("Name").fill("")
    page.get_by_role("button", name="Start").click()
    expect(page.get_by_role("alert")).to_contain_text("Enter a name.")
    page.get_by_label("Name").fill("Two of three")
    page.get_by_role("button", name="Start").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Two of three")
    bulk = outage.until_over(only_job(story_session))
    page.goto(page.url)
    expect(page.locator("#items")).to_contain_text("Succeeded")
    assert (bulk.status, outage.statuses()) == ("finished", ["failed", "succeeded", "succeeded"])


def test_axe_finds_nothing_and_nothing_overflows(visit: Open, story_session: Session) -> None:
    outage = Outage(story_session, 3)
    over = outage.until_over(outage.start(), refused())
    live = Outage(story_session, 2).start()
    assert_good_everywhere(
        visit("/bulk-retries"),
        "/bulk-retries",
        "/bulk-retries/new?class=http_4xx",
        "/bulk-retries/new",
        f"/bulk-retries/{over.id}",
        f"/bulk-retries/{live.id}",
        "/runs?status=attention",
    )
