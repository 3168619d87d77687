"""A parked connection on its page, in the list, on its runs and on System health; parking one by hand."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy.orm import Session

from app.clock import now
from app.models import AuditEvent, ConnectionBreaker, Grant
from app.permissions import ALL_PERMISSIONS, Actor
from tests.support.page import text_of
from tests.support.services.outages import BROKEN, DONE, UNAUTHORISED, Outside
from tests.support.web.readers import Reader

ROOT = Actor("system", "Test", ALL_PERMISSIONS)


@pytest.fixture
def outside(web: Session) -> Outside:
    """An application with one connection, all well."""
    outside = Outside(web, ROOT, now=now())
    web.commit()
    return outside


@pytest.fixture
def parked(outside: Outside) -> Outside:
    """The same in an outage, with four runs that wait."""
    outside.answer = BROKEN
    outside.grant(4)
    outside.work()
    outside.session.commit()
    return outside


def page_of(outside: Outside) -> str:
    return f"/connections/{outside.connection.id}"


def test_its_page_says_since_when_why_and_what_happens_next(alice: Reader, parked: Outside) -> None:
    page = alice.client.get(page_of(parked))
    assert page.text.count("Waiting (connection)") == 4
    words = text_of(page.one("#parked"))
    for said in (
        "Parked. Calls failed one after the other, last with: HTTP 503 Service Unavailable.",
        "The health check path is asked again and again; runs go on by themselves once it answers.",
        "4 runs waiting",
        "Tried next:",
    ):
        assert said in words


def test_the_list_shows_it_beside_those_in_use(alice: Reader, parked: Outside) -> None:
    [row] = alice.client.get(f"/applications/{parked.application.id}/connections").table("connections")
    assert row["State"] == "Parked 4 runs waiting"


def test_home_names_it_and_tells_what_stands_still_from_what_runs(alice: Reader, parked: Outside) -> None:
    home = alice.client.get("/")
    [row] = home.table("parked-connections")
    assert (row["Connection"], row["State"], row["Runs waiting"]) == (
        f"{parked.connection.name}, {parked.application.name}",
        "Parked",
        "4",
    )
    assert "4 waiting for a connection." in home.texts("#progress")[0]
    assert "running" not in home.texts("#progress")[0]


def test_the_runs_that_wait_for_a_connection_are_a_filter_of_the_runs_list(
    alice: Reader, parked: Outside
) -> None:
    page = alice.client.get("/runs?status=waiting_connection")
    assert len(page.table("runs")) == 4
    parked.answer = DONE
    parked.live(300)
    parked.session.commit()
    assert alice.client.get("/runs?status=waiting_connection").table("runs") == []


def test_a_run_that_waits_says_for_what_and_the_grant_is_still_provisioning(
    alice: Reader, parked: Outside
) -> None:
    run = parked.runs()[0]
    page = alice.client.get(f"/runs/{run.id}")
    assert "Waiting (connection)" in text_of(page.one("#run-chip"))
    notes = text_of(page.one("#run-notes"))
    assert f"Waiting for the connection {parked.connection.name}." in notes
    assert "last with: HTTP 503" in notes
    assert "Waiting since" in notes
    assert "Tried next" in notes
    assert f"Waits: {parked.connection.name} is parked" in page.text
    assert "waits for the connection" in page.text
    assert "Nothing to do: the run goes on by itself once the connection is back." in page.text
    assert "Turn on retry" not in page.text
    assert page.follow("Open the connection").h1 == parked.connection.name
    [row, *_] = alice.client.get("/runs").table("runs")
    assert "Waiting (connection)" in row["Status"]
    assert parked.session.get_one(Grant, run.grant_id).state == "provisioning"


def test_system_health_lists_it(alice: Reader, parked: Outside) -> None:
    [row] = alice.client.get("/system").table("parked-connections")
    assert row["Connection"] == f"{parked.connection.name}, {parked.application.name}"
    assert (row["State"], row["Runs waiting"]) == ("Parked", "4")


def test_letting_it_go_on_is_one_click_and_is_said_to_whoever_comes_second(
    alice: Reader, parked: Outside
) -> None:
    page = alice.client.get(page_of(parked))
    done = page.press("Let it go on now").follow_redirect()
    assert "One waiting run goes on within seconds" in done.text
    assert "One run was let through" in text_of(done.one("#parked"))
    again = page.press("Let it go on now").follow_redirect()
    assert "is not parked. It may have come back just now." in again.text


def test_a_refused_credential_says_that_it_is_not_tried_and_what_mends_it(
    alice: Reader, outside: Outside
) -> None:
    outside.answer, outside.room = UNAUTHORISED, 1
    outside.grant(5)
    outside.live(30)
    outside.session.commit()
    words = text_of(alice.client.get(page_of(outside)).one("#parked"))
    assert "Credential refused." in words
    assert "so that the account is not locked" in words
    assert "Replace the credential" in words
    assert "Tried next" not in words


def test_it_is_parked_for_maintenance_with_an_end_and_a_reason(
    alice: Reader, outside: Outside, web: Session
) -> None:
    form = alice.client.get(page_of(outside)).follow("Park for maintenance…").form("park-form")
    end = (now() + timedelta(hours=2)).strftime("%Y-%m-%dT%H:%M")
    done = form.fill(until=end, reason="New database").submit().follow_redirect()
    words = text_of(done.one("#parked"))
    assert "Parked by hand. Parked by Alice Example: New database" in words
    row = web.get_one(ConnectionBreaker, outside.connection.id)
    assert row.until is not None
    assert row.until.strftime("%Y-%m-%dT%H:%M") == end
    entry = web.query(AuditEvent).filter_by(action="connection.park").one()
    assert (entry.actor, entry.reason) == ("Alice Example", "New database")
    assert "Parked the connection" in alice.client.get("/audit").text


@pytest.mark.parametrize(
    ("typed", "errors"),
    [
        ({"until": "", "reason": ""}, {"reason": "Enter a reason."}),
        ({"until": "soon", "reason": "New"}, {"until": "Enter a date and a time."}),
        ({"until": "2020-01-01T00:00", "reason": "New"}, {"until": "Enter a time that is still to come."}),
        ({"until": "", "reason": "New"}, {"until": "Enter when it ends. It can be ended before."}),
    ],
)
def test_a_refused_parking_names_the_field_and_keeps_what_was_typed(
    alice: Reader, outside: Outside, typed: dict[str, str], errors: dict[str, str]
) -> None:
    page = alice.client.get(f"{page_of(outside)}/park")
    refused = page.form("park-form").fill(**typed).submit(expect=422)
    assert refused.errors() == errors
    assert refused.one("#reason").get("value", "") == typed["reason"]
    part = page.form("park-form").fill(**typed).submit(expect=422, htmx=True)
    assert part.is_fragment


def test_its_settings_are_on_its_form_and_on_its_page(alice: Reader, outside: Outside, web: Session) -> None:
    page = alice.client.get(page_of(outside))
    assert "after 3 failed runs in a row within 5 min" in page.text
    form = page.follow("Edit").form("connection-form")
    saved = form.fill(park_after_failures="0", park_window_seconds="").submit().follow_redirect()
    assert "by hand only" in saved.text
    refused = form.fill(park_after_failures="-1", park_window_seconds="5").submit(expect=422)
    assert refused.errors() == {
        "park_after_failures": "Enter a whole number from 0 to 1,000.",
        "park_window_seconds": "Enter a whole number from 10 to 86,400.",
    }


def test_who_may_not_run_anything_is_told_what_it_takes(
    alice: Reader, charlie: Reader, parked: Outside
) -> None:
    assert "workflow:run" in charlie.client.get(f"{page_of(parked)}/park", expect=403).text
    for address in ("park", "unpark"):
        charlie.client.post(f"{page_of(parked)}/{address}", {}, expect=403, csrf=True)
    assert "Let it go on now" in alice.client.get(page_of(parked)).text
