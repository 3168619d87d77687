"""A token as its pages show it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from app.models import ApiToken
from app.permissions import PERMISSIONS


@dataclass(frozen=True, slots=True)
class State:
    """A chip: tone, words and shape."""

    tone: str
    label: str
    icon: str


@dataclass(frozen=True, slots=True)
class ShownToken:
    """What may be known of a token. `permissions` are (name, words) pairs."""

    id: int
    name: str
    permissions: list[tuple[str, str]]
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None
    state: State
    is_active: bool


def shown_token(token: ApiToken, *, now: datetime) -> ShownToken:
    """The token at this moment."""
    if token.revoked_at is not None:
        state = State("idle", "Revoked", "dash")
    elif token.expires_at is not None and token.expires_at <= now:
        state = State("idle", "Expired", "clock")
    else:
        state = State("ok", "Active", "check")
    return ShownToken(
        id=token.id,
        name=token.name,
        permissions=[
            (name, PERMISSIONS.get(name, "A permission that no longer exists")) for name in token.permissions
        ],
        created_at=token.created_at,
        created_by=token.created_by,
        expires_at=token.expires_at,
        last_used_at=token.last_used_at,
        revoked_at=token.revoked_at,
        state=state,
        is_active=state.tone == "ok",
    )
