"""Clients that hold a token, and something to look at."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
from flask import Flask

from app import clock
from app.models import Application, Grant, User
from app.permissions import ALL_PERMISSIONS, Actor
from app.schemas.people import TokenIn
from app.services import grants, tokens
from app.services.transaction import transaction
from tests.support.api.client import ApiClient, World
from tests.support.factories import (
    http_step,
    make_application,
    make_connection,
    make_group,
    make_user,
    make_workflow,
)

_ROOT = Actor("system", "Test", ALL_PERMISSIONS)
_names = itertools.count(1)


@pytest.fixture(autouse=True)
def _push_request_context() -> None:
    """Keeps pytest-flask from sharing one context between all requests of a test, which no server does."""


@pytest.fixture
def token_for(app: Flask) -> Callable[..., ApiClient]:
    """A client whose new token holds the permissions given."""

    def make(*permissions: str) -> ApiClient:
        wanted = TokenIn(name=f"Script {next(_names)}", permissions=list(permissions))
        with app.app_context(), transaction() as session:
            _, secret = tokens.create_token(session, _ROOT, wanted, now=clock.now())
        return ApiClient(app, secret)

    return make


@pytest.fixture
def api(token_for: Callable[..., ApiClient]) -> ApiClient:
    """A client that may do everything."""
    return token_for(*ALL_PERMISSIONS)


@pytest.fixture
def world(app: Flask) -> World:
    """An application with a connection and an enabled workflow, a group, and a grant that started a run."""
    with app.app_context(), transaction() as session:
        now = clock.now()
        user, application = make_user(session), make_application(session)
        connection = make_connection(session, application)
        workflow = make_workflow(session, application, http_step(connection_id=connection.id))
        group = make_group(session, user)
        grant = grants.grant(session, _ROOT, application=application, user=user, now=now)
        return World(
            user=user.id,
            application=application.id,
            connection=connection.id,
            workflow=workflow.id,
            group=group.id,
            grant=grant.id,
            run=grant.newest_run_id or 0,
        )


@pytest.fixture
def more_grants(app: Flask, world: World) -> Callable[[int], None]:
    """Adds so many grants, each to a person of its own, on the application."""

    def make(count: int) -> None:
        with app.app_context(), transaction() as session:
            application = session.get_one(Application, world.application)
            for _ in range(count):
                user: User = make_user(session)
                made: Grant = grants.grant(
                    session, _ROOT, application=application, user=user, now=clock.now()
                )
                assert made.id

    return make
