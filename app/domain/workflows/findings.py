"""The list that the checks of a definition fill."""

from __future__ import annotations

from dataclasses import dataclass

from app.domain.json_reader import MAX_FIELD_NAME, MAX_PROBLEMS, Problem, Severity, shown
from app.domain.workflows.definition import Definition


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


@dataclass(frozen=True, slots=True)
class StepNotes:
    """What the checks of the step at `position` find by itself."""

    findings: Findings
    position: int

    def add(self, name: str, message: str) -> None:
        self.findings.add(self.position, name, message)

    def warn(self, name: str, message: str) -> None:
        self.findings.warn(self.position, name, message)
