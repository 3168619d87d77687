"""What the checks of a definition know about its surroundings, and the list that they fill."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field

from app.domain.json_reader import MAX_FIELD_NAME, MAX_PROBLEMS, Problem, Severity, shown
from app.domain.states import Trigger
from app.domain.workflows.definition import Definition


def _no_problem(source: str) -> str | None:  # noqa: ARG001 - the shape of `capture_problem`
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeInfo:
    """The records around a definition, as plain data.

    `connections` are those of this application, id -> type.  `user_ids` and `group_ids` answer `in` with ids
    as text, for those who can be given a task.  `account_names` are the values that this application's grant
    workflow captures, or that have been captured.  `answers_revoke` says whether a workflow with steps runs on
    Access revoked.  `capture_problem` says what is wrong with a JSONPath, or None.
    """

    connections: Mapping[str, str] = field(default_factory=dict)
    user_ids: Container[str] = ()
    group_ids: Container[str] = ()
    account_names: frozenset[str] = frozenset()
    trigger: Trigger | None = None
    answers_revoke: bool = True
    capture_problem: Callable[[str], str | None] = _no_problem


class Findings:
    """Collects problems by the position of their step; at most a hundred are kept."""

    def __init__(self, definition: Definition) -> None:
        self.definition = definition
        self._found: list[tuple[int, Problem]] = []

    def is_full(self) -> bool:
        return len(self._found) >= MAX_PROBLEMS

    def add(self, position: int, name: str, message: str, severity: Severity = "error") -> None:
        """Note that the field `name` of the step at `position` is wrong."""
        if not self.is_full():
            key = self.definition.steps[position].key
            place = f"steps[{position}].{shown(name, MAX_FIELD_NAME)}"
            self._found.append((position, Problem(place, message, severity, key)))

    def warn(self, position: int, name: str, message: str) -> None:
        self.add(position, name, message, "warning")

    def warn_of_whole(self, message: str, key: str) -> None:
        """Note what the steps together may do; `key` is the step that gave the occasion."""
        if not self.is_full():
            place = len(self.definition.steps)
            self._found.append((place, Problem("steps", message, "warning", key)))

    def in_order(self) -> list[Problem]:
        """The problems by step, in the order in which they were found."""
        return [problem for _, problem in sorted(self._found, key=lambda found: found[0])]
