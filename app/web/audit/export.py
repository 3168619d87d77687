"""The audit trail as CSV: the columns of the page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from app.models import AuditEvent
from app.web.audit.words import action_words, changed, who
from app.web.csvfile import line

COLUMNS = ("When (UTC)", "Who", "What", "Record", "Changes", "Reason", "From")


def lines(events: Iterable[AuditEvent]) -> Iterator[str]:
    """The file line by line, a heading first."""
    yield line(COLUMNS)
    for event in events:
        yield line(_cells(event))


def _cells(event: AuditEvent) -> tuple[str, ...]:
    return (
        event.at.strftime("%Y-%m-%d %H:%M:%S"),
        who(event),
        action_words(event.action),
        event.subject,
        "; ".join(f"{one.field}: {one.old} → {one.new}" for one in changed(event)),
        event.reason or "",
        event.source,
    )
