"""Workflows and versions: what is saved, what is refused, and by which name."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.errors import Conflict, Invalid, NotFound
from app.models import Application, Workflow, WorkflowVersion
from app.permissions import Actor
from app.queries.workflow_versions import newest_version
from app.schemas.base import parse
from app.schemas.workflows import VersionIn, WorkflowIn, WorkflowPatch
from app.services import workflows
from tests.support.audit import audited
from tests.support.factories import (
    NOW,
    http_step,
    human_step,
    make_application,
    make_connection,
    make_group,
    make_user,
)


def new(**fields: object) -> WorkflowIn:
    return parse(WorkflowIn, {"name": "Provision", "trigger": "access_granted", **fields})


def patch(**fields: object) -> WorkflowPatch:
    return parse(WorkflowPatch, fields)


def version(steps: object, **fields: object) -> VersionIn:
    return parse(VersionIn, {"steps": steps, **fields})


@pytest.fixture
def application(session: Session) -> Application:
    return make_application(session)


@pytest.fixture
def step(session: Session, application: Application) -> dict[str, Any]:
    return http_step("create", make_connection(session, application).id)


@pytest.fixture
def workflow(session: Session, builder: Actor, application: Application, step: dict[str, Any]) -> Workflow:
    return workflows.create_workflow(session, builder, application, new(steps=[step]), now=NOW).workflow


def test_a_workflow_begins_disabled_with_its_first_version(session: Session, workflow: Workflow) -> None:
    assert (workflow.is_enabled, workflow.version_number, workflow.step_count) == (False, 1, 1)
    saved = newest_version(session, workflow)
    assert saved is not None
    assert (saved.number, saved.created_by, saved.steps[0]["success_statuses"]) == (
        1,
        "Bob Builder",
        ["200-299"],
    )
    assert audited(session) == ["workflow.create", "workflow.save"]


def test_an_application_has_one_workflow_for_each_trigger(
    session: Session, builder: Actor, application: Application, workflow: Workflow
) -> None:
    with pytest.raises(Conflict, match="“Provision” answers Access granted already") as caught:
        workflows.create_workflow(session, builder, application, new(name="Second"), now=NOW)
    assert caught.value.context == {"workflow_id": str(workflow.id)}
    other = new(name="Deprovision", trigger="access_revoked")
    assert workflows.create_workflow(session, builder, application, other, now=NOW).workflow.policy == (
        "last_active_grant"
    )


def test_a_deleted_workflow_makes_room_and_keeps_its_versions(
    session: Session, builder: Actor, application: Application, workflow: Workflow
) -> None:
    workflows.delete_workflow(session, builder, workflow, now=NOW)
    assert workflows.create_workflow(session, builder, application, new(), now=NOW).workflow.id != workflow.id
    assert newest_version(session, workflow) is not None
    with pytest.raises(NotFound):
        workflows.change_workflow(session, builder, workflow, patch(enabled=True), now=NOW)


def test_enabling_without_steps_is_refused(
    session: Session, builder: Actor, application: Application
) -> None:
    made = workflows.create_workflow(session, builder, application, new(), now=NOW).workflow
    with pytest.raises(Invalid) as caught:
        workflows.change_workflow(session, builder, made, patch(enabled=True), now=NOW)
    assert [error.field for error in caught.value.errors] == ["enabled"]
    assert not made.is_enabled


def test_enabling_and_disabling_are_audited_once(
    session: Session, builder: Actor, workflow: Workflow
) -> None:
    for enabled in (True, True, False, False):
        workflows.change_workflow(session, builder, workflow, patch(enabled=enabled), now=NOW)
    assert audited(session)[2:] == ["workflow.enable", "workflow.disable"]


def test_a_policy_is_changed_by_its_triggers_name(
    session: Session, builder: Actor, workflow: Workflow
) -> None:
    workflows.change_workflow(session, builder, workflow, patch(grant_policy="first_active_grant"), now=NOW)
    assert workflow.policy == "first_active_grant"
    with pytest.raises(Invalid) as caught:
        workflows.change_workflow(session, builder, workflow, patch(revoke_policy="each_grant"), now=NOW)
    assert [error.field for error in caught.value.errors] == ["revoke_policy"]


def test_unchanged_steps_make_no_version_however_they_are_spelt(
    session: Session, builder: Actor, workflow: Workflow, step: dict[str, Any]
) -> None:
    spelt = {**step, "success_statuses": ["200-299"], "retry": {"attempts": 1}}
    saved = workflows.save_version(session, builder, workflow, version([spelt]), now=NOW)
    assert (saved.is_new, workflow.version_number) == (False, 1)
    changed = {**step, "path": "/people"}
    saved = workflows.save_version(session, builder, workflow, version([changed]), now=NOW)
    assert (saved.is_new, workflow.version_number) == (True, 2)


def test_each_problem_is_named_by_step_and_field_and_nothing_is_saved(
    session: Session, builder: Actor, workflow: Workflow, step: dict[str, Any]
) -> None:
    second = {**step, "key": "second", "path": "no slash"}
    with pytest.raises(Invalid) as caught:
        workflows.save_version(session, builder, workflow, version([step, second]), now=NOW)
    assert [error.field for error in caught.value.errors] == ["steps[1].path"]
    assert len(session.scalars(select(WorkflowVersion)).all()) == 1


@pytest.mark.parametrize("steps", [None, "x", [1], [{}], [{"key": "a", "type": "sdk"}]])
def test_what_are_no_steps_is_refused(
    session: Session, builder: Actor, workflow: Workflow, steps: object
) -> None:
    with pytest.raises(Invalid) as caught:
        workflows.save_version(session, builder, workflow, version(steps), now=NOW)
    assert all(error.field.startswith("steps") for error in caught.value.errors)


def test_a_connection_of_another_application_is_refused(
    session: Session, builder: Actor, workflow: Workflow
) -> None:
    strange = make_connection(session, make_application(session))
    with pytest.raises(Invalid) as caught:
        workflows.save_version(
            session, builder, workflow, version([http_step("create", strange.id)]), now=NOW
        )
    assert [error.field for error in caught.value.errors] == ["steps[0].connection_id"]


def test_an_assignee_must_exist_and_be_active(session: Session, builder: Actor, workflow: Workflow) -> None:
    gone, group = make_user(session, is_active=False), make_group(session)
    for bad in ({"user_id": str(gone.id)}, {"user_id": "9" * 30}, {"group_id": "12345"}):
        with pytest.raises(Invalid) as caught:
            workflows.save_version(session, builder, workflow, version([human_step(assignee=bad)]), now=NOW)
        assert [error.field for error in caught.value.errors] == ["steps[0].assignee"]
    good = human_step(assignee={"group_id": str(group.id)})
    assert workflows.save_version(session, builder, workflow, version([good]), now=NOW).is_new


def test_a_retry_that_may_repeat_a_create_is_a_warning(
    session: Session, builder: Actor, workflow: Workflow, step: dict[str, Any]
) -> None:
    risky = {**step, "retry": {"attempts": 3}}
    saved = workflows.save_version(session, builder, workflow, version([risky]), now=NOW)
    assert saved.is_new
    assert next(one.field for one in saved.warnings).startswith("steps[0]")


def test_a_save_based_on_an_older_version_is_refused(
    session: Session, builder: Actor, admin: Actor, workflow: Workflow, step: dict[str, Any]
) -> None:
    first = {**step, "path": "/a"}
    workflows.save_version(session, admin, workflow, version([first], based_on=1), now=NOW)
    with pytest.raises(Conflict, match="Alice Admin saved version 2 while you were editing") as caught:
        workflows.save_version(session, builder, workflow, version([step], based_on=1), now=NOW)
    assert caught.value.context == {"version": 2}


def test_restoring_makes_a_new_version(
    session: Session, builder: Actor, workflow: Workflow, step: dict[str, Any]
) -> None:
    workflows.save_version(session, builder, workflow, version([{**step, "path": "/a"}]), now=NOW)
    saved = workflows.restore_version(session, builder, workflow, 1, now=NOW)
    assert saved.version is not None
    assert (saved.version.number, saved.version.note) == (3, "Restored from version 1.")
    assert saved.version.steps[0]["path"] == "/Users"
    with pytest.raises(NotFound):
        workflows.restore_version(session, builder, workflow, 99, now=NOW)


def test_a_revoke_may_name_what_the_grant_workflow_captures(
    session: Session, builder: Actor, application: Application, step: dict[str, Any]
) -> None:
    create = {**step, "capture": {"id": "$.id"}}
    granting = workflows.create_workflow(session, builder, application, new(steps=[create]), now=NOW)
    assert [one.field for one in granting.warnings] == ["steps"]  # nothing removes it so far
    remove = {**step, "key": "remove", "method": "DELETE", "path": "/Users/{{ account.id }}", "body": None}
    data = new(name="Deprovision", trigger="access_revoked", steps=[remove], enabled=True)
    saved = workflows.create_workflow(session, builder, application, data, now=NOW)
    assert saved.workflow.is_enabled
    assert list(saved.warnings) == []
    changed = version([{**create, "path": "/other"}])
    assert not workflows.save_version(session, builder, granting.workflow, changed, now=NOW).warnings


def test_a_revoke_that_names_what_no_grant_workflow_captures_is_warned_of(
    session: Session, builder: Actor, application: Application, step: dict[str, Any]
) -> None:
    look = {**step, "key": "look", "method": "GET", "body": None, "capture": {"login": "$.login"}}
    remove = {**step, "key": "remove", "method": "DELETE", "path": "/U/{{ account.login }}", "body": None}
    data = new(name="Deprovision", trigger="access_revoked", steps=[look, remove])
    saved = workflows.create_workflow(session, builder, application, data, now=NOW)
    assert list(saved.warnings) == []
    saved = workflows.save_version(session, builder, saved.workflow, version([remove]), now=NOW)
    assert [one.field for one in saved.warnings] == ["steps[0].path"]


def test_nothing_is_built_on_an_archived_application(session: Session, builder: Actor) -> None:
    archived = make_application(session, archived_at=NOW)
    with pytest.raises(Conflict):
        workflows.create_workflow(session, builder, archived, new(), now=NOW)
