"""What the words of the runs list's address mean to the query, and what is said of a word that means nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any

from app.domain.states import FailureClass, RunStatus, Trigger
from app.errors import FieldError
from app.queries.run_filters import ATTENTION, PARKED, STATUS_GROUPS, RunFilters
from app.schemas.kinds import MAX_ID

# In the order of the form; blank ones are left out of the address.
NAMES = (
    "q",
    "person",
    "application",
    "status",
    "trigger",
    "class",
    "from",
    "to",
    "connection",
    "step",
    "code",
    "grant",
    "workflow",
)
BY_PERSON = "person"
Facts = dict[str, Any]


def read_filters(kept: Iterable[tuple[str, str]]) -> tuple[RunFilters | None, list[FieldError]]:
    """The filters that these words ask for, or None and which of them cannot be read."""
    facts: Facts = {}
    errors: list[FieldError] = []
    for name, value in kept:
        found = _READERS[name](value)
        if found is None:
            errors.append(FieldError(name, _REFUSALS.get(name, "Choose one of the list.")))
        else:
            facts |= found
    return (None if errors else RunFilters(**facts)), errors


def number(value: str) -> int | None:
    """A record's number; None for what names none."""
    return int(value) if value.isascii() and value.isdecimal() and int(value[:20]) <= MAX_ID else None


def _record(field: str) -> Callable[[str], Facts | None]:
    def read(value: str) -> Facts | None:
        found = number(value)
        return None if found is None else {field: found}

    return read


def _text(field: str) -> Callable[[str], Facts | None]:
    return lambda value: {field: value}


def _status(value: str) -> Facts | None:
    if value == ATTENTION:
        return {"open_failures": True}
    if value == PARKED:
        return {"parked": True}
    if value in STATUS_GROUPS:
        return {"statuses": STATUS_GROUPS[value]}
    return {"statuses": frozenset({RunStatus(value)})} if value in list(RunStatus) else None


def _class(value: str) -> Facts | None:
    if value == BY_PERSON:
        return {"by_person": True}
    return {"failure_class": FailureClass(value)} if value in list(FailureClass) else None


def _trigger(value: str) -> Facts | None:
    return {"trigger": Trigger(value)} if value in list(Trigger) else None


def _code(value: str) -> Facts | None:
    found = number(value)
    return {"failure_status": found} if found is not None and 100 <= found <= 999 else None


def _day(value: str) -> datetime | None:
    try:
        return datetime.combine(date.fromisoformat(value), datetime.min.time(), UTC)
    except ValueError:
        return None


def _since(value: str) -> Facts | None:
    day = _day(value)
    return {"since": day} if day is not None else None


def _until(value: str) -> Facts | None:
    day = _day(value)
    return {"until": day + timedelta(days=1)} if day is not None and day.year < 9999 else None


_READERS: dict[str, Callable[[str], Facts | None]] = {
    "q": lambda value: {"text": value.removeprefix("run-")},
    "person": _text("person"),
    "status": _status,
    "trigger": _trigger,
    "class": _class,
    "application": _record("application_id"),
    "connection": _record("connection_id"),
    "grant": _record("grant_id"),
    "workflow": _record("workflow_id"),
    "step": _text("failure_step"),
    "code": _code,
    "from": _since,
    "to": _until,
}
_REFUSALS = (
    dict.fromkeys(("application", "connection", "grant", "workflow"), "Enter a number.")
    | dict.fromkeys(("from", "to"), "Enter a day as 2026-11-22.")
    | {"code": "Enter a status such as 404."}
)
