"""Every page and act × every permission × whose it is. A route that is not listed here fails the first test."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.guard import PUBLIC
from app.models import Connection, ManualTask, Role, Run, Workflow
from app.permissions import ALL_PERMISSIONS, PERMISSIONS, Actor
from app.schemas.people import TokenIn
from app.services import tokens
from tests.support.factories import (
    NOW,
    add_version,
    human_step,
    make_application,
    make_group,
    make_user,
    make_workflow,
)
from tests.support.services.tasks import escalated_task, waiting_task
from tests.support.web.listed_routes import (
    ANYBODYS,
    GUARDED,
    ONE_OF,
    ONES_OWN,
    SENT_TO_ONE,
    SHOWS_PEOPLE,
    TASKS,
    Call,
    calls,
)
from tests.support.web.readers import Reader, person, sign_in

# Last, since nothing is left to ask about after them.
ENDS = ("/delete", "/archive", "/deactivate", "/remove", "/revoke", "/cancel")


@dataclass(frozen=True)
class World:
    """The ids of one of each record."""

    ids: dict[str, object]

    def fill(self, path: str) -> str:
        """The address of one of these records; where there is none of the kind, of one that does not exist."""
        return re.sub(r"\{(\w+)\}", lambda found: str(self.ids.get(found[1], 999)), path)

    def has(self, path: str) -> bool:
        return set(re.findall(r"\{(\w+)\}", path)) <= set(self.ids)


@pytest.fixture
def world(web: Session) -> World:
    task = escalated_task(web, Actor("system", "Test", ALL_PERMISSIONS))
    run = web.get_one(Run, task.run_id)
    connection = web.scalars(select(Connection)).first()
    workflow = web.scalars(select(Workflow)).first()
    assert connection is not None and workflow is not None
    token, _ = tokens.create_token(
        web, Actor("system", "Test", ALL_PERMISSIONS), TokenIn(name="ci", permissions=["grant:read"]), now=NOW
    )
    ids = {
        "application_id": run.application_id,
        "connection_id": connection.id,
        "grant_id": run.grant_id,
        "group_id": make_group(web).id,
        "run_id": run.id,
        "task_id": task.id,
        "token_id": token.id,
        "user_id": make_user(web, "viewer").id,
        "workflow_id": workflow.id,
        "number": 1,
        "key": "scim",
        "secret": "nothing",
    }
    web.commit()
    return World(ids)


class Member:
    """Somebody whose rights are set from one request to the next: they are read at each."""

    def __init__(self, reader: Reader, web: Session) -> None:
        self.id, self.web = reader.id, web
        self.browser: FlaskClient = reader.client.flask
        page = reader.client.get("/account")
        self.token = str(page.select('input[name="csrf_token"]')[0]["value"])

    def may(self, *permissions: str) -> None:
        role = self.web.scalars(select(Role).where(Role.kind == "member")).one()
        role.permissions = sorted(permissions)
        self.web.commit()

    def send(self, method: str, path: str) -> tuple[int, str]:
        if method == "GET":
            answer = self.browser.get(path)
        else:
            answer = self.browser.post(path, data={"csrf_token": self.token})
        return answer.status_code, answer.get_data(as_text=True)


@pytest.fixture
def member(only_sqlite: Flask, web: Session) -> Member:
    return Member(sign_in(only_sqlite, person(only_sqlite, web, "mel", "member")), web)


def test_only_addresses_of_records_name_somebody_else() -> None:
    assert not [path for _, path in calls(ONES_OWN) if "{" in path]


@pytest.mark.parametrize("permission", sorted(PERMISSIONS))
def test_everything_but_the_permission_is_refused_and_the_permission_is_named(
    member: Member, world: World, permission: str
) -> None:
    member.may(*(ALL_PERMISSIONS - {permission}))
    for method, path in (call for call, asked in GUARDED.items() if asked == permission):
        status, text = member.send(method, world.fill(path))
        assert status == 403, path
        assert permission in text, path


@pytest.mark.parametrize("permission", sorted(PERMISSIONS))
def test_the_permission_alone_is_enough(
    member: Member, world: World, permission: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nobody is asked: what is looked at is who may ask.
    monkeypatch.setattr("app.services.connection_test.probe", _unreachable)
    member.may(permission)
    mine = [call for call, asked in GUARDED.items() if asked == permission]
    for method, path in sorted(mine, key=lambda call: (call[0] == "POST", call[1].endswith(ENDS))):
        status, text = member.send(method, world.fill(path))
        if (method, path) in SHOWS_PEOPLE:
            assert (status, "grant:read" in text) == (403, True), path
            continue
        assert status in (200, 204, 303, 404, 409, 422), (path, status)
        # Without a choice, or on a run that did not fail, these say why not.
        choosy = path.endswith(("/retry", "/replay", "/overrides", "/done", "/values", "/bulk-retries/new"))
        if method == "GET" and world.has(path) and not choosy:
            assert status == 200, path


def test_nobody_is_led_to_sign_in_and_keeps_what_was_typed(only_sqlite: Flask, world: World) -> None:
    nobody = only_sqlite.test_client()
    for method, path in [*GUARDED, *calls(ONES_OWN), *calls(SENT_TO_ONE), *ONE_OF, *TASKS]:
        if method == "GET":
            answer = nobody.get(world.fill(path))
            assert (answer.status_code, answer.headers["Location"][:8]) == (303, "/sign-in"), path
        else:
            assert nobody.post(world.fill(path)).status_code == 401, path


def test_every_form_needs_its_token(only_sqlite: Flask, alice: Reader, world: World) -> None:
    everything = [*GUARDED, *calls(ONES_OWN), *calls(SENT_TO_ONE), *TASKS, *calls(ANYBODYS[PUBLIC])]
    posts = [path for method, path in everything if method == "POST"]
    assert len(posts) > 50
    other = only_sqlite.test_client()
    other.get("/sign-in")
    for path in posts:
        for data in ({}, {"csrf_token": "made up"}):
            answer = alice.client.flask.post(world.fill(path), data=data)
            assert answer.status_code == 400, path
    alice.client.get("/account")


@pytest.mark.parametrize("call", sorted(ONE_OF))
def test_one_of_several_permissions_opens_a_page(member: Member, world: World, call: Call) -> None:
    for permission in PERMISSIONS:
        member.may(permission)
        open_to = 200 if world.has(call[1]) else 404
        status, _ = member.send(call[0], world.fill(call[1]))
        assert status == (open_to if permission in ONE_OF[call] else 403), permission


def test_a_task_is_acted_on_by_whoever_is_asked_and_by_nobody_else(
    member: Member, world: World, web: Session
) -> None:
    asker = Actor("system", "Test", ALL_PERMISSIONS)
    others = waiting_task(web, asker, human_step(assignee={"user_id": str(make_user(web, "admin").id)})).id
    web.commit()
    for (method, path), asked in TASKS.items():
        own = waiting_task(web, asker, human_step(assignee={"user_id": str(member.id)})).id
        web.commit()
        member.may(*(ALL_PERMISSIONS - asked))
        assert member.send(method, path.format(task_id=own))[0] == 403, path
        member.may("workflow:task")
        status, _ = member.send(method, path.format(task_id=own))
        assert status in (200, 303, 409, 422), (path, status)
        assert member.send(method, path.format(task_id=others))[0] == 404, path
        # Seeing everybody's tasks is not acting on them.
        member.may(*ALL_PERMISSIONS)
        status, text = member.send(method, path.format(task_id=others))
        if method == "GET":
            assert (status, "This task is for Ada Person" in text) == (200, True), path
            assert not re.search(r'<form id="(task|skip|fail)-form"', text), path
        else:
            # Nobody is on it, it is no failed call, and an empty form gives it to nobody: refused either way.
            refusals = {"release": 409, "retry": 409, "assign": 422}
            assert status == refusals.get(path.rpartition("/")[2], 403), path
    web.expire_all()
    task = web.get_one(ManualTask, others)
    assert (task.status, task.claimed_by_id) == ("pending", None)


@pytest.mark.parametrize(
    "path", ["/workflows/{workflow_id}/versions/2", "/applications/{application_id}/templates/nothing"]
)
def test_what_is_not_of_this_record_is_not_found(
    alice: Reader, world: World, web: Session, path: str
) -> None:
    other = make_workflow(web, make_application(web), human_step())
    add_version(web, other, human_step("again"))
    web.commit()
    alice.client.get(world.fill(path), expect=404)


def _unreachable(*_: object) -> object:
    from app.services.connection_test import TestResult

    return TestResult("failed", "Failed.")
