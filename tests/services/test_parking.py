"""What people do about a parked connection, and what that does to the runs that wait for it."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.crypto import KeyRing
from app.errors import Conflict, Invalid
from app.models import AuditEvent
from app.permissions import Actor
from app.queries.connections import Parking, parkings
from app.schemas.connections import ConnectionPatch, CredentialIn, ParkIn
from app.services import connection_test, connections, credentials, parking
from app.services.connection_test import FAILED, REACHABLE, TestResult
from tests.support.audit import audited
from tests.support.services.outages import BROKEN, DONE, UNAUTHORISED, Outside

ACCOUNT = "Canary-secret-1"


@pytest.fixture
def outside(session: Session, admin: Actor) -> Outside:
    return Outside(session, admin, config={"auth": "bearer"})


def down(outside: Outside) -> Outside:
    outside.answer = BROKEN
    outside.grant(10)
    outside.work()
    assert outside.state() == "parked"
    return outside


def refused(outside: Outside) -> Outside:
    outside.answer, outside.room = UNAUTHORISED, 1
    outside.grant(10)
    outside.live(60)
    assert outside.state() == "refused"
    return outside


def hold(outside: Outside, minutes: float = 60, reason: str = "New database") -> datetime:
    until = outside.now + timedelta(minutes=minutes)
    data = ParkIn(until=until, reason=reason)
    parking.park(outside.session, outside.actor, outside.connection, data, now=outside.now)
    return until


def told(outside: Outside) -> Parking:
    [found] = parkings(outside.session)
    return found


def test_a_connection_parked_by_hand_sends_nothing_until_its_time_is_over(outside: Outside) -> None:
    until = hold(outside)
    outside.grant(3)
    outside.live(3500, every=50)
    assert (outside.calls, outside.probes) == ([], [])
    assert len(outside.waiting()) == 3
    assert told(outside).why == "Parked by Alice Admin: New database"
    outside.live(250)
    assert outside.probes == [until]
    assert set(outside.statuses()) == {"succeeded"}
    assert outside.state() == "closed"
    assert parkings(outside.session) == []


def test_what_is_not_back_at_the_end_of_its_maintenance_is_probed_on(outside: Outside) -> None:
    hold(outside, minutes=1)
    outside.grant(3)
    outside.answer = BROKEN
    outside.live(120)
    assert outside.state() == "parked"
    assert told(outside).why.startswith("The time for which Alice Admin parked it is over")
    assert (outside.calls, len(outside.probes)) == ([], 2)


def test_parking_by_hand_and_its_end_are_audited_with_their_reason(outside: Outside) -> None:
    until = hold(outside)
    parking.unpark(outside.session, outside.actor, outside.connection, now=outside.now)
    entries = outside.session.scalars(select(AuditEvent).order_by(AuditEvent.id)).all()[-2:]
    assert [(one.action, one.reason) for one in entries] == [
        ("connection.park", "New database"),
        ("connection.unpark", None),
    ]
    assert entries[0].changes == {"until": [None, until.isoformat()]}


@pytest.mark.parametrize(
    ("until", "message"),
    [
        (None, "Enter when it ends. It can be ended before."),
        (timedelta(seconds=-1), "Enter a time that is still to come."),
        (timedelta(days=31), "Enter a time within 30 days."),
    ],
)
def test_a_parking_by_hand_has_an_end_that_can_be_waited_for(
    outside: Outside, until: timedelta | None, message: str
) -> None:
    data = ParkIn(until=outside.now + until if until else None, reason="New database")
    with pytest.raises(Invalid) as refusal:
        parking.park(outside.session, outside.actor, outside.connection, data, now=outside.now)
    assert [(one.field, one.message) for one in refusal.value.errors] == [("until", message)]
    assert outside.state() == "closed"


def test_a_person_lets_it_go_on_before_any_probe(outside: Outside) -> None:
    down(outside).answer = DONE
    parking.unpark(outside.session, outside.actor, outside.connection, now=outside.now)
    outside.live(40)
    assert outside.probes == []
    assert set(outside.statuses()) == {"succeeded"}


def test_letting_go_on_what_is_still_down_costs_one_call_and_fails_nothing(outside: Outside) -> None:
    down(outside)
    calls = len(outside.calls)
    parking.unpark(outside.session, outside.actor, outside.connection, now=outside.now)
    outside.live(10)
    assert len(outside.calls) == calls + 1
    assert outside.state() == "parked"
    assert set(outside.statuses()) == {"running"}


def test_what_is_not_parked_cannot_be_let_go_on(outside: Outside) -> None:
    with pytest.raises(Conflict, match="is not parked"):
        parking.unpark(outside.session, outside.actor, outside.connection, now=outside.now)


# Credential refused


def test_a_new_credential_lets_one_run_through_and_then_the_others(
    outside: Outside, admin: Actor, keyring: KeyRing
) -> None:
    refused(outside)
    assert "so that the account is not locked" in told(outside).why
    given = CredentialIn(value=ACCOUNT)
    credentials.set_credential(outside.session, admin, outside.connection, given, keyring, now=outside.now)
    outside.live(5)
    assert (len(outside.calls), outside.state()) == (6, "refused"), "still wrong: one run found out"
    outside.answer, outside.room = DONE, 32
    credentials.set_credential(outside.session, admin, outside.connection, given, keyring, now=outside.now)
    outside.live(60)
    assert outside.statuses() == ["failed"] * 6 + ["succeeded"] * 4


def test_a_test_by_a_person_that_reaches_it_ends_either_parking(outside: Outside, admin: Actor) -> None:
    refused(outside).answer = DONE
    found = TestResult(REACHABLE, "", status=200)
    connection_test.keep(outside.session, outside.connection.id, found, now=outside.now, actor=admin)
    outside.room = 32
    outside.live(60)
    assert outside.state() == "closed"
    assert audited(outside.session)[-1] == "connection.unpark"


def test_a_test_that_fails_or_a_parking_by_hand_leave_it_parked(outside: Outside, admin: Actor) -> None:
    refused(outside)
    failed = TestResult(FAILED, "", status=401)
    connection_test.keep(outside.session, outside.connection.id, failed, now=outside.now, actor=admin)
    assert outside.state() == "refused"
    hold(outside)
    found = TestResult(REACHABLE, "", status=200)
    connection_test.keep(outside.session, outside.connection.id, found, now=outside.now, actor=admin)
    assert outside.state() == "held"


# Settings


def test_an_address_that_was_mended_is_probed_at_once(outside: Outside, admin: Actor) -> None:
    down(outside).live(600)
    outside.answer = DONE
    patch = ConnectionPatch(config={"base_url": "https://other.example"})
    probes = len(outside.probes)
    connections.change_connection(outside.session, admin, outside.connection, patch, now=outside.now)
    outside.sweep()
    assert len(outside.probes) == probes + 1


def test_switching_parking_off_lets_go_on_what_waits(outside: Outside, admin: Actor) -> None:
    down(outside)
    patch = ConnectionPatch(config={"park_after_failures": 0})
    connections.change_connection(outside.session, admin, outside.connection, patch, now=outside.now)
    outside.live(60)
    assert set(outside.statuses()) == {"failed"}
    assert outside.state() == "closed"


def test_what_a_page_says_of_an_outage(outside: Outside) -> None:
    began = outside.now
    found = told(down(outside))
    assert (found.label, found.since, found.waiting) == ("Parked", began, 10)
    assert found.why == "Calls failed one after the other, last with: HTTP 503 Service Unavailable."
    assert found.probe_at == began + timedelta(seconds=15)
