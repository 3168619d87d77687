"""People at their browsers."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from flask import Flask
from sqlalchemy.orm import Session

from app.models import User
from app.services import passwords
from app.services.accounts import actor_for_user
from tests.support.factories import make_user
from tests.support.page import PageClient

PASSWORD = "correct horse battery"
SignIn = Callable[[str], PageClient]


@dataclass
class Reader:
    """A person and their browser."""

    client: PageClient
    id: int
    email: str


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


def fresh(session: Session) -> None:
    """Read anew from here on: pages have written since."""
    session.rollback()
    session.expire_all()
