"""The filters of the runs list, to and from the address."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Any
from urllib.parse import urlencode

from flask import Response, request, url_for
from sqlalchemy.orm import Session

from app.engine.states import FailureClass, RunStatus, Trigger
from app.errors import FieldError
from app.models import Application, Workflow
from app.queries.run_filters import MAX_ID
from app.queries.run_words import CLASS_WORDS
from app.queries.runs import STATUS_GROUPS, RunFilters
from app.web.formstate import FormState
from app.web.htmx import replace_url
from app.web.reading import storable

# In the order of the form; blank ones are left out of the address.
NAMES = ("q", "status", "trigger", "class", "from", "to", "application", "grant", "workflow")
_GROUP_LABELS = {"attention": "Needs attention", "moving": "In progress"}


@dataclass(frozen=True, slots=True)
class Listing:
    """What was asked of the list: as typed, and as the query takes it (None when it cannot be read)."""

    form: FormState
    filters: RunFilters | None
    kept: tuple[tuple[str, str], ...]

    @property
    def url(self) -> str:
        """The list's address with these filters and nothing blank, in one order."""
        return _address(self.kept)

    def without(self, name: str) -> str:
        """The same address without one filter."""
        return _address([pair for pair in self.kept if pair[0] != name])


def read_listing(args: Mapping[str, str]) -> Listing:
    """The filters in the query string; a value that cannot be one is named, and then nothing is listed."""
    typed = {name: storable(args.get(name, "")) for name in NAMES}
    kept = tuple((name, value) for name, value in typed.items() if value)
    read: dict[str, Any] = {}
    errors: list[FieldError] = []
    for name, value in kept:
        found = _READERS[name](value)
        if found is None:
            errors.append(FieldError(name, _REFUSALS.get(name, "Choose one of the list.")))
        else:
            read[_FIELDS[name]] = found
    return Listing(FormState.of(typed, errors), None if errors else RunFilters(**read), kept)


def key_of(cursor: str) -> int | None:
    """A cursor of this list as a run's number; None for none, and for one that was edited into nonsense."""
    return _number(cursor)


def shortcuts(here: str, today: date) -> list[dict[str, object]]:
    """The list's ready-made filters, as tabs."""
    yesterday = (today - timedelta(days=1)).isoformat()
    choices: tuple[tuple[str, list[tuple[str, str]]], ...] = (
        ("All", []),
        ("Needs attention", [("status", "attention")]),
        ("Waiting", [("status", RunStatus.WAITING_MANUAL.value)]),
        ("In progress", [("status", "moving")]),
        ("Since yesterday", [("from", yesterday)]),
    )
    addresses = [(label, _address(kept)) for label, kept in choices]
    return [{"label": label, "href": href, "current": href == here} for label, href in addresses]


def options() -> dict[str, list[tuple[str, str]]]:
    """The choices of each list, by the filter's name."""
    statuses = [(one.value, one.label) for one in RunStatus]
    return {
        "status": [("", "Any status"), *_GROUP_LABELS.items(), *statuses],
        "trigger": [("", "Any trigger"), *((one.value, one.label) for one in Trigger)],
        "class": [("", "Any cause"), *((one.value, words) for one, words in CLASS_WORDS.items())],
    }


def removable(session: Session, listing: Listing) -> list[tuple[str, str]]:
    """The filters that came by a link and have no field: their words, and the address without each."""
    if listing.filters is None:
        return []
    return [
        (_NAMED[name](session, value), listing.without(name))
        for name, value in listing.kept
        if name in _NAMED
    ]


def address_after(response: Response, listing: Listing) -> Response:
    """Show the filters in the address bar: typing replaces the entry of the history, choosing adds one."""
    if request.headers.get("HX-Trigger-Name") == "q":
        return replace_url(response, listing.url)
    response.headers["HX-Push-Url"] = listing.url
    return response


def _address(kept: Iterable[tuple[str, str]]) -> str:
    path, query = url_for("runs.index"), urlencode(list(kept))
    return f"{path}?{query}" if query else path


def _one_of(words: type[StrEnum]) -> Callable[[str], StrEnum | None]:
    return lambda value: words(value) if value in list(words) else None


def _statuses(value: str) -> frozenset[RunStatus] | None:
    if value in STATUS_GROUPS:
        return STATUS_GROUPS[value]
    return frozenset({RunStatus(value)}) if value in list(RunStatus) else None


def _number(value: str) -> int | None:
    return int(value) if value.isascii() and value.isdecimal() and int(value[:20]) <= MAX_ID else None


def _day(value: str) -> datetime | None:
    try:
        return datetime.combine(date.fromisoformat(value), datetime.min.time(), UTC)
    except ValueError:
        return None


def _day_after(value: str) -> datetime | None:
    day = _day(value)
    return day + timedelta(days=1) if day is not None and day.year < 9999 else None


def _application(session: Session, value: str) -> str:
    found = session.get(Application, int(value))
    return f"Application: {found.name}" if found else f"Application {value}, which does not exist"


def _workflow(session: Session, value: str) -> str:
    found = session.get(Workflow, int(value))
    return f"Workflow: {found.name}" if found else f"Workflow {value}, which does not exist"


_READERS: dict[str, Callable[[str], Any]] = {
    "q": lambda value: value.removeprefix("run-"),
    "status": _statuses,
    "trigger": _one_of(Trigger),
    "class": _one_of(FailureClass),
    "application": _number,
    "grant": _number,
    "workflow": _number,
    "from": _day,
    "to": _day_after,
}
_FIELDS = {
    "q": "text",
    "status": "statuses",
    "trigger": "trigger",
    "class": "failure_class",
    "application": "application_id",
    "grant": "grant_id",
    "workflow": "workflow_id",
    "from": "since",
    "to": "until",
}
_REFUSALS = dict.fromkeys(("application", "grant", "workflow"), "Enter a number.") | dict.fromkeys(
    ("from", "to"), "Enter a day as 2026-11-22."
)
_NAMED: dict[str, Callable[[Session, str], str]] = {
    "application": _application,
    "workflow": _workflow,
    "grant": lambda _session, value: f"Grant {value}",
}
