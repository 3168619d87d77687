"""A console to measure: a database of its own, migrated, and the records that a burst needs."""

from __future__ import annotations

import contextlib
import itertools
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import flask_migrate
from flask import Flask
from sqlalchemy import create_engine, insert, make_url, select, text
from sqlalchemy.orm import Session

from app import clock, create_app
from app.config.settings import load_settings
from app.crypto import bound_to
from app.extensions import db
from app.models import Application, Connection, Credential, Role, User, Workflow, WorkflowVersion
from app.services.transaction import transaction
from bench.processes import ROOT
from bench.target import FIRST, SECOND

SQLITE, POSTGRESQL = "SQLite", "PostgreSQL"
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Console:
    """An application object on a database of its own; `environ` starts its other processes."""

    kind: str
    app: Flask
    folder: Path
    environ: Mapping[str, str] = field(repr=False)


def postgresql_url() -> str | None:
    """The server that databases may be made on, or None."""
    return os.environ.get("BENCH_DATABASE_URL") or os.environ.get("TEST_DATABASE_URL") or None


@contextlib.contextmanager
def console(
    kind: str, *, redis_url: str, target_port: int, pages: bool = False, server_url: str | None = None
) -> Iterator[Console]:
    """A migrated console on a new database of `kind`, which is dropped afterwards; `server_url` is PostgreSQL's."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name, _database(kind, Path(name), server_url) as url:
        environ = {
            "DATABASE_URL": url,
            "DATA_DIR": name,
            "REDIS_URL": redis_url,
            "EGRESS_ALLOW": f"127.0.0.1:{target_port}",
            "ENV_FILE": "",
            "LOG_FORMAT": "text",
        }
        app = create_app(load_settings(environ, env_file=None), pages=pages)
        if not pages:
            flask_migrate.Migrate(app, db)
        with app.app_context():
            flask_migrate.upgrade(directory=str(ROOT / "migrations"))
        try:
            yield Console(kind, app, Path(name), environ)
        finally:
            with app.app_context():
                db.session.remove()
                db.engine.dispose()


@contextlib.contextmanager
def _database(kind: str, folder: Path, server_url: str | None) -> Iterator[str]:
    if kind == SQLITE:
        yield f"sqlite:///{folder / 'bench.sqlite3'}"
        return
    server_url = server_url or postgresql_url()
    assert server_url is not None
    name = f"bench_{os.getpid()}_{next(_numbers)}"
    server = create_engine(server_url, isolation_level="AUTOCOMMIT", pool_pre_ping=True)
    with server.connect() as connection:
        connection.execute(text(f'CREATE DATABASE "{name}"'))
    try:
        yield make_url(server_url).set(database=name).render_as_string(hide_password=False)
    finally:
        with server.connect() as connection:
            connection.execute(text(f'DROP DATABASE "{name}" WITH (FORCE)'))
        server.dispose()


def two_calls(connection_id: int) -> list[dict[str, object]]:
    """The steps of the work: create an account, then put it into a group by the id that came back."""
    return [
        _http_step(FIRST, connection_id, "/users", {"userName": "{{ grantee.email }}"})
        | {"capture": {"id": "$.id"}},
        _http_step(SECOND, connection_id, "/groups/x/members", {"value": f"{{{{ steps.{FIRST}.id }}}}"}),
    ]


def slow(connection_id: int) -> list[dict[str, object]]:
    """A step whose call takes its time."""
    return [_http_step("wait", connection_id, "/slow", {})]


def a_person(_connection_id: int) -> list[dict[str, object]]:
    """Steps that wait for a person at once."""
    return [
        {"key": "ask", "type": "human", "prompt": "Say when.", "fields": [], "assignee": {"anyone": True}}
    ]


def failing(connection_id: int) -> list[dict[str, object]]:
    """Steps whose first call fails and is tried again in an hour."""
    retry = {"attempts": 5, "backoff": "fixed", "delay_seconds": 3600}
    return [_http_step("knock", connection_id, "/fail", {}) | {"retry": retry}]


def _http_step(key: str, connection_id: int, path: str, body: dict[str, str]) -> dict[str, object]:
    return {
        "key": key,
        "name": key.capitalize(),
        "type": "http",
        "connection_id": str(connection_id),
        "method": "POST",
        "path": path,
        "body": body,
    }


@dataclass(frozen=True, slots=True)
class Case:
    """An application with its workflow, and people who hold no grant on it yet."""

    application_id: int
    user_ids: list[int]


def make_case(console: Console, target_url: str, people: int, steps: str = "two_calls") -> Case:
    """A new application, connection, enabled workflow and `people` new people."""
    number = next(_numbers)
    at = clock.now()
    with console.app.app_context(), transaction() as session:
        application = Application(name=f"Bench {number}", created_at=at)
        session.add(application)
        session.flush()
        config = {"base_url": target_url, "auth": "bearer", "timeout_seconds": 30}
        if steps == "failing":
            # Its runs are to wait for their next try, and not for a connection that is parked.
            config["park_after_failures"] = 0
        link = Connection(
            application_id=application.id,
            type="http",
            name="Target",
            config=config,
            created_at=at,
            changed_at=at,
        )
        session.add(link)
        session.flush()
        sealed = console.app.extensions["keyring"].seal(f"token-{number}", bound_to(link.id))
        session.add(
            Credential(
                connection_id=link.id, sealed=sealed.token, key_id=sealed.key_id, set_at=at, set_by="Bench"
            )
        )
        made = {"two_calls": two_calls, "a_person": a_person, "failing": failing, "slow": slow}[steps](
            link.id
        )
        add_workflow(session, application.id, made)
        return Case(application.id, _add_people(session, people, f"b{number}"))


def add_workflow(session: Session, application_id: int, steps: list[dict[str, object]]) -> Workflow:
    """An enabled workflow for Access granted with one version."""
    at = clock.now()
    workflow = Workflow(
        application_id=application_id,
        trigger="access_granted",
        name="Provision",
        policy="each_grant",
        is_enabled=True,
        created_at=at,
    )
    session.add(workflow)
    session.flush()
    version = WorkflowVersion(
        workflow_id=workflow.id, number=1, steps=steps, created_at=at, created_by="Bench"
    )
    session.add(version)
    session.flush()
    workflow.version_id, workflow.version_number, workflow.step_count = version.id, 1, len(steps)
    return workflow


def _add_people(session: Session, count: int, stem: str) -> list[int]:
    role = session.scalars(select(Role.id).where(Role.kind == "viewer")).one()
    rows = [
        {
            "email": f"{stem}.{number}@example.org",
            "first_name": "Ada",
            "last_name": f"Person {number}",
            "username": f"{stem}.{number}",
            "role_id": role,
            "created_at": clock.now(),
        }
        for number in range(count)
    ]
    if not rows:
        return []
    session.execute(insert(User), rows)
    found = session.scalars(select(User.id).where(User.email.like(f"{stem}.%")).order_by(User.id))
    return list(found)
