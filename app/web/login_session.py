"""Who is signed in: the session, checked against the database on every request.

The session is a signed cookie that holds the person's number, their session epoch and when they signed in,
but no rights. Raising a person's epoch, or deactivating them, ends each session at its next request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from flask import current_app, g, request, session
from flask_login import current_user, login_user
from sqlalchemy import select

from app.clock import now
from app.config.settings import Settings
from app.errors import AppError
from app.extensions import db, login_manager
from app.models import User
from app.permissions import Actor, may
from app.queries.alert_pages import unread
from app.queries.tasks import waiting_for
from app.schemas.kinds import record_id
from app.services.accounts import actor_for_user
from app.web.htmx import is_fragment
from app.web.page_context import Viewer

_SINCE = "since"
_SECOND = "second"
# How long a right password waits for its one-time code.
_SECOND_SECONDS = 300


class SignedOut(AppError):
    """Nobody is signed in. `message` says why, when it is known that somebody was."""


@dataclass(frozen=True, slots=True)
class Person:
    """The signed-in person as one request sees them; plain values, so that no rollback can take them away."""

    id: int
    epoch: int
    name: str
    email: str
    role: str
    has_password: bool
    actor: Actor
    # What Flask-Login asks of a user.
    is_authenticated: bool = True
    is_active: bool = True
    is_anonymous: bool = False

    def get_id(self) -> str:
        return f"{self.id}.{self.epoch}"


@dataclass(frozen=True, slots=True)
class Waiting:
    """Somebody whose password was right and whose code is still to come: who, by what, and where to go on."""

    user_id: int
    epoch: int
    how: str
    onward: str


def prepare_login() -> None:
    """Let Flask-Login find the person of a session."""
    # Its protection compares addresses, which change on a train; the epoch is what ends a session here.
    login_manager.session_protection = None
    login_manager.user_loader(_load)


def begin(user: User) -> None:
    """Start a session for `user`. Nothing of an earlier one is kept, so neither is its CSRF token."""
    forget()
    session.permanent = True
    session[_SINCE] = int(now().timestamp())
    login_user(_person(user))


def await_code(user: User, *, how: str, onward: str) -> None:
    """Remember in this browser that `user` came this far by `how`; nobody is signed in by that."""
    forget()
    session[_SECOND] = [user.id, user.session_epoch, how, onward, int(now().timestamp())]


def waiting() -> Waiting | None:
    """Who is to type a one-time code in this browser, for five minutes."""
    kept = session.get(_SECOND)
    if not isinstance(kept, list) or kept[4] <= int(now().timestamp()) - _SECOND_SECONDS:
        return None
    return Waiting(*kept[:4])


def forget() -> None:
    """End this browser's session."""
    session.clear()
    # Flask-WTF keeps the token that it has signed for this request.
    g.pop("csrf_token", None)
    g.pop("_login_user", None)


def person() -> Person | None:
    """Whoever is signed in, or None."""
    found = current_user._get_current_object()
    return found if isinstance(found, Person) else None


def actor() -> Actor:
    """Who is asking, for the guard; raises SignedOut when nobody is."""
    found = person()
    if found is None:
        raise SignedOut(g.get("signed_out_because", ""))
    return found.actor


def viewer() -> Viewer | None:
    """The reader as the page shows them, or None."""
    found = person()
    return Viewer(found.name, found.email) if found else None


def viewer_may(permission: str) -> bool:
    """Whether the reader holds `permission`; nobody does not."""
    found = person()
    return found is not None and may(found.actor, permission)


def counts() -> Mapping[str, int]:
    """The numbers beside navigation items and at the bell, which a piece of a page does not have."""
    found = None if is_fragment() else person()
    if found is None:
        return {}
    numbers = {"alerts": unread(db.session(), found.id)}
    if may(found.actor, "workflow:task"):
        numbers["tasks"] = waiting_for(db.session(), found.actor)
    return numbers


def source() -> str:
    """Where the request comes from, for records: the client's address."""
    return request.remote_addr or ""


def _load(session_id: str) -> Person | None:
    number, _, epoch = session_id.partition(".")
    user_id = record_id(number)
    if user_id is None or not epoch.isdecimal():
        return None
    settings: Settings = current_app.extensions["settings"]
    hours = settings.session_hours
    since = session.get(_SINCE)
    if not isinstance(since, int) or now() >= datetime.fromtimestamp(since, UTC) + timedelta(hours=hours):
        g.signed_out_because = f"You were signed out after {hours} hours."
        return None
    user = db.session.scalars(select(User).where(User.id == user_id)).one_or_none()
    if user is None or not user.is_active:
        g.signed_out_because = "You were signed out: this account is not active any more."
        return None
    if user.session_epoch != int(epoch):
        g.signed_out_because = "You were signed out: your sessions were ended or your password was changed."
        return None
    return _person(user)


def _person(user: User) -> Person:
    return Person(
        id=user.id,
        epoch=user.session_epoch,
        name=user.name,
        email=user.email,
        role=user.role.name,
        has_password=user.password_hash is not None,
        actor=actor_for_user(user, source()),
    )
