"""Bob builds workflows and may not touch credentials; an application with a connection of each type."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.models import Role, Workflow
from tests.support.factories import http_step, human_step, make_application, make_connection, make_workflow
from tests.web.conftest import Reader, person, sign_in


@dataclass
class Place:
    """Ids of what the tests work on."""

    application: int
    http: int
    webhook: int


@pytest.fixture
def bob(only_sqlite: Flask, web: Session) -> Reader:
    """A member who builds workflows."""
    member = web.scalars(select(Role).where(Role.kind == "member")).one()
    member.permissions = ["grant:read", "workflow:read", "workflow:manage"]
    return sign_in(only_sqlite, person(only_sqlite, web, "bob", "member"))


@pytest.fixture
def place(web: Session) -> Place:
    """Jira, with a connection of each type."""
    application = make_application(web, name="Jira")
    http = make_connection(web, application, name="Jira API")
    webhook = make_connection(
        web, application, type="webhook", name="Chat", config={"url": "https://chat.example/hook"}
    )
    web.commit()
    return Place(application.id, http.id, webhook.id)


@pytest.fixture
def workflow(web: Session, place: Place) -> int:
    """A disabled workflow of two steps, in version 1."""
    from app.models import Application

    application = web.get_one(Application, place.application)
    made: Workflow = make_workflow(
        web,
        application,
        http_step(connection_id=place.http, capture={"id": "$.id"}),
        human_step(),
        name="Provision Jira",
        is_enabled=False,
    )
    web.commit()
    return made.id
