"""Where a run can go from each step: the definition seen as a graph, and the timeline's words for a way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from app.domain.steps.base import CONTINUE, END, NEXT, Compensate, Edge, FailureEdge, GoTo, SuccessEdge
from app.domain.steps.registry import Step
from app.domain.workflows.definition import Definition


@dataclass(frozen=True, slots=True)
class Exit:
    """One way out of a step. `field` is the edge it comes from, `on_success` or `on_failure`."""

    field: str
    target: str


def target_of(definition: Definition, step: Step, edge: SuccessEdge | FailureEdge) -> str | None:
    """The key of the step that `edge` leads to, or None where the run ends or a person is asked.

    `continue` goes on below the step, as `next` does.  A named step need not exist.
    """
    if isinstance(edge, GoTo | Compensate):
        return edge.key
    return definition.next_after(step.key) if edge in (NEXT, CONTINUE) else None


def exits(definition: Definition, step: Step) -> Iterator[Exit]:
    """The ways out to steps that exist. A run ends after a compensation step, so that has none."""
    if step.key in definition.compensation_keys:
        return
    for field, edge in step.edges():
        target = target_of(definition, step, edge)
        if target is not None and target in definition:
            yield Exit(field, target)


def success_target(definition: Definition, step: Step) -> str | None:
    """The step that follows a success, or None when the run ends then."""
    if step.key in definition.compensation_keys or step.on_success is END:
        return None
    target = target_of(definition, step, step.on_success)
    return target if target is not None and target in definition else None


def onwards(definition: Definition, key: str | None) -> Iterator[Step]:
    """The step `key` and those that follow when each succeeds; none where there is no such step."""
    passed: set[str] = set()
    while key is not None and key in definition and key not in passed:
        passed.add(key)
        step = definition.step(key)
        yield step
        key = success_target(definition, step)


def reached_from(definition: Definition, start: str | None) -> frozenset[str]:
    """The keys of `start` and of every step that a run can come to from it."""
    found: set[str] = set()
    waiting = [] if start is None else [start]
    while waiting:
        key = waiting.pop()
        if key not in found:
            found.add(key)
            waiting += [way.target for way in exits(definition, definition.step(key))]
    return frozenset(found)


def earlier_steps(definition: Definition) -> dict[str, frozenset[str]]:
    """For each key, the steps that can have run before it on some path."""
    earlier: dict[str, set[str]] = {step.key: set() for step in definition.steps}
    for step in definition.steps:
        for way in exits(definition, step):
            for later in reached_from(definition, way.target):
                earlier[later].add(step.key)
    return {key: frozenset(keys) for key, keys in earlier.items()}


def circles(definition: Definition) -> list[tuple[str, str, list[str]]]:
    """Each edge that leads back: the key it leaves, its field, and the keys of the circle it closes."""
    found: list[tuple[str, str, list[str]]] = []
    finished: set[str] = set()

    def visit(key: str, path: list[str]) -> None:
        for way in exits(definition, definition.step(key)):
            if way.target in path:
                found.append((key, way.field, [*path[path.index(way.target) :], way.target]))
            elif way.target not in finished:
                visit(way.target, [*path, way.target])
        finished.add(key)

    for step in definition.steps:
        if step.key not in finished:
            visit(step.key, [step.key])
    return found


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
    if step.on_failure is Edge.ESCALATE and step.calls_out:
        return "asks a person"
    return "ends the run as failed"
