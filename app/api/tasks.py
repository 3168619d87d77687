"""Tasks: what runs ask of people. A token acts for nobody in particular, so on tasks for anyone only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from app.api.blueprint import bp
from app.api.lists import ListQuery, page_of
from app.api.operation import Act, reads, writes
from app.domain.states import TaskStatus
from app.errors import Invalid
from app.guard import requires
from app.models import ManualTask
from app.queries.lookup import load
from app.queries.task_rules import may_act
from app.queries.tasks import TaskFilters, asked, task_list
from app.schemas.answers import OutId, Output, OutTime, Page
from app.schemas.base import inside
from app.schemas.grants import ReasonIn, SubmitIn
from app.schemas.kinds import RecordId, Switch
from app.services import tasks

TAG = "Tasks"


class TasksQuery(ListQuery):
    """What the list is narrowed to. `mine`: those that the token could be asked to do."""

    status: TaskStatus | None = None
    mine: Annotated[bool, Switch()] = False
    application_id: Annotated[int | None, RecordId()] = None


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


@bp.get("/tasks")
@requires("workflow:read")
@reads(TAG, Page[TaskOut], query=TasksQuery)
def list_tasks(act: Act, query: TasksQuery) -> Page[TaskOut]:
    """Tasks, the oldest first."""
    filters = TaskFilters(query.status, query.application_id, query.mine, act.actor.user_id)
    rows = task_list(act.session, filters, limit=query.limit + 1, before=query.key)
    # Held until the page is made, so that naming who is asked reads nothing more.
    _asked = asked(act.session, rows)
    return page_of(rows, query, _present(act), key=lambda task: task.id)


@bp.get("/tasks/<int:task_id>")
@requires("workflow:read")
@reads(TAG, TaskOut)
def show_task(act: Act, task_id: int) -> TaskOut:
    """One task."""
    return _present(act)(load(act.session, ManualTask, task_id))


@bp.post("/tasks/<int:task_id>/submit")
@requires("workflow:task")
@writes(TAG, TaskOut, body=SubmitIn, repeatable=True)
def submit_task(act: Act, task_id: int, body: SubmitIn) -> TaskOut:
    """Complete a task with values for its fields; the run goes on.

    For an escalated failure this says that it was done by hand.
    """
    task = load(act.session, ManualTask, task_id)
    try:
        return _present(act)(tasks.submit(act.session, act.actor, task, body.input))
    except Invalid as refused:
        raise inside(refused, "input") from None


@bp.post("/tasks/<int:task_id>/skip")
@requires("workflow:task")
@writes(TAG, TaskOut, body=ReasonIn, repeatable=True)
def skip_task(act: Act, task_id: int, body: ReasonIn) -> TaskOut:
    """Let the run go on without the step."""
    task = load(act.session, ManualTask, task_id)
    return _present(act)(tasks.skip(act.session, act.actor, task, body.reason))


@bp.post("/tasks/<int:task_id>/fail")
@requires("workflow:task")
@writes(TAG, TaskOut, body=ReasonIn, repeatable=True)
def fail_task(act: Act, task_id: int, body: ReasonIn) -> TaskOut:
    """Fail the step: a human task takes its failure edge, an escalated failure ends the run failed."""
    task = load(act.session, ManualTask, task_id)
    return _present(act)(tasks.fail(act.session, act.actor, task, body.reason))


@bp.post("/tasks/<int:task_id>/retry")
@requires("workflow:task")
@writes(TAG, TaskOut, repeatable=True)
def retry_task(act: Act, task_id: int) -> TaskOut:
    """Send the step of an escalated failure again."""
    return _present(act)(tasks.try_again(act.session, act.actor, load(act.session, ManualTask, task_id)))


def _present(act: Act) -> Callable[[ManualTask], TaskOut]:
    return lambda task: task_out(task, may_act=may_act(act.session, act.actor, task).allowed)


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
