"""Conditions and ways by status as rows of the editor, and back."""

from __future__ import annotations

from collections.abc import Sequence

from app.domain.json_reader import Json, Problem
from app.domain.steps.conditions import Is, subject_said
from app.domain.steps.fields import ON_STATUS, RowGroup, StepJson, Values, table, text_of
from app.domain.steps.rows import Row, parse_json, pretty, typed_value, value_of

THAN_KINDS = (
    ("text", "Text"),
    ("number", "Number"),
    ("boolean", "True or false"),
    ("list", "List: a, b"),
    ("json", "JSON"),
)


def condition_group(at: str) -> RowGroup:
    """The rows of the conditions whose fields begin with `at`."""
    return RowGroup((f"{at}_of", f"{at}_is", f"{at}_kind", f"{at}_than"), (0, 3))


ONLY_IF = condition_group("only_if")
EXPECT = condition_group("expect")
WAIT_WHEN = condition_group("wait_when")
CONDITIONS = {"only_if": ONLY_IF, "expect": EXPECT, "wait_when": WAIT_WHEN}


def condition_values(group: RowGroup, conditions: Json, subject: str) -> dict[str, list[str]]:
    """The fields for the conditions of a step's JSON, whatever it holds."""
    return _columns(
        group,
        [
            (text_of(one.get(subject)), text_of(one.get("is")), *_than_typed(one.get("than")))
            for one in (conditions if isinstance(conditions, list) else ())
            if isinstance(one, dict)
        ],
    )


def condition_rows(values: Values, group: RowGroup) -> list[tuple[int, tuple[str, ...]]]:
    """The rows that are not blank, each with its place."""
    rows = enumerate(table(values, *group.columns))
    return [(place, row) for place, row in rows if any(row[at].strip() for at in group.typed)]


def read_condition_rows(
    values: Values, group: RowGroup, subject: str, errors: list[Problem]
) -> dict[str, Json]:
    """The conditions under their JSON name, which begins the group's columns; nothing when there are none.

    What is compared with is left out of those that are compared with nothing, where the page hides it.
    """
    found: list[Json] = []
    for place, (of, op, kind, text) in condition_rows(values, group):
        one: dict[str, Json] = {subject: of.strip(), "is": op or Is.EQUAL.value}
        if text.strip() and op not in (Is.EMPTY, Is.NOT_EMPTY):
            try:
                one["than"] = _than_of(kind, text)
            except ValueError as problem:
                errors.append(Problem(f"{group.columns[3]}-{place + 1}", str(problem)))
        found.append(one)
    return {group.columns[0].removesuffix("_of"): found} if found else {}


def conditions_said(values: Values, group: RowGroup) -> str:
    """The typed conditions in one line: `$.ok is true and $.errors is empty`; "" for none."""
    return " and ".join(_said(*row) for _, row in condition_rows(values, group))


def _said(of: str, op: str, _kind: str, text: str) -> str:
    how = Is(op) if op in list(Is) else Is.EQUAL
    subject = subject_said(of)
    return f"{subject} {how.label}" if how.stands_alone else f"{subject} {how.label} {text.strip()}"


def status_values(ways: Json) -> dict[str, list[str]]:
    """The fields for the ways by status of a step's JSON."""
    rows = [
        (text_of(status), text_of(edge.get("step")) if isinstance(edge, dict) else "")
        for status, edge in (ways.items() if isinstance(ways, dict) else ())
    ]
    return _columns(ON_STATUS, rows)


def read_status_rows(values: Values, errors: list[Problem]) -> dict[str, Json]:
    """The ways by status under their JSON name; nothing when there are none."""
    ways: StepJson = {}
    for place, (typed, step) in condition_rows(values, ON_STATUS):
        status = typed.strip()
        if not status or status in ways:
            words = f"HTTP {status} is there twice." if status else "Enter a status, such as 404."
            errors.append(Problem(f"on_status_code-{place + 1}", words))
        ways[status] = {"step": step}
    return {"on_status": ways} if ways else {}


def _columns(group: RowGroup, rows: Sequence[tuple[str, ...]]) -> dict[str, list[str]]:
    return {column: [row[place] for row in rows] for place, column in enumerate(group.columns)}


def _than_typed(than: Json) -> tuple[str, str]:
    if than is None:
        return "text", ""
    if isinstance(than, list) and than and all(_is_plain(one) for one in than):
        return "list", ", ".join(str(one) for one in than)
    if isinstance(than, str) and not than.strip():
        return "json", pretty(than)
    return typed_value(than)


def _is_plain(one: Json) -> bool:
    """Whether it can stand in a list with commas and is text again when it is read."""
    return isinstance(one, str) and one == one.strip() != "" and not set(",\n\r") & set(one)


def _than_of(kind: str, text: str) -> Json:
    if kind == "list":
        return [one.strip() for one in text.split(",") if one.strip()]
    return parse_json(text) if kind == "json" else value_of(Row("", kind, text))
