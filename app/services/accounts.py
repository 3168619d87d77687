"""Ways in for people: passwords, one-time links, sessions; and who an actor is."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from app.database import changed, changed_one
from app.domain.json_reader import unstorable
from app.errors import NotAllowed
from app.models import ApiToken, Authenticator, SignInLink, User
from app.permissions import SYSTEM, Actor, effective_permissions
from app.schemas.kinds import MAX_EMAIL
from app.services import audit, passwords, sign_in_throttle

LINK_TIME = timedelta(hours=24)
WRONG = "Email or password is not right."
LOCKED = "Too many tries. Wait 5 minutes, or ask an administrator to reset it."

_SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class Candidate:
    """Who may be signing in, as read from the database; `user_id` None for an unknown email.

    `email_key` and `address_key` are what failures are counted under, whoever it is.
    """

    user_id: int | None
    password_hash: str | None = field(repr=False)
    email_key: str
    address_key: str
    locked: bool = False


@dataclass(frozen=True, slots=True)
class SignIn:
    """What signing in came to: the person, or the message for the page.

    With `needs_code` they are not in yet: a one-time code is asked for next.
    """

    user: User | None
    message: str = ""
    needs_code: bool = False


def actor_for_user(user: User, source: str) -> Actor:
    """The person as an actor, with the rights of their role as it is now. `source` is an address or `cli`."""
    permissions = effective_permissions(user.role.kind, user.role.permissions)
    return Actor("user", user.name, permissions, user_id=user.id, source=source)


# Signing in with a password takes three acts, since the hash must be computed outside any transaction:
# `find_candidate` reads, `passwords.matches` computes, `settle` writes.
def find_candidate(session: Session, email: str, *, now: datetime, source: str = "") -> Candidate:
    """Whom the email names. Deactivated people and those without a password are nobody here."""
    keys = sign_in_throttle.email_key(email), sign_in_throttle.address_key(source)
    locked = sign_in_throttle.is_locked(session, keys, now=now)
    wanted = "" if unstorable(email) else email.strip()[:MAX_EMAIL]
    user = session.scalars(select(User).where(func.lower(User.email) == func.lower(wanted))).one_or_none()
    if user is None or not user.is_active:
        return Candidate(None, None, *keys, locked)
    return Candidate(user.id, user.password_hash, *keys, locked)


def settle(session: Session, candidate: Candidate, ok: bool, *, now: datetime, source: str) -> SignIn:
    """Count a wrong password, or let the person in.

    Ten wrong ones in a row lock an email for five minutes, in which even the right one is refused; so do fifty
    within five minutes from one address. Returns instead of raising, so that the count is committed.
    """
    if candidate.locked:
        return SignIn(None, LOCKED)
    if candidate.user_id is None or not ok:
        return SignIn(None, _count_failure(session, candidate, now, source))
    user = session.get(User, candidate.user_id, populate_existing=True)
    # Between the acts the person may have been deactivated, locked, or given another password.
    if user is None or not user.is_active or user.password_hash != candidate.password_hash:
        return SignIn(None, WRONG)
    if sign_in_throttle.is_locked(session, (candidate.email_key, candidate.address_key), now=now):
        return SignIn(None, LOCKED)
    if needs_code(session, user):
        return SignIn(user, needs_code=True)
    let_in(session, user, now=now, source=source, how="password")
    return SignIn(user)


def needs_code(session: Session, user: User) -> bool:
    """Whether a password, or a link that sets one, is not enough for this person."""
    on = select(Authenticator.id).where(
        Authenticator.user_id == user.id, Authenticator.confirmed_at.is_not(None)
    )
    return session.scalars(on).first() is not None


def let_in(session: Session, user: User, *, now: datetime, source: str, how: str) -> None:
    """Note a successful sign-in by `how` (`password`, `password and code`, `link`, `sso`); failures are forgotten."""
    user.last_seen_at = now
    sign_in_throttle.forget(session, sign_in_throttle.email_key(user.email))
    actor = actor_for_user(user, source)
    changes = {"how": [None, how]}
    audit.record(session, actor, "session.start", user, now=now, changes=changes)


def _count_failure(session: Session, candidate: Candidate, now: datetime, source: str) -> str:
    by_address = sign_in_throttle.count(session, candidate.address_key, sign_in_throttle.ADDRESSES, now=now)
    by_email = sign_in_throttle.count(session, candidate.email_key, sign_in_throttle.PASSWORDS, now=now)
    user = session.get(User, candidate.user_id) if by_email and candidate.user_id is not None else None
    if user is not None:
        actor = Actor("system", SYSTEM.name, SYSTEM.permissions, source=source)
        audit.record(session, actor, "user.lock", user, now=now)
    return LOCKED if by_email or by_address else WRONG


def set_password(
    session: Session, actor: Actor, user: User, password: str, *, now: datetime, field: str = "password"
) -> None:
    """Replace the person's password; every session of theirs ends, and so do links that were not used.

    Raises Invalid, naming `field`, for one that is too short or too easy; NotAllowed for somebody who may do
    more than the actor.
    """
    require_rank(actor, user)
    passwords.check_new_password(password, user.email, field=field)
    user.password_hash = passwords.hash_password(password)
    sign_in_throttle.forget(session, sign_in_throttle.email_key(user.email))
    user.session_epoch += 1
    _end_links(session, user, now)
    audit.record(session, actor, "user.password", user, now=now)


def sign_out_everywhere(session: Session, actor: Actor, user: User, *, now: datetime) -> None:
    """End every session of the person."""
    user.session_epoch += 1
    audit.record(session, actor, "session.end_all", user, now=now)


def make_sign_in_link(session: Session, actor: Actor, user: User, *, now: datetime) -> str:
    """The secret of a new one-time link, good for 24 hours; earlier ones end.

    Raises NotAllowed for somebody who may do more than the actor, or who is deactivated.
    """
    require_rank(actor, user)
    if not user.is_active:
        raise NotAllowed(f"{user.name} is deactivated. Activate them first.")
    _end_links(session, user, now)
    secret = secrets.token_urlsafe(_SECRET_BYTES)
    session.add(
        SignInLink(user_id=user.id, token_hash=hashed(secret), created_at=now, expires_at=now + LINK_TIME)
    )
    audit.record(session, actor, "user.sign_in_link", user, now=now)
    return secret


def owner_of_link(session: Session, secret: str, *, now: datetime) -> User | None:
    """Whom the link would let in, without using it up: mail scanners open every address."""
    user = session.scalars(
        select(User)
        .join(SignInLink, SignInLink.user_id == User.id)
        .where(
            SignInLink.token_hash == hashed(secret), SignInLink.used_at.is_(None), SignInLink.expires_at > now
        )
    ).one_or_none()
    return user if user is not None and user.is_active else None


def use_sign_in_link(session: Session, secret: str, *, now: datetime, source: str) -> User | None:
    """Let its owner in, once; None for a link that is used, expired or none at all.

    Whoever needs a one-time code is not in before that: ask `needs_code`.
    """
    user = owner_of_link(session, secret, now=now)
    if user is None:
        return None
    unused = (SignInLink.token_hash == hashed(secret), SignInLink.used_at.is_(None))
    if not changed_one(session, update(SignInLink).where(*unused).values(used_at=now)):
        return None
    if not needs_code(session, user):
        let_in(session, user, now=now, source=source, how="link")
    return user


def close_every_way_in(session: Session, actor: Actor, user: User, *, now: datetime) -> None:
    """For somebody who leaves: sessions and links end, and the API tokens that they made are taken back."""
    user.session_epoch += 1
    _end_links(session, user, now)
    made = select(ApiToken).where(ApiToken.created_by_id == user.id, ApiToken.revoked_at.is_(None))
    for token in session.scalars(made).all():
        token.revoked_at = now
        audit.record(session, actor, "token.revoke", token, now=now)


def require_rank(actor: Actor, user: User) -> None:
    """Raise NotAllowed for somebody who may do more than the actor: a way into their account gives it all.

    Oneself is always within one's own rank, whatever a session's rights are.
    """
    if actor.user_id == user.id:
        return
    missing = sorted(effective_permissions(user.role.kind, user.role.permissions) - actor.permissions)
    if missing:
        raise NotAllowed(f"{user.name} holds {missing[0]}, which you do not have yourself.", missing[0])


def hashed(secret: str) -> str:
    """What is stored of a random secret. It holds 256 bits, so a plain hash cannot be searched."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def _end_links(session: Session, user: User, now: datetime) -> None:
    changed(
        session,
        update(SignInLink)
        .where(SignInLink.user_id == user.id, SignInLink.used_at.is_(None), SignInLink.expires_at > now)
        .values(expires_at=now),
    )
