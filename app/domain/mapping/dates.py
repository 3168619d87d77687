"""Times as the filter `date` writes them, and the zones that they are written in.

Which zones there are and what time it is in them is the library's own table, as the letters of Unicode are: from
the system, else from the package tzdata.
"""

from __future__ import annotations

from datetime import datetime, tzinfo
from difflib import get_close_matches
from zoneinfo import ZoneInfo, available_timezones

from app.domain.json_reader import shown

MAX_DATE_FORMAT = 100
# Directives that mean the same on every platform; all that matter for ids, dates and times.
_DIRECTIVES = frozenset("YmdHMSyjbBaAIpfz%")
# What the machine is set to, which is not the same on every machine.
_NO_ZONE = frozenset({"localtime", "Factory"})


def date_format_problem(form: str) -> str | None:
    """Why `form` cannot be used by the filter date, or None."""
    if not form or len(form) > MAX_DATE_FORMAT:
        return f"A date format has 1 to {MAX_DATE_FORMAT} characters."
    at = form.find("%")
    while at >= 0:
        if form[at + 1 : at + 2] not in _DIRECTIVES or at + 1 == len(form):
            return f"A date format cannot use “{form[at : at + 2]}”. Use %Y, %m, %d, %H, %M or %S."
        at = form.find("%", at + 2)
    return None


def zone_problem(name: str) -> str | None:
    """Why there is no time zone `name`, with the nearest that there is, or None."""
    if _zone(name) is not None:
        return None
    near = get_close_matches(name[:100], available_timezones() - _NO_ZONE, n=1)
    hint = f"Did you mean {near[0]}?" if near else "Use a name such as Europe/Paris or UTC."
    return f"There is no time zone “{shown(name)}”. {hint}"


def date_text(text: str, form: str, zone: str | None) -> str:
    """The time `text` (ISO 8601) in `zone`; one without an offset, as a day has none, is of every zone.

    Raises ValueError when there is no such time.
    """
    there = _zone(zone) if zone is not None else None
    try:
        at = datetime.fromisoformat(text)
        if there is not None:
            at = at.replace(tzinfo=there) if at.tzinfo is None else at.astimezone(there)
        return at.strftime(form)
    except (ValueError, OverflowError):
        raise ValueError("is no date that date can read") from None


def _zone(name: str) -> tzinfo | None:
    if name in _NO_ZONE:
        return None
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return None
