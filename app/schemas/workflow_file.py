"""A workflow as a YAML file: what it refers to stands by name, nothing secret is in it, errors name their line."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from app.domain.json_reader import MAX_PROBLEMS, Json, meant, shown
from app.domain.steps.base import MAX_STEPS
from app.domain.steps.scope import NO_NAMES, Names
from app.domain.workflows.definition import Definition, to_json
from app.errors import Conflict, FieldError, Invalid
from app.schemas.yaml_text import BadYaml, Document, read, write

FORMAT = 2
# Files of a time when steps could not say which account they mean: read as they were written.
BEFORE = 1
FIELD = "text"
_HEAD = (
    "# A workflow of Access Automation. Connections, groups and people stand by name; no secret is in it.\n"
)
_SETTINGS: tuple[str, ...] = ("name", "trigger", "policy", "description")
_KEYS = ("format", "application", "name", "trigger", "policy", "description", "steps")


@dataclass(frozen=True, slots=True)
class FileProblem:
    """What is wrong: on which line, with which field of the file, and why."""

    line: int
    field: str
    message: str

    @property
    def words(self) -> str:
        """All of it on one line."""
        return f"Line {self.line}: {f'{self.field}: ' if self.field else ''}{self.message}"


class BadFile(Invalid):
    """The file cannot be imported. `problems` are in the order of its lines."""

    def __init__(self, problems: list[FileProblem]) -> None:
        self.problems = sorted(problems, key=lambda one: one.line)[:MAX_PROBLEMS]
        super().__init__(
            "This file cannot be imported.", [FieldError(FIELD, one.words) for one in self.problems]
        )


@dataclass(frozen=True, slots=True)
class Head:
    """What a file says about the workflow besides its steps."""

    application: str
    name: str
    trigger: str
    policy: str
    description: str


@dataclass(slots=True)
class WorkflowFile:
    """A file that was read. `settings` and `steps` are as it has them, not yet looked at.

    `saved_before`: its author could not say yet that two steps keep one account.
    """

    document: Document
    application: str
    settings: dict[str, Json]
    steps: list[Json] = field(default_factory=list)
    saved_before: bool = False

    def problem(self, name: str, message: str) -> FileProblem:
        """A problem of the value that the API calls `name`."""
        plain = name.replace(".connection_id", ".connection").replace(".assignee.user_id", ".assignee.user")
        plain = plain.replace(".assignee.group_id", ".assignee.group")
        return FileProblem(self.document.line_of(plain), plain, message)

    def refuse(self, refusal: Invalid) -> BadFile:
        """The refusal of what the file says, with lines."""
        errors = refusal.errors or [FieldError("", refusal.message)]
        return BadFile([self.problem(one.field, one.message) for one in errors])


def write_file(head: Head, definition: Definition, names: Names) -> str:
    """The file of a workflow; raises Conflict when a step names a record that `names` does not have."""
    return _HEAD + write(
        {
            "format": FORMAT,
            "application": head.application,
            "name": head.name,
            "trigger": head.trigger,
            "policy": head.policy,
            "description": head.description,
            "steps": [_with_names(step, names) for step in to_json(definition)],
        }
    )


def _with_names(step: dict[str, Json], names: Names) -> dict[str, Json]:
    found: dict[str, Json] = {}
    for key, value in step.items():
        if key == "connection_id":
            found["connection"] = _name_of(names.connections, value, "connection", step)
        elif key == "assignee" and isinstance(value, dict) and "user_id" in value:
            found[key] = {"user": _name_of(names.users, value["user_id"], "person", step)}
        elif key == "assignee" and isinstance(value, dict) and "group_id" in value:
            found[key] = {"group": _name_of(names.groups, value["group_id"], "group", step)}
        else:
            found[key] = value
    return found


def _name_of(known: Mapping[str, str], number: Json, thing: str, step: Mapping[str, Json]) -> str:
    if str(number) not in known:
        raise Conflict(
            f"The {thing} of “{step['name']}” does not exist any more, so it cannot be exported by name. Choose "
            "another and save, then export."
        )
    return known[str(number)]


def decoded(data: bytes) -> str:
    """A file's bytes as text; raises BadFile when it is no UTF-8."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise BadFile([FileProblem(line, "", "This is not UTF-8. Save the file as UTF-8.")]) from None


def read_file(text: str) -> WorkflowFile:
    """The file in `text`; raises BadFile for what is no such file."""
    try:
        document = read(text.removeprefix("\ufeff"))
    except BadYaml as problem:
        raise BadFile([FileProblem(problem.line, "", problem.message)]) from None
    raw = document.value
    if not isinstance(raw, dict):
        raise BadFile([FileProblem(1, "", "The file must be fields and values, such as `name: Provision`.")])
    problems = [
        FileProblem(
            document.line_of(key),
            shown(key),
            f"A workflow's file has no such field.{meant(key, _KEYS, quoted=True)}",
        )
        for key in [one for one in raw if one not in _KEYS][:MAX_PROBLEMS]
    ]
    if raw.get("format") not in (FORMAT, BEFORE) or isinstance(raw.get("format"), bool):
        message = f"This console reads format {FORMAT}: begin the file with `format: {FORMAT}`."
        problems.append(FileProblem(document.line_of("format"), "format", message))
    application = raw.get("application", "")
    if not isinstance(application, str):
        problems.append(FileProblem(document.line_of("application"), "application", "This must be text."))
    steps = raw.get("steps")
    if not isinstance(steps, list):
        message = "Give the steps as a list, `steps: []` for none."
        problems.append(FileProblem(document.line_of("steps"), "steps", message))
    elif len(steps) > MAX_STEPS:
        message = f"A workflow can have {MAX_STEPS} steps; this has {len(steps):,}."
        problems.append(FileProblem(document.line_of("steps"), "steps", message))
    if problems:
        raise BadFile(problems)
    settings: dict[str, Json] = {key: raw[key] for key in _SETTINGS if key in raw}
    listed = steps if isinstance(steps, list) else []
    return WorkflowFile(document, str(application), settings, listed, raw["format"] == BEFORE)


@dataclass(frozen=True, slots=True)
class Named:
    """The names that a file's steps use."""

    connections: frozenset[str]
    users: frozenset[str]
    groups: frozenset[str]


def named(file: WorkflowFile) -> Named:
    """Every name that the steps use, as it is written."""
    steps = [one for one in file.steps if isinstance(one, dict)]
    assignees = [one["assignee"] for one in steps if isinstance(one.get("assignee"), dict)]
    return Named(
        _texts(one.get("connection") for one in steps),
        _texts(one.get("user") for one in assignees if isinstance(one, dict)),
        _texts(one.get("group") for one in assignees if isinstance(one, dict)),
    )


def _texts(values: Iterable[Json]) -> frozenset[str]:
    return frozenset(one for one in values if isinstance(one, str))


def with_ids(file: WorkflowFile, known: Names = NO_NAMES) -> list[Json]:
    """The steps as the API takes them, each name replaced by the id of the record that `known` calls so.

    Names are the same whatever their case.  Raises BadFile for a name that nothing has, and for ids.
    """
    reader = _Ids(file, known)
    steps = [reader.step(at, step) for at, step in enumerate(file.steps)]
    if reader.problems:
        raise BadFile(reader.problems)
    return steps


class _Ids:
    """Puts ids in place of names, and notes each name that nothing has."""

    def __init__(self, file: WorkflowFile, known: Names) -> None:
        self.problems: list[FileProblem] = []
        self._file = file
        self._known = {
            "connection": _by_name(known.connections),
            "person": _by_name(known.users),
            "group": _by_name(known.groups),
        }

    def step(self, at: int, step: Json) -> Json:
        if not isinstance(step, dict):
            return step  # refused where every step is read
        found: dict[str, Json] = {}
        for key, value in step.items():
            place = f"steps[{at}].{key}"
            if key == "connection_id":
                self._note(place, "Name the connection instead: `connection: Jira API`.")
            elif key == "connection":
                found["connection_id"] = self._id(place, value, "connection")
            elif key == "assignee" and isinstance(value, dict):
                found[key] = self._assignee(place, value)
            else:
                found[key] = value
        return found

    def _assignee(self, place: str, value: dict[str, Json]) -> Json:
        found: dict[str, Json] = {}
        for key, name in value.items():
            inner = f"{place}.{key}"
            if key in ("user_id", "group_id"):
                words = "`user: ana@example.com`" if key == "user_id" else "`group: IT desk`"
                self._note(inner, f"Name who does it instead: {words}.")
            elif key in ("user", "group"):
                found[f"{key}_id"] = self._id(inner, name, "person" if key == "user" else "group")
            else:
                found[key] = name
        return found

    def _id(self, place: str, name: Json, thing: str) -> Json:
        known = self._known[thing]
        if not isinstance(name, str) or not name.strip():
            word = "email address" if thing == "person" else "name"
            self._note(place, f"Give the {thing}'s {word} as text.")
            return None
        found = known.get(_folded(name))
        if found is None:
            where = " in this application" if thing == "connection" else ""
            hint = meant(name, [one for _number, one in known.values()], quoted=True)
            self._note(place, f"There is no {thing} “{shown(name)}”{where}.{hint}")
            return None
        return found[0]

    def _note(self, place: str, message: str) -> None:
        self.problems.append(FileProblem(self._file.document.line_of(place), place, message))


def _by_name(known: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    return {_folded(name): (number, name) for number, name in known.items()}


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).strip().lower()
