"""The bell: what concerns the reader, how many they have not read, and marking it."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.clock import now
from app.domain.alerts.rules import AlertKind, AlertText, Audience, Matter
from app.models import AlertNotice, AuditEvent
from app.services.alerts.lifecycle import close_alerts, open_alert, tell
from tests.support.page import Page, text_of
from tests.support.web.readers import Reader, fresh


def told(web: Session, *readers: Reader, title: str = "Jira: “Create” fails", opens: bool = True) -> int:
    """An alert at these people's bells; its number."""
    alert_text = AlertText(title, ("3 runs failed.", "Replace the credential."), "/runs")
    matter = Matter(AlertKind.FAILURES, title, Audience("workflow:run"), alert_text)
    alert_id = open_alert(web, matter, now=now()) if opens else None
    people = [one.id for one in readers]
    tell(
        web,
        alert_text,
        kind=AlertKind.FAILURES,
        transition="opened",
        people=people,
        channels=(),
        now=now(),
        alert_id=alert_id,
    )
    web.commit()
    return alert_id or 0


def bell(page: Page) -> str:
    return text_of(page.one(".bell"))


def test_it_counts_what_the_reader_has_not_read_on_every_page(
    alice: Reader, charlie: Reader, web: Session
) -> None:
    assert bell(alice.client.get("/account")) == "Alerts"
    told(web, alice)
    told(web, alice, title="Okta: “Create” fails")
    assert bell(alice.client.get("/account")) == "Alerts, unread: 2"
    assert bell(charlie.client.get("/account")) == "Alerts"


def test_many_are_counted_no_further_than_it_matters(alice: Reader, web: Session) -> None:
    for number in range(25):
        told(web, alice, title=f"Jira {number}")
    assert bell(alice.client.get("/account")).endswith("20+")


def test_the_list_says_what_happened_and_leads_to_where_it_is_mended(alice: Reader, web: Session) -> None:
    told(web, alice)
    page = alice.client.get("/account")
    page = alice.client.get(str(page.one(".bell")["href"]))
    assert page.h1 == "Alerts"
    assert "3 runs failed." in page.text
    assert "Replace the credential." in page.text
    assert page.one("article a.btn")["href"] == "/runs"


def test_marking_one_as_read_is_for_the_reader_alone_and_is_audited_once(
    alice: Reader, bob: Reader, web: Session
) -> None:
    told(web, alice, bob)
    page = alice.client.get("/alerts").press("Mark as read Jira: “Create” fails").follow_redirect()
    assert "Nothing unread" in page.text
    assert bell(page) == "Alerts"
    assert bell(bob.client.get("/account")) == "Alerts, unread: 1"
    number = web.scalars(select(AlertNotice.message_id)).first()
    alice.client.post(f"/alerts/{number}/read")
    assert "Read just now" in alice.client.get("/alerts?show=all").text
    fresh(web)
    actions = web.scalars(select(AuditEvent.action).where(AuditEvent.action.startswith("alert."))).all()
    assert actions == ["alert.read"]


def test_marking_all_as_read_leaves_what_came_since(alice: Reader, web: Session) -> None:
    told(web, alice)
    told(web, alice, title="Okta: “Create” fails")
    page = alice.client.get("/alerts")
    told(web, alice, title="Zoom: “Create” fails")
    after = page.press("Mark all as read").follow_redirect()
    assert "2 alerts marked as read." in after.text
    assert after.texts("article h2") == ["Zoom: “Create” fails"]
    again = page.press("Mark all as read").follow_redirect()
    assert "Nothing was unread." in again.text


def test_what_is_over_leaves_the_bell_and_stays_in_the_list(alice: Reader, web: Session) -> None:
    number = told(web, alice)
    close_alerts(web, [number], now=now())
    web.commit()
    page = alice.client.get("/alerts?show=all")
    assert bell(page) == "Alerts"
    assert "Over since" in page.text
    assert "Mark as read" not in page.text


def test_an_alert_of_somebody_else_cannot_be_read(alice: Reader, bob: Reader, web: Session) -> None:
    told(web, alice)
    number = web.scalars(select(AlertNotice.message_id)).one()
    bob.client.get("/account")
    bob.client.post(f"/alerts/{number}/read", expect=404)
    bob.client.post("/alerts/read", {"up_to": str(number)})
    assert bell(alice.client.get("/account")) == "Alerts, unread: 1"


def test_odd_input_marks_nothing(alice: Reader, web: Session) -> None:
    told(web, alice)
    alice.client.get("/alerts")
    for odd in ("", "-1", "x", "9" * 30):
        alice.client.post("/alerts/read", {"up_to": odd})
    assert bell(alice.client.get("/alerts?show=odd&before=x")) == "Alerts, unread: 1"


def test_pages_of_the_list_skip_and_repeat_nothing(alice: Reader, web: Session) -> None:
    for number in range(30):
        told(web, alice, title=f"Jira {number}")
    first = alice.client.get("/alerts?show=all")
    second = first.follow("Older")
    assert first.texts("article h2") + second.texts("article h2") == [f"Jira {n}" for n in range(29, -1, -1)]
    assert second.follow("Newer").texts("article h2") == first.texts("article h2")


def test_the_list_takes_as_many_statements_for_many_as_for_one(
    alice: Reader, web: Session, statements: Callable[[Callable[[], object]], int]
) -> None:
    told(web, alice)
    few = statements(lambda: alice.client.get("/alerts"))
    for number in range(20):
        told(web, alice, title=f"Jira {number}")
    assert statements(lambda: alice.client.get("/alerts")) <= few + 1  # the banner's look, now and then
