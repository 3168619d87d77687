"""Workflows and versions over the API."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.api.client import ApiClient, World
from tests.support.factories import http_step


def step(world: World, **more: Any) -> dict[str, Any]:
    return http_step(connection_id=world.connection, **more)


def test_a_workflow_is_made_with_its_first_version(api: ApiClient, world: World) -> None:
    body = {
        "name": "Leave",
        "trigger": "access_revoked",
        "steps": [step(world, method="DELETE", path='/Users/{{ account.id | default("x") }}', body=None)],
        "enabled": True,
    }
    made = api.post(f"/applications/{world.application}/workflows", body)
    assert set(made) == {
        "id",
        "application_id",
        "name",
        "description",
        "trigger",
        "enabled",
        "grant_policy",
        "revoke_policy",
        "version",
        "created_at",
    }
    assert (made["enabled"], made["grant_policy"], made["revoke_policy"]) == (
        True,
        None,
        "last_active_grant",
    )
    version = made["version"]
    assert set(version) == {"number", "steps", "note", "created_at", "created_by", "warnings"}
    assert (version["number"], version["steps"][0]["method"]) == (1, "DELETE")
    shown = api.get(f"/workflows/{made['id']}")
    assert {**shown["version"], "warnings": []} == {**version, "warnings": []}
    listed = api.get(f"/applications/{world.application}/workflows")["items"]
    assert [one["id"] for one in listed] == [str(world.workflow), made["id"]]


def test_an_application_has_one_workflow_for_a_trigger(api: ApiClient, world: World) -> None:
    body = {"name": "Second", "trigger": "access_granted"}
    refused = api.post(f"/applications/{world.application}/workflows", body, status=409)
    assert refused["workflow_id"] == str(world.workflow)


def test_enabling_a_workflow_without_steps_is_refused(api: ApiClient) -> None:
    application = api.post("/applications", {"name": "Jira"})["id"]
    made = api.post(f"/applications/{application}/workflows", {"name": "Join", "trigger": "access_granted"})
    assert made["version"] is None
    refused = api.patch(f"/workflows/{made['id']}", {"enabled": True}, status=422)
    assert refused["errors"][0]["field"] == "enabled"


@pytest.mark.parametrize("steps", [None, [], {}, "x", [[]], [None]])
def test_a_first_version_needs_steps(api: ApiClient, steps: Any) -> None:
    application = api.post("/applications", {"name": "Jira"})["id"]
    made = api.post(f"/applications/{application}/workflows", {"name": "Join", "trigger": "access_granted"})
    refused = api.post(f"/workflows/{made['id']}/versions", {"steps": steps}, status=422)
    assert refused["errors"]


def test_saving_makes_a_version_and_the_same_steps_make_none(api: ApiClient, world: World) -> None:
    path = f"/workflows/{world.workflow}/versions"
    second = api.post(path, {"steps": [step(world, name="Anew")], "note": "Renamed"})
    assert (second["number"], second["note"], second["created_by"][:6]) == (2, "Renamed", "Script")
    assert api.post(path, {"steps": [step(world, name="Anew")]})["number"] == 2
    assert [one["number"] for one in api.get(path)["items"]] == [2, 1]
    page = api.get(f"{path}?limit=1")
    assert [one["number"] for one in api.get(f"{path}?after={page['next']}")["items"]] == [1]


def test_steps_made_from_an_older_version_are_refused(api: ApiClient, world: World) -> None:
    path = f"/workflows/{world.workflow}/versions"
    api.post(path, {"steps": [step(world, name="Mine")], "based_on": 1})
    refused = api.post(path, {"steps": [step(world, name="Yours")], "based_on": 1}, status=409)
    assert refused["version"] == "2"


def test_a_deleted_workflow_is_gone_and_its_versions_stay(api: ApiClient, world: World) -> None:
    path = f"/workflows/{world.workflow}"
    api.delete(path)
    api.get(path, status=404)
    api.patch(path, {"name": "x"}, status=404)
    api.delete(path, status=404)
    assert len(api.get(f"{path}/versions")["items"]) == 1
    assert api.get(f"/applications/{world.application}/workflows")["items"] == []


def test_changing_a_workflow_keeps_what_was_not_sent(api: ApiClient, world: World) -> None:
    changed = api.patch(f"/workflows/{world.workflow}", {"grant_policy": "first_active_grant"})
    assert (changed["grant_policy"], changed["enabled"], changed["version"]["number"]) == (
        "first_active_grant",
        True,
        1,
    )
    refused = api.patch(f"/workflows/{world.workflow}", {"revoke_policy": "each_grant"}, status=422)
    assert refused["errors"][0]["field"] == "revoke_policy"
