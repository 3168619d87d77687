"""Steps as the JSON of the API: the inverse of `parsing`.

Mappings are copied: a definition is shared, and what the caller does to the JSON must not reach it.
"""

from __future__ import annotations

from copy import deepcopy

from app.domain.json_reader import Json
from app.domain.workflows.steps import (
    Assignee,
    CaptureRule,
    Compensate,
    Edge,
    FailureEdge,
    Field,
    HttpStep,
    HumanStep,
    Retry,
    StatusSet,
    Step,
    SuccessEdge,
    WebhookStep,
)


def step_to_json(step: Step) -> dict[str, Json]:
    head: dict[str, Json] = {"key": step.key, "name": step.name, "type": step.type.value}
    edges: dict[str, Json] = {
        "on_success": edge_to_json(step.on_success),
        "on_failure": edge_to_json(step.on_failure),
    }
    match step:
        case HttpStep():
            return {**head, **_http(step), **_call(step), **edges}
        case WebhookStep():
            return {
                **head,
                "connection_id": step.connection_id,
                "body": deepcopy(step.body),
                **_call(step),
                **edges,
            }
        case HumanStep():
            return {**head, **_human(step), **edges}


def edge_to_json(edge: SuccessEdge | FailureEdge) -> Json:
    if isinstance(edge, Edge):
        return edge.value
    return {"compensate" if isinstance(edge, Compensate) else "step": edge.key}


def statuses_to_json(statuses: StatusSet) -> list[Json]:
    return [low if low == high else f"{low}-{high}" for low, high in statuses.ranges]


def _http(step: HttpStep) -> dict[str, Json]:
    return {
        "connection_id": step.connection_id,
        "method": step.method,
        "path": step.path,
        "query": {name: deepcopy(value) for name, value in step.query.items()},
        "headers": dict(step.headers),
        "body": deepcopy(step.body),
        "body_format": step.body_format,
        "capture": {rule.name: _capture(rule) for rule in step.capture},
    }


def _call(step: HttpStep | WebhookStep) -> dict[str, Json]:
    return {
        "success_statuses": statuses_to_json(step.success_statuses),
        "idempotent": step.idempotent,
        "retry": _retry(step.retry),
    }


def _retry(retry: Retry) -> dict[str, Json]:
    return {
        "attempts": retry.attempts,
        "backoff": retry.backoff,
        "delay_seconds": retry.delay_seconds,
        "wait_statuses": statuses_to_json(retry.wait_statuses),
        "lost_answer": retry.lost_answer,
    }


def _capture(rule: CaptureRule) -> Json:
    return {"path": rule.source, "optional": True} if rule.optional else rule.source


def _human(step: HumanStep) -> dict[str, Json]:
    # Named only where it narrows who may act: most steps, and the API's own example, do without it.
    barred: dict[str, Json] = {} if step.granter_may_act else {"granter_may_act": False}
    return {
        "prompt": step.prompt,
        "fields": [_field(one) for one in step.fields],
        "assignee": _assignee(step.assignee),
        "due_hours": step.due_hours,
        **barred,
    }


def _field(one: Field) -> dict[str, Json]:
    shape: dict[str, Json] = {
        "name": one.name,
        "label": one.label,
        "type": one.type.value,
        "required": one.required,
    }
    return {**shape, "options": list(one.options)} if one.options else shape


def _assignee(assignee: Assignee) -> Json:
    if assignee.user_id is not None:
        return {"user_id": assignee.user_id}
    if assignee.group_id is not None:
        return {"group_id": assignee.group_id}
    return {"anyone": True}
