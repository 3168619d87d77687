"""The closed list of things a token may do to its value."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from datetime import datetime

Value = str | int | float | bool | None

MAX_DATE_FORMAT = 100
# Directives that mean the same on every platform; all that matter for ids, dates and times.
_DIRECTIVES = frozenset("YmdHMSyjbBaAIpfz%")
# Letters that Unicode does not split into a base letter and a mark.
_PLAIN = str.maketrans(
    {"ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "đ": "d", "ð": "d", "ł": "l", "þ": "th", "ı": "i"}
    | dict.fromkeys("'’", "")
)
_NOT_IN_SLUG = re.compile(r"[^a-z0-9]+")


class Placeholder(str):
    """Stands for a value that is not known yet, such as `‹steps.create.id›` in a dry-run.

    Filters leave it alone and a path shows it unencoded.
    """

    __slots__ = ()


def as_text(value: Value) -> str:
    """How a value reads inside text: booleans as in JSON, nothing as nothing."""
    if type(value) is str:
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def slug(text: str) -> str:
    """Lower-case ASCII letters and digits joined by single hyphens: “Zoë O’Hara” becomes `zoe-ohara`."""
    plain = unicodedata.normalize("NFKD", text.lower().translate(_PLAIN)).encode("ascii", "ignore").decode()
    return _NOT_IN_SLUG.sub("-", plain).strip("-")


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


def _date(text: str, form: str) -> str:
    return datetime.fromisoformat(text).strftime(form)


_TEXT_FILTERS: dict[str, Callable[[str], str]] = {
    "lower": str.lower,
    "upper": str.upper,
    "trim": str.strip,
    "slug": slug,
}
# Name -> whether it takes an argument.
FILTERS = {**dict.fromkeys(_TEXT_FILTERS, False), "default": True, "date": True}


def apply_filter(name: str, argument: str, value: Value) -> Value:
    """The value after one filter; a missing value stays missing, except for default.

    Raises ValueError when date is given what is no RFC 3339 date or time.
    """
    if isinstance(value, Placeholder):
        return value
    if name == "default":
        return argument if value is None or value == "" else value
    if value is None:
        return None
    text = as_text(value)
    if name == "date":
        return _date(text, argument) if text else text
    return _TEXT_FILTERS[name](text)
