"""What the editor's forms of all types share: small readings of typed text, and of rows.

What a field holds is never thrown away: a number that is none stays as its text in the JSON, where `read_step`
says what is wrong with it. Only rows and raw JSON can be beyond JSON; these are refused here, field by field.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from app.domain.json_reader import Json, Problem
from app.domain.mapping.filters import slug as hyphened
from app.domain.steps.base import MAX_KEY
from app.domain.steps.rows import BadRow, Row, from_rows, kind_of, parse_json

StepJson: TypeAlias = dict[str, Json]
Values: TypeAlias = Mapping[str, Sequence[str]]

_DECIMAL = re.compile(r"-?[0-9]{1,9}(\.[0-9]{1,6})?")


@dataclass(frozen=True, slots=True)
class RowGroup:
    """Rows of inputs: their columns, and the places of those that somebody types into. Blank: these are blank."""

    columns: tuple[str, ...]
    typed: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the editor of a step: what it is called, and the inputs whose problems are counted there."""

    name: str
    label: str
    inputs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StepForm:
    """How the editor shows a type of step; `templates/steps/<type>.html` draws the fields.

    `blank` is the JSON that a new step begins with.  `values` are the fields for a step's JSON, whatever it holds,
    and `read` makes the JSON of what is typed, noting what no JSON can hold: for what is the type's own.
    `previews` says what the preview shows.
    """

    icon: str
    previews: str
    parts: tuple[Part, ...]
    groups: Mapping[str, RowGroup]
    blank: Mapping[str, Json]
    values: Callable[[Mapping[str, Json]], dict[str, list[str]]]
    read: Callable[[Values, list[Problem]], StepJson]


ON_STATUS = RowGroup(("on_status_code", "on_status_step"), (0, 1))
GENERAL = Part("general", "General")
PREVIEW = Part("preview", "Preview")
FLOW = Part(
    "flow",
    "Flow",
    ("on_success", "on_success_step", "on_failure", "on_failure_step", "on_status", *ON_STATUS.columns),
)


def first(values: Values, name: str) -> str:
    """The first value of `name`, "" when there is none."""
    found = values.get(name, ())
    return found[0] if found else ""


def text_of(value: Json) -> str:
    """A JSON value as the text of an input: texts bare, nothing for null."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def whole(typed: str) -> Json:
    """The whole number, or the text as it was typed."""
    text = typed.strip()
    return int(text) if _DECIMAL.fullmatch(text) and "." not in text else text


def decimal(typed: str) -> Json:
    """The number, whole if it can be, or the text as it was typed."""
    text = typed.strip()
    if not _DECIMAL.fullmatch(text):
        return text
    number = float(text)
    return int(number) if number.is_integer() else number


def slug(name: str) -> str:
    """A key made from a name: `Create the account` is `create_the_account`."""
    return hyphened(name).replace("-", "_")[:MAX_KEY].strip("_")


def table(values: Values, *columns: str) -> list[tuple[str, ...]]:
    """The rows that repeated fields form; a short column is filled up with blanks."""
    lists = [list(values.get(column, ())) for column in columns]
    length = max((len(one) for one in lists), default=0)
    return [tuple(one[at] if at < len(one) else "" for one in lists) for at in range(length)]


def mapping_group(at: str) -> RowGroup:
    """The rows of the mapping whose fields begin with `at`."""
    return RowGroup((f"{at}_name", f"{at}_kind", f"{at}_value"), (0, 2))


BODY = mapping_group("body")


def rows_of(values: Values, group: RowGroup) -> list[Row]:
    """The typed rows of a mapping."""
    return [Row(name, kind_of(kind), text) for name, kind, text in table(values, *group.columns)]


def columns_of(group: RowGroup, rows: Sequence[Row]) -> dict[str, list[str]]:
    """Rows as the fields of their columns."""
    return {column: [row[place] for row in rows] for place, column in enumerate(group.columns)}


def body_of(values: Values) -> Json:
    """The body as its fields describe it; raises BadRow or ValueError."""
    mode = first(values, "body_as")
    if mode == "json":
        text = first(values, "body_json")
        return parse_json(text) if text.strip() else None
    return from_rows(rows_of(values, BODY)) if mode == "rows" else None


def read_mapping(errors: list[Problem], at: str, read: Callable[[], Json]) -> Json:
    """What `read` makes of the mapping `at`; None where it cannot be read, which is noted."""
    try:
        return read()
    except BadRow as bad:
        errors.append(Problem(at, f"Row {bad.index + 1}: {bad.message}"))
    except ValueError as problem:
        errors.append(Problem(f"{at}_json", str(problem)))
    return None
