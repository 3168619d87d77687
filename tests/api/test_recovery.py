"""Ways back from a failed run over the API: the plan, Retry with one-off values, Replay with latest."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from app.models import RunOverride
from app.services.transaction import transaction
from tests.support.api.client import ApiClient, World
from tests.support.api.runs import refuse, start
from tests.support.factories import http_step

PLAN = {"advised", "allowed", "reason", "note", "steps", "diff", "token"}
CANARY = "Canary-51c0e"


def plan(api: ApiClient, world: World, action: str) -> Any:
    shown = api.get(f"/runs/{world.run}/plan?action={action}")
    assert set(shown) == PLAN
    return shown


def save(api: ApiClient, world: World, **changed: Any) -> None:
    steps = [http_step(connection_id=world.connection, **changed)]
    api.post(f"/workflows/{world.workflow}/versions", {"steps": steps})


def test_the_plan_tells_each_step_and_how_the_versions_differ(api: ApiClient, world: World) -> None:
    refuse(api.app, world.run)
    save(api, world, path="/People")
    retry, replay = (plan(api, world, action) for action in ("retry", "replay"))
    assert retry["allowed"]
    assert retry["steps"] == [{"key": "create", "name": "Create", "will": "send_again"}]
    assert (
        retry["note"].startswith("Nothing has changed since") or "Retry stays on version 1" in retry["note"]
    )
    assert [one["will"] for one in replay["steps"]] == ["send"]  # another path: not the call that was refused
    [change] = replay["diff"]
    assert (change["field"], change["old"], change["new"]) == ("path", "/Users", "/People")
    assert change["message"] == "“Create”: path changed from /Users to /People."


def test_the_plan_of_what_is_refused_says_why(api: ApiClient, world: World) -> None:
    for action in ("retry", "replay"):
        shown = plan(api, world, action)
        assert not shown["allowed"]
        assert "is queued: only a failed run can be" in shown["reason"]


@pytest.mark.parametrize("query", ["?action=", "?action=cancel", "?action=retry&action=retry"])
def test_a_plan_of_no_known_action_is_refused(api: ApiClient, world: World, query: str) -> None:
    api.get(f"/runs/{world.run}/plan{query}", status=400)


def test_a_replay_gives_the_new_run_and_links_both(api: ApiClient, world: World) -> None:
    path = f"/runs/{world.run}/replay"
    api.post(path, status=409)
    refuse(api.app, world.run)
    assert api.get(f"/runs/{world.run}")["actions"]["replay"] == {"allowed": True, "reason": None}
    new = api.post(path)
    assert (new["sequence"], new["replaces_run_id"], new["status"]) == (1, str(world.run), "queued")
    refused = api.post(path, status=409)
    assert refused["run_id"] in (new["id"], int(new["id"]))
    old = api.get(f"/runs/{world.run}")
    assert old["status"] == "failed"
    for action in ("retry", "replay"):
        assert f"Run {new['id']} has replaced this one" in old["actions"][action]["reason"]


def test_a_replay_that_would_do_something_twice_is_refused(api: ApiClient, world: World) -> None:
    refuse(api.app, world.run, unknown=True)
    refused = api.post(f"/runs/{world.run}/replay", status=422)
    assert "“Create” may have run" in refused["detail"]
    assert "grant the access again" in refused["detail"]
    for shown in (api.get(f"/runs/{world.run}"), api.get("/runs")["items"][0]):
        assert shown["actions"]["replay"] == {"allowed": False, "reason": refused["detail"]}


@pytest.mark.parametrize("action", ["retry", "replay"])
def test_a_token_that_no_longer_stands_is_refused(api: ApiClient, world: World, action: str) -> None:
    refuse(api.app, world.run)
    token = plan(api, world, action)["token"]
    save(api, world, path="/People")
    refused = api.post(f"/runs/{world.run}/{action}", {"token": token}, status=409)
    assert "Something changed since this plan was shown" in refused["detail"]
    fresh = plan(api, world, action)["token"]
    api.post(f"/runs/{world.run}/{action}", {"token": fresh}, status=201 if action == "replay" else 200)


def test_one_off_values_leave_their_names_and_nothing_else(api: ApiClient, world: World) -> None:
    refuse(api.app, world.run)
    headers = {"Idempotency-Key": "once"}
    body = {"overrides": {"userName": CANARY}}
    answer = api.post(f"/runs/{world.run}/retry", body, status=200, headers=headers)
    assert CANARY not in str(answer)
    assert "With one-off values for userName." in [one["message"] for one in answer["timeline"]]
    start(api.app, world.run)
    with api.app.app_context(), transaction() as session:
        assert session.scalars(select(RunOverride.sealed)).all() == [None]
    assert CANARY not in str(api.get("/audit"))


def test_each_refused_value_is_named(api: ApiClient, world: World) -> None:
    refuse(api.app, world.run)
    body = {"overrides": {"nickname": "x", "userName": [CANARY]}}
    refused = api.post(f"/runs/{world.run}/retry", body, status=422)
    assert {one["field"] for one in refused["errors"]} == {"overrides.nickname", "overrides.userName"}
    assert CANARY not in str(refused)


def test_the_same_replay_sent_twice_is_one(api: ApiClient, world: World) -> None:
    refuse(api.app, world.run)
    headers = {"Idempotency-Key": "again"}
    first, second = (api.post(f"/runs/{world.run}/replay", {}, headers=headers) for _ in range(2))
    assert first == second
    assert len(api.get(f"/runs?grant_id={world.grant}")["items"]) == 2


def test_reading_plans_does_not_need_the_right_to_act(api: ApiClient, token_for: Any, world: World) -> None:
    refuse(api.app, world.run)
    reader = token_for("workflow:read")
    assert plan(reader, world, "replay")["allowed"]
    reader.post(f"/runs/{world.run}/replay", status=403)
    assert "workflow:run" in reader.get(f"/runs/{world.run}")["actions"]["replay"]["reason"]


def test_what_was_done_is_said_with_the_values_that_are_missing(api: ApiClient, world: World) -> None:
    path = f"/runs/{world.run}/done"
    api.post(path, {"reason": "Made by hand"}, status=409)
    steps = [http_step(connection_id=world.connection, capture={"id": "$.id"})]
    api.post(f"/workflows/{world.workflow}/versions", {"steps": steps})
    refuse(api.app, world.run)
    new = api.post(f"/runs/{world.run}/replay")["id"]
    refuse(api.app, int(new), status=201, lacks=True)
    assert plan(api, world, "done")["reason"].endswith("has replaced this one. Go on there.")
    path = f"/runs/{new}/done"
    for body, field in (
        ({"reason": "x"}, "captured.id"),
        ({"captured": {"id": "7"}}, "reason"),
        ({"reason": "x", "captured": {"id": "7", "no": 1}}, "captured.no"),
    ):
        assert [one["field"] for one in api.post(path, body, status=422)["errors"]] == [field]
    done = api.post(path, {"reason": "Made by hand", "captured": {"id": "7"}}, status=200)
    assert done["status"] == "running"
    told = next(one for one in done["timeline"] if one["outcome"] == "submitted")
    assert (told["captured"], told["edge"]) == ({"id": "7"}, "ends the run")
    assert (
        "said that it was done, at" in api.post(path, {"reason": "x", "captured": {}}, status=409)["detail"]
    )


def test_a_value_that_nobody_knew_is_typed_with_the_retry(api: ApiClient, world: World) -> None:
    save(api, world, path="/Users/{{ account.id }}", method="PUT")
    refuse(api.app, world.run)
    new = api.post(f"/runs/{world.run}/replay")["id"]
    refuse(api.app, int(new))
    path = f"/runs/{new}/retry"
    for body, field in (
        ({"account": {"id": "7"}}, "reason"),
        ({"account": {"no": "7"}, "reason": "x"}, "account.no"),
        ({"kept": {"id": "7"}, "reason": "x"}, "kept.id"),
    ):
        assert [one["field"] for one in api.post(path, body, status=422)["errors"]] == [field]
    done = api.post(path, {"account": {"id": "7"}, "reason": "Looked up"}, status=200)
    assert any("gave account.id: Looked up" in one["message"] for one in done["timeline"])
