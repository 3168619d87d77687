"""One task with everything that its page tells: what led to it, who may act, and whom it could be given to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session, joinedload

from app.database import db_now
from app.domain.runs import signals as m
from app.domain.runs.decide import decide
from app.domain.states import TaskOrigin, TaskOutcome
from app.models import AttemptStatus, Group, GroupMember, ManualTask, Role, Run, User
from app.permissions import effective_permissions
from app.queries.run_facts import Loaded, load, runs_with_facts
from app.queries.task_rules import PERMISSION
from app.queries.timeline import Entry, timeline
from app.queries.workflow_versions import ReadVersion, read_version
from app.schemas.kinds import MAX_ID

_NAMED = 6
_CHOICES = 200


@dataclass(frozen=True, slots=True)
class TaskDetail:
    """A task with its run, person, application, grant and version loaded.

    `version` is what the run's version says, `failure` the try whose failure was handed to a person, `place` the
    step's place from 1.
    """

    task: ManualTask
    version: ReadVersion
    failure: Entry | None
    place: int | None

    @property
    def run(self) -> Run:
        return self.task.run

    @property
    def step_name(self) -> str:
        key, definition = self.task.step_key, self.version.definition
        return definition.step(key).name if key in definition else key


@dataclass(frozen=True, slots=True)
class WhoMay:
    """Who may act, by name: up to six, and how many more there are. `roles` when it is anyone with the right."""

    people: Sequence[str]
    more: int = 0
    roles: Sequence[str] = ()


def task_detail(session: Session, task_id: int) -> TaskDetail | None:
    """The task with that number; None when there is none."""
    if not 0 < task_id <= MAX_ID:
        return None
    run = joinedload(ManualTask.run)
    task = session.scalars(
        select(ManualTask)
        .where(ManualTask.id == task_id)
        .options(
            run.joinedload(Run.user).lazyload(User.role),
            run.joinedload(Run.application),
            run.joinedload(Run.grant),
            run.joinedload(Run.version),
            run.joinedload(Run.workflow),
        )
    ).one_or_none()
    if task is None:
        return None
    version = read_version(task.run.version)
    keys = [step.key for step in version.definition.steps]
    return TaskDetail(
        task,
        version,
        _failure(session, task, version),
        keys.index(task.step_key) + 1 if task.step_key in keys else None,
    )


def who_may(session: Session, task: ManualTask) -> WhoMay:
    """Who may act on the task: the person, the group's members with the right, or the roles that have it."""
    roles = _roles(session)
    if task.assignee_user_id is not None:
        user = session.get_one(User, task.assignee_user_id)
        return WhoMay([user.name] if user.is_active and user.role_id in roles else [])
    if task.assignee_group_id is None:
        return WhoMay([], roles=sorted(roles.values()))
    members = (
        select(User)
        .join(GroupMember, GroupMember.user_id == User.id)
        .where(GroupMember.group_id == task.assignee_group_id, User.is_active, User.role_id.in_(roles))
    )
    count = session.scalar(select(func.count()).select_from(members.subquery())) or 0
    named = session.scalars(members.order_by(User.last_name, User.id).limit(_NAMED)).all()
    return WhoMay([one.name for one in named], count - len(named))


def assignable(session: Session, task: ManualTask) -> tuple[Sequence[Group], Sequence[User]]:
    """The groups, and the people with the right, that the task could be given to; at most 200 of each."""
    people = select(User).where(User.is_active, User.role_id.in_(_roles(session)))
    if not task.granter_may_act and task.run.grant.granted_by_id is not None:
        people = people.where(User.id != task.run.grant.granted_by_id)
    people = people.order_by(func.lower(User.last_name), User.first_name, User.id).limit(_CHOICES)
    groups = select(Group).order_by(func.lower(Group.name)).limit(_CHOICES)
    return session.scalars(groups).all(), session.scalars(people).all()


def _roles(session: Session) -> dict[int, str]:
    """The roles whose people may do tasks: number to name."""
    return {
        one.id: one.name
        for one in session.scalars(select(Role))
        if PERMISSION in effective_permissions(one.kind, one.permissions)
    }


def _failure(session: Session, task: ManualTask, version: ReadVersion) -> Entry | None:
    if task.origin != TaskOrigin.ESCALATED_FAILURE:
        return None
    told = timeline(session, task.run, version)
    failed = [
        one
        for one in told
        if one.step == task.step_key
        and one.outcome is AttemptStatus.FAILED
        and one.task_id is None
        and (one.number or 0) < task.attempt
    ]
    return max(failed, key=lambda one: one.number or 0, default=None)


@dataclass(frozen=True, slots=True)
class Outlook:
    """Where the run goes after each act, as the end of a sentence: `ends the run`, `goes on to “Tell”`.

    `retry` is "" for a task whose step sends nothing. `stale` is why none of them counts any more.
    """

    submit: str
    skip: str
    fail: str
    retry: str
    stale: str | None = None


def outlook(session: Session, task: ManualTask) -> Outlook:
    """What each act on a pending task would come to now."""
    connection = session.connection()
    [loaded] = load(connection, runs_with_facts().where(Run.id == task.run_id), db_now(connection))
    is_call = task.origin == TaskOrigin.ESCALATED_FAILURE
    return Outlook(
        submit=_edge(loaded, TaskOutcome.SUBMITTED),
        skip=_edge(loaded, TaskOutcome.SKIPPED),
        fail=_edge(loaded, TaskOutcome.FAILED),
        retry=_edge(loaded, TaskOutcome.RETRIED) if is_call else "",
        stale=loaded.world.stale,
    )


def _edge(loaded: Loaded, outcome: TaskOutcome) -> str:
    events = decide(loaded.run, m.TaskActed(outcome, "", {}), loaded.seen(may_send=False))
    return next((one.edge for one in events if isinstance(one, m.TaskClosed) and one.edge), "ends the run")
