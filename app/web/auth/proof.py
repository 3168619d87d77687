"""What people type to get in, and proof that whoever sits there is the account's owner."""

from __future__ import annotations

from flask import request

from app.clock import now
from app.errors import Invalid
from app.extensions import db
from app.services import accounts, passwords
from app.services.transaction import transaction
from app.web import login_session


def text(name: str) -> str:
    """The field as sent, "" when it is missing. Passwords are not trimmed."""
    return request.form.get(name, "")


def new_password() -> str:
    """The password typed twice; raises Invalid when the two differ."""
    password = text("password")
    if not password:
        raise Invalid.field("password", "Choose a password.")
    if password != text("again"):
        raise Invalid.field("again", "The two passwords are not the same.")
    return password


def myself() -> login_session.Person:
    """Who is signed in, on a page that nobody else reaches."""
    me = login_session.person()
    assert me is not None
    return me


def prove_password(me: login_session.Person, password: str) -> None:
    """Raise Invalid, naming `current`, unless it is the person's present password.

    A wrong one counts as a failed sign-in: a session left open must be no way to try passwords.
    """
    at, source = now(), login_session.source()
    candidate = accounts.find_candidate(db.session(), me.email, now=at, source=source)
    db.session.rollback()
    if passwords.matches(candidate.password_hash, password) and not candidate.locked:
        return
    with transaction() as session:
        message = accounts.settle(session, candidate, False, now=at, source=source).message
    if message == accounts.WRONG:
        message = "This is not your current password."
    raise Invalid.field("current", message)
