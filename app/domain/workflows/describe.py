"""Definitions in words: one line for a step, a phrase for an edge, and what changed between two versions."""

from __future__ import annotations

from app.domain.workflows.definition import Definition
from app.domain.workflows.steps import NEXT, HttpStep, HumanStep, Step, WebhookStep
from app.domain.workflows.wording import describe_edge, describe_statuses

_PROMPT_CHARACTERS = 80


def describe_step(step: Step, definition: Definition | None = None) -> str:
    """One line for lists: `POST /users → 2xx · 3 tries, exponential · on failure: escalate to a human`.

    With the definition, steps are called by their names and one used for compensation says so.
    """
    pieces = [_what(step), *_how(step)]
    if definition is not None and step.key in definition.compensation_keys:
        return " · ".join([*pieces, "runs to undo, then the run ends"])
    if step.on_success is not NEXT:
        pieces.append(f"then {describe_edge(step.on_success, definition)}")
    pieces.append(f"on failure: {describe_edge(step.on_failure, definition)}")
    return " · ".join(pieces)


def _what(step: Step) -> str:
    match step:
        case HttpStep():
            return f"{step.method} {step.path} → {describe_statuses(step.success_statuses)}"
        case WebhookStep():
            return f"Signed webhook → {describe_statuses(step.success_statuses)}"
        case HumanStep():
            prompt = " ".join(step.prompt.split())
            short = prompt if len(prompt) <= _PROMPT_CHARACTERS else prompt[: _PROMPT_CHARACTERS - 1] + "…"
            return f"{_asked(step)}: {short}"


def _asked(step: HumanStep) -> str:
    if step.assignee.is_anyone:
        return "Ask anyone with the permission"
    return "Ask a person" if step.assignee.user_id is not None else "Ask a group"


def _how(step: Step) -> list[str]:
    if isinstance(step, HumanStep):
        count = len(step.fields)
        fields = [f"{count} field{'' if count == 1 else 's'}"] if count else []
        due = [f"due in {step.due_hours:g} h"] if step.due_hours is not None else []
        return [*fields, *due, *([] if step.granter_may_act else ["not by who granted"])]
    pieces = []
    if step.retry.is_on:
        pieces.append(f"{step.retry.attempts} tries, {step.retry.backoff}")
    if isinstance(step, HttpStep) and step.capture:
        pieces.append(f"keeps {', '.join(step.outputs)}")
    return pieces
