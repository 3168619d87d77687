"""Tasks in the shape of API.md."""

from __future__ import annotations

from typing import Any

from app.domain.states import TaskStatus
from app.models import ManualTask
from app.schemas.answers import OutId, Output, OutTime


class TaskOut(Output):
    """A task. `assignee` is `{user_id}`, `{group_id}` or `{anyone: true}`."""

    id: OutId
    run_id: OutId
    application_id: OutId
    step: str
    origin: str
    prompt: str
    fields: list[dict[str, Any]]
    assignee: dict[str, str | bool]
    due_at: OutTime | None
    status: str
    outcome: str | None
    acted_by: str | None
    acted_at: OutTime | None
    reason: str | None
    may_act: bool
    created_at: OutTime


def task_out(task: ManualTask, *, may_act: bool) -> TaskOut:
    """`may_act`: whether whoever reads this is among those who are asked; a task is acted on once."""
    return TaskOut(
        id=str(task.id),
        run_id=str(task.run_id),
        application_id=str(task.application_id),
        step=task.step_key,
        origin=task.origin,
        prompt=task.prompt,
        fields=task.fields,
        assignee=_assignee(task),
        due_at=task.due_at,
        status=task.status,
        outcome=task.outcome,
        acted_by=task.acted_by,
        acted_at=task.acted_at,
        reason=task.reason,
        may_act=may_act and task.status == TaskStatus.PENDING,
        created_at=task.created_at,
    )


def _assignee(task: ManualTask) -> dict[str, str | bool]:
    if task.assignee_user_id is not None:
        return {"user_id": str(task.assignee_user_id)}
    if task.assignee_group_id is not None:
        return {"group_id": str(task.assignee_group_id)}
    return {"anyone": True}
