"""Words for the parts of a step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from app.domain.workflows.definition import Definition
from app.domain.workflows.steps import Assignee, Compensate, FailureEdge, GoTo, StatusSet, SuccessEdge


@dataclass(frozen=True, slots=True)
class Names:
    """What the records are called that steps name by id. One that is not in it is called by its id."""

    connections: Mapping[str, str] = field(default_factory=dict)
    users: Mapping[str, str] = field(default_factory=dict)
    groups: Mapping[str, str] = field(default_factory=dict)


NO_NAMES = Names()


def describe_edge(edge: SuccessEdge | FailureEdge, definition: Definition | None = None) -> str:
    """Where an edge leads, as the end of a sentence: `end the run`, `go to “Look up”`."""
    match edge:
        case GoTo(key=key):
            return f"go to {_called(key, definition)}"
        case Compensate(key=key):
            return f"compensate with {_called(key, definition)}"
    return edge.label[0].lower() + edge.label[1:]


def describe_statuses(statuses: StatusSet) -> str:
    """`2xx, 409`; a range that is no whole class keeps its ends: `200-204`."""
    return ", ".join(_range_words(low, high) for low, high in statuses.ranges)


def describe_assignee(assignee: Assignee, names: Names = NO_NAMES) -> str:
    """Who may act: by name where `names` has it, otherwise by id."""
    if assignee.user_id is not None:
        return names.users.get(assignee.user_id, f"user {assignee.user_id}")
    if assignee.group_id is None:
        return "anyone"
    known = names.groups.get(assignee.group_id)
    return f"group {assignee.group_id}" if known is None else f"the group {known}"


def _called(key: str, definition: Definition | None) -> str:
    name = definition.step(key).name if definition is not None and key in definition else key
    return f"“{name}”"


def _range_words(low: int, high: int) -> str:
    if low == high:
        return str(low)
    if low % 100 == 0 and high == low + 99:
        return f"{low // 100}xx"
    return f"{low}-{high}"
