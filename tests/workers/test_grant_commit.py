"""The COMMIT of a grant is cut off, or done with its reply lost; what the page and the API say, and sent again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app import clock, create_app
from app.config.settings import load_settings
from app.extensions import db
from app.models import Grant, Run
from app.permissions import ALL_PERMISSIONS, SYSTEM
from app.schemas.people import TokenIn
from app.services import tokens
from app.services.transaction import transaction
from tests.support.api.client import ApiClient
from tests.support.factories import http_step, make_application, make_connection, make_user, make_workflow
from tests.support.web.readers import person, sign_in
from tests.support.workers.postgres_proxy import Fault, PostgresProxy, postgres_proxy

pytestmark = pytest.mark.postgres
FAULTS = pytest.mark.parametrize("arrives", [False, True], ids=["cut-off", "reply-lost"])


@pytest.fixture
def proxy(request: pytest.FixtureRequest) -> Iterator[PostgresProxy]:
    app, database = request.getfixturevalue("postgres_app")
    database.reset(app)
    with postgres_proxy(app.extensions["settings"].database_url) as proxy:
        yield proxy


@pytest.fixture
def console(proxy: PostgresProxy, tmp_path: Path) -> Iterator[Flask]:
    """The whole console, its database behind the proxy."""
    environ = {
        "DATABASE_URL": proxy.url,
        "DATA_DIR": str(tmp_path),
        "REDIS_URL": f"unix://{tmp_path}/nobody.sock",
    }
    app = create_app(load_settings(environ, env_file=None))
    app.config["TESTING"] = True
    app.config["PASSWORD_HASH_COST"] = "test"
    yield app
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


@pytest.fixture
def place(console: Flask) -> tuple[int, int]:
    """An application whose grants start runs, and somebody to grant it to."""
    with console.app_context(), transaction() as session:
        application = make_application(session)
        connection = make_connection(session, application)
        make_workflow(session, application, http_step("create", connection.id))
        return application.id, make_user(session).id


def counted(app: Flask) -> tuple[int, int]:
    """How many grants and runs there are."""

    def count(session: Session) -> tuple[int, int]:
        return (
            session.scalar(select(func.count()).select_from(Grant)) or 0,
            session.scalar(select(func.count()).select_from(Run)) or 0,
        )

    with app.app_context():
        try:
            return count(db.session())
        finally:
            db.session.remove()


@FAULTS
def test_a_form_that_could_not_be_confirmed_may_be_sent_again(
    console: Flask, proxy: PostgresProxy, place: tuple[int, int], arrives: bool
) -> None:
    with console.app_context(), Session(db.engine, expire_on_commit=False) as session:
        alice = sign_in(console, person(console, session, "alice", "admin"))
    application, user = place
    page = alice.client.get(f"/applications/{application}/grant")
    form = page.form("grant-form").fill(user_id=user, access_level="Member")
    proxy.arm(fault := Fault(1, arrives))
    told = form.submit(expect=503)
    assert fault.fired.is_set()
    assert counted(console) == ((1, 1) if arrives else (0, 0))
    assert "It could not be confirmed whether this was saved." in told.text
    form.submit()
    assert counted(console) == (1, 1)


@FAULTS
def test_a_call_with_a_key_that_could_not_be_confirmed_may_be_sent_again(
    console: Flask, proxy: PostgresProxy, place: tuple[int, int], arrives: bool
) -> None:
    with console.app_context(), transaction() as session:
        wanted = TokenIn(name="Script", permissions=sorted(ALL_PERMISSIONS))
        _, secret = tokens.create_token(session, SYSTEM, wanted, now=clock.now())
    api = ApiClient(console, secret)
    api.get("/grants")  # notes that the token was used, which is a commit of its own
    application, user = place
    body = {"application_id": str(application), "user_id": str(user), "access_level": "Member"}

    def send() -> tuple[int, dict[str, object]]:
        answer = api.send("POST", "/grants", body, headers={"Idempotency-Key": "order-1"})
        return answer.status_code, answer.get_json(force=True)

    proxy.arm(fault := Fault(1, arrives))
    status, told = send()
    assert (status, told["code"]) == (503, "unavailable")
    assert "could not be confirmed" in str(told["detail"])
    assert fault.fired.is_set()
    assert counted(console) == ((1, 1) if arrives else (0, 0))
    (status, made), again = send(), send()
    assert (status, again) == (201, (201, made))
    assert counted(console) == (1, 1)
