"""Everything that a task's page shows, gathered by one function for the page and for its fragment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from app.clock import now
from app.domain.runs.retry import stands
from app.domain.states import TaskOrigin, TaskStatus, Trigger
from app.errors import NotFound
from app.models import ManualTask, Run
from app.permissions import Actor, may
from app.queries.run_words import failure_words
from app.queries.task_page import Outlook, TaskDetail, WhoMay, assignable, outlook, task_detail, who_may
from app.queries.task_rules import MayAct, assignee_words, may_act, may_assign, may_see
from app.queries.timeline import Entry
from app.web.forms import FormState
from app.web.runs.timeline import Button, buttons_for
from app.web.tasks.listing import ORIGINS, look


@dataclass(frozen=True, slots=True)
class TaskView:
    """A task as one reader sees it. What is only of use while it waits is None, or empty, afterwards."""

    detail: TaskDetail
    at: datetime
    look: tuple[str, str, str]
    assignee: str
    may_act: MayAct
    who: WhoMay | None
    outlook: Outlook | None
    buttons: Sequence[Button]
    may_assign: MayAct
    choices: Sequence[tuple[str, str]]
    holds_it: bool
    sees_records: bool
    sees_run: bool

    @property
    def task(self) -> ManualTask:
        return self.detail.task

    @property
    def run(self) -> Run:
        return self.detail.run

    @property
    def is_pending(self) -> bool:
        return self.task.status == TaskStatus.PENDING

    @property
    def is_call(self) -> bool:
        """A failed call that was handed to a person."""
        return self.task.origin == TaskOrigin.ESCALATED_FAILURE

    @property
    def is_overdue(self) -> bool:
        return self.is_pending and self.task.due_at is not None and self.task.due_at < self.at

    @property
    def title(self) -> str:
        return f"{self.detail.step_name} · {self.run.user.name}"

    @property
    def origin(self) -> str:
        return ORIGINS[TaskOrigin(self.task.origin)]

    @property
    def trigger(self) -> Trigger:
        return Trigger(self.run.trigger)

    @property
    def submit_label(self) -> str:
        return "It was done by hand" if self.is_call else "Submit"

    @property
    def retry_label(self) -> str:
        return "Send again" if self.task.outcome_unknown or self._stands else "Try the step again"

    @property
    def retry_note(self) -> str:
        """What trying the step again may do."""
        if self._stands:
            return "The same request goes out once more. The first one was carried out: it may be done twice."
        if self.task.outcome_unknown:
            return "The same request goes out once more. If the first one arrived, it may be done twice."
        return "Sends the step again, with a fresh set of attempts."

    @property
    def _stands(self) -> bool:
        failed = self.detail.failure
        step = self.detail.version.step(self.task.step_key)
        return failed is not None and stands(step, failed.failure_class, failed.http_status)

    @property
    def failure_facts(self) -> list[str]:
        """How the call failed, in short facts."""
        one: Entry | None = self.detail.failure
        if one is None:
            return []
        facts = [failure_words(one.failure_class, one.http_status)]
        if one.attempt and one.of:
            facts.append(f"attempt {one.attempt} of {one.of}")
        if one.method:
            facts.append(f"{one.method} {one.path_template or ''}".strip())
        return [fact for fact in facts if fact]


def find(session: Session, actor: Actor, task_id: int) -> TaskDetail:
    """The task with that number; raises NotFound also for who may not see it."""
    detail = task_detail(session, task_id)
    if detail is None or not may_see(session, actor, detail.task):
        raise NotFound(f"There is no task {task_id}, or you may not see it.")
    return detail


def shown(session: Session, actor: Actor, task_id: int) -> TaskView:
    """The task as `actor` sees it now; raises NotFound."""
    detail = find(session, actor, task_id)
    task = detail.task
    pending = task.status == TaskStatus.PENDING
    unreadable = detail.version.problem if pending else ""
    allowed = MayAct(False, unreadable) if unreadable else may_act(session, actor, task)
    gives = may_assign(session, actor, task)
    return TaskView(
        detail=detail,
        at=now(),
        look=look(task),
        assignee=assignee_words(session, task),
        may_act=allowed,
        who=who_may(session, task) if pending else None,
        outlook=outlook(session, task) if pending and not unreadable else None,
        buttons=_buttons(detail, actor),
        may_assign=gives,
        choices=_choices(session, task) if pending and gives.allowed else (),
        holds_it=actor.user_id is not None and task.claimed_by_id == actor.user_id,
        sees_records=may(actor, "grant:read"),
        sees_run=may(actor, "workflow:read"),
    )


def assign_form(task: ManualTask) -> FormState:
    """Whom the task is for, as the list of choices has it."""
    if task.assignee_user_id is not None:
        return FormState.of({"assignee": f"user:{task.assignee_user_id}"})
    return FormState.of(
        {"assignee": f"group:{task.assignee_group_id}" if task.assignee_group_id else "anyone"}
    )


def _buttons(detail: TaskDetail, actor: Actor) -> list[Button]:
    """What mends the cause; how the run goes on is for the task's own buttons."""
    if detail.failure is None:
        return []
    return [one for one in buttons_for(detail.failure, detail.run, actor) if not one.act]


def _choices(session: Session, task: ManualTask) -> list[tuple[str, str]]:
    groups, people = assignable(session, task)
    return [
        ("anyone", "Anyone with the permission"),
        *((f"group:{one.id}", f"Group: {one.name}") for one in groups),
        *((f"user:{one.id}", f"{one.name} ({one.email})") for one in people),
    ]
