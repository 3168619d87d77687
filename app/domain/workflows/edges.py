"""Where a step leads, and the timeline's words for it."""

from __future__ import annotations

from app.domain.workflows.definition import Definition
from app.domain.workflows.steps import Compensate, Edge, GoTo, HumanStep, Step


def after_success(definition: Definition, step: Step) -> str | None:
    """The step that follows when `step` succeeded, or None when the run is at its end."""
    if isinstance(step.on_success, GoTo):
        return step.on_success.key
    return None if step.on_success is Edge.END else definition.next_after(step.key)


def towards(definition: Definition, target: str | None) -> str:
    """What happens next, when that is `target`."""
    return "ends the run" if target is None else f"goes on to “{definition.step(target).name}”"


def failure_words(definition: Definition, step: Step) -> str:
    """What happens next, when `step` has failed and its failure edge is taken."""
    match step.on_failure:
        case Compensate(key=key):
            return f"runs the compensation step “{definition.step(key).name}”"
        case GoTo(key=key):
            return f"goes on to “{definition.step(key).name}”"
    if step.on_failure is Edge.CONTINUE:
        return f"continues anyway: {towards(definition, definition.next_after(step.key))}"
    if step.on_failure is Edge.ESCALATE and not isinstance(step, HumanStep):
        return "asks a person"
    return "ends the run as failed"
