"""That whoever sits there is the account's owner: asked again before what would lock the owner out."""

from __future__ import annotations

from app.clock import now
from app.errors import Invalid
from app.extensions import db
from app.services import accounts, passwords
from app.services.transaction import transaction
from app.web import signedin


def myself() -> signedin.Person:
    """Who is signed in, on a page that nobody else reaches."""
    me = signedin.person()
    assert me is not None
    return me


def prove_password(me: signedin.Person, password: str) -> None:
    """Raise Invalid, naming `current`, unless it is the person's present password.

    A wrong one counts as a failed sign-in: a session left open must be no way to try passwords.
    """
    at, source = now(), signedin.source()
    candidate = accounts.find_candidate(db.session(), me.email, now=at, source=source)
    db.session.rollback()
    if passwords.matches(candidate.password_hash, password) and not candidate.locked:
        return
    with transaction() as session:
        message = accounts.settle(session, candidate, False, now=at, source=source).message
    if message == accounts.WRONG:
        message = "This is not your current password."
    raise Invalid.field("current", message)
