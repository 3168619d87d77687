"""People from a CSV file: reading the text (RFC 4180) into lines of named cells. A cell is data and never code."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass

from app.errors import Invalid

COLUMNS = ("email", "first_name", "last_name", "username", "employee_id", "role")
MAX_BYTES = 1024 * 1024
MAX_LINES = 5_000
FIELD = "csv"

_SEPARATOR = re.compile(r"[\s_-]+")


@dataclass(frozen=True, slots=True)
class CsvLine:
    """One record: where it begins in the file, counted from 1, and its cells by column.

    `problem` is why it cannot be read; its cells are then empty.
    """

    number: int
    cells: dict[str, str]
    problem: str = ""


def decoded(data: bytes) -> str:
    """A file's bytes as text; raises Invalid when it is too long or no UTF-8."""
    if len(data) > MAX_BYTES:
        raise Invalid.field(FIELD, "The file is larger than 1 MiB. Split it.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise Invalid.field(
            FIELD, f"Line {line} is not UTF-8. Save the file as “CSV UTF-8” and choose it again."
        ) from None


def lines_of(text: str) -> list[CsvLine]:
    """The file's records, without its header and its blank lines.

    Raises Invalid when the text as a whole cannot be read: too long, no header, an unknown or repeated column, a
    quotation mark that is never closed.
    """
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    if len(text.encode("utf-8", "replace")) > MAX_BYTES:
        raise Invalid.field(FIELD, "This is more than 1 MiB. Split it.")
    if not text.strip():
        raise Invalid.field(FIELD, "Choose a file or paste its text.")
    records = _records(text)
    names = _header(records[0][1])
    found = [_line(number, cells, names) for number, cells in records[1:]]
    if not found:
        raise Invalid.field(FIELD, "There is a header but no line below it.")
    if len(found) > MAX_LINES:
        raise Invalid.field(
            FIELD, f"There are {len(found):,} lines; at most {MAX_LINES:,} at once. Split the file."
        )
    return found


def _records(text: str) -> list[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text), strict=True)
    found: list[tuple[int, list[str]]] = []
    begins = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                found.append((begins, cells))
            begins = reader.line_num + 1
    except csv.Error:
        raise Invalid.field(
            FIELD,
            f"Line {begins} cannot be read: a quotation mark in it is not closed, or a cell is too long.",
        ) from None
    return found


def _delimiter(text: str) -> str:
    """Whichever of `,` `;` and tab the header uses: spreadsheets choose by the country."""
    header = next(line for line in text.split("\n") if line.strip())
    return max(",;\t", key=header.count)


def _header(cells: list[str]) -> list[str]:
    names = [_SEPARATOR.sub("_", cell.strip().lower()) for cell in cells]
    unknown = [cell.strip() for cell, name in zip(cells, names, strict=True) if name not in COLUMNS]
    known = f"The columns are: {', '.join(COLUMNS)}."
    if "email" not in names and unknown:
        message = f"The first line must name the columns, with email among them. {known}"
        raise Invalid.field(FIELD, message)
    if unknown:
        shown = unknown[0][:50].replace("\0", "") or "(no name)"
        raise Invalid.field(FIELD, f"There is no column “{shown}”. {known}")
    if "email" not in names:
        raise Invalid.field(FIELD, "The column email is missing: people are found by it.")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise Invalid.field(FIELD, f"The column {twice} is there twice.")
    return names


def _line(number: int, cells: list[str], names: list[str]) -> CsvLine:
    if len(cells) != len(names):
        return CsvLine(number, {}, f"It has {len(cells)} cells, and the header names {len(names)}.")
    return CsvLine(number, {name: cell.strip() for name, cell in zip(names, cells, strict=True)})
