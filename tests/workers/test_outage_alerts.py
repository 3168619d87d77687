"""An outage is told once when it begins and once when it is over, however many runs it holds up."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.extensions import db
from app.models import AlertMessage, ConnectionBreaker, User
from app.permissions import Actor
from app.workers import alert_watch
from tests.support.factories import http_step, make_user
from tests.support.services.outages import BROKEN, DONE, UNAUTHORISED, Outside

HOUR = 3600


@pytest.fixture
def session(app: Flask) -> Iterator[Session]:
    """A session beside that of the look."""
    with app.app_context(), Session(db.engine) as session:
        yield session


@pytest.fixture
def alice(session: Session) -> User:
    return make_user(session, "admin", first_name="Alice", last_name="Admin")


@pytest.fixture
def outside(session: Session, admin: Actor, alice: User) -> Outside:
    retry = {"attempts": 3, "delay_seconds": 2, "backoff": "fixed"}
    return Outside(session, admin, lambda connection: [http_step("create", connection, retry=retry)])


def live(app: Flask, outside: Outside, sweeps: int, *, grants: int = 0, every: float = 30) -> None:
    """Let time go by, with so many new grants before each sweep and the look that follows it."""
    for _ in range(sweeps):
        outside.grant(grants)
        outside.live(every, every=every)
        outside.session.commit()
        alert_watch.look(app, now=outside.now)
        outside.session.rollback()


def told(session: Session) -> list[tuple[str, str]]:
    statement = select(AlertMessage.transition, AlertMessage.title).where(AlertMessage.kind != "digest")
    return [(row.transition, row.title) for row in session.execute(statement.order_by(AlertMessage.id))]


def test_an_hour_of_outage_with_200_grants_is_one_alert_and_one_end(
    app: Flask, session: Session, outside: Outside
) -> None:
    outside.answer = BROKEN
    live(app, outside, 40, grants=5, every=HOUR / 40)
    name = f"{outside.application.name}: connection “{outside.connection.name}” is parked"
    assert told(session) == [("opened", name)]
    assert set(outside.statuses()) == {"running"}

    outside.answer = DONE
    live(app, outside, 25)
    assert set(outside.statuses()) == {"succeeded"}
    assert len(outside.runs()) == 200
    assert outside.state() == "closed"
    assert told(session) == [("opened", name), ("resolved", f"Resolved: {name}")]


def test_an_outage_that_was_over_before_anybody_looked_is_told_all_the_same(
    app: Flask, session: Session, outside: Outside
) -> None:
    outside.answer = BROKEN
    outside.grant(3)
    outside.work()
    assert outside.state() == "parked"
    outside.answer = DONE
    outside.live(60)
    assert outside.state() == "closed"
    session.commit()
    for _ in range(3):
        outside.now += timedelta(seconds=5)
        alert_watch.look(app, now=outside.now)
        session.rollback()
    name = f"{outside.application.name}: connection “{outside.connection.name}” was parked"
    assert told(session) == [("opened", name), ("resolved", f"Resolved: {name}")]
    lines = session.scalars(select(AlertMessage.lines).where(AlertMessage.transition == "opened")).one()
    assert lines[0] == "It was parked at 1 Mar 2026, 12:00 UTC, and is in use again."


def test_a_refused_credential_is_told_as_that_and_not_also_run_by_run(
    app: Flask, session: Session, outside: Outside
) -> None:
    outside.answer = UNAUTHORISED
    outside.grant(5)
    live(app, outside, 5)
    assert outside.state() == "refused"
    assert "failed" in outside.statuses()
    assert [title.endswith("is parked") for _, title in told(session)] == [True]
    words = session.scalars(select(AlertMessage.lines).where(AlertMessage.kind == "connection_parked")).one()
    assert any("Replace the credential" in line for line in words)


def test_a_parking_by_hand_says_who_and_until_when(app: Flask, session: Session, outside: Outside) -> None:
    until = outside.now + timedelta(hours=2)
    session.add(
        ConnectionBreaker(
            connection_id=outside.connection.id,
            application_id=outside.application.id,
            state="held",
            since=outside.now,
            parked_at=outside.now,
            until=until,
            next_at=until,
            parked_by="Bob Builder",
            reason="Maintenance by Jane",
        )
    )
    session.commit()
    alert_watch.look(app, now=outside.now)
    session.rollback()
    message = session.scalars(select(AlertMessage).where(AlertMessage.kind == "connection_parked")).one()
    assert any(
        line.startswith("Bob Builder parked it until 1 Mar 2026, 14:00 UTC.") for line in message.lines
    )
    assert message.path == f"/connections/{outside.connection.id}"
