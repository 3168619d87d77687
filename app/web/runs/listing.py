"""The filters of the runs list, to and from the address."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from urllib.parse import parse_qsl, urlencode

from flask import Response, request, url_for
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.domain.states import RunStatus, Trigger
from app.models import Application, Connection, Workflow
from app.queries.run_filters import ATTENTION, PARKED, RunFilters
from app.queries.run_words import CLASS_WORDS
from app.web.formstate import FormState
from app.web.htmx import replace_url
from app.web.reading import storable
from app.web.runs.filterwords import BY_PERSON, NAMES, number, read_filters

_GROUP_LABELS = {ATTENTION: "Needs attention", "moving": "In progress", PARKED: "Waiting (connection)"}
# Of more applications than this the list offers none: the search finds them by name.
_MANY = 300


@dataclass(frozen=True, slots=True)
class Listing:
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


def read_listing(args: Mapping[str, str]) -> Listing:
    """The filters in the query string; a value that cannot be one is named, and then nothing is listed."""
    typed = {name: storable(args.get(name, "")) for name in NAMES}
    kept = tuple((name, value) for name, value in typed.items() if value)
    filters, errors = read_filters(kept)
    return Listing(FormState.of(typed, errors), filters, kept)


def listing_from(query: str) -> Listing:
    """The list that a run's page was opened from, as the page's address keeps it."""
    return read_listing(dict(parse_qsl(query[:2000])))


def address(kept: Iterable[tuple[str, str]]) -> str:
    """The list narrowed by these filters."""
    path, query = url_for("runs.index"), urlencode(list(kept))
    return f"{path}?{query}" if query else path


def key_of(cursor: str) -> int | None:
    """A cursor of this list as a run's number; None for none, and for one that was edited into nonsense."""
    return number(cursor)


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


def options(session: Session, listing: Listing) -> dict[str, list[tuple[str, str]]]:
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


def removable(session: Session, listing: Listing) -> list[tuple[str, str]]:
    """The filters that came by a link and have no field: their words, and the address without each."""
    if listing.filters is None:
        return []
    told = [(name, value, _named(session, name, value)) for name, value in listing.kept]
    return [(words, listing.without(name)) for name, value, words in told if words]


def address_after(response: Response, listing: Listing) -> Response:
    """Show the filters in the address bar: typing replaces the entry of the history, choosing adds one."""
    if request.headers.get("HX-Trigger-Name") in ("q", "person"):
        return replace_url(response, listing.url)
    response.headers["HX-Push-Url"] = listing.url
    return response


def _applications(session: Session, listing: Listing) -> list[tuple[str, str]]:
    """Every application that is in use, by name, and the chosen one in any case."""
    chosen = listing.form.value("application")
    statement = select(Application.id, Application.name).where(Application.archived_at.is_(None))
    found = session.execute(statement.order_by(func.lower(Application.name)).limit(_MANY + 1)).all()
    listed = [(str(row.id), row.name) for row in found] if len(found) <= _MANY else []
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
