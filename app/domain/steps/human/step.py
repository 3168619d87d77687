"""The human task: what it is, how its JSON is read and written, and what it says of itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from app.domain.json_reader import Json, Reader
from app.domain.mapping.render import render_text
from app.domain.mapping.templates import MappingError
from app.domain.steps.base import MAX_KEY, MAX_NAME, BaseStep, Head, InwardStep, StepType
from app.domain.steps.scope import NO_NAMES, Names, Notes, ScopeInfo
from app.domain.steps.tasks import ANYONE, Asked, Assignee, FieldType, TaskField

MAX_PROMPT = 2_000
MAX_FIELDS = 25
MAX_OPTIONS = 100
MAX_DUE_HOURS = 8_760
_PROMPT_CHARACTERS = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class HumanStep(InwardStep):
    """A task for a person. Without `granter_may_act` whoever granted the access may not complete it."""

    type: ClassVar[StepType] = StepType.HUMAN
    thing: ClassVar[str] = "A human task"
    members: ClassVar[tuple[str, ...]] = ("prompt", "fields", "assignee", "due_hours", "granter_may_act")

    prompt: str
    assignee: Assignee
    fields: tuple[TaskField, ...] = ()
    due_hours: float | None = None
    granter_may_act: bool = True

    @classmethod
    def read(cls, reader: Reader, head: Head) -> Self:
        """The step in `reader`, below what every step has."""
        return cls(
            **head,
            prompt=reader.text("prompt", limit=MAX_PROMPT, required="Say what the person is to do."),
            fields=_fields(reader),
            assignee=_assignee(reader),
            due_hours=_due_hours(reader),
            granter_may_act=reader.flag("granter_may_act", default=True),
        )

    def to_json(self) -> dict[str, Json]:
        """The fields of its own as JSON."""
        # Named only where it narrows who may act: most steps, and the API's own example, do without it.
        barred: dict[str, Json] = {} if self.granter_may_act else {"granter_may_act": False}
        return {
            "prompt": self.prompt,
            "fields": [_field_to_json(one) for one in self.fields],
            "assignee": _assignee_to_json(self.assignee),
            "due_hours": self.due_hours,
            **barred,
        }

    @property
    def summary(self) -> str:
        """What it asks for, in a few words."""
        prompt = " ".join(self.prompt.split())
        short = prompt if len(prompt) <= _PROMPT_CHARACTERS else prompt[: _PROMPT_CHARACTERS - 1] + "…"
        if self.assignee.is_anyone:
            return f"Ask anyone with the permission: {short}"
        return f"Ask a person: {short}" if self.assignee.user_id is not None else f"Ask a group: {short}"

    def details(self) -> list[str]:
        """What follows its summary in lists."""
        count = len(self.fields)
        fields = [f"{count} field{'' if count == 1 else 's'}"] if count else []
        due = [f"due in {self.due_hours:g} h"] if self.due_hours is not None else []
        return [*fields, *due, *([] if self.granter_may_act else ["not by who granted"])]

    @property
    def outputs(self) -> tuple[str, ...]:
        return tuple(one.name for one in self.fields)

    @property
    def assignees(self) -> tuple[Assignee, ...]:
        return (self.assignee,)

    @property
    def asks_for(self) -> tuple[TaskField, ...]:
        return self.fields

    def texts(self) -> Iterator[tuple[str, str]]:
        yield from BaseStep.texts(self)
        yield "prompt", self.prompt

    def ask(self, context: Mapping[str, object]) -> Asked:
        try:
            prompt = render_text(self.prompt, context)
        except MappingError:
            prompt = self.prompt  # a person can make sense of a bare template; stopping the run helps nobody
        return Asked(prompt, self.fields, self.assignee, self.due_hours, self.granter_may_act)

    def check(self, notes: Notes, info: ScopeInfo, following: Sequence[BaseStep]) -> None:  # noqa: ARG002
        who = self.assignee
        if who.user_id is not None and who.user_id not in info.user_ids:
            notes.add("assignee", "This person does not exist or is not active. Choose another.")
        if who.group_id is not None and who.group_id not in info.group_ids:
            notes.add("assignee", "This group does not exist. Choose another.")

    def in_words(self, names: Names) -> Mapping[str, Json]:
        return {"assignee": describe_assignee(self.assignee, names)}


def describe_assignee(assignee: Assignee, names: Names = NO_NAMES) -> str:
    """Who may act: by name where `names` has it, otherwise by id."""
    if assignee.user_id is not None:
        return names.users.get(assignee.user_id, f"user {assignee.user_id}")
    if assignee.group_id is None:
        return "anyone"
    known = names.groups.get(assignee.group_id)
    return f"group {assignee.group_id}" if known is None else f"the group {known}"


def _fields(reader: Reader) -> tuple[TaskField, ...]:
    fields: list[TaskField] = []
    names: set[str] = set()
    for index, raw in enumerate(reader.items("fields", most=MAX_FIELDS)):
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
            TaskField(
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


def _assignee(reader: Reader) -> Assignee:
    raw = reader.members("assignee")
    choices = [name for name in ("user_id", "group_id", "anyone") if name in raw]
    if len(raw) != 1 or not choices or ("anyone" in raw and raw["anyone"] is not True):
        if isinstance(reader.raw.get("assignee"), dict | None):
            message = "Choose who does the task: a user_id, a group_id or anyone: true."
            reader.problem("assignee", message)
        return ANYONE
    inner = reader.inner("assignee", raw)
    if choices[0] == "user_id":
        return Assignee(user_id=inner.record_id("user_id", required="Choose a person."))
    if choices[0] == "group_id":
        return Assignee(group_id=inner.record_id("group_id", required="Choose a group."))
    return ANYONE


def _due_hours(reader: Reader) -> float | None:
    if reader.raw.get("due_hours") is None:
        return None
    return reader.number("due_hours", low=1, high=MAX_DUE_HOURS, default=1)


def _field_to_json(one: TaskField) -> dict[str, Json]:
    shape: dict[str, Json] = {
        "name": one.name,
        "label": one.label,
        "type": one.type.value,
        "required": one.required,
    }
    return {**shape, "options": list(one.options)} if one.options else shape


def _assignee_to_json(assignee: Assignee) -> Json:
    if assignee.user_id is not None:
        return {"user_id": assignee.user_id}
    if assignee.group_id is not None:
        return {"group_id": assignee.group_id}
    return {"anyone": True}
