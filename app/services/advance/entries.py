"""The first form of timeline entries and tasks: plain rows, before their ends are known."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from app.domain.runs import signals as m
from app.domain.runs.calls import Outcome
from app.domain.steps.registry import Step
from app.domain.steps.tasks import Asked, TaskField
from app.models import AttemptStatus
from app.services.advance.bulk_statements import Values

_MAX_PROMPT = 4000

# What only a call's answer fills in.
NO_ANSWER: Values = {
    "failure_class": None,
    "http_status": None,
    "outcome_unknown": False,
    "detail": None,
    "next_attempt_at": None,
    "duration_ms": None,
    "captured": None,
}


def entry(run_id: int, now: datetime, step: str, number: int, status: AttemptStatus) -> Values:
    """A row of `attempts` that begins now."""
    return {
        "run_id": run_id,
        "step_key": step,
        "number": number,
        "status": status,
        "started_at": now,
        "tries": 1,
        "of": 1,
        "outcome_unknown": False,
    }


def failure_story(key: str, step: Step | None, outcome: Outcome) -> Values:
    """What a run tells of the failure that ended its step, and what that reached for where it can be read."""
    return {
        "failure_step": key or None,
        "failure_connection_id": step.connection_number if step is not None else None,
        "failure_class": outcome.failure,
        "failure_status": outcome.http_status,
        "failure_detail": outcome.detail or None,
    }


def task_row(step: Step, event: m.TaskOpened, now: datetime, context: Mapping[str, Any]) -> Values:
    """A row of `manual_tasks` for the person who is asked; the caller adds run and application."""
    task: Values = {
        "step_key": event.step,
        "attempt": event.attempt,
        "origin": event.origin,
        "outcome_unknown": event.unknown,
        "status": "pending",
        "created_at": now,
    }
    asked = step.ask(context) or _escalated(step, event.unknown)
    who = asked.assignee
    return task | {
        "prompt": asked.prompt[:_MAX_PROMPT],
        "fields": [_field_json(one) for one in asked.fields],
        "assignee_user_id": int(who.user_id) if who.user_id else None,
        "assignee_group_id": int(who.group_id) if who.group_id else None,
        "granter_may_act": asked.granter_may_act,
        "due_at": now + timedelta(hours=asked.due_hours) if asked.due_hours else None,
    }


def _escalated(step: Step, unknown: bool) -> Asked:
    """What a person is asked about a call that failed: whoever does it by hand types what it would have kept."""
    if unknown:
        prompt = (
            f"It is not known whether “{step.name}” took effect. "
            "Check in the other system, then say how to go on."
        )
    else:
        prompt = (
            f"“{step.name}” failed and was handed to a person. Do it by hand, try it again, or fail the run."
        )
    return Asked(prompt, tuple(TaskField(name, name) for name in step.outputs))


def _field_json(field: TaskField) -> Values:
    return {
        "name": field.name,
        "label": field.label,
        "type": field.type.value,
        "required": field.required,
        "options": list(field.options),
    }
