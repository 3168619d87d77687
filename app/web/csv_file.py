"""Lines of a CSV file, made safe for spreadsheets."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from itertools import chain

from flask import Response, stream_with_context

# A spreadsheet takes a cell that begins so for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def line(cells: Iterable[str]) -> str:
    """One row with its line end; no cell of it is calculated by a spreadsheet."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerow([_safe(one) for one in cells])
    return out.getvalue()


def download(columns: Iterable[str], lines: Iterator[str], name: str) -> Response:
    """The file called `name`, headed by its columns and sent as its lines are made."""
    return Response(
        stream_with_context(chain([line(columns)], lines)),
        mimetype="text/csv",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def _safe(cell: str) -> str:
    """`cell` as text to a spreadsheet: an apostrophe keeps it from being calculated."""
    return f"'{cell}" if cell.lstrip(" ").startswith(_FORMULA) else cell
