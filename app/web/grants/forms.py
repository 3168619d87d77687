"""The forms about grants."""

from __future__ import annotations

from datetime import UTC, datetime

from flask import request

from app.models import Application, Grant
from app.schemas.base import parse
from app.schemas.grants import GrantIn, GrantPatch, RevokeIn
from app.web.forms import parse_typed
from app.web.request_values import ticked, utc_time

_WORDS = {"expires_at": "Enter a date and time (UTC), such as 2026-11-30 09:00, or leave it empty."}
_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)


def read_grant(application: Application) -> GrantIn:
    """The typed grant; raises Invalid naming each refused field."""
    return parse_typed(
        GrantIn,
        {
            "application_id": application.id,
            "user_id": request.form.get("user_id", ""),
            "access_level": request.form.get("access_level", ""),
            "expires_at": utc_time(request.form.get("expires_at", "")),
            "notes": request.form.get("notes", ""),
            "record_only": ticked("record_only"),
        },
        _WORDS,
    )


def read_change() -> GrantPatch:
    """The typed notes and expiry of an existing grant."""
    return parse_typed(
        GrantPatch,
        {
            "notes": request.form.get("notes", ""),
            **({"expires_at": utc_time(request.form["expires_at"])} if "expires_at" in request.form else {}),
        },
        _WORDS,
    )


def read_revocation() -> RevokeIn:
    """The typed reason, and whether nothing is to run."""
    return parse(RevokeIn, {"notes": request.form.get("notes", ""), "record_only": ticked("record_only")})


def shown_at() -> datetime:
    """When the form was rendered, from its hidden field; long ago for an edited one."""
    text = request.form.get("shown_at", "")
    if not (text.isascii() and text.isdigit() and len(text) <= 13):
        return _EARLIEST
    return datetime.fromtimestamp(int(text) / 1000, UTC)


def mark_of(moment: datetime) -> str:
    """The hidden field's value: milliseconds since 1970."""
    return str(int(moment.timestamp() * 1000))


def expiry_value(grant: Grant) -> str:
    """The expiry as a date and time field holds it, in UTC."""
    return grant.expires_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M") if grant.expires_at else ""
