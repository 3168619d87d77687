"""Definitions in words: one line for a step, a phrase for an edge."""

from __future__ import annotations

from app.domain.steps.base import NEXT, Compensate, FailureEdge, GoTo, SuccessEdge
from app.domain.steps.registry import Step
from app.domain.workflows.definition import Definition


def describe_step(step: Step, definition: Definition | None = None) -> str:
    """One line for lists: `POST /users → 2xx · 3 tries, exponential · on failure: escalate to a human`.

    With the definition, steps are called by their names and one used for compensation says so.
    """
    pieces = [step.summary, *step.details()]
    if definition is not None and step.key in definition.compensation_keys:
        return " · ".join([*pieces, "runs to undo, then the run ends"])
    if step.on_success is not NEXT:
        pieces.append(f"then {describe_edge(step.on_success, definition)}")
    pieces.append(f"on failure: {describe_edge(step.on_failure, definition)}")
    return " · ".join(pieces)


def describe_edge(edge: SuccessEdge | FailureEdge, definition: Definition | None = None) -> str:
    """Where an edge leads, as the end of a sentence: `end the run`, `go to “Look up”`."""
    match edge:
        case GoTo(key=key):
            return f"go to {_called(key, definition)}"
        case Compensate(key=key):
            return f"compensate with {_called(key, definition)}"
    return edge.label[0].lower() + edge.label[1:]


def _called(key: str, definition: Definition | None) -> str:
    name = definition.step(key).name if definition is not None and key in definition else key
    return f"“{name}”"
