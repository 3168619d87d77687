"""Acting on tasks: once, by whom it may be, with values that fit."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from app.errors import Conflict, Invalid, NotAllowed
from app.extensions import db
from app.models import Grant, ManualTask, Run, User
from app.permissions import ALL_PERMISSIONS, Actor
from app.queries import task_rules
from app.services import grants, tasks
from app.services.advance import claim
from app.services.transaction import transaction
from tests.support.factories import (
    NOW,
    human_step,
    make_group,
    make_user,
)
from tests.support.services.tasks import HOLDER, escalated_task, waiting_task

TEXT = {"name": "team", "label": "Team", "type": "text", "required": True, "options": []}


def person(user: User, permissions: frozenset[str] = ALL_PERMISSIONS) -> Actor:
    return Actor("user", user.name, permissions, user_id=user.id)


def test_submitting_records_who_what_and_when_and_the_run_goes_on(session: Session, admin: Actor) -> None:
    task = tasks.submit(session, admin, waiting_task(session, admin), {"team": " Red "})
    assert (task.status, task.outcome, task.input, task.acted_by) == (
        "done",
        "submitted",
        {"team": "Red"},
        "Alice Admin",
    )
    run = session.get_one(Run, task.run_id)
    session.refresh(run)
    assert (run.status, run.captured) == ("running", {"ask": {"team": "Red"}})


def test_a_second_act_is_refused_naming_who_was_first(session: Session, admin: Actor) -> None:
    task = tasks.submit(session, admin, waiting_task(session, admin), {"team": "Red"})
    late = r"Alice Admin acted on this task at .*: submitted"
    with pytest.raises(Conflict, match=late):
        tasks.skip(session, admin, task, "Too late")
    # Also where what was typed would have been refused: it no longer matters.
    for act in (
        lambda: tasks.submit(session, admin, task, {"team": "Green"}),
        lambda: tasks.skip(session, admin, task, " "),
        lambda: tasks.fail(session, admin, task, ""),
    ):
        with pytest.raises(Conflict, match=late):
            act()


def test_skipping_is_kept_apart_from_done_and_needs_a_reason(session: Session, admin: Actor) -> None:
    task = waiting_task(session, admin)
    with pytest.raises(Invalid) as refused:
        tasks.skip(session, admin, task, "  ")
    assert refused.value.errors[0].field == "reason"
    tasks.skip(session, admin, task, "Has one already")
    assert (task.outcome, task.reason, task.input) == ("skipped", "Has one already", None)


def test_failing_takes_the_step_s_failure_edge(session: Session, admin: Actor) -> None:
    task = waiting_task(session, admin, human_step(on_failure="continue"), human_step("next"))
    tasks.fail(session, admin, task, "Nobody knows")
    run = session.get_one(Run, task.run_id)
    session.refresh(run)
    assert (run.status, run.cursor, run.failure_ignored) == ("running", "next", True)


def test_an_escalated_failure_may_have_been_done_by_hand(session: Session, admin: Actor) -> None:
    task = escalated_task(session, admin)
    tasks.submit(session, admin, task, {"id": "u-9"})
    run = session.get_one(Run, task.run_id)
    session.refresh(run)
    assert (run.status, run.cursor, run.captured) == ("running", "second", {"create": {"id": "u-9"}})


def test_an_escalated_failure_may_be_tried_again(session: Session, admin: Actor) -> None:
    task = escalated_task(session, admin)
    tasks.try_again(session, admin, task)
    [moved] = claim(session.connection(), HOLDER, now=NOW.replace(year=2030), ids=None, limit=1)
    assert moved.order is not None and (moved.order.step.key, moved.order.attempt) == ("create", 3)


def test_a_human_task_cannot_be_tried_again(session: Session, admin: Actor) -> None:
    with pytest.raises(Conflict, match="handed to a person"):
        tasks.try_again(session, admin, waiting_task(session, admin))


def test_who_may_not_act_learns_nothing_of_the_fields(session: Session, admin: Actor) -> None:
    task = waiting_task(session, admin)
    nobody = Actor("user", "Nobody", frozenset())
    for act in (
        lambda: tasks.submit(session, nobody, task, {"colour": "Red"}),
        lambda: tasks.skip(session, nobody, task, ""),
    ):
        with pytest.raises(NotAllowed):
            act()


def test_without_the_permission_nobody_acts(session: Session, admin: Actor) -> None:
    task = waiting_task(session, admin)
    reader = person(make_user(session), frozenset({"workflow:read"}))
    with pytest.raises(NotAllowed, match="workflow:task"):
        tasks.submit(session, reader, task, {"team": "Red"})


def test_only_the_person_who_was_asked_may_act(session: Session, admin: Actor) -> None:
    asked, other = make_user(session), make_user(session)
    task = waiting_task(session, admin, human_step(assignee={"user_id": str(asked.id)}))
    with pytest.raises(NotAllowed, match=f"This task is for {asked.name}"):
        tasks.submit(session, person(other), task, {"team": "Red"})
    assert tasks.submit(session, person(asked), task, {"team": "Red"}).outcome == "submitted"


def test_only_members_of_the_group_may_act(session: Session, admin: Actor) -> None:
    member, other = make_user(session), make_user(session)
    group = make_group(session, member, name="IT team")
    task = waiting_task(session, admin, human_step(assignee={"group_id": str(group.id)}))
    assert (
        task_rules.may_act(session, person(other), task).reason
        == "This task is for IT team; you are not in it."
    )
    assert task_rules.may_act(session, person(member), task).allowed


@pytest.mark.parametrize(
    ("field", "raw", "value"),
    [
        ({"type": "text"}, " x ", "x"),
        ({"type": "number"}, "3", 3),
        ({"type": "number"}, "2.5", 2.5),
        ({"type": "boolean"}, "on", True),
        ({"type": "boolean"}, False, False),
        ({"type": "choice", "options": ["Red", "Blue"]}, "Blue", "Blue"),
    ],
)
def test_values_take_their_field_s_type(field: dict[str, Any], raw: object, value: object) -> None:
    assert tasks.read_values([TEXT | field], {"team": raw}) == {"team": value}


@pytest.mark.parametrize(
    ("field", "raw", "message"),
    [
        ({}, "", "Enter Team."),
        ({}, 7, "Enter text."),
        ({}, "a\0b", "This text holds a character that cannot be stored."),
        ({}, "x" * 2001, "Use at most 2,000 characters."),
        ({"type": "number"}, "many", "Enter a number."),
        ({"type": "number"}, "inf", "Enter a number that is not that large."),
        ({"type": "number"}, True, "Enter a number."),
        ({"type": "boolean"}, "perhaps", "Choose yes or no."),
        ({"type": "choice", "options": ["Red"]}, "Green", "Choose one of the options."),
    ],
)
def test_values_that_do_not_fit_are_refused_by_name(field: dict[str, Any], raw: object, message: str) -> None:
    with pytest.raises(Invalid) as refused:
        tasks.read_values([TEXT | field], {"team": raw})
    assert [(one.field, one.message) for one in refused.value.errors] == [("team", message)]


def test_an_unknown_field_is_refused_by_name() -> None:
    with pytest.raises(Invalid) as refused:
        tasks.read_values([TEXT], {"team": "Red", "admin": True})
    assert refused.value.errors[0].field == "admin"


def test_typed_values_are_data_and_never_templates(session: Session, admin: Actor) -> None:
    task = tasks.submit(session, admin, waiting_task(session, admin), {"team": "{{ grantee.email }}"})
    run = session.get_one(Run, task.run_id)
    session.refresh(run)
    assert run.captured == {"ask": {"team": "{{ grantee.email }}"}}


def test_two_people_at_once_make_one_outcome(app: Flask, admin: Actor) -> None:
    with app.app_context(), transaction() as session:
        task_id = waiting_task(session, admin).id
    barrier = threading.Barrier(2)
    results: list[str] = []

    def act(name: str) -> None:
        with app.app_context():
            barrier.wait()
            try:
                with transaction() as session:
                    actor = Actor("user", name, ALL_PERMISSIONS)
                    tasks.submit(session, actor, session.get_one(ManualTask, task_id), {"team": name})
                results.append(f"{name} did it")
            except Conflict as conflict:
                results.append(conflict.message)
            finally:
                db.session.remove()

    threads = [threading.Thread(target=act, args=(name,)) for name in ("Bo", "Cy")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    done = [one for one in results if one.endswith("did it")]
    assert len(done) == 1
    assert any(one.startswith(done[0].split()[0] + " acted on this task") for one in results)


def test_a_task_whose_run_is_stale_closes_as_obsolete(session: Session, admin: Actor) -> None:
    task = waiting_task(session, admin)
    run = session.get_one(Run, task.run_id)
    grants.revoke(session, admin, session.get_one(Grant, run.grant_id), now=NOW)
    session.refresh(task)
    with pytest.raises(Conflict, match="no longer needed"):
        tasks.submit(session, admin, task, {"team": "Red"})
