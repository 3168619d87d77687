"""People, groups, applications and connections: what goes in, and the shapes that come out."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from sqlalchemy import select

from app.models import Credential
from app.permissions import ALL_PERMISSIONS
from app.services.connection_test import TestResult
from app.services.transaction import transaction
from tests.support.api.client import ApiClient, World

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
ADA = {"email": "Ada@Example.org", "first_name": "Ada", "last_name": "Lovelace", "employee_id": "E-1"}


def test_a_person_is_added_shown_found_and_changed(api: ApiClient) -> None:
    made = api.post("/users", ADA)
    assert TIME.fullmatch(made.pop("created_at"))
    assert made == {
        "id": made["id"],
        "email": "ada@example.org",
        "first_name": "Ada",
        "last_name": "Lovelace",
        "username": None,
        "employee_id": "E-1",
        "role": "viewer",
        "active": True,
    }
    assert isinstance(made["id"], str)
    assert [one["id"] for one in api.get("/users?email=ADA@example.ORG")["items"]] == [made["id"]]
    assert api.get("/users?email=nobody@example.org")["items"] == []
    changed = api.patch(f"/users/{made['id']}", {"username": "ada", "employee_id": None})
    assert (changed["username"], changed["employee_id"], changed["first_name"]) == ("ada", None, "Ada")
    assert api.get(f"/users/{made['id']}") == changed


def test_an_email_is_given_once(api: ApiClient) -> None:
    api.post("/users", ADA)
    refused = api.post("/users", {"email": "ADA@example.org"}, status=422)
    assert [one["field"] for one in refused["errors"]] == ["email"]


def test_deactivating_a_person_revokes_their_grants(api: ApiClient, world: World) -> None:
    assert api.patch(f"/users/{world.user}", {"active": False})["active"] is False
    grant = api.get(f"/grants/{world.grant}")
    assert grant["revoked_at"] is not None
    assert [one["trigger"] for one in grant["decisions"]] == ["access_granted", "access_revoked"]


def test_a_group_gets_exactly_the_members_that_are_listed(api: ApiClient, world: World) -> None:
    ada = api.post("/users", ADA)["id"]
    group = api.post("/groups", {"name": "IT"})
    assert group == {"id": group["id"], "name": "IT", "user_ids": []}
    path = f"/groups/{group['id']}/members"
    assert api.put(path, {"user_ids": [ada, str(world.user)]})["user_ids"] == sorted(
        [ada, str(world.user)], key=int
    )
    assert api.put(path, {"user_ids": [ada]})["user_ids"] == [ada]
    refused = api.put(path, {"user_ids": [ada, "999"]}, status=422)
    assert refused["errors"][0]["field"] == "user_ids[1]"
    listed = {one["name"]: one["user_ids"] for one in api.get("/groups")["items"]}
    assert listed["IT"] == [ada]


def test_an_application_is_added_shown_and_changed(api: ApiClient) -> None:
    made = api.post("/applications", {"name": "Jira", "url": "jira.example.com", "critical": True})
    assert TIME.fullmatch(made.pop("created_at"))
    assert made == {
        "id": made["id"],
        "name": "Jira",
        "description": "",
        "vendor": "",
        "category": "",
        "url": "jira.example.com",
        "critical": True,
        "notes": "",
        "archived_at": None,
    }
    changed = api.patch(f"/applications/{made['id']}", {"vendor": "Atlassian"})
    assert (changed["vendor"], changed["name"]) == ("Atlassian", "Jira")
    refused = api.post("/applications", {"name": "jira"}, status=422)
    assert refused["errors"][0]["field"] == "name"


def test_a_connection_tells_its_configuration_and_never_its_credential(api: ApiClient, world: World) -> None:
    body = {
        "type": "http",
        "name": "API",
        "config": {"base_url": "https://jira.example.com/scim", "auth": "bearer"},
    }
    made = api.post(f"/applications/{world.application}/connections", body)
    assert made["credential"] == {
        "configured": False,
        "set_at": None,
        "set_by": None,
        "last_used_at": None,
        "last_ok": None,
        "readable": None,
    }
    path = f"/connections/{made['id']}"
    assert api.put(f"{path}/credential", {"value": "s3cret-value"}, status=204) is None
    shown = api.get(path)
    assert shown["credential"]["configured"] is True
    assert TIME.fullmatch(shown["credential"]["set_at"])
    assert (shown["type"], shown["application_id"], shown["last_test"]) == (
        "http",
        str(world.application),
        None,
    )
    for told in (shown, api.get("/audit"), api.get(f"/applications/{world.application}/connections")):
        assert "s3cret" not in str(told)
    with api.app.app_context(), transaction() as session:
        assert "s3cret" not in session.scalars(select(Credential)).one().sealed
    api.delete(f"{path}/credential")
    assert api.get(path)["credential"]["configured"] is False
    api.delete(path)
    api.get(path, status=404)


def test_a_refused_credential_is_not_repeated(api: ApiClient, world: World) -> None:
    path = f"/connections/{world.connection}/credential"
    for value in ("s3cret" * 4000, ["s3cret"], {"s3cret": 1}):
        answer = api.send("PUT", path, {"value": value})
        assert answer.status_code == 422
        assert "s3cret" not in answer.get_data(as_text=True)


def test_another_address_for_a_credential_needs_the_right_to_enter_one(
    api: ApiClient, world: World, token_for: Callable[..., ApiClient]
) -> None:
    path = f"/connections/{world.connection}"
    api.patch(path, {"config": {"auth": "bearer"}})
    api.put(f"{path}/credential", {"value": "x"}, status=204)
    builder = token_for(*(ALL_PERMISSIONS - {"workflow:secrets"}))
    change = {"config": {"base_url": "https://elsewhere.example"}}
    assert builder.patch(path, change, status=403)["permission"] == "workflow:secrets"
    assert builder.patch(path, {"name": "Renamed"})["name"] == "Renamed"
    assert api.patch(path, change)["config"]["base_url"] == "https://elsewhere.example"


def test_a_connection_in_use_stays_and_names_its_workflows(api: ApiClient, world: World) -> None:
    refused = api.delete(f"/connections/{world.connection}", status=409)
    assert refused["code"] == "conflict"
    assert refused["workflow_ids"] == [str(world.workflow)]


def test_testing_a_connection_tells_what_was_found_and_keeps_it(
    api: ApiClient, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The call itself is left out here: it has tests of its own, against real servers."""
    found = TestResult("reachable", "Reachable.", status=200, path="/health", duration_ms=12)
    monkeypatch.setattr("app.services.connection_test.probe", lambda *_: found)
    told = api.post(f"/connections/{world.connection}/test", status=200)
    assert told == {
        "outcome": "reachable",
        "status": 200,
        "path": "/health",
        "duration_ms": 12,
        "class": None,
        "message": "Reachable.",
        "remedy": None,
    }
    kept = api.get(f"/connections/{world.connection}")["last_test"]
    assert (kept["outcome"], kept["status"], kept["class"]) == ("reachable", 200, None)


def test_a_target_that_is_not_allowed_fails_with_its_remedy(api: ApiClient, world: World) -> None:
    api.patch(f"/connections/{world.connection}", {"config": {"base_url": "https://169.254.169.254"}})
    told = api.post(f"/connections/{world.connection}/test", status=200)
    assert (told["outcome"], told["class"], told["status"]) == ("failed", "egress_blocked", None)
    assert set(told["remedy"]) == {"title", "why", "todo", "action", "label", "actions"}


def test_a_webhook_has_nothing_to_probe(api: ApiClient, world: World) -> None:
    body = {"type": "webhook", "name": "Hook", "config": {"url": "https://hooks.example.com/x"}}
    made = api.post(f"/applications/{world.application}/connections", body)
    assert made["config"] == {"url": "https://hooks.example.com/x"}
    assert api.post(f"/connections/{made['id']}/test", status=200)["outcome"] == "nothing_to_probe"
