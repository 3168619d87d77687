"""Tokens, and what each route asks of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from app import clock
from app.api.openapi import document
from app.guard import PUBLIC, declared
from app.models import ApiToken
from app.permissions import ALL_PERMISSIONS, PERMISSIONS
from app.services.transaction import transaction
from tests.support.api.client import ApiClient, World
from tests.support.api.listed_calls import CALLS

OPEN = {"/api/v1/openapi.json", "/api/v1/docs"}


def test_every_route_declares_what_it_asks_and_is_in_the_document_and_vice_versa(only_sqlite: Flask) -> None:
    routed, public = {}, set()
    with only_sqlite.app_context():
        for rule in only_sqlite.url_map.iter_rules():
            if not rule.rule.startswith("/api/"):
                continue
            asked = declared(rule.endpoint)
            if asked == PUBLIC:
                public.add(rule.rule)
                continue
            assert asked in PERMISSIONS, rule.endpoint
            path = rule.rule.replace("<int:", "{").replace(">", "}")
            for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
                routed[method, path] = asked
        described = {
            (method.upper(), path): one["x-permission"]
            for path, methods in document(only_sqlite)["paths"].items()
            for method, one in methods.items()
        }
    assert public == OPEN
    assert routed == described
    assert routed == {(method, f"/api/v1{path}"): asked for (method, path), asked in CALLS.items()}


def test_no_call_is_answered_without_a_token(only_sqlite: Flask, world: World) -> None:
    nobody = ApiClient(only_sqlite, "")
    for method, path in CALLS:
        answer = nobody.send(method, world.fill(path))
        assert answer.status_code == 401, path
        assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_every_call_needs_its_own_permission_and_names_it(
    world: World, token_for: Callable[..., ApiClient]
) -> None:
    for permission in sorted(set(CALLS.values())):
        lacking = token_for(*(ALL_PERMISSIONS - {permission}))
        for method, path in (call for call, asked in CALLS.items() if asked == permission):
            refused = lacking.expect(403, method, world.fill(path))
            assert (refused["code"], refused["permission"]) == ("forbidden", permission), path
            assert permission in refused["detail"]


def test_every_call_is_let_in_with_its_permission_alone(
    world: World, token_for: Callable[..., ApiClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nobody is asked: what is looked at is who may ask.
    monkeypatch.setattr("app.services.connection_test.probe", _unreachable)
    clients = {permission: token_for(permission) for permission in sorted(set(CALLS.values()))}
    for method, path in sorted(CALLS, key=lambda call: call[0] == "DELETE"):
        answer = clients[CALLS[method, path]].send(method, world.fill(path))
        expected = (404, 422) if re.search("{(task|bulk_retry)_id}", path) else (200, 201, 204, 409, 422)
        assert answer.status_code in expected, (path, answer.get_data(as_text=True))


def _unreachable(*_: object) -> object:
    from app.services.connection_test import TestResult

    return TestResult("failed", "Failed.")


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        "Basic abc",
        "Bearer nonsense",
        "Bearer aa_wrong",
        "bearer aa_ \u00e4",
        "Token x",
    ],
)
def test_a_header_that_is_no_good_token_is_refused(only_sqlite: Flask, header: str) -> None:
    answer = ApiClient(only_sqlite, "").send("GET", "/users", headers={"Authorization": header})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("column", ["expires_at", "revoked_at"])
def test_a_token_ends_by_expiry_and_by_revocation(api: ApiClient, column: str) -> None:
    api.get("/users")
    with api.app.app_context(), transaction() as session:
        setattr(session.scalars(select(ApiToken)).one(), column, clock.now() - timedelta(seconds=1))
    api.get("/users", status=401)


def test_the_last_use_of_a_token_is_noted_once_a_minute(api: ApiClient) -> None:
    def noted() -> object:
        with api.app.app_context(), transaction() as session:
            return session.scalars(select(ApiToken.last_used_at)).one()

    assert noted() is None
    api.get("/users")
    first = noted()
    api.get("/users")
    assert first is not None
    assert noted() == first


def test_a_session_is_no_way_into_the_api(only_sqlite: Flask, world: World) -> None:
    browser = only_sqlite.test_client()
    with browser.session_transaction() as session:
        session.update({"_user_id": f"{world.user}.0", "_fresh": True, "since": int(clock.now().timestamp())})
    assert browser.get("/api/v1/users").status_code == 401
    assert browser.post("/api/v1/users", json={}).status_code == 401


def test_acts_are_noted_under_the_name_of_the_token(api: ApiClient) -> None:
    api.post("/applications", {"name": "Jira"})
    entry = api.get("/audit?action=application.create")["items"][0]
    assert entry["actor"].startswith("Script")
    assert (entry["actor_kind"], entry["actor_id"], entry["source"]) == ("token", None, "127.0.0.1")
