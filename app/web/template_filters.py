"""Jinja filters: how times, durations and counts read on a page.

Times are shown in UTC with the zone named, the relative form being an addition, never the only form."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from flask import Flask
from markupsafe import Markup

from app.clock import now

NONE = "–"
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_UNITS = ((86400, "day", "days"), (3600, "h", "h"), (60, "min", "min"), (1, "s", "s"))


def init_app(app: Flask) -> None:
    """Register every filter of this module."""
    for function in (when, clock_time, ago, duration, plural, number, capped, field_id):
        app.add_template_filter(function)


def when(value: datetime | None, relative: bool = True, seconds: bool = False) -> str:
    """`<time>` with the absolute time in UTC ("22 Nov 2026, 10:04 UTC") and how far away it is.

    Raises ValueError for a time without a zone. None reads as a dash.
    """
    if value is None:
        return NONE
    moment = _utc(value)
    text = absolute(moment, seconds=seconds)
    if not relative:
        return Markup('<time datetime="{}">{}</time>').format(_iso(moment), text)
    return Markup('<time datetime="{}">{} <span class="rel">{}</span></time>').format(
        _iso(moment), text, distance(moment, now())
    )


def clock_time(value: datetime | None) -> str:
    """`<time>` with the time of day only ("10:04:12 UTC"), for entries whose date stands elsewhere."""
    if value is None:
        return NONE
    moment = _utc(value)
    return Markup('<time datetime="{}" title="{}">{} UTC</time>').format(
        _iso(moment), absolute(moment, seconds=True), moment.strftime("%H:%M:%S")
    )


def ago(value: datetime | None) -> str:
    """`<time>` with the distance first ("3 min ago") and the absolute time in its title, for dense tables."""
    if value is None:
        return NONE
    moment = _utc(value)
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        _iso(moment), absolute(moment, seconds=True), distance(moment, now())
    )


def absolute(moment: datetime, *, seconds: bool = False) -> str:
    """`moment` as "22 Nov 2026, 10:04 UTC", month names not depending on the machine's locale."""
    clock = moment.strftime("%H:%M:%S" if seconds else "%H:%M")
    return f"{moment.day} {_MONTHS[moment.month - 1]} {moment.year}, {clock} UTC"


def distance(moment: datetime, from_: datetime) -> str:
    """How far `moment` lies from `from_`: "3 min ago", "in 8 s", "just now". The largest unit only."""
    gap = int((from_ - moment).total_seconds())
    if abs(gap) < 2:
        return "just now"
    size, one, many = next(unit for unit in _UNITS if abs(gap) >= unit[0])
    count = abs(gap) // size
    words = f"{count} {one if count == 1 else many}"
    return f"{words} ago" if gap > 0 else f"in {words}"


def duration(milliseconds: int | float | None) -> str:
    """A length of time: "184 ms", "1.4 s", "1 min 4 s", "3 h 5 min", "2 days 4 h". None reads as a dash."""
    if milliseconds is None:
        return NONE
    amount = max(0, round(milliseconds))
    if amount < 1000:
        return f"{amount} ms"
    if amount < 59_950:
        return f"{amount / 1000:.1f} s"
    seconds = round(amount / 1000)
    for size, lower, one, many, small in (
        (86400, 3600, "day", "days", "h"),
        (3600, 60, "h", "h", "min"),
        (60, 1, "min", "min", "s"),
    ):
        if seconds >= size:
            whole, rest = divmod(seconds, size)
            head = f"{whole} {one if whole == 1 else many}"
            return f"{head} {rest // lower} {small}" if rest // lower else head
    return f"{seconds} s"


def up_to(count: int, most: int) -> str:
    """`count` for reading, where it was counted no further than one more than `most`."""
    return f"{most}+" if count > most else number(count)


def number(value: int) -> str:
    """An integer with thousands apart by a narrow space, which never breaks over a line."""
    return f"{value:,}".replace(",", "\u202f")


def plural(count: int, one: str, many: str = "") -> str:
    """The count with its noun: `3 | plural("run")` is "3 runs". `many` where adding an s is not enough."""
    return f"{number(count)} {one if count == 1 else many or one + 's'}"


def capped(count: int, most: int = 20) -> str:
    """A count that was cut off: "20+" beyond `most`, "" for none."""
    return f"{most}+" if count > most else str(count or "")


def field_id(name: str, prefix: str = "") -> str:
    """The element id of the input `name`: `steps[1].path` is `steps-1-path`, after `prefix-` if given."""
    plain = re.sub(r"[^A-Za-z0-9_]+", "-", name).strip("-")
    return f"{prefix}-{plain}" if prefix else plain


def _utc(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("A time without a zone cannot be shown")
    return value.astimezone(UTC)


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
