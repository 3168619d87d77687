"""Every wait for PostgreSQL ends: by the server's own limits, by the wire's, and by ours when nothing answers."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest
from flask import Flask
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from app import postgres
from app.database import database_is_away, lift_limits, sqlstate
from app.extensions import db

pytestmark = pytest.mark.postgres


@pytest.fixture
def session(request: pytest.FixtureRequest) -> Iterator[Session]:
    app: Flask = request.getfixturevalue("postgres_app")[0]
    with app.app_context():
        db.engine.dispose()
        yield db.session()
        db.session.remove()


def limits(session: Session) -> dict[str, str]:
    return {
        name: session.execute(text("SELECT current_setting(:name)"), {"name": name}).scalar_one()
        for name in postgres.LIMITS
    }


def test_every_connection_has_the_limits_of_the_server_and_of_the_wire(session: Session) -> None:
    settings = session.scalars(text("SELECT setting FROM pg_settings WHERE name = 'lock_timeout'")).all()
    assert settings == ["10000"]
    assert limits(session)["idle_in_transaction_session_timeout"] == "5s"
    connection = session.connection().connection.dbapi_connection
    assert isinstance(connection, postgres.LimitedConnection)
    with socket.socket(fileno=socket.dup(connection.fileno())) as wire:
        if wire.family == socket.AF_UNIX:
            pytest.skip("the wire's own limits are those of TCP")
        assert wire.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 5
        assert wire.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 10_000


def test_a_connection_keeps_its_limits_from_one_use_to_the_next(session: Session) -> None:
    before = limits(session)
    session.execute(text("SELECT 1"))
    session.rollback()
    lift_limits(session.connection())
    lifted = limits(session)
    assert {lifted[name] for name in ("lock_timeout", "statement_timeout")} == {"0"}
    session.commit()
    assert limits(session) == before
    connection = session.connection().connection.dbapi_connection
    assert isinstance(connection, postgres.LimitedConnection)
    assert connection.patience == postgres.STATEMENT_SECONDS


def test_who_waits_for_a_silent_transaction_outwaits_it(session: Session) -> None:
    session.execute(text("SELECT pg_advisory_xact_lock(7)"))  # and then not a word more
    with db.engine.begin() as other:
        other.execute(text("SELECT pg_advisory_xact_lock(7)"))
    with pytest.raises(DBAPIError) as cut:
        session.execute(text("SELECT 1"))
    assert database_is_away(cut.value)
    session.rollback()
    assert session.execute(text("SELECT 1")).scalar() == 1


def test_a_lock_that_does_not_come_free_is_not_waited_for_any_longer(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(postgres.LIMITS, "lock_timeout", "100ms")
    with db.engine.connect() as holder, holder.begin():
        holder.execute(text("SELECT pg_advisory_xact_lock(8)"))
        with pytest.raises(DBAPIError) as given_up:
            session.execute(text("SELECT pg_advisory_xact_lock(8)"))
    assert sqlstate(given_up.value) == "55P03"


@pytest.mark.parametrize("when", ["statement", "commit", "ping"])
def test_a_server_that_falls_silent_is_given_up_on(
    session: Session, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """Of a connection that something between us and the server keeps open, TCP itself notices nothing."""
    for name in ("STATEMENT_SECONDS", "COMMIT_SECONDS", "PING_SECONDS"):
        monkeypatch.setattr(postgres, name, 0.3 if when.upper() in name else 30.0)
    monkeypatch.setattr(postgres.LimitedConnection, "patience", postgres.STATEMENT_SECONDS)
    session.execute(text("SELECT 1"))
    connection = session.connection().connection.dbapi_connection
    assert isinstance(connection, postgres.LimitedConnection)
    if when == "ping":
        session.rollback()
    silent, other_end = socket.socketpair()
    with silent, other_end:
        os.dup2(silent.fileno(), connection.fileno())
        if when != "ping":  # which happens before the statement, and is not told of
            with pytest.raises(DBAPIError) as given_up:
                session.commit() if when == "commit" else session.execute(text("SELECT 1"))
            assert database_is_away(given_up.value)
            session.rollback()
        assert session.execute(text("SELECT 1")).scalar() == 1
    assert connection.closed
