"""The human task in the editor: who is asked, for what, until when."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import zip_longest

from app.domain.json_reader import Json, Problem
from app.domain.steps.condition_rows import ONLY_IF
from app.domain.steps.fields import (
    FLOW,
    GENERAL,
    PREVIEW,
    Part,
    RowGroup,
    StepForm,
    StepJson,
    Values,
    decimal,
    first,
    slug,
    text_of,
)

COLUMNS = ("field_label", "field_name", "field_type", "field_required", "field_options")


def _values(step: Mapping[str, Json]) -> dict[str, list[str]]:
    """The fields of a human task in its editor; a person stands as an id until their email is looked up."""
    who, person = _assignee_words(step.get("assignee"))
    values: dict[str, list[str]] = {
        "prompt": [text_of(step.get("prompt"))],
        "assignee": [who],
        "person": [person],
        "due_hours": [text_of(step.get("due_hours"))],
        "other_than_granter": ["1"] if step.get("granter_may_act") is False else [],
        **{column: [] for column in COLUMNS},
    }
    fields = step.get("fields")
    for asked in fields if isinstance(fields, list) else ():
        if not isinstance(asked, dict):
            continue
        options = asked.get("options")
        lines = [text_of(option) for option in options] if isinstance(options, list) else []
        row = (
            text_of(asked.get("label")),
            text_of(asked.get("name")),
            text_of(asked.get("type")) or "text",
            "1" if asked.get("required") is True else "",
            "\n".join(lines),
        )
        for column, value in zip(COLUMNS, row, strict=True):
            values[column].append(value)
    return values


def _read(values: Values, errors: list[Problem]) -> StepJson:
    """The JSON of what is typed. A blank name of a field comes from its label."""
    who, person = first(values, "assignee"), first(values, "person").strip()
    assignee: Json = {"anyone": True}
    if who == "person":
        assignee = {"user_id": person}
        if not person:
            errors.append(Problem("person", "Enter the person’s email address."))
    elif who.startswith("group:"):
        assignee = {"group_id": who.removeprefix("group:")}
    due = first(values, "due_hours").strip()
    return {
        "prompt": first(values, "prompt").replace("\r\n", "\n"),
        "fields": _fields(values),
        "assignee": assignee,
        "due_hours": decimal(due) if due else None,
        "granter_may_act": not first(values, "other_than_granter"),
    }


def _fields(values: Values) -> list[Json]:
    rows = zip_longest(*(values.get(column, ()) for column in COLUMNS), fillvalue="")
    fields: list[Json] = []
    for label, name, kind, required, options in rows:
        if not label.strip() and not name.strip() and not options.strip():
            continue
        one: dict[str, Json] = {
            "name": name.strip() or slug(label),
            "label": label.strip(),
            "type": kind or "text",
            "required": bool(required),
        }
        # Options of another type stay, for the check to speak of: the type may be chosen after them.
        if options.strip():
            one["options"] = [line.strip() for line in options.split("\n") if line.strip()]
        fields.append(one)
    return fields


def _assignee_words(assignee: Json) -> tuple[str, str]:
    if isinstance(assignee, dict):
        if "user_id" in assignee:
            return "person", text_of(assignee["user_id"])
        if "group_id" in assignee:
            return f"group:{text_of(assignee['group_id'])}", ""
    return "anyone", ""


FORM = StepForm(
    icon="person",
    previews="What the person reads",
    parts=(GENERAL, Part("fields", "Answer", ("fields",)), PREVIEW, FLOW),
    groups={"fields": RowGroup(COLUMNS, (0, 1, 4)), "only_if": ONLY_IF},
    blank={"prompt": "", "fields": [], "assignee": {"anyone": True}},
    values=_values,
    read=_read,
)
