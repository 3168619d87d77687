"""How long an answer asks its caller to wait."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from app.domain.runs.retry import MAX_DELAY_SECONDS

_SECONDS = re.compile(r"[0-9]{1,18}(\.[0-9]{1,9})?")
# Okta and those who learnt from it write a hyphen more.
_FAMILIES = ("RateLimit-", "X-RateLimit-", "X-Rate-Limit-")
# A number from here on is no time to wait but a moment since 1970, and from the second on one in milliseconds.
_MOMENT, _MILLISECONDS = 1e8, 1e11


def seconds_to_wait(status: int, headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds until the answer wants to be asked again, at most an hour; None where it does not say.

    `Retry-After` (RFC 9110 §10.2.3) counts on any answer and goes first.  The reset headers come with every answer
    of those who send them, so they count only where the limit is why it was refused: 429, or 403 with nothing
    remaining, as GitHub does.  A longer time is not ours to wait for.  Moments are told by the answer's own clock,
    where it says what that shows: nobody has set it by ours.
    """
    now = _date(headers.get("Date") or "") or now
    found = _retry_after((headers.get("Retry-After") or "").strip(), now)
    if found is None:
        found = _reset(status, headers, now)
    return found if found is not None and found <= MAX_DELAY_SECONDS else None


def _retry_after(text: str, now: datetime) -> float | None:
    if _SECONDS.fullmatch(text):
        return float(text)
    at = _date(text)
    return None if at is None else max(0.0, (at - now).total_seconds())


def _reset(status: int, headers: Mapping[str, str], now: datetime) -> float | None:
    """The longest of what the families say: one limit that is over does not end another."""
    waits = [
        wait
        for family in _FAMILIES
        if status == 429 or (status == 403 and (headers.get(f"{family}Remaining") or "").strip() == "0")
        if (wait := _until((headers.get(f"{family}Reset") or "").strip(), now)) is not None
    ]
    return max(waits, default=None)


def _until(text: str, now: datetime) -> float | None:
    """Seconds from a number of seconds (the IETF's draft, Zendesk), a moment since 1970 (GitHub, Okta) or a date."""
    if not _SECONDS.fullmatch(text):
        at = _date(text)
        return None if at is None else max(0.0, (at - now).total_seconds())
    number = float(text)
    if number < _MOMENT:
        return number
    moment = number / 1000 if number >= _MILLISECONDS else number
    return max(0.0, moment - now.timestamp())


def _date(text: str) -> datetime | None:
    """A moment as HTTP writes it, or as ISO 8601 does (Jira)."""
    if not text or len(text) > 100:
        return None
    for read in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            at = read(text)
            at = at if at.tzinfo else at.replace(tzinfo=UTC)
            return at.astimezone(UTC)
        except (ValueError, OverflowError, TypeError, IndexError):
            continue
    return None
