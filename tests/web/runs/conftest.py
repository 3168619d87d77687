"""Readers of the runs pages: Alice may do everything, Bob may look, Charlie may see nothing of runs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.clock import now
from app.extensions import db
from app.models import Role
from tests.support.factories import make_user
from tests.support.page import PageClient
from tests.support.web.readers import SignIn

ROLES = {"Alice": "admin", "Bob": "member", "Charlie": "viewer"}


def client_for(app: Flask, session: Session, name: str) -> PageClient:
    """A browser in which `name` is signed in."""
    reading = session.scalars(select(Role).where(Role.kind == "member")).one()
    reading.permissions = ["grant:read", "workflow:read"]
    user = make_user(session, ROLES[name], first_name=name, last_name="")
    session.commit()
    client = PageClient(app)
    with client.flask.session_transaction() as cookie:
        cookie["_user_id"], cookie["since"] = f"{user.id}.{user.session_epoch}", int(now().timestamp())
    return client


@pytest.fixture
def pages(only_sqlite: Flask) -> Flask:
    """The app whose pages are read."""
    return only_sqlite


@pytest.fixture
def story_session(pages: Flask) -> Iterator[Session]:
    """A session for telling stories, apart from those of the requests and from any application context."""
    with pages.app_context():
        engine = db.engine
    with Session(engine) as session:
        yield session


@pytest.fixture
def sign_in(pages: Flask, story_session: Session) -> SignIn:
    return lambda name: client_for(pages, story_session, name)


@pytest.fixture
def alice(sign_in: SignIn) -> PageClient:
    return sign_in("Alice")
