"""Requests per second, with real workers: calls wait their turn, hold nobody else up, and end in words."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from app import clock
from app.domain.remedies.failure import LEFT_ALONE
from app.models import Application, Attempt, Run, User
from app.permissions import Actor
from app.services import grants
from app.services.transaction import transaction
from tests.support.factories import http_step, make_application, make_connection, make_user, make_workflow
from tests.support.target import Answer, Target
from tests.support.workers.processes import Crew, until

pytestmark = pytest.mark.slow


def grant_many(
    app: Flask, admin: Actor, target: Target, people: int, retry: object = None, **config: object
) -> None:
    """An application behind a connection with this configuration, and as many grants on it."""
    with app.app_context(), transaction() as session:
        application = make_application(session)
        base = {"base_url": target.url, "auth": "none", "timeout_seconds": 20}
        connection = make_connection(session, application, config=base | config)
        more = {"retry": retry} if retry else {}
        make_workflow(session, application, http_step("create", connection.id, **more))
    more_grants(app, admin, people)


def more_grants(app: Flask, admin: Actor, people: int) -> None:
    """As many grants on the newest application."""
    with app.app_context():
        with transaction() as session:
            place = session.scalars(select(Application.id).order_by(Application.id.desc())).first()
            ids = [make_user(session).id for _ in range(people)]
        for person in ids:
            with transaction() as session:
                grants.grant(
                    session,
                    admin,
                    application=session.get_one(Application, place),
                    user=session.get_one(User, person),
                    now=clock.now(),
                )


def test_calls_wait_their_turn_and_those_far_behind_come_again_later(
    only_sqlite: Flask, admin: Actor, target: Target, crew: Crew
) -> None:
    # One call in ten seconds: eight at once are one now, six within the longest wait, and one too many.
    grant_many(only_sqlite, admin, target, 8, requests_per_second=0.1)
    crew.worker()
    until(lambda: crew.look(_held_back), "one call is not let out")
    [(attempt, run)] = crew.look(_held_back)
    assert (attempt.failure_class, attempt.outcome_unknown) == ("timeout", False)
    assert "requests per second" in (attempt.detail or "")
    # That is the console's own doing: it costs the run no try, although its step has but one.
    assert (run.status, run.tries, run.due_at) == ("running", 0, attempt.next_attempt_at)
    target.wait_for_calls(1)
    # Those that wait hold nobody up: a connection without a pace is served at once.
    grant_many(only_sqlite, admin, target, 3)
    until(
        lambda: crew.look(lambda s: s.scalars(select(Run).where(Run.status == "succeeded")).all())[3:],
        "others end",
    )
    target.wait_for_calls(5)


def test_a_system_that_asks_for_fewer_requests_is_left_alone_until_then(
    only_sqlite: Flask, admin: Actor, target: Target, crew: Crew
) -> None:
    target.answer = lambda _call: Answer(429, headers={"Retry-After": "900"})
    crew.worker()
    grant_many(only_sqlite, admin, target, 1, retry={"attempts": 1, "wait_statuses": [429]})
    until(lambda: crew.look(_held_back), "the first is told to wait")
    target.answer = lambda _call: Answer(201)
    [(_, first)] = crew.look(_held_back)
    more_grants(only_sqlite, admin, 6)
    until(lambda: len(crew.look(_held_back)) == 7, "the others are not let out")
    held = [(attempt, run) for attempt, run in crew.look(_held_back) if run.id != first.id]
    assert {attempt.detail for attempt, _ in held} == {LEFT_ALONE}
    assert {(run.status, run.tries) for _, run in held} == {("running", 0)}
    # They come again when that is over, as the first does, and not before.
    assert all(abs((run.due_at - first.due_at).total_seconds()) < 300 for _, run in held)
    assert len(target.calls) == 1


def test_two_workers_keep_one_pace(only_sqlite: Flask, admin: Actor, target: Target, crew: Crew) -> None:
    crew.worker()
    crew.worker()
    grant_many(only_sqlite, admin, target, 12, requests_per_second=4)
    until(
        lambda: crew.look(lambda s: len(s.scalars(select(Run).where(Run.status == "succeeded")).all())) == 12,
        "all end",
    )
    started = crew.look(lambda s: s.scalars(select(Attempt.finished_at).order_by(Attempt.finished_at)).all())
    # Twelve calls at four a second cannot be over sooner, however many workers make them.
    assert (started[-1] - started[0]).total_seconds() >= 2
    assert len(target.keys()) == len(target.calls) == 12


def _held_back(session: Session) -> list[Any]:
    statement = select(Attempt, Run).join(Run, Run.id == Attempt.run_id).where(Attempt.status == "failed")
    return list(session.execute(statement).all())
