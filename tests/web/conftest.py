"""Three people at their browsers: Alice administers, Bob helps, Charlie may see nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from sqlalchemy import event, select
from sqlalchemy.orm import Session

from app.extensions import db
from app.models import Application, Role, Workflow
from app.web.system.queue_watch import KEY
from tests.support.factories import http_step, human_step, make_application, make_connection, make_workflow
from tests.support.web.places import Place
from tests.support.web.readers import Reader, person, sign_in

BOB_MAY = ["grant:read", "grant:write", "application:write"]


@pytest.fixture
def alice(only_sqlite: Flask, web: Session) -> Reader:
    """An administrator."""
    return sign_in(only_sqlite, person(only_sqlite, web, "alice", "admin"))


@pytest.fixture
def bob(only_sqlite: Flask, web: Session) -> Reader:
    """A member who may also grant access and change applications."""
    member = web.scalars(select(Role).where(Role.kind == "member")).one()
    member.permissions = BOB_MAY
    return sign_in(only_sqlite, person(only_sqlite, web, "bob", "member"))


@pytest.fixture
def charlie(only_sqlite: Flask, web: Session) -> Reader:
    """A viewer, who may nothing."""
    return sign_in(only_sqlite, person(only_sqlite, web, "charlie", "viewer"))


@pytest.fixture
def statements(only_sqlite: Flask) -> Iterator[Callable[[Callable[[], object]], int]]:
    """Counts the statements that a call sends to the database, each time with a look for the banner among them.

    The banner is looked for once every few seconds: whether that falls into a call must not hang on the clock.
    """
    seen: list[str] = []

    def note(_c: object, _cur: object, statement: str, *_rest: object) -> None:
        if not statement.startswith("BEGIN"):
            seen.append(statement)

    with only_sqlite.app_context():
        engine = db.engine
    event.listen(engine, "before_cursor_execute", note)

    def count(call: Callable[[], object]) -> int:
        only_sqlite.extensions[KEY].forget()
        seen.clear()
        call()
        return len(seen)

    yield count
    event.remove(engine, "before_cursor_execute", note)


@pytest.fixture
def place(web: Session) -> Place:
    """Jira, with a connection of each type."""
    application = make_application(web, name="Jira")
    http = make_connection(web, application, name="Jira API")
    webhook = make_connection(
        web, application, type="webhook", name="Chat", config={"url": "https://chat.example/hook"}
    )
    web.commit()
    return Place(application.id, http.id, webhook.id)


@pytest.fixture
def workflow(web: Session, place: Place) -> int:
    """A disabled workflow of two steps, in version 1."""
    application = web.get_one(Application, place.application)
    made: Workflow = make_workflow(
        web,
        application,
        http_step(connection_id=place.http, capture={"id": "$.id"}),
        human_step(),
        name="Provision Jira",
        is_enabled=False,
    )
    web.commit()
    return made.id
