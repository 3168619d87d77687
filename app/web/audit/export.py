"""The audit trail as CSV: the columns of the page, made safe for spreadsheets."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator

from app.models import AuditEvent
from app.web.audit.words import action_words, changed, who

COLUMNS = ("When (UTC)", "Who", "What", "Record", "Changes", "Reason", "From")
# A spreadsheet takes a cell that begins so for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def lines(events: Iterable[AuditEvent]) -> Iterator[str]:
    """The file line by line, a heading first."""
    yield _line(COLUMNS)
    for event in events:
        yield _line(_cells(event))


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


def _line(cells: Iterable[str]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerow([_safe(one) for one in cells])
    return out.getvalue()


def _safe(cell: str) -> str:
    """`cell` as text to a spreadsheet: an apostrophe keeps it from being calculated."""
    return f"'{cell}" if cell.lstrip(" ").startswith(_FORMULA) else cell
