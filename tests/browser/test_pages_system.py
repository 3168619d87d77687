"""System health and the banner as a reader meets them."""

from __future__ import annotations

from datetime import timedelta

from flask import Flask
from playwright.sync_api import expect
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.clock import now
from app.domain.alerts.rules import AlertKind, AlertText, Channel
from app.models import Duty, User, Worker
from app.services.alerts.lifecycle import tell
from tests.support.browser.console import Open, add_person, open_as, write
from tests.support.browser.watched_page import assert_good_everywhere
from tests.support.queries.stories import Story


def fill(session: Session) -> None:
    add_person(session, "alice", "admin")
    _waiting(session)
    _told(session)


def _waiting(session: Session) -> None:
    Story(session)
    at = now() - timedelta(minutes=4)
    long = "worker-with-a-rather-long-host-name.eu-central-1.compute.internal-4711-9f8e7d6c"
    session.add(Worker(name=long, started_at=at, seen_at=at, in_flight=0, concurrency=32))


def _told(session: Session) -> None:
    """One message that arrived nowhere yet, at Alice's bell."""
    people = session.scalars(select(User.id)).all()
    title = "Application with a rather long name: “Create the account” fails (HTTP 401 Unauthorized)"
    tell(
        session,
        AlertText(title, ("37 runs of 35 people failed there since 27 Nov 2026, 10:11 UTC.",), "/runs"),
        kind=AlertKind.FAILURES,
        transition="opened",
        people=people,
        channels=(Channel.MAIL, Channel.WEBHOOK),
        now=now(),
    )


def _back(session: Session) -> None:
    session.add(Worker(name="host-2", started_at=now(), seen_at=now(), in_flight=1, concurrency=32))
    session.add(Duty(name="sweep", holder="host-2", until=now(), done_at=now()))


def test_it_is_accessible_and_fits_with_and_without_trouble(open_page: Open, base: str) -> None:
    pages = ("/system", "/system/alerts", "/system/alerts/1", "/alerts", "/applications")
    assert_good_everywhere(open_as(open_page, base, "alice"), *pages)


def test_the_page_follows_without_a_reload_and_the_banner_leads_to_it(
    open_page: Open, base: str, console: Flask
) -> None:
    page = open_as(open_page, base, "alice", motion="reduce").page
    page.locator("#system-notice").get_by_role("link", name="System health").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("System health")
    expect(page.locator("#part-workers")).to_contain_text("None online")
    write(console, _back)
    page.evaluate("htmx.trigger(document.body, 'wake')")
    expect(page.locator("#part-workers")).to_contain_text("1 online")
    expect(page.locator("#part-sweeper")).to_contain_text("At work")
