"""The trail's filters, to and from the address."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from urllib.parse import urlencode

from app.errors import FieldError
from app.queries.audit import AuditFilters
from app.web.formstate import FormState
from app.web.reading import storable

NAMES = ("who", "action", "about", "type", "id", "from", "to")


@dataclass(frozen=True, slots=True)
class Listing:
    """What was asked of the trail: as typed, and as the query takes it (None when it cannot be read)."""

    form: FormState
    filters: AuditFilters | None
    kept: tuple[tuple[str, str], ...]

    def address(self, path: str) -> str:
        """`path` with these filters."""
        return f"{path}?{urlencode(self.kept)}" if self.kept else path


def read_listing(args: Mapping[str, str]) -> Listing:
    """The filters in the query string; a day that is none is named, and then nothing is listed."""
    typed = {name: storable(args.get(name, "")) for name in NAMES}
    kept = tuple((name, value) for name, value in typed.items() if value)
    errors: list[FieldError] = []
    days = {name: _day(typed[name], name, errors) for name in ("from", "to")}
    filters = AuditFilters(
        who=typed["who"],
        action=typed["action"],
        about=typed["about"],
        subject_type=typed["type"],
        subject_id=typed["id"],
        since=days["from"],
        until=days["to"] + timedelta(days=1) if days["to"] else None,
    )
    # A field for days can show nothing but a day.
    shown = typed | {error.field: "" for error in errors}
    return Listing(FormState.of(shown, errors), None if errors else filters, kept)


def _day(text: str, name: str, errors: list[FieldError]) -> datetime | None:
    if not text:
        return None
    try:
        found = date.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.year > 9998:
        errors.append(FieldError(name, "Enter a day as 2026-11-22."))
        return None
    return datetime.combine(found, datetime.min.time(), UTC)
