"""What a person can be asked: by a human task, and by a step that failed and was handed to them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class FieldType(StrEnum):
    """What a person may type into a field of a task."""

    TEXT = "text"
    NUMBER = "number"
    BOOLEAN = "boolean"
    CHOICE = "choice"


@dataclass(frozen=True, slots=True)
class TaskField:
    """One thing that a task asks for. `options` belong to the type choice alone."""

    name: str
    label: str
    type: FieldType = FieldType.TEXT
    required: bool = False
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Assignee:
    """Who may act on a task: one user, the members of one group, or anyone with the permission."""

    user_id: str | None = None
    group_id: str | None = None

    @property
    def is_anyone(self) -> bool:
        return self.user_id is None and self.group_id is None


ANYONE = Assignee()


@dataclass(frozen=True, slots=True)
class Asked:
    """A task as a person gets it. Without `granter_may_act` whoever granted the access may not complete it."""

    prompt: str
    fields: tuple[TaskField, ...] = ()
    assignee: Assignee = ANYONE
    due_hours: float | None = None
    granter_may_act: bool = True
