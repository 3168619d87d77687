"""How long an answer asks to wait before the next call."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


def seconds_to_wait(status: int, headers: Mapping[str, str], now: datetime) -> float | None:  # noqa: ARG001
    """Seconds to wait, from either form of `Retry-After` (RFC 9110 §10.2.3); None when there is no usable one."""
    value = (headers.get("Retry-After") or "").strip()
    if not value:
        return None
    if value.isdecimal():
        return float(value) if len(value) < 10 else None
    try:
        at = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max(0.0, (at - now).total_seconds())
