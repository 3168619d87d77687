"""Reads what only a human task has: its fields, who may act on it and when it is due."""

from __future__ import annotations

from app.domain.json_reader import Reader
from app.domain.workflows.steps import (
    MAX_DUE_HOURS,
    MAX_HUMAN_FIELDS,
    MAX_KEY,
    MAX_NAME,
    MAX_OPTIONS,
    Assignee,
    Field,
    FieldType,
)


def read_fields(reader: Reader) -> tuple[Field, ...]:
    fields: list[Field] = []
    names: set[str] = set()
    for index, raw in enumerate(reader.items("fields", most=MAX_HUMAN_FIELDS)):
        if not isinstance(raw, dict):
            reader.problem(f"fields[{index}]", "A field must be an object.")
            continue
        inner = reader.inner(f"fields[{index}]", raw)
        inner.refuse_unknown(("name", "label", "type", "required", "options"), "A task's field")
        name = inner.identifier("name", limit=MAX_KEY, required="Give the field a name.")
        if name and name in names:
            inner.problem("name", "Another field of this task has this name.")
        names.add(name)
        kind = inner.choice("type", [one.value for one in FieldType], default=FieldType.TEXT.value)
        fields.append(
            Field(
                name=name,
                label=inner.text("label", limit=MAX_NAME, default=name),
                type=FieldType(kind),
                required=inner.flag("required", default=False),
                options=_options(inner, FieldType(kind)),
            )
        )
    return tuple(fields)


def _options(reader: Reader, kind: FieldType) -> tuple[str, ...]:
    before = len(reader.problems)
    options: list[str] = []
    for index, one in enumerate(reader.items("options", most=MAX_OPTIONS)):
        entry = Reader({"it": one}, "", [])
        text = entry.text("it", limit=MAX_NAME, required="An option cannot be empty.")
        for problem in entry.problems:
            reader.problem(f"options[{index}]", problem.message)
        if text and text in options:
            reader.problem(f"options[{index}]", "This option is listed twice.")
        options.append(text)
    if kind is FieldType.CHOICE and not options and len(reader.problems) == before:
        reader.problem("options", "A choice needs at least one option.")
    if kind is not FieldType.CHOICE and options:
        reader.problem("options", "Only a field of the type choice has options.")
    return tuple(options)


def read_assignee(reader: Reader) -> Assignee:
    raw = reader.members("assignee")
    choices = [name for name in ("user_id", "group_id", "anyone") if name in raw]
    if len(raw) != 1 or not choices or ("anyone" in raw and raw["anyone"] is not True):
        if isinstance(reader.raw.get("assignee"), dict | None):
            message = "Choose who does the task: a user_id, a group_id or anyone: true."
            reader.problem("assignee", message)
        return Assignee()
    inner = reader.inner("assignee", raw)
    if choices[0] == "user_id":
        return Assignee(user_id=inner.record_id("user_id", required="Choose a person."))
    if choices[0] == "group_id":
        return Assignee(group_id=inner.record_id("group_id", required="Choose a group."))
    return Assignee()


def read_due_hours(reader: Reader) -> float | None:
    if reader.raw.get("due_hours") is None:
        return None
    return reader.number("due_hours", low=1, high=MAX_DUE_HOURS, default=1)
