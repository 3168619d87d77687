"""API tokens: a script's way in, with an explicit permission set and no role."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from app.database import changed
from app.errors import Invalid, NotAllowed
from app.models import ApiToken, Role, User
from app.permissions import ALL_PERMISSIONS, Actor, effective_permissions
from app.schemas.people import TokenIn
from app.services import audit
from app.services.accounts import hashed

PREFIX = "aa_"
# How exact "last used" is: a busy script must not write at every call.
USE_NOTED_EVERY = timedelta(minutes=1)

_SECRET_BYTES = 32


def create_token(session: Session, actor: Actor, data: TokenIn, *, now: datetime) -> tuple[ApiToken, str]:
    """A token's record and its secret, which is shown once and cannot be found again.

    Raises NotAllowed for a permission that the actor lacks, Invalid for an expiry that is past.
    """
    missing = sorted(set(data.permissions) - actor.permissions)
    if missing:
        raise NotAllowed(f"You cannot give {missing[0]}, which you do not have yourself.", missing[0])
    if data.expires_at is not None and data.expires_at <= now:
        raise Invalid.field("expires_at", "The expiry must lie in the future.")
    secret = PREFIX + secrets.token_urlsafe(_SECRET_BYTES)
    token = ApiToken(
        name=data.name,
        token_hash=hashed(secret),
        permissions=data.permissions,
        created_at=now,
        created_by=actor.name,
        created_by_id=actor.user_id,
        expires_at=data.expires_at,
    )
    session.add(token)
    session.flush()  # the audit entry names its number
    changes = {"permissions": [None, data.permissions]}
    audit.record(session, actor, "token.create", token, now=now, changes=changes)
    return token, secret


def revoke_token(session: Session, actor: Actor, token: ApiToken, *, now: datetime) -> None:
    """Take a token back, for ever; doing so twice changes nothing."""
    if token.revoked_at is None:
        token.revoked_at = now
        audit.record(session, actor, "token.revoke", token, now=now)


def find_token(session: Session, secret: str, *, now: datetime) -> ApiToken | None:
    """The token with this secret, while it is neither revoked nor expired."""
    if not secret.startswith(PREFIX):
        return None
    return session.scalars(
        select(ApiToken).where(
            ApiToken.token_hash == hashed(secret),
            ApiToken.revoked_at.is_(None),
            or_(ApiToken.expires_at.is_(None), ApiToken.expires_at > now),
        )
    ).one_or_none()


def use_is_to_be_noted(token: ApiToken, *, now: datetime) -> bool:
    """Whether `note_use` would write: asked first, so that most calls open no writing transaction."""
    return token.last_used_at is None or token.last_used_at <= now - USE_NOTED_EVERY


def note_use(session: Session, token_id: int, *, now: datetime) -> None:
    """Note that the token was used, at most once a minute."""
    stale = or_(ApiToken.last_used_at.is_(None), ApiToken.last_used_at <= now - USE_NOTED_EVERY)
    changed(session, update(ApiToken).where(ApiToken.id == token_id, stale).values(last_used_at=now))


def actor_for_token(session: Session, token: ApiToken, source: str) -> Actor:
    """The token as an actor, with no right that its maker does not have now.

    A permission that no longer exists counts for nothing. A token made on the command line has no maker.
    """
    permissions = ALL_PERMISSIONS & frozenset(token.permissions)
    if token.created_by_id is not None:
        theirs = select(Role.kind, Role.permissions).join(User, User.role_id == Role.id)
        kind, stored = session.execute(theirs.where(User.id == token.created_by_id)).one()
        permissions &= effective_permissions(kind, stored)
    return Actor("token", token.name, permissions, token_id=token.id, source=source)
