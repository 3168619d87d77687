"""The runs list: its filters to and from the address, the way through it from a run, and retrying several at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode

from flask import Response, request, url_for
from sqlalchemy.orm import Session

from app.domain.states import FailureClass, RunStatus, Trigger
from app.errors import FieldError
from app.models import Application, Connection, Workflow
from app.models.bulk_retry import MAX_RUNS
from app.permissions import Actor, may
from app.queries.applications import application_names
from app.queries.bulk_retries import failed_matches
from app.queries.run_filters import ATTENTION, PARKED, STATUS_GROUPS, RunFilters
from app.queries.run_words import CLASS_WORDS
from app.queries.runs import RunRow, neighbours
from app.schemas.kinds import MAX_ID
from app.web.forms import FormState
from app.web.htmx import replace_url
from app.web.request_values import day, storable

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


def _since(value: str) -> Facts | None:
    found = day(value)
    return {"since": found} if found is not None else None


def _until(value: str) -> Facts | None:
    found = day(value)
    return {"until": found + timedelta(days=1)} if found is not None else None


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


_GROUP_LABELS = {ATTENTION: "Needs attention", "moving": "In progress", PARKED: "Waiting (connection)"}
# Of more applications than this the list offers none: the search finds them by name.
_MANY = 300


@dataclass(frozen=True, slots=True)
class RunList:
    """What was asked of the list: as typed, and as the query takes it (None when it cannot be read)."""

    form: FormState
    filters: RunFilters | None
    kept: tuple[tuple[str, str], ...]

    @property
    def url(self) -> str:
        """The list's address with these filters and nothing blank, in one order."""
        return address(self.kept)

    @property
    def query(self) -> str:
        """The same as a run's page takes it in `from`, to lead through the list."""
        return urlencode(self.kept)

    @property
    def export(self) -> str:
        """Where the same list is to be had as a file."""
        path = url_for("runs.export")
        return f"{path}?{self.query}" if self.kept else path

    def without(self, name: str) -> str:
        """The same address without one filter."""
        return address([pair for pair in self.kept if pair[0] != name])


def read_listing(args: Mapping[str, str]) -> RunList:
    """The filters in the query string; a value that cannot be one is named, and then nothing is listed."""
    typed = {name: storable(args.get(name, "")) for name in NAMES}
    kept = tuple((name, value) for name, value in typed.items() if value)
    filters, errors = read_filters(kept)
    return RunList(FormState.of(typed, errors), filters, kept)


def listing_from(query: str) -> RunList:
    """The list that a run's page was opened from, as the page's address keeps it."""
    return read_listing(dict(parse_qsl(query[:2000])))


def address(kept: Iterable[tuple[str, str]]) -> str:
    """The list narrowed by these filters."""
    path, query = url_for("runs.index"), urlencode(list(kept))
    return f"{path}?{query}" if query else path


def shortcuts(here: str, today: date) -> list[dict[str, object]]:
    """The list's ready-made filters, as tabs."""
    yesterday = (today - timedelta(days=1)).isoformat()
    choices: tuple[tuple[str, list[tuple[str, str]]], ...] = (
        ("All", []),
        ("Needs attention", [("status", ATTENTION)]),
        ("Waiting", [("status", RunStatus.WAITING_MANUAL.value)]),
        ("In progress", [("status", "moving")]),
        ("Since yesterday", [("from", yesterday)]),
    )
    addresses = [(label, address(kept)) for label, kept in choices]
    return [{"label": label, "href": href, "current": href == here} for label, href in addresses]


def options(session: Session, listing: RunList) -> dict[str, list[tuple[str, str]]]:
    """The choices of each list, by the filter's name."""
    statuses = [(one.value, one.label) for one in RunStatus]
    return {
        "application": [("", "Any application"), *_applications(session, listing)],
        "status": [("", "Any status"), *_GROUP_LABELS.items(), *statuses],
        "trigger": [("", "Any trigger"), *((one.value, one.label) for one in Trigger)],
        "class": [
            ("", "Any cause"),
            *((one.value, words) for one, words in CLASS_WORDS.items()),
            (BY_PERSON, "Failed by a person"),
        ],
    }


def removable(session: Session, listing: RunList) -> list[tuple[str, str]]:
    """The filters that came by a link and have no field: their words, and the address without each."""
    if listing.filters is None:
        return []
    named = [(name, value, _named(session, name, value)) for name, value in listing.kept]
    return [(words, listing.without(name)) for name, value, words in named if words]


def address_after(response: Response, listing: RunList) -> Response:
    """Show the filters in the address bar: typing replaces the entry of the history, choosing adds one."""
    if request.headers.get("HX-Trigger-Name") in ("q", "person"):
        return replace_url(response, listing.url)
    response.headers["HX-Push-Url"] = listing.url
    return response


def _applications(session: Session, listing: RunList) -> list[tuple[str, str]]:
    """Every application that is in use, by name, and the chosen one in any case."""
    chosen = listing.form.value("application")
    found = application_names(session, limit=_MANY + 1, in_use=True)
    listed = [(str(one), name) for one, name in found] if len(found) <= _MANY else []
    if chosen and chosen not in dict(listed):
        wanted = number(chosen)
        one = session.get(Application, wanted) if wanted is not None else None
        listed.append((chosen, one.name if one else f"Application {chosen}, which does not exist"))
    return listed


def _named(session: Session, name: str, value: str) -> str:
    match name:
        case "workflow":
            workflow = session.get(Workflow, int(value))
            return f"Workflow: {workflow.name}" if workflow else f"Workflow {value}, which does not exist"
        case "connection":
            connection = session.get(Connection, int(value))
            return f"Connection: {connection.name}" if connection else f"Connection {value}, which is gone"
        case "grant":
            return f"Grant {value}"
        case "step":
            return f"Failed at step: {value}"
        case "code":
            return f"Answered HTTP {value}"
    return ""


@dataclass(frozen=True, slots=True)
class PageWalk:
    """The list that the reader came from, and the pages of the runs above and below this one; "" for none."""

    list_href: str
    previous: str
    next: str


def walk_from(session: Session, run_id: int) -> PageWalk | None:
    """The way on through the list that the address names; None when it names none that can be read."""
    query = request.args.get("from")
    if query is None:
        return None
    listing = listing_from(query)
    if listing.filters is None:
        return None
    above, below = neighbours(session, listing.filters, run_id)
    return PageWalk(listing.url, _page_of_run(above, listing), _page_of_run(below, listing))


def _page_of_run(run_id: int | None, listing: RunList) -> str:
    values: dict[str, Any] = {"run_id": run_id, "from": listing.query}
    return url_for("runs.show", **values) if run_id is not None else ""


@dataclass(frozen=True, slots=True)
class Offer:
    """Failed runs can be ticked. `href` and `words` retry all that match the filters; "" where there is no filter."""

    href: str = ""
    words: str = ""


def offer_of(session: Session, listing: RunList, rows: Sequence[RunRow], actor: Actor) -> Offer | None:
    """What is offered above these rows, in at most two statements; None when there is nothing to retry."""
    if not may(actor, "workflow:run") or not any(row.run.status == RunStatus.FAILED for row in rows):
        return None
    if not listing.kept or listing.filters is None:
        return Offer()
    count = failed_matches(session, listing.filters)
    many = f"the oldest {MAX_RUNS}" if count > MAX_RUNS else f"all {count}"
    noun = "failed run that matches" if count == 1 else "failed runs that match"
    return Offer(f"{url_for('bulk_retries.new')}?{urlencode(list(listing.kept))}", f"Retry {many} {noun}…")
