"""Conditions: what must hold before a step, of its answer, or for as long as the other system is not ready."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from app.domain.headers import header_problem
from app.domain.json_reader import Json, Reader, Refused, clean_json
from app.domain.mapping.filters import Placeholder, is_empty
from app.domain.mapping.render import render_text
from app.domain.mapping.templates import compile_template
from app.domain.mapping.values import Context, value_of

MAX_CONDITIONS = 20
MAX_SUBJECT = 500
MAX_THAN = 500
MAX_CHOICES = 100
STATUS = "status"


class Is(StrEnum):
    """How a value is compared. `label` stands between the value and what it is compared with."""

    EMPTY = "empty"
    NOT_EMPTY = "not_empty"
    EQUAL = "equal"
    NOT_EQUAL = "not_equal"
    IN = "in"
    NOT_IN = "not_in"
    CONTAINS = "contains"
    GREATER = "greater"
    LESS = "less"

    @property
    def label(self) -> str:
        return _LABELS[self]

    @property
    def stands_alone(self) -> bool:
        """True when there is nothing to compare with."""
        return self in (Is.EMPTY, Is.NOT_EMPTY)

    @property
    def is_positive(self) -> bool:
        """True when it can hold only where something is there."""
        return self not in (Is.EMPTY, Is.NOT_EQUAL, Is.NOT_IN)

    @property
    def takes_list(self) -> bool:
        return self in (Is.IN, Is.NOT_IN)


_LABELS = {
    Is.EMPTY: "is empty",
    Is.NOT_EMPTY: "is not empty",
    Is.EQUAL: "is",
    Is.NOT_EQUAL: "is not",
    Is.IN: "is one of",
    Is.NOT_IN: "is none of",
    Is.CONTAINS: "contains",
    Is.GREATER: "is greater than",
    Is.LESS: "is less than",
}


def subject_said(of: str) -> str:
    """`account.id` for `{{ account.id }}`; a text that is more than one token stays as it was typed."""
    bare = of.strip()
    one = bare.count("{{") == 1 and bare.startswith("{{") and bare.endswith("}}")
    return bare[2:-2].strip() if one else bare


@dataclass(frozen=True, slots=True)
class Condition:
    """`of` is a template (before a step), or a place in an answer: a JSONPath, `header:Name` or `status`.

    `than` is a scalar, a list of scalars for `in` and `not_in`, and None where nothing is compared with.
    """

    of: str
    op: Is
    than: Json = None

    @property
    def words(self) -> str:
        """`account.id is empty`, `$.ok is true`."""
        subject = subject_said(self.of)
        if self.of == STATUS:
            subject = "the status"
        if self.op.stands_alone:
            return f"{subject} {self.op.label}"
        return f"{subject} {self.op.label} {in_words(self.than)}"

    def holds(self, found: object) -> bool:
        """Whether it holds for `found`: what the template came to, or what stands in the answer (None: nothing)."""
        return _holds(self.op, found, self.than)


Conditions = tuple[Condition, ...]


def in_words(than: Json) -> str:
    """What is compared with, as it stands in a sentence: texts bare, a list with commas."""
    if isinstance(than, list):
        return ", ".join(in_words(one) for one in than)
    return than if isinstance(than, str) and than else json.dumps(than, ensure_ascii=False)


def read_conditions(reader: Reader, name: str, subject: str) -> Conditions:
    """The conditions listed as `name`, whose value is called `subject` in JSON: `value` or `path`."""
    found: list[Condition] = []
    for index, raw in enumerate(reader.items(name, most=MAX_CONDITIONS)):
        if not isinstance(raw, dict):
            reader.problem(f"{name}[{index}]", "A condition must be an object.")
            continue
        inner = reader.inner(f"{name}[{index}]", raw)
        inner.refuse_unknown((subject, "is", "than"), "A condition")
        required = (
            "Say which value is looked at."
            if subject == "value"
            else "Say where in the answer the value stands."
        )
        of = inner.text(subject, limit=MAX_SUBJECT, required=required)
        word = inner.choice("is", [one.value for one in Is], default="", required="Say how it is compared.")
        if not word:
            continue
        op = Is(word)
        if of and subject == "path":
            problem = place_problem(of)
            if problem:
                inner.problem(subject, problem)
        found.append(Condition(of, op, _than(inner, op)))
    return tuple(found)


def place_problem(place: str) -> str:
    """What is wrong with a place in an answer, but for the inside of a JSONPath; empty when nothing is."""
    if place == STATUS or place.startswith("$"):
        return ""
    if not place.startswith("header:"):
        return "Begin with $ for a JSONPath such as $.ok, or use header:Name or status."
    return header_problem(place.removeprefix("header:"), "") or ""


def conditions_to_json(conditions: Conditions, subject: str) -> list[Json]:
    shapes: list[Json] = []
    for one in conditions:
        shape: dict[str, Json] = {subject: one.of, "is": one.op.value}
        shapes.append(shape if one.op.stands_alone else {**shape, "than": one.than})
    return shapes


def first_unmet(conditions: Sequence[Condition], found: Sequence[object]) -> Condition | None:
    """The first condition that does not hold for its value in `found`, None when all do."""
    return next((one for one, value in zip(conditions, found, strict=True) if not one.holds(value)), None)


def unmet_in(conditions: Conditions, context: Context) -> str:
    """The first condition before a step that does not hold, in words; empty when all do. Raises MappingError."""
    unmet = first_unmet(conditions, [value_in(one.of, context) for one in conditions])
    return unmet.words if unmet is not None else ""


def value_in(template: str, context: Context) -> object:
    """What a condition's template comes to; raises MappingError where a value is there and cannot be used so."""
    only = compile_template(template).only
    return value_of(only, context, None) if only is not None else render_text(template, context)


def _than(reader: Reader, op: Is) -> Json:
    raw = reader.raw.get("than")
    if op.stands_alone:
        if raw is not None:
            reader.problem("than", f"“{op.label}” is compared with nothing.")
        return None
    if raw is None:
        reader.problem("than", "Say what it is compared with.")
        return None
    several = raw if op.takes_list and isinstance(raw, list) else [raw]
    if op.takes_list and not (isinstance(raw, list) and 0 < len(raw) <= MAX_CHOICES):
        reader.problem("than", f"It must be a list of 1 to {MAX_CHOICES} values.")
        return None
    try:
        clean = [clean_json(one) for one in several]
    except Refused as refused:
        reader.problem("than", refused.message)
        return None
    if any(isinstance(one, dict | list) or len(str(one)) > MAX_THAN for one in clean):
        reader.problem("than", f"It must be text of up to {MAX_THAN} characters, a number, true or false.")
        return None
    if op in (Is.GREATER, Is.LESS) and "{{" not in str(raw) and _number(raw) is None and _moment(raw) is None:
        reader.problem("than", "It must be a number, or a time such as 2026-12-01T00:00:00Z.")
    return clean if op.takes_list else clean[0]


def is_blank(found: object) -> bool:
    """Whether a value counts as empty: nothing, no text or a blank one as where it would be sent, an empty object."""
    return is_empty(found) or found == {}


def _holds(op: Is, found: object, than: Json) -> bool:  # noqa: PLR0911  # one plain case an operator
    match op:
        case Is.EMPTY:
            return is_blank(found)
        case Is.NOT_EMPTY:
            return not is_blank(found)
        case Is.EQUAL:
            return _same(found, than)
        case Is.NOT_EQUAL:
            return not any(_same(one, than) for one in _each(found))
        case Is.IN:
            return isinstance(than, list) and any(_same(found, one) for one in than)
        case Is.NOT_IN:
            return isinstance(than, list) and not any(
                _same(one, than_one) for one in _each(found) for than_one in than
            )
        case Is.CONTAINS:
            if isinstance(found, list):
                return any(_same(one, than) for one in found)
            return isinstance(found, str) and _text(than) in found
    for read in (_number, _moment):
        left, right = read(found), read(than)
        if left is not None and right is not None:
            return bool(left > right) if op is Is.GREATER else bool(left < right)  # type: ignore[operator]
    return False


def _each(found: object) -> list[object]:
    """The values that something must not be: of several, none of them may."""
    return found if isinstance(found, list) and found else [found]


def _same(found: object, than: Json) -> bool:
    """Equal as JSON; where one side is text, as the texts: a header, or a typed value, is always text."""
    if isinstance(found, dict | list) or found is None or than is None:
        return found is None and than is None
    if isinstance(found, str) or isinstance(than, str):
        return _text(found) == _text(than)
    if isinstance(found, bool) or isinstance(than, bool):
        return found is than
    return bool(found == than)


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


_DECIMAL = re.compile(r"-?[0-9]{1,300}(\.[0-9]{1,300})?")


def _number(value: object) -> int | float | None:
    if isinstance(value, bool | Placeholder):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str) and _DECIMAL.fullmatch(value.strip()):
        return float(value)
    return None


def _moment(value: object) -> datetime | None:
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return at if at is not None and at.tzinfo is not None else None
