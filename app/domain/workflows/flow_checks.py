"""Checks of the way through a definition: keys, targets, circles, steps never reached, compensation."""

from __future__ import annotations

from app.domain.json_reader import meant
from app.domain.steps.base import CONTINUE, END, ESCALATE, Compensate, GoTo
from app.domain.steps.registry import Step
from app.domain.workflows.findings import Findings
from app.domain.workflows.graph import circles, reached_from


def repeated_keys(findings: Findings) -> bool:
    """Note each key that an earlier step has already, and say whether there was one."""
    seen: set[str] = set()
    repeated = False
    for position, step in enumerate(findings.definition.steps):
        if step.key in seen:
            findings.add(position, "key", f"Another step has the key {step.key} already.")
            repeated = True
        seen.add(step.key)
    return repeated


def check_flow(findings: Findings) -> None:
    """Note every problem of the edges. The keys must differ."""
    for position, step in enumerate(findings.definition.steps):
        _check_targets(findings, position, step)
        if step.key in findings.definition.compensation_keys:
            _check_compensation(findings, position, step)
    _check_circles(findings)
    _check_reached(findings)


def _check_targets(findings: Findings, position: int, step: Step) -> None:
    definition = findings.definition
    for name, edge in step.edges():
        if not isinstance(edge, GoTo | Compensate):
            continue
        if edge.key not in definition:
            hint = meant(edge.key, [one.key for one in definition.steps])
            findings.add(position, name, f"There is no step {edge.key}.{hint}")
        elif edge.key == step.key:
            verb = "undo itself" if isinstance(edge, Compensate) else "go on to itself"
            findings.add(position, name, f"A step cannot {verb}. Choose another step.")
        elif isinstance(edge, GoTo) and edge.key in definition.compensation_keys:
            undoing = definition.step(edge.key).name
            findings.add(
                position, name, f"“{undoing}” is used for compensation and is reached in no other way."
            )


def _check_compensation(findings: Findings, position: int, step: Step) -> None:
    """After a compensation step the run ends: compensated, or failed when the step itself failed."""
    if isinstance(step.on_success, GoTo):
        message = (
            "This step is used for compensation: the run ends after it. Choose Next step or End the run."
        )
        findings.add(position, "on_success", message)
    if isinstance(step.on_failure, GoTo | Compensate) and step.on_failure.key != step.key:
        message = "This step is used for compensation: when it fails, the run ends. Choose Alert and stop."
        findings.add(position, "on_failure", message)
    elif step.on_failure in (ESCALATE, CONTINUE):
        message = "This step is used for compensation: when it fails, the run ends as failed all the same."
        findings.warn(position, "on_failure", message)


def _check_circles(findings: Findings) -> None:
    definition = findings.definition
    positions = {step.key: position for position, step in enumerate(definition.steps)}
    for key, name, circle in circles(definition):
        if len(circle) > 2:  # A step that names itself has been noted with its edge.
            names = " → ".join(f"“{definition.step(one).name}”" for one in circle)
            findings.add(positions[key], name, f"The run would go in a circle: {names}.")


def _check_reached(findings: Findings) -> None:
    definition = findings.definition
    reached = reached_from(definition, definition.first)
    for position, step in enumerate(definition.steps):
        if step.key not in reached:
            findings.add(position, "key", f"“{step.name}” can never be reached{_reason(findings, position)}.")


def _reason(findings: Findings, position: int) -> str:
    definition = findings.definition
    if definition.steps[position].key in definition.compensation_keys:
        return ": no step that it undoes is ever reached"
    ordinary = [one for one in definition.steps[:position] if one.key not in definition.compensation_keys]
    if not ordinary:
        return ""
    above = ordinary[-1]
    if above.on_success is END:
        return f": “{above.name}” above it ends the run"
    if isinstance(above.on_success, GoTo):
        return f": “{above.name}” above it goes on elsewhere"
    return f", since “{above.name}” above it is not reached either"
