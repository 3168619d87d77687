"""Who is on a task, whom it is for, whom the step bars from it, and what acting would do."""

from __future__ import annotations

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain.states import TaskOutcome
from app.errors import Conflict, Invalid, NotAllowed
from app.models import Attempt, ManualTask, User
from app.permissions import ALL_PERMISSIONS, Actor
from app.queries import task_rules
from app.queries.task_page import Outlook, outlook
from app.services import tasks
from tests.support.audit import audited
from tests.support.factories import NOW, human_step, make_group, make_user
from tests.support.services.tasks import escalated_task, waiting_task

TASKS = frozenset({"workflow:task"})


def person(session: Session, name: str, permissions: frozenset[str] = TASKS, role: str = "admin") -> Actor:
    user = make_user(session, role, first_name=name, last_name="")
    return Actor("user", name, permissions, user_id=user.id)


def barred_task(session: Session, granter: Actor, **step: object) -> ManualTask:
    """A task that whoever granted the access may not complete."""
    return waiting_task(session, granter, human_step(granter_may_act=False, **step))


def test_somebody_who_is_on_a_task_bars_nobody(session: Session, admin: Actor) -> None:
    task, bo, cy = waiting_task(session, admin), person(session, "Bo"), person(session, "Cy")
    tasks.claim(session, bo, task, seen=None, now=NOW)
    assert (task.claimed_by, task.claimed_at) == ("Bo", NOW)
    assert tasks.submit(session, cy, task, {"team": "Red"}).acted_by == "Cy"


def test_the_second_of_two_who_take_a_task_on_is_told_of_the_first(session: Session, admin: Actor) -> None:
    task, bo, cy = waiting_task(session, admin), person(session, "Bo"), person(session, "Cy")
    tasks.claim(session, bo, task, seen=None, now=NOW)
    with pytest.raises(Conflict, match="Bo is on this task since 12:00 UTC"):
        tasks.claim(session, cy, task, seen=None, now=NOW)
    assert tasks.claim(session, cy, task, seen=bo.user_id, now=NOW).claimed_by == "Cy"
    with pytest.raises(Conflict, match="Cy is on this task"):
        tasks.release(session, bo, task, now=NOW)
    assert tasks.release(session, cy, task, now=NOW).claimed_by is None
    with pytest.raises(Conflict, match="Nobody is on this task any more"):
        tasks.claim(session, bo, task, seen=cy.user_id, now=NOW)
    assert audited(session)[-3:] == ["task.claim", "task.claim", "task.release"]


def test_who_may_not_act_cannot_take_a_task_on(session: Session, admin: Actor) -> None:
    asked, other = person(session, "Bo"), person(session, "Cy")
    task = waiting_task(session, admin, human_step(assignee={"user_id": str(asked.user_id)}))
    with pytest.raises(NotAllowed, match="This task is for Bo"):
        tasks.claim(session, other, task, seen=None, now=NOW)
    tasks.submit(session, asked, task, {"team": "Red"})
    with pytest.raises(Conflict, match="Bo acted on this task"):
        tasks.claim(session, asked, task, seen=None, now=NOW)


def test_a_task_is_given_to_a_person_a_group_or_anyone(session: Session, admin: Actor) -> None:
    task, bo = waiting_task(session, admin), person(session, "Bo")
    tasks.claim(session, person(session, "Cy"), task, seen=None, now=NOW)
    user = session.get_one(User, bo.user_id)
    tasks.assign(session, admin, task, user=user, now=NOW)
    assert (task.assignee_user_id, task.claimed_by) == (bo.user_id, None)
    assert not task_rules.may_act(session, person(session, "Cy"), task).allowed
    group = make_group(session, user, name="IT team")
    tasks.assign(session, bo, task, group=group, now=NOW)
    assert (task.assignee_user_id, task.assignee_group_id) == (None, group.id)
    tasks.assign(session, bo, task, now=NOW)
    assert task.assignee_group_id is None
    assert audited(session)[-3:] == ["task.assign"] * 3


def test_only_who_manages_workflows_or_was_asked_gives_a_task_away(session: Session, admin: Actor) -> None:
    asked, other = person(session, "Bo"), person(session, "Cy")
    task = waiting_task(session, admin, human_step(assignee={"user_id": str(asked.user_id)}))
    with pytest.raises(NotAllowed, match="workflow:manage"):
        tasks.assign(session, other, task, now=NOW)
    builder = person(session, "Dee", frozenset({"workflow:manage"}))
    tasks.assign(session, builder, task, user=session.get_one(User, other.user_id), now=NOW)
    assert task_rules.may_act(session, other, task).allowed


def test_a_task_is_not_given_to_somebody_who_could_not_complete_it(session: Session, admin: Actor) -> None:
    granter = person(session, "Gil", ALL_PERMISSIONS)
    task = barred_task(session, granter)
    gone = make_user(session, "admin", first_name="Gone", last_name="", is_active=False)
    viewer = make_user(session, "viewer", first_name="Vi", last_name="")
    for user, why in (
        (gone, "Gone is deactivated"),
        (viewer, "their role lacks workflow:task"),
        (session.get_one(User, granter.user_id), "Gil granted this access"),
    ):
        with pytest.raises(Invalid, match=why):
            tasks.assign(session, admin, task, user=user, now=NOW)


def test_whoever_granted_may_not_complete_a_task_that_says_so(session: Session) -> None:
    granter, other = person(session, "Gil", ALL_PERMISSIONS), person(session, "Bo")
    task = barred_task(session, granter)
    assert not task.granter_may_act
    with pytest.raises(NotAllowed, match="You granted this access, so somebody else completes this task"):
        tasks.submit(session, granter, task, {"team": "Red"})
    with pytest.raises(NotAllowed, match="You granted this access"):
        tasks.skip(session, granter, task, "Not needed")
    token = Actor("token", "Script", ALL_PERMISSIONS, token_id=1)
    with pytest.raises(NotAllowed, match="a token could be theirs"):
        tasks.submit(session, token, task, {"team": "Red"})
    assert tasks.submit(session, other, task, {"team": "Red"}).acted_by == "Bo"


def test_being_asked_by_name_does_not_lift_the_bar(session: Session) -> None:
    granter = person(session, "Gil", ALL_PERMISSIONS)
    task = barred_task(session, granter, assignee={"user_id": str(granter.user_id)})
    assert not task_rules.may_act(session, granter, task).allowed


def test_without_the_step_saying_so_whoever_granted_may_complete_it(session: Session) -> None:
    granter = person(session, "Gil", ALL_PERMISSIONS)
    assert task_rules.may_act(session, granter, waiting_task(session, granter)).allowed


def test_who_does_tasks_sees_those_for_them_and_readers_see_all(session: Session, admin: Actor) -> None:
    asked, other = person(session, "Bo"), person(session, "Cy")
    reader = person(session, "Rae", frozenset({"workflow:read"}))
    task = waiting_task(session, admin, human_step(assignee={"user_id": str(asked.user_id)}))
    assert [task_rules.may_see(session, one, task) for one in (asked, other, reader)] == [True, False, True]
    assert not task_rules.may_see(session, person(session, "Nil", frozenset()), task)
    tasks.submit(session, asked, task, {"team": "Red"})
    assert task_rules.may_see(session, other, waiting_task(session, admin))


@pytest.mark.parametrize("act", [TaskOutcome.SUBMITTED, TaskOutcome.SKIPPED, TaskOutcome.FAILED])
@pytest.mark.parametrize(
    "edges",
    [
        {},
        {"on_success": "end"},
        {"on_success": {"step": "last"}, "on_failure": "continue"},
        {"on_failure": {"compensate": "undo"}},
        {"on_failure": {"step": "last"}},
        {"on_failure": "escalate"},
    ],
)
def test_what_was_foretold_is_what_the_timeline_tells(
    session: Session, admin: Actor, edges: dict[str, object], act: TaskOutcome
) -> None:
    steps = [human_step(**edges), human_step("middle"), human_step("last")]
    if "compensate" in str(edges):
        steps.append(human_step("undo"))
    task = waiting_task(session, admin, *steps)
    foretold = outlook(session, task)
    _do(session, admin, task, act)
    told = session.scalars(select(Attempt.edge).where(Attempt.task_id == task.id)).one()
    assert told == {"submitted": foretold.submit, "skipped": foretold.skip, "failed": foretold.fail}[act]


def test_an_escalated_failure_foretells_sending_again_and_ending_failed(
    session: Session, admin: Actor
) -> None:
    task = escalated_task(session, admin)
    on = "goes on to “Second”"
    assert outlook(session, task) == Outlook(on, on, "ends the run as failed", "sends the step again")


def _do(session: Session, actor: Actor, task: ManualTask, act: TaskOutcome) -> None:
    if act is TaskOutcome.SUBMITTED:
        tasks.submit(session, actor, task, {"team": "Red"})
    elif act is TaskOutcome.SKIPPED:
        tasks.skip(session, actor, task, "Not needed")
    else:
        tasks.fail(session, actor, task, "No")
