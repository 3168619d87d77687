"""A bulk retry with real workers, sweepers and a system that refuses the credential, then takes the new one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import redis
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from app import clock
from app.database import db_now
from app.models import BulkRetry, Connection, Run
from app.permissions import Actor
from app.queries.bulk_retries import chosen_by_filter
from app.queries.runs import RunFilters
from app.schemas.connections import CredentialIn
from app.services import bulk_retries, credentials, grants
from app.services.bulk_retries import RetryOrder
from app.services.transaction import transaction
from tests.support.factories import http_step, make_application, make_connection, make_user, make_workflow
from tests.support.target import Answer, Call, Target, running_target
from tests.support.workers.processes import Crew, until

pytestmark = pytest.mark.slow
WRONG, RIGHT = "wrong-credential-1", "right-credential-2"
PEOPLE = 37


@pytest.fixture
def target() -> Iterator[Target]:
    with running_target() as target:

        def answer(call: Call) -> Answer:
            right = call.headers.get("authorization") == f"Bearer {RIGHT}"
            return Answer(201, {"id": "u"}) if right else Answer(401)

        target.answer = answer
        yield target


def grant_all(app: Flask, admin: Actor, target: Target) -> int:
    """So many grants on one application whose credential is wrong; gives the connection's number."""
    with app.app_context(), transaction() as session:
        application = make_application(session)
        # Never parked: every one of them is to fail.
        config = {"base_url": target.url, "auth": "bearer", "timeout_seconds": 20, "park_after_failures": 0}
        connection = make_connection(session, application, config=config)
        make_workflow(session, application, http_step("create", connection.id))
        number = connection.id
        enter(app, session, admin, connection, WRONG)
        for _ in range(PEOPLE):
            grants.grant(session, admin, application=application, user=make_user(session), now=clock.now())
    return number


def enter(app: Flask, session: Session, admin: Actor, connection: Connection, value: str) -> None:
    now = db_now(session.connection())
    entered = CredentialIn(value=value)
    credentials.set_credential(session, admin, connection, entered, app.extensions["keyring"], now=now)


def start(app: Flask, admin: Actor, token: str) -> int:
    with app.app_context(), transaction() as session:
        choice = chosen_by_filter(session, RunFilters(failure_status=401))
        return bulk_retries.start(session, admin, RetryOrder("Outage", "Mended", token, "s"), choice.rows).id


def over(crew: Crew, number: int) -> str:
    def status(session: Any) -> str | None:
        bulk = session.get_one(BulkRetry, number)
        return bulk.status if bulk.finished_at is not None else None

    return until(lambda: crew.look(status), "the bulk retry is over", seconds=90)


def statuses(crew: Crew) -> list[str]:
    return crew.look(lambda session: list(session.scalars(select(Run.status).order_by(Run.id))))


def test_a_wrong_credential_touches_one_and_the_right_one_finishes_all_whatever_dies_meanwhile(
    only_sqlite: Flask, admin: Actor, target: Target, crew: Crew
) -> None:
    crew.worker()
    connection = grant_all(only_sqlite, admin, target)
    dying = crew.sweeper()
    until(lambda: statuses(crew) == ["failed"] * PEOPLE, "every run is refused")
    target.wait_for_calls(PEOPLE)

    assert over(crew, start(only_sqlite, admin, "still wrong")) == "probe_failed"
    assert len(target.calls) == PEOPLE + 1

    with only_sqlite.app_context(), transaction() as session:
        enter(only_sqlite, session, admin, session.get_one(Connection, connection), RIGHT)
    staying = crew.sweeper()
    number = start(only_sqlite, admin, "mended")
    target.wait_for_calls(PEOPLE + 6, timeout=60)
    dying.kill()
    redis.Redis.from_url(f"unix://{crew.socket}").flushall()
    assert over(crew, number) == "finished"
    assert staying.poll() is None
    assert statuses(crew) == ["succeeded"] * PEOPLE
    taken = [call for call in target.calls if call.headers.get("authorization") == f"Bearer {RIGHT}"]
    assert len(taken) == len({call.key for call in taken}) == PEOPLE
