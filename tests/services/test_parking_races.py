"""Many workers, sweepers and people at one parked connection at the same moment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session
from structlog.testing import capture_logs

from app.domain.runs import signals as m
from app.extensions import db
from app.models import Connection, ConnectionBreaker, Run, RunEvent
from app.permissions import Actor
from app.services import parking
from app.services.advance import Move, advance
from app.services.parking import Reconciled, reconcile
from tests.support.services.outages import BROKEN, DONE, WORKER, Outside
from tests.support.services.races import Act, at_once


@pytest.fixture
def outside(app: Flask, admin: Actor) -> Iterator[Outside]:
    """Six runs whose calls are out, committed."""
    with app.app_context():
        engine = db.engine
    with Session(engine) as session:
        outside = Outside(session, admin)
        outside.grant(6)
        outside.claim()
        session.commit()
        yield outside


def answers(outside: Outside) -> list[Act]:
    """Six workers, each with its own bad news."""

    def report(move: Move) -> Act:
        return lambda session: advance(session.connection(), [move], now=outside.now, holder=WORKER)

    return [
        report(Move(one.run_id, m.Answered(one.step.key, one.attempt, BROKEN), one.fence))
        for one in outside.out.values()
    ]


def test_workers_that_meet_an_outage_at_once_park_it_once(app: Flask, outside: Outside) -> None:
    with capture_logs() as logs:
        assert at_once(app, *answers(outside)) == ["done"] * 6
    assert [one["event"] for one in logs].count("connection.parked") == 1
    outside.session.rollback()
    assert outside.state() == "parked"
    assert Counter(outside.statuses()) == {"failed": 2, "running": 4}, "two were told before it tripped"
    assert len(outside.waiting()) == 4


def test_sweepers_and_a_person_at_once_let_one_run_go(app: Flask, outside: Outside) -> None:
    at_once(app, *answers(outside))
    later = outside.now + timedelta(seconds=1)
    found: list[Reconciled] = []

    def sweep(session: Session) -> None:
        found.append(reconcile(session.connection(), outside.connection.id, now=later))

    def let_go(session: Session) -> None:
        connection = session.get_one(Connection, outside.connection.id)
        parking.unpark(session, outside.actor, connection, now=later)

    outside.session.rollback()
    outside.session.refresh(outside.connection)
    results = at_once(app, let_go, let_go, sweep, sweep)
    assert results.count("done") == 3, "the second person is told that it is not parked any more"
    assert at_once(app, sweep, sweep) == ["done", "done"]
    assert len([one for each in found for one in each.going_on]) == 1
    outside.session.rollback()
    events = select(RunEvent.run_id).where(RunEvent.kind == "goes_on")
    assert len(outside.session.scalars(events).all()) == 1
    let_through = select(Run.id).where(Run.let_through_id == outside.connection.id)
    assert len(outside.session.scalars(let_through).all()) == 1


def test_whoever_finds_that_a_trial_has_left_one_run_is_let_through(app: Flask, outside: Outside) -> None:
    at_once(app, *answers(outside))
    outside.session.rollback()
    outside.now += timedelta(seconds=15)
    outside.answer = DONE
    outside.sweep()
    outside.sweep()
    outside.session.commit()
    trial = outside.went_on[0][1]
    connection_id, now = outside.connection.id, outside.now

    def sweep(session: Session) -> None:
        reconcile(session.connection(), connection_id, now=now)

    def cancel(session: Session) -> None:
        advance(session.connection(), [Move(trial, m.Cancel("Alice", "Not wanted"))], now=now)

    outside.session.rollback()
    assert at_once(app, cancel, sweep, sweep) == ["done"] * 3
    assert at_once(app, sweep, sweep) == ["done"] * 2
    let_through = select(Run.id).where(
        Run.let_through_id == connection_id, Run.waits_for_id.is_(None), Run.status == "running"
    )
    assert len(outside.session.scalars(let_through).all()) == 1
    assert len(outside.waiting()) == 2


def test_a_probe_is_asked_for_by_one_of_two_sweepers(app: Flask, outside: Outside) -> None:
    at_once(app, *answers(outside))
    found: list[Reconciled] = []

    def sweep(session: Session) -> None:
        at = outside.now + timedelta(seconds=20)
        found.append(reconcile(session.connection(), connection_id, now=at))

    outside.session.rollback()
    connection_id = outside.session.scalars(select(ConnectionBreaker.connection_id)).one()
    outside.session.rollback()
    assert at_once(app, sweep, sweep, sweep) == ["done"] * 3
    assert [one.probe for one in found].count(True) == 1
