"""A pass of the sweeper: each duty on its own, whoever else does the same at that moment, and what is said of it."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import func, select, text, update
from sqlalchemy.orm import Session

from app.clock import now
from app.errors import Conflict
from app.extensions import db
from app.models import AlertMessage, Attempt, Duty, FailingDuty, Grant, Run, RunEvent, Worker
from app.queries.system import failing_duties, health
from app.services import grants
from app.services.advance import claim
from app.services.transaction import transaction
from app.workers.steadiness import Steadiness
from app.workers.sweeper import Memory, SweepResult, sweep_once
from tests.support.factories import (
    http_step,
    human_step,
    make_application,
    make_connection,
    make_user,
    make_workflow,
)
from tests.support.queries.stories import ALICE, Story
from tests.support.services.tasks import HOLDER

MINUTE = timedelta(minutes=1)
EXPIRY = "revoke grants that have expired"


@contextmanager
def cannot_be_changed(app: Flask, table: str, number: int) -> Iterator[None]:
    """The database refuses every change of this one row."""
    with app.app_context():
        engine = db.engine
    if engine.dialect.name == "postgresql":
        act, on = "EXECUTE FUNCTION refuse_change('broken')", f" ON {table}"
    else:
        act, on = "BEGIN SELECT RAISE(ABORT, 'broken'); END", ""
    with engine.begin() as connection:
        connection.execute(
            text(
                f"CREATE TRIGGER broken BEFORE UPDATE ON {table} FOR EACH ROW WHEN (OLD.id = {number}) {act}"
            )
        )
    try:
        yield
    finally:
        with engine.begin() as connection:
            connection.execute(text(f"DROP TRIGGER broken{on}"))


def expired(session: Session, count: int) -> list[int]:
    """So many grants, each of a person of its own, whose time is over, with a workflow for their end."""
    application = make_application(session)
    connection = make_connection(session, application)
    make_workflow(session, application, http_step("remove", connection.id), trigger="access_revoked")
    at = now() - MINUTE
    made = [
        grants.grant(
            session,
            ALICE,
            application=application,
            user=make_user(session),
            now=at,
            expires_at=at + timedelta(seconds=1),
        )
        for _ in range(count)
    ]
    ids = [one.id for one in made]
    session.commit()
    return ids


def test_a_grant_that_cannot_be_revoked_keeps_no_other_waiting_and_is_said(
    app: Flask, session: Session
) -> None:
    ids = expired(session, 5)
    make_user(session, "admin")
    session.commit()
    with cannot_be_changed(app, "grants", ids[0]):
        first = sweep_once(app, holder="one")
        assert (first.expired, first.failed) == (4, {EXPIRY: "IntegrityError"})
        session.rollback()
        left = session.scalars(select(Grant.id).where(Grant.revoked_at.is_(None))).all()
        assert left == ids[:1]
        # The pass was made, and once is no word to anybody.
        assert session.scalars(select(Duty.done_at)).one() is not None
        assert failing_duties(session) == []
        session.rollback()
        sweep_once(app, holder="one")
        sweep_once(app, holder="one")
        session.rollback()
        settings = app.extensions["settings"]
        [said] = health(session, now=now(), settings=settings).failing
        assert (said.name, said.problem, said.passes) == (EXPIRY, "IntegrityError", 3)
        told = session.scalars(select(AlertMessage.title).where(AlertMessage.kind == "standstill")).all()
        assert told == [f"The sweeper could not {EXPIRY}"]
        session.rollback()
    after = sweep_once(app, holder="one")
    assert (after.expired, after.failed) == (1, {})
    sweep_once(app, holder="one")
    session.rollback()
    assert session.scalars(select(FailingDuty)).all() == []
    assert session.scalars(
        select(AlertMessage.transition).where(AlertMessage.kind == "standstill").order_by(AlertMessage.id)
    ).all() == ["opened", "resolved"]


def test_more_grants_than_a_pass_takes_are_the_next_passs_at_once(
    app: Flask, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.workers.sweeper.BATCH", 3)
    ids = expired(session, 7)
    with cannot_be_changed(app, "grants", ids[1]):
        passes = [sweep_once(app) for _ in range(3)]
    assert [(one.expired, one.has_more) for one in passes] == [(3, True), (3, True), (0, False)]


def test_a_long_row_of_expiries_is_done_in_slices_between_the_other_duties(
    app: Flask, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.workers.sweeper.SLICE_SECONDS", 0.0)
    expired(session, 3)
    passes = [sweep_once(app) for _ in range(4)]
    assert [(one.expired, one.has_more) for one in passes] == [(1, True), (1, True), (1, True), (0, False)]


def test_a_race_that_is_always_lost_is_a_duty_that_fails_and_ends(app: Flask, session: Session) -> None:
    application = make_application(session)
    make_workflow(session, application, human_step())
    at = now() - MINUTE
    people = [make_user(session) for _ in range(2)]
    for person in people:
        until = at + timedelta(seconds=1)
        grants.grant(session, ALICE, application=application, user=person, now=at, expires_at=until)
    session.flush()
    claim(session.connection(), HOLDER, now=now(), ids=None, limit=2)
    broken = session.scalars(select(Run.id).order_by(Run.id)).first()
    session.execute(update(Attempt).where(Attempt.run_id == broken).values(status="obsolete"))
    session.commit()
    found = sweep_once(app)
    assert (found.expired, list(found.failed)) == (1, [EXPIRY])


def test_grants_that_expire_while_people_revoke_them_end_once_each(app: Flask, session: Session) -> None:
    ids = expired(session, 120)
    session.rollback()
    problems: list[Exception] = []
    found: list[SweepResult] = []
    together = threading.Barrier(6)

    def guarded(act: Callable[[], None]) -> threading.Thread:
        def run() -> None:
            together.wait(30)
            try:
                with app.app_context():
                    act()
            except Exception as problem:
                problems.append(problem)

        return threading.Thread(target=run)

    def revoke(order: list[int]) -> None:
        for number in order:
            try:
                with transaction() as own:
                    grants.revoke(own, ALICE, own.get_one(Grant, number), now=now())
            except Conflict:
                continue

    def sweep() -> None:
        found.append(sweep_once(app))

    orders = [random.Random(seed).sample(ids, len(ids)) for seed in range(4)]
    threads = [guarded(lambda order=order: revoke(order)) for order in orders]  # type: ignore[misc]
    threads += [guarded(sweep) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert problems == []
    assert [one.failed for one in found] == [{}, {}]
    assert not session.scalars(select(Grant.id).where(Grant.revoked_at.is_(None))).all()
    runs = select(Run.grant_id, func.count()).where(Run.trigger == "access_revoked").group_by(Run.grant_id)
    assert sorted(tuple(row) for row in session.execute(runs)) == [(number, 1) for number in ids]


class Watch:
    """A clock that goes on when it is told to."""

    def __init__(self) -> None:
        self.passed = 0.0

    def memory(self) -> Memory:
        return Memory(Steadiness(lease=15, pause=5, clock=lambda: self.passed))


def test_a_sweeper_that_has_not_seen_everything_for_a_lease_takes_no_run_from_its_worker(
    app: Flask, session: Session
) -> None:
    story = Story(session).take()  # three minutes ago, for fifteen seconds
    session.rollback()
    # Its own clock stands still, as if the database's had been set: nothing it sees proves anything.
    memory = Watch().memory()
    for _ in range(3):
        assert sweep_once(app, holder="one", memory=memory).taken_back == 0
    memory.steadiness = Steadiness(lease=0, pause=5)
    assert sweep_once(app, holder="one", memory=memory).taken_back == 1
    session.rollback()
    session.refresh(story.run)
    assert (story.run.worker, story.run.due_at is None) == (None, False)


def test_a_lost_run_that_cannot_be_taken_back_keeps_no_other_from_it(app: Flask, session: Session) -> None:
    stuck, *others = [Story(session).take().run.id for _ in range(3)]
    session.rollback()
    with cannot_be_changed(app, "runs", stuck):
        found = sweep_once(app)
    assert (found.taken_back, list(found.failed)) == (2, ["take runs back from lost workers"])
    held = session.scalars(select(Run.id).where(Run.worker.is_not(None))).all()
    assert (held, len(others)) == ([stuck], 2)
    session.rollback()
    assert sweep_once(app).taken_back == 1


def test_a_sweep_by_hand_takes_back_at_once(app: Flask, session: Session) -> None:
    Story(session).take()
    session.rollback()
    assert sweep_once(app).taken_back == 1


def test_what_stands_still_at_two_passes_is_taken_back_told_and_counted(app: Flask, session: Session) -> None:
    make_user(session, "admin")
    story = Story(session)
    session.add(
        Worker(
            name="w",
            started_at=now() - 9 * MINUTE,
            seen_at=now(),
            concurrency=8,
            in_flight=0,
            left_at=None,
        )
    )
    session.commit()
    memory = Watch().memory()
    assert [sweep_once(app, holder="one", memory=memory).adrift for _ in range(3)] == [0, 1, 0]
    session.rollback()
    assert session.scalars(select(RunEvent.message).where(RunEvent.run_id == story.run.id)).all() == [
        "It stood still: it was due, and no worker took it. The sweeper told the workers of it again."
    ]
    assert health(session, now=now(), settings=app.extensions["settings"]).adrift == 1
    titles = select(AlertMessage.title).where(AlertMessage.kind == "standstill").order_by(AlertMessage.id)
    assert session.scalars(titles).all() == ["1 run stands still"]
    story.cancel()
    sweep_once(app, holder="one", memory=memory)
    session.rollback()
    assert session.scalars(titles).all() == ["1 run stands still", "Resolved: 1 run stands still"]


def test_a_hold_of_a_clock_that_was_set_back_keeps_nobody_from_sweeping(app: Flask, session: Session) -> None:
    expired(session, 1)
    session.add(Duty(name="sweep", holder="gone", until=now() + timedelta(hours=1)))
    session.commit()
    assert sweep_once(app, holder="new").expired == 1
