"""Alerts for operators: where they go, what arrived or why not, and a test alert that says so."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.clock import now
from app.connectors.alerts import Channels, DeliveryOutcome, Hook, hook_policy
from app.connectors.http import HttpClient
from app.connectors.mail import MailServer
from app.domain.alerts.rules import AlertKind, AlertText, Channel
from app.models import AlertDelivery, AlertMessage, AuditEvent
from app.services.alerts.lifecycle import tell
from app.services.alerts.outbox import note, take
from tests.support.mailbox import free_port, running_mailbox
from tests.support.page import PageClient, text_of
from tests.support.target import Answer, running_target
from tests.support.web.readers import Reader, fresh

Use = Callable[..., Channels]


@pytest.fixture
def use(only_sqlite: Flask) -> Iterator[Use]:
    """Gives the app ways out for this test."""
    before = only_sqlite.extensions["alerts"]
    clients = []

    def choose(*, port: int = 0, hook: str = "") -> Channels:
        mail = MailServer.of(f"smtp://127.0.0.1:{port}", sender_host="console.example") if port else None
        there = Hook(hook) if hook else None
        policy = hook_policy(there or Hook("https://nobody.example"), allow=(), own=[], production=False)
        clients.append(HttpClient(policy))
        made = Channels(mail=mail, hook=there, client=clients[-1], base_url="https://console.example")
        only_sqlite.extensions["alerts"] = made
        return made

    yield choose
    only_sqlite.extensions["alerts"] = before
    for client in clients:
        client.close()


def told(web: Session, *readers: Reader, channels: tuple[Channel, ...] = (Channel.MAIL,)) -> int:
    alert_text = AlertText("Jira: “Create” fails", ("3 runs failed.",), "/runs")
    people = [one.id for one in readers]
    number = tell(
        web,
        alert_text,
        kind=AlertKind.FAILURES,
        transition="opened",
        people=people,
        channels=channels,
        now=now(),
    )
    web.commit()
    return number


def came_of_it(web: Session, *outcomes: DeliveryOutcome, channel: Channel = Channel.MAIL) -> None:
    for outcome in outcomes:
        outgoing = take(web, channel, now=now())
        assert outgoing is not None
        note(web, outgoing, outcome, now=now())
    web.commit()


def card(client: PageClient) -> str:
    return text_of(client.get("/system").one("#part-alerts"))


def summary(client: PageClient) -> str:
    return " ".join(client.get("/system").texts("#system > .banner"))


def test_without_channels_system_health_says_so_and_calls_it_no_fault(alice: Reader) -> None:
    words = card(alice.client)
    assert "In the console only" in words
    assert "Neither SMTP_URL nor ALERT_WEBHOOK_URL is set" in words
    assert "Alerts" not in summary(alice.client)


def test_what_does_not_arrive_is_told_with_its_reason(alice: Reader, web: Session, use: Use) -> None:
    use(port=1)
    assert "None has been sent yet" in card(alice.client)
    told(web, alice)
    came_of_it(web, DeliveryOutcome(False, "mail.example did not answer in time.", down=True))
    words = card(alice.client)
    assert "Not arriving" in words
    assert "1 message wait" in words
    assert "mail.example did not answer in time." in words
    assert "Alerts" in summary(alice.client)


def test_what_arrives_is_told_too(alice: Reader, web: Session, use: Use) -> None:
    use(port=1)
    told(web, alice)
    came_of_it(web, DeliveryOutcome(True))
    assert "Going out" in card(alice.client)
    assert "Last one arrived" in card(alice.client)


def test_the_list_says_of_each_message_whether_it_arrived_and_why_not(
    alice: Reader, bob: Reader, web: Session, use: Use
) -> None:
    use(port=1)
    told(web, alice, bob, channels=(Channel.MAIL, Channel.WEBHOOK))
    came_of_it(
        web,
        DeliveryOutcome(True),
        DeliveryOutcome(False, "The mail server refused the recipient (550).", lasting=True),
    )
    page = alice.client.get("/system").follow("Alerts")
    [row] = page.table("messages")
    assert row["In the console"] == "2 people"
    assert row["Mail"] == "1 of 2 mails not delivered The mail server refused the recipient (550)."
    assert row["Webhook"] == "On the way"
    assert "127.0.0.1, from access-automation@console.example" in page.text
    assert "Not set up: ALERT_WEBHOOK_URL is empty" in page.text
    one = page.follow(f"{row['Alert']}")
    rows = one.table("tries")
    assert [(each["To"], each["State"]) for each in rows] == [
        ("Mail: Alice Example", "Delivered"),
        ("Mail: Bob Example", "Not delivered"),
        ("Webhook", "To be sent"),
    ]
    assert rows[1]["Why"] == "The mail server refused the recipient (550)."
    assert "example.org" not in one.text


def test_one_that_may_have_come_twice_says_so(alice: Reader, web: Session, use: Use) -> None:
    use(port=1)
    number = told(web, alice)
    came_of_it(web, DeliveryOutcome(False, "No answer.", uncertain=True))
    web.execute(AlertDelivery.__table__.update().values(due_at=now()))
    came_of_it(web, DeliveryOutcome(True))
    [row] = alice.client.get(f"/system/alerts/{number}").table("tries")
    assert (row["State"], row["Tries"]) == ("Delivered", "2")
    assert "may have arrived twice" in row["Why"]
    assert "may have arrived twice" in alice.client.get("/system/alerts").table("messages")[0]["Mail"]


def test_a_test_alert_goes_to_the_sender_and_the_webhook_and_says_what_arrived(
    alice: Reader, bob: Reader, web: Session, use: Use
) -> None:
    with running_mailbox() as box, running_target() as target:
        use(port=box.port, hook=target.url)
        page = alice.client.get("/system").press("Send a test alert").follow_redirect()
    assert page.h1 == "Test alert"
    assert [(row["To"], row["State"]) for row in page.table("tries")] == [
        ("Mail: Alice Example", "Delivered"),
        ("Webhook", "Delivered"),
    ]
    assert box.recipients == ["alice@example.org"]
    assert "Alice Example sent this" in target.calls[0].body["text"]
    fresh(web)
    event = web.scalars(select(AuditEvent).where(AuditEvent.action == "alert.test")).one()
    assert event.changes == {"channels": [None, ["mail", "webhook"]]}
    assert text_of(page.one(".bell")) == "Alerts, unread: 1"
    assert text_of(bob.client.get("/account").one(".bell")) == "Alerts"


def test_a_test_alert_that_does_not_arrive_says_why(alice: Reader, use: Use) -> None:
    with running_target() as target:
        target.answer = lambda _call: Answer(403, {})
        use(port=free_port(), hook=target.url)
        page = alice.client.get("/system/alerts").press("Send a test alert").follow_redirect()
    mail, hook = page.table("tries")
    assert mail["State"] == "Tried, tries again"
    assert "could not be reached" in mail["Why"]
    assert (hook["State"], hook["Why"]) == ("Not delivered", "The webhook answered HTTP 403.")


def test_without_channels_a_test_alert_says_that_it_stays_in_the_console(alice: Reader) -> None:
    page = alice.client.get("/system").press("Send a test alert").follow_redirect()
    assert page.select("#deliveries table") == []
    assert "neither SMTP_URL nor ALERT_WEBHOOK_URL is set" in page.text


def test_operators_see_it_and_only_who_may_change_settings_sends_a_test(
    engineer: PageClient, charlie: Reader, web: Session
) -> None:
    number = told(web, charlie)
    assert engineer.get("/system/alerts").select("form[action='/system/test-alert']") == []
    engineer.get(f"/system/alerts/{number}")
    engineer.post("/system/test-alert", expect=403)
    for address in ("/system/alerts", f"/system/alerts/{number}"):
        charlie.client.get(address, expect=403)
    engineer.get("/system/alerts/4711", expect=404)


def test_the_list_takes_as_many_statements_for_many_as_for_one(
    alice: Reader, bob: Reader, web: Session, statements: Callable[[Callable[[], object]], int]
) -> None:
    told(web, alice)
    alice.client.get("/system/alerts")
    few = statements(lambda: alice.client.get("/system/alerts"))
    for _ in range(20):
        told(web, alice, bob)
    assert statements(lambda: alice.client.get("/system/alerts")) == few
    assert len(web.scalars(select(AlertMessage.id)).all()) == 21
