"""Dry-run over the API: its shape, what it refuses, and that it leaves nothing behind."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import func, select

from app.models import IdempotencyKey, Run
from app.services.transaction import transaction
from tests.support.api.client import ApiClient, World
from tests.support.factories import http_step

pytestmark = pytest.mark.sqlite_only

STEP = {"key", "name", "type", "outcome", "edge", "compensation", "skipped", "request", "prompt", "warnings"}


def dry(api: ApiClient, world: World, status: int = 200, **body: Any) -> Any:
    sent = {"grant_id": str(world.grant)} | body
    return api.post(f"/workflows/{world.workflow}/dry-run", sent, status=status)


def test_the_request_stands_as_it_would_be_sent(api: ApiClient, world: World) -> None:
    found = dry(api, world)
    assert (set(found), found["end"], found["warnings"]) == ({"steps", "end", "warnings"}, "succeeded", [])
    [step] = found["steps"]
    assert set(step) == STEP
    assert (step["key"], step["outcome"], step["edge"]) == ("create", "succeeded", "ends the run")
    request = step["request"]
    assert (request["method"], request["url"]) == ("POST", "https://target.example/Users")
    assert request["body"].startswith('{"userName":"person')
    assert request["headers"]["Content-Type"] == "application/json"


def test_a_step_is_made_to_fail(api: ApiClient, world: World) -> None:
    found = dry(api, world, fail_step="create")
    assert (found["end"], found["steps"][0]["outcome"]) == ("failed", "failed")


def test_answers_and_missing_values_are_supposed(api: ApiClient, world: World) -> None:
    lookup = {"id": {"path": "$.id", "optional": True}}
    ways = {"404": {"step": "tell"}}
    steps = [
        http_step("find", world.connection, method="GET", body=None, capture=lookup, on_status=ways),
        http_step("create", world.connection, only_if=[{"value": "{{ steps.find.id }}", "is": "empty"}]),
        http_step("tell", world.connection),
    ]  # fmt: skip
    way = dry(api, world, steps=steps)["steps"]
    assert [one["outcome"] for one in way] == ["succeeded", "skipped", "succeeded"]
    assert way[1]["skipped"] == "Condition not met: “steps.find.id is empty”."
    assert way[1]["request"] is None
    way = dry(api, world, steps=steps, statuses={"find": 404})["steps"]
    assert [(one["key"], one["outcome"]) for one in way] == [("find", "branched"), ("tell", "succeeded")]
    way = dry(api, world, steps=steps, absent=["steps.find.id"])["steps"]
    assert [one["outcome"] for one in way] == ["succeeded"] * 3


def test_several_steps_fail_and_a_version_is_chosen(api: ApiClient, world: World) -> None:
    steps = [http_step("one", world.connection, on_failure="continue"), http_step("two", world.connection)]
    api.post(f"/workflows/{world.workflow}/versions", {"steps": steps}, status=201)
    found = dry(api, world, version=2, fail_steps=["one", "two"])
    assert [one["outcome"] for one in found["steps"]] == ["failed", "failed"]
    assert [one["key"] for one in dry(api, world, version=1)["steps"]] == ["create"]
    dry(api, world, 404, version=3)


def test_a_draft_is_tried_unsaved(api: ApiClient, world: World) -> None:
    steps = [http_step("other", world.connection, path="/People")]
    assert dry(api, world, steps=steps)["steps"][0]["request"]["url"].endswith("/People")
    assert api.get(f"/workflows/{world.workflow}")["version"]["number"] == 1


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"grant_id": "999"}, "grant_id"),
        ({"statuses": {"gone": 404}}, "statuses"),
        ({"statuses": {"create": 99}}, "statuses.create"),
        ({"absent": ["steps.create.none"]}, "absent"),
        ({"grant_id": "x"}, "grant_id"),
        ({"fail_step": "nothing"}, "fail_step"),
        ({"steps": [{"key": "a", "type": "http", "path": 1}]}, "steps[0].path"),
        ({"steps": [http_step("a", 1, path="/{{ grantee.emial }}")]}, "steps[0].path"),
    ],
)
def test_what_is_refused_is_named(api: ApiClient, world: World, body: dict[str, Any], field: str) -> None:
    assert field in [one["field"] for one in dry(api, world, status=422, **body)["errors"]]


def test_it_needs_both_permissions(token_for: Any, world: World) -> None:
    for lacking, held in (("workflow:read", "grant:read"), ("grant:read", "workflow:read")):
        assert lacking in dry(token_for(held), world, status=403)["detail"]
    dry(token_for("workflow:read", "grant:read"), world)


def test_nothing_is_kept_not_even_the_answer_to_a_repeated_call(api: ApiClient, world: World) -> None:
    body = {"grant_id": str(world.grant)}
    path = f"/workflows/{world.workflow}/dry-run"
    api.post(path, body, status=200, headers={"Idempotency-Key": "once"})
    with api.app.app_context(), transaction() as session:
        assert session.scalar(select(func.count()).select_from(IdempotencyKey)) == 0
        assert session.scalar(select(func.count()).select_from(Run)) == 1
