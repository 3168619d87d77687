"""Words for the parts of a step."""

from __future__ import annotations

from app.engine.definition import Definition
from app.engine.steps import Assignee, Compensate, FailureEdge, GoTo, StatusSet, SuccessEdge


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


def describe_assignee(assignee: Assignee) -> str:
    """Who may act, by id: the names of people and groups are not the engine's to know."""
    if assignee.user_id is not None:
        return f"user {assignee.user_id}"
    return "anyone" if assignee.group_id is None else f"group {assignee.group_id}"


def _called(key: str, definition: Definition | None) -> str:
    name = definition.step(key).name if definition is not None and key in definition else key
    return f"“{name}”"


def _range_words(low: int, high: int) -> str:
    if low == high:
        return str(low)
    if low % 100 == 0 and high == low + 99:
        return f"{low // 100}xx"
    return f"{low}-{high}"
