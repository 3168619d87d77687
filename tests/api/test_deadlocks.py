"""Two acts that wait for each other: PostgreSQL undoes one of them, which is then done after all."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from sqlalchemy import Connection, func, select, text
from sqlalchemy.orm import Session

from app import clock, postgres
from app.extensions import db
from app.models import AuditEvent, Grant, User
from app.permissions import ALL_PERMISSIONS, SYSTEM
from app.schemas.people import TokenIn
from app.services import grants, tokens
from app.services.transaction import transaction
from tests.support.api.client import ApiClient
from tests.support.factories import make_application, make_user
from tests.support.web.readers import person, sign_in
from tests.support.workers.processes import until

pytestmark = pytest.mark.postgres

WAITING = text(
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
)


@pytest.fixture
def console(request: pytest.FixtureRequest) -> Flask:
    app: Flask
    app, database = request.getfixturevalue("postgres_app")
    database.reset(app)
    return app


@pytest.fixture
def leaving(console: Flask) -> int:
    """Somebody with access to something."""
    with console.app_context(), transaction() as session:
        user = make_user(session)
        grants.grant(session, SYSTEM, application=make_application(session), user=user, now=clock.now())
        return user.id


@pytest.fixture
def rival(console: Flask, leaving: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """Lets the other side of a circle go on: it holds what a deactivation wants, and wants what that holds.

    Who looks for a circle while there is one is undone: the deactivation, after three seconds; the rival never does.
    """
    monkeypatch.setattr(postgres, "LIMITS", postgres.LIMITS | {"deadlock_timeout": "3s"})
    with console.app_context():
        engine = db.engine
    engine.dispose()
    done = threading.Event()

    def is_waited() -> bool:
        with engine.connect() as looking:  # anew: a transaction sees the activity of its first look
            return bool(looking.execute(WAITING).scalar())

    def meet(connection: Connection) -> None:
        until(is_waited, "the deactivation waits")
        connection.execute(text("UPDATE users SET username = 'rival' WHERE id = :id"), {"id": leaving})
        connection.rollback()
        connection.close()
        done.set()

    def begin() -> None:
        connection = engine.connect()
        connection.execute(text("SET LOCAL deadlock_timeout = '60s'"))
        connection.execute(
            text("SELECT 1 FROM external_accounts WHERE user_id = :id FOR UPDATE"), {"id": leaving}
        )
        threading.Thread(target=meet, args=(connection,)).start()

    yield begin
    assert done.wait(30)
    engine.dispose()


def is_deactivated_once(console: Flask, user_id: int) -> bool:
    with console.app_context():
        acts = select(func.count()).where(AuditEvent.action == "user.deactivate")
        active = select(func.count()).where(Grant.is_active)
        session = db.session()
        return not session.get_one(User, user_id).is_active and [
            session.scalar(one) for one in (acts, active)
        ] == [1, 0]


def test_a_call_that_was_undone_for_another_is_done_after_all(
    console: Flask, leaving: int, rival: Callable[[], None]
) -> None:
    with console.app_context(), transaction() as session:
        wanted = TokenIn(name="Script", permissions=sorted(ALL_PERMISSIONS))
        _, secret = tokens.create_token(session, SYSTEM, wanted, now=clock.now())
    rival()
    ApiClient(console, secret).patch(f"/users/{leaving}", {"active": False})
    assert is_deactivated_once(console, leaving)


def test_a_form_that_was_undone_for_another_is_done_after_all(
    console: Flask, leaving: int, rival: Callable[[], None]
) -> None:
    with console.app_context(), Session(db.engine, expire_on_commit=False) as session:
        alice = sign_in(console, person(console, session, "alice", "admin"))
    page = alice.client.get(f"/people/{leaving}/deactivate")
    rival()
    assert page.press("Deactivate").status == 303
    assert is_deactivated_once(console, leaving)


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        ({"lock_timeout": "200ms"}, "Somebody else is writing at this moment, and was not done in time."),
        (
            {"default_transaction_read_only": "on"},
            "The database takes no changes at present: it is read-only.",
        ),
    ],
    ids=["a lock", "read-only"],
)
def test_what_was_not_saved_is_said_with_what_stood_in_the_way(
    console: Flask, leaving: int, monkeypatch: pytest.MonkeyPatch, limit: dict[str, str], words: str
) -> None:
    with console.app_context(), Session(db.engine, expire_on_commit=False) as session:
        alice = sign_in(console, person(console, session, "alice", "admin"))
        wanted = TokenIn(name="Script", permissions=sorted(ALL_PERMISSIONS))
        with transaction() as making:
            _, secret = tokens.create_token(making, SYSTEM, wanted, now=clock.now())
    api = ApiClient(console, secret)
    api.get("/users")  # notes that the token was used, which writes
    page = alice.client.get(f"/people/{leaving}/deactivate")
    with console.app_context():
        engine = db.engine
    engine.dispose()
    with engine.connect() as holder:
        holder.execute(text("SELECT 1 FROM external_accounts FOR UPDATE"))
        with monkeypatch.context() as patched:
            patched.setattr(postgres, "LIMITS", postgres.LIMITS | limit)
            told = page.press("Deactivate", expect=503)
            refused = api.patch(f"/users/{leaving}", {"active": False}, status=503)
    engine.dispose()
    assert told.h1 == "This did not work"
    assert f"Nothing was saved. {words}" in told.text
    assert refused["detail"].startswith(f"{words} Nothing was done.")
    with console.app_context():
        assert db.session.get_one(User, leaving).is_active
