"""Three people at their browsers: Alice administers, Bob helps, Charlie may see nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from flask import Flask
from sqlalchemy import event, select
from sqlalchemy.orm import Session

from app.config.settings import Settings
from app.extensions import db
from app.models import Role, User
from app.services import passwords
from app.services.accounts import actor_for_user
from app.web.system.watch import KEY
from tests.support.factories import make_user
from tests.support.page import PageClient

PASSWORD = "correct horse battery"
BOB_MAY = ["grant:read", "grant:write", "application:write"]


@dataclass
class Reader:
    """A person and their browser."""

    client: PageClient
    id: int
    email: str


@pytest.fixture
def web(only_sqlite: Flask) -> Iterator[Session]:
    """A session on an empty database, for arranging and looking; commit what a page is to see.

    It stands outside any application context: requests made inside one would share its `g`.
    """
    with only_sqlite.app_context():
        engine = db.engine
    with Session(engine, expire_on_commit=False) as session:
        yield session


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
def visitor(only_sqlite: Flask, web: Session) -> PageClient:
    """Nobody in particular."""
    return PageClient(only_sqlite)


def person(app: Flask, session: Session, name: str, role: str) -> User:
    """A committed person who can sign in with PASSWORD."""
    with app.app_context():
        password_hash = passwords.hash_password(PASSWORD)
    user = make_user(
        session,
        role,
        email=f"{name}@example.org",
        first_name=name.capitalize(),
        last_name="Example",
        password_hash=password_hash,
    )
    session.commit()
    return user


def sign_in(app: Flask, user: User) -> Reader:
    """A browser in which `user` has signed in through the page, which is linted by its own tests."""
    client = PageClient(app)
    email, number = user.email, user.id
    page = client.flask.get("/sign-in").get_data(as_text=True)
    token = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert token is not None
    client.post("/sign-in", {"csrf_token": token[1], "email": email, "password": PASSWORD})
    return Reader(client, number, email)


def actor(session: Session, reader: Reader):  # type: ignore[no-untyped-def]
    """The reader as services know them."""
    return actor_for_user(session.get_one(User, reader.id), "test")


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


@contextmanager
def with_settings(app: Flask, **more: object) -> Iterator[None]:
    """The app under other settings until the block ends."""
    before = app.extensions["settings"]
    _set(app, before.model_copy(update=more))
    try:
        yield
    finally:
        _set(app, before)


def _set(app: Flask, settings: Settings) -> None:
    app.extensions["settings"] = settings
    provider = app.extensions.pop("oidc", None)  # it was made from the settings before
    if provider is not None:
        provider.close()


def fresh(session: Session) -> None:
    """Read anew from here on: pages have written since."""
    session.rollback()
    session.expire_all()
