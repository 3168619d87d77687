"""Reading what an address or a form holds, without ever stumbling over it."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime

from flask import request

MAX_SEARCH = 200
# What a browser sends for a local date and time; the seconds are optional.
_LOCAL_TIME = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]([0-9]{2}:[0-9]{2})(:[0-9]{2})?")


def query(name: str) -> str:
    """A search in the address: trimmed, of bounded length, and without what no database can hold."""
    return storable(request.args.get(name, ""))


def storable(text: str) -> str:
    """`text` as something that can be searched for."""
    plain = text.encode("utf-8", "ignore").decode("utf-8").replace("\0", "")
    return plain.strip()[:MAX_SEARCH]


def small_number(text: str, *, digits: int = 3) -> int | None:
    """A place, a page or a count of at most so many digits; None for other text."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= digits else None


def one_of(name: str, words: tuple[str, ...]) -> str:
    """A choice in the address; the first word for anything else."""
    found = request.args.get(name, "")
    return found if found in words else words[0]


def utc_time(text: str) -> str:
    """What a date and time field sends, read as UTC, in the schemas' form; other text as it is."""
    found = _LOCAL_TIME.fullmatch(text.strip())
    return f"{found[1]}T{found[2]}{found[3] or ':00'}Z" if found else text


def day(text: str) -> datetime | None:
    """The start, in UTC, of a day as 2026-11-22; None for what is none, or has no day after it."""
    try:
        found = date.fromisoformat(text)
    except ValueError:
        return None
    return datetime.combine(found, datetime.min.time(), UTC) if found.year < 9999 else None


def ticked(name: str) -> bool:
    """Whether a box of the form is ticked."""
    return request.form.get(name, "") not in ("", "0")
