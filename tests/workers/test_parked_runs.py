"""An outage with real workers and sweepers, killed in the middle of it: nothing is lost, and it goes on by itself."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from app import clock
from app.extensions import db
from app.models import Application, ConnectionBreaker, Run, User
from app.permissions import Actor
from app.services import grants
from app.services.transaction import transaction
from tests.support.factories import http_step, make_application, make_connection, make_user, make_workflow
from tests.support.target import Answer, Call, Target
from tests.support.workers.processes import PATIENCE, Crew, until

pytestmark = pytest.mark.slow
RUNS = 20


def granted(app: Flask, admin: Actor, target: Target) -> None:
    with app.app_context():
        with transaction() as session:
            application = make_application(session)
            config: dict[str, Any] = {
                "base_url": target.url,
                "health_path": "/health",
                "auth": "none",
                # The second run that meets it trips it: at most the first has failed by then.
                "park_after_failures": 2,
            }
            connection = make_connection(session, application, config=config)
            make_workflow(session, application, http_step("create", connection.id))
            people, place = [make_user(session).id for _ in range(RUNS)], application.id
        with transaction() as session:
            for person in people:
                grants.grant(
                    session,
                    admin,
                    application=session.get_one(Application, place),
                    user=session.get_one(User, person),
                    now=clock.now(),
                )


def waiting(session: Session) -> int:
    return session.scalar(select(func.count()).where(Run.waits_for_id.is_not(None))) or 0


def is_due_for_a_probe(app: Flask) -> None:
    """What time would do."""
    with app.app_context(), transaction() as session:
        past = clock.now() - timedelta(seconds=1)
        session.execute(update(ConnectionBreaker).values(next_at=past))
        db.session.expire_all()


def test_runs_wait_out_an_outage_whatever_is_killed_meanwhile(
    only_sqlite: Flask, admin: Actor, target: Target, crew: Crew
) -> None:
    target.answer = lambda _call: Answer(503)
    granted(only_sqlite, admin, target)
    worker, sweeper = crew.worker(WORKER_CONCURRENCY="5"), crew.sweeper()
    until(lambda: crew.look(waiting) >= RUNS - 5, "the runs wait")
    until(lambda: crew.look(_in_flight) == 0, "no call is out any more")
    posts = len([one for one in target.calls if one.method == "POST"])
    assert posts < RUNS
    for one in (worker, sweeper):
        one.kill()
        one.wait(PATIENCE)

    def only_the_health_path(call: Call) -> Answer:
        return Answer(200) if call.path == "/health" else Answer(201, {"id": call.key})

    target.answer = only_the_health_path
    is_due_for_a_probe(only_sqlite)
    crew.worker()
    crew.sweeper()
    until(lambda: crew.look(waiting) == 0 and crew.look(_open) == 0, "all go on")
    assert "/health" in [one.path for one in target.calls if one.method == "GET"]
    statuses = crew.look(lambda session: session.scalars(select(Run.status).order_by(Run.id)).all())
    assert statuses.count("succeeded") >= RUNS - 2, "at most those that met it before it tripped have failed"
    assert max(target.effects.values()) == 1
    until(lambda: crew.look(lambda s: s.scalar(select(ConnectionBreaker.state))) == "closed", "all is well")


def _in_flight(session: Session) -> int:
    return session.scalar(select(func.count()).where(Run.in_flight)) or 0


def _open(session: Session) -> int:
    return session.scalar(select(func.count()).where(Run.status.in_(("queued", "running")))) or 0
