"""Grants over the API: the record, the decision with each event, and why there was no run."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from app import clock
from tests.support.api.client import ApiClient, World


def grant(api: ApiClient, world: World, **more: Any) -> Any:
    body = {"application_id": str(world.application), "user_id": str(world.user)}
    return api.post("/grants", body | more)


def test_a_grant_is_answered_with_what_was_decided(api: ApiClient, world: World) -> None:
    made = grant(api, world, access_level="Editor", notes="For the audit")
    assert set(made) == {
        "id",
        "application_id",
        "user_id",
        "access_level",
        "notes",
        "granted_at",
        "granted_by",
        "expires_at",
        "revoked_at",
        "revoked_by",
        "state",
        "decisions",
    }
    [decision] = made["decisions"]
    assert made["state"] == {
        "code": "provisioning",
        "label": "Provisioning…",
        "run_id": decision["run_id"],
        "reason": None,
    }
    assert (decision["trigger"], decision["outcome"], decision["reason"]) == ("access_granted", "run", None)
    assert all(one["ok"] and one["fix_url"] is None for one in decision["checks"])
    assert api.get(f"/runs/{decision['run_id']}")["grant_id"] == made["id"]
    assert api.get(f"/grants/{made['id']}") == made


def test_a_grant_without_a_run_says_why_and_where_to_mend_it(api: ApiClient, world: World) -> None:
    api.patch(f"/workflows/{world.workflow}", {"enabled": False})
    made = grant(api, world)
    [decision] = made["decisions"]
    assert (decision["outcome"], decision["reason"], decision["run_id"]) == (
        "no_run",
        "workflow_disabled",
        None,
    )
    [failing] = [one for one in decision["checks"] if not one["ok"]]
    assert set(failing) == {"check", "ok", "detail", "fix_url"}
    assert failing["fix_url"] == f"/applications/{world.application}/workflows#workflow-{world.workflow}"
    assert made["state"]["reason"] == "workflow_disabled"


@pytest.mark.parametrize(
    ("field", "value"),
    [("user_id", "999"), ("application_id", "999"), ("user_id", ""), ("user_id", "x"), ("user_id", "9" * 19)],
)
def test_a_grant_for_nobody_or_nothing_names_the_field(
    api: ApiClient, world: World, field: str, value: str
) -> None:
    body = {"application_id": str(world.application), "user_id": str(world.user), field: value}
    assert [one["field"] for one in api.post("/grants", body, status=422)["errors"]] == [field]


def test_the_list_is_narrowed_by_each_of_its_filters(api: ApiClient, world: World) -> None:
    second = grant(api, world, record_only=True)
    other = api.post("/applications", {"name": "Other"})["id"]

    def ids(query: str) -> list[str]:
        return [one["id"] for one in api.get(f"/grants?{query}")["items"]]

    first = str(world.grant)
    assert ids("") == [second["id"], first]
    assert ids(f"application_id={other}") == []
    assert ids(f"user_id={world.user}") == [second["id"], first]
    assert ids("state=no_automation") == [second["id"]]
    assert ids("state=provisioning") == [first]
    api.post(f"/grants/{first}/revoke", status=200)
    assert ids("active=true") == [second["id"]]
    assert ids("active=false") == [first]


def test_notes_and_expiry_may_change_and_nothing_else(api: ApiClient, world: World) -> None:
    path = f"/grants/{world.grant}"
    later = (clock.now() + timedelta(days=30)).replace(microsecond=0)
    changed = api.patch(path, {"notes": "Until May", "expires_at": later.isoformat()})
    assert (changed["notes"], changed["expires_at"]) == (
        "Until May",
        later.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
    )
    assert api.patch(path, {"expires_at": None})["expires_at"] is None
    assert api.patch(path, {"notes": "x"})["expires_at"] is None
    api.patch(path, {"access_level": "Owner"}, status=422)
    api.patch(path, {"expires_at": "2020-01-01T00:00:00Z"}, status=422)
    api.patch(path, {"expires_at": "tomorrow"}, status=422)


def test_revoking_twice_is_a_conflict(api: ApiClient, world: World) -> None:
    path = f"/grants/{world.grant}/revoke"
    revoked = api.post(path, {"notes": "Left", "record_only": True}, status=200)
    assert revoked["revoked_at"] is not None
    assert revoked["revoked_by"].startswith("Script")
    assert revoked["decisions"][1]["reason"] in ("trigger_mismatch", "recorded_only")
    assert api.post(path, status=409)["code"] == "conflict"


def test_run_now_starts_the_one_run_and_then_names_it(api: ApiClient, world: World) -> None:
    made = grant(api, world, record_only=True)
    path = f"/grants/{made['id']}/run-now"
    run = api.post(path, {"trigger": "access_granted"})
    assert (run["status"], run["grant_id"]) == ("queued", made["id"])
    refused = api.post(path, {"trigger": "access_granted"}, status=409)
    assert refused["run_id"] == run["id"]
    assert api.get(f"/grants/{made['id']}")["state"]["run_id"] == run["id"]
    api.post(path, {"trigger": "access_revoked"}, status=409)
    api.post(path, {"trigger": "sometime"}, status=422)


def test_the_diagnosis_tells_then_from_now(api: ApiClient, world: World) -> None:
    api.patch(f"/workflows/{world.workflow}", {"enabled": False})
    made = grant(api, world)
    api.patch(f"/workflows/{world.workflow}", {"enabled": True})
    told = api.get(f"/grants/{made['id']}/diagnosis")
    assert set(told) == {"event", "now", "then"}
    assert told["event"]["trigger"] == "access_granted"
    assert (told["then"]["outcome"], told["then"]["reason"]) == ("no_run", "workflow_disabled")
    assert (told["now"]["outcome"], told["now"]["reason"]) == ("run", None)
    assert {"check", "ok", "detail", "fix_url"} == set(told["now"]["checks"][0])


def test_the_diagnosis_of_an_event_that_has_not_happened_tells_only_what_would(
    api: ApiClient, world: World
) -> None:
    told = api.get(f"/grants/{world.grant}/diagnosis?trigger=access_revoked")
    assert told["then"] is None
    assert told["event"] == {"trigger": "access_revoked", "at": None, "run_id": None}
    assert told["now"]["reason"] == "trigger_mismatch"
