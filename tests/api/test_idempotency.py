"""`Idempotency-Key`: sent twice, done once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update

from app import clock
from app.api.idempotency import KEPT
from app.models import Application, IdempotencyKey
from app.services.connection_test import TestResult
from app.services.transaction import transaction
from tests.support.api.client import ApiClient, World

KEY = {"Idempotency-Key": "order-1"}
JIRA = {"name": "Jira", "critical": True}


def count(api: ApiClient, column: Any) -> int:
    with api.app.app_context(), transaction() as session:
        return session.scalar(select(func.count(column))) or 0


def acts(api: ApiClient) -> list[str]:
    found = api.get("/audit?subject_type=application")["items"]
    return [one["action"] for one in found]


def test_the_second_of_two_same_calls_is_answered_like_the_first_and_does_nothing(api: ApiClient) -> None:
    first = api.send("POST", "/applications", JIRA, headers=KEY)
    second = api.send("POST", "/applications", raw='{"critical":true,\n "name": "Jira"}', headers=KEY)
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.get_json() == second.get_json()
    assert "Idempotent-Replayed" not in first.headers
    assert second.headers["Idempotent-Replayed"] == "true"
    assert (count(api, Application.id), acts(api)) == (1, ["application.create"])


def test_a_key_that_comes_with_another_request_is_refused(api: ApiClient, world: World) -> None:
    api.post("/applications", JIRA, headers=KEY)
    for path, body in (
        ("/applications", {"name": "Other"}),
        ("/applications", {**JIRA, "critical": False}),
        ("/groups", JIRA | {}),
        (f"/grants/{world.grant}/revoke", None),
    ):
        refused = api.send("POST", path, {"name": "x"} if path == "/groups" else body, headers=KEY)
        assert refused.status_code == 422, path
        assert refused.get_json(force=True)["code"] == "idempotency_key_reused"
    assert api.get(f"/grants/{world.grant}")["revoked_at"] is None


def test_keys_of_different_tokens_do_not_meet(token_for: Callable[..., ApiClient]) -> None:
    one, other = token_for("application:write"), token_for("application:write")
    first = one.post("/applications", {"name": "Jira"}, headers=KEY)
    assert other.post("/applications", {"name": "Confluence"}, headers=KEY)["id"] != first["id"]


def test_a_refusal_is_not_kept_so_that_the_call_can_be_mended(api: ApiClient, world: World) -> None:
    api.post("/applications", {"name": ""}, status=422, headers=KEY)
    api.expect(400, "POST", "/applications", raw="{", headers=KEY)
    api.post(f"/runs/{world.run}/retry", {}, status=409, headers=KEY)
    assert count(api, IdempotencyKey.id) == 0
    api.post("/applications", JIRA, headers=KEY)


def test_a_fault_keeps_neither_the_effect_nor_the_key(
    api: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: object) -> None:
        raise RuntimeError

    with monkeypatch.context() as patch:
        # The application has been written by then, in the same transaction.
        patch.setattr("app.api.applications.application_out", broken)
        api.post("/applications", JIRA, status=500, headers=KEY)
    assert (count(api, Application.id), count(api, IdempotencyKey.id)) == (0, 0)
    api.post("/applications", JIRA, headers=KEY)


@pytest.mark.parametrize(("verb", "asked"), [("test", "probe"), ("test-event", "send_test_event")])
def test_a_call_to_another_system_is_made_once_for_a_key(
    api: ApiClient, world: World, monkeypatch: pytest.MonkeyPatch, verb: str, asked: str
) -> None:
    made: list[int] = []

    def outside(*_: object, **__: object) -> TestResult:
        made.append(len(made) + 1)
        return TestResult("reachable", "Reachable.", status=200, path="/", duration_ms=made[-1])

    monkeypatch.setattr(f"app.services.connection_test.{asked}", outside)
    path = f"/connections/{world.connection}/{verb}"
    first, second = (api.send("POST", path, headers=KEY) for _ in range(2))
    assert first.get_json() == second.get_json()
    assert second.headers["Idempotent-Replayed"] == "true"
    assert made == [1]
    api.post("/applications", JIRA, status=422, headers=KEY)
    api.post(path, status=200)
    assert made == [1, 2]


def test_after_a_day_a_key_is_new_again_and_the_old_one_is_gone(api: ApiClient) -> None:
    api.post("/applications", JIRA, headers=KEY)
    for name in ("two", "three"):
        api.post("/applications", {"name": name}, headers={"Idempotency-Key": name})
    with api.app.app_context(), transaction() as session:
        session.execute(update(IdempotencyKey).values(created_at=clock.now() - KEPT - timedelta(minutes=1)))
    api.post("/applications", {"name": "Confluence"}, headers=KEY)
    assert count(api, IdempotencyKey.id) == 1


@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb", "\u00e4", " "])
def test_a_key_that_is_no_key_is_malformed(api: ApiClient, key: str) -> None:
    api.post("/applications", JIRA, status=400, headers={"Idempotency-Key": key})


def test_nothing_of_a_body_is_kept_in_the_clear(api: ApiClient) -> None:
    api.post("/applications", JIRA, headers=KEY)
    with api.app.app_context(), transaction() as session:
        kept = session.scalars(select(IdempotencyKey)).one()
        assert len(kept.fingerprint) == 64
        assert kept.status == 201


@pytest.mark.parametrize("calls", [2, 4])
def test_of_calls_at_the_same_time_one_acts_and_all_get_its_answer(
    api: ApiClient, world: World, calls: int
) -> None:
    ready = threading.Barrier(calls)
    answers: list[tuple[int, Any]] = []

    def call() -> None:
        ready.wait(10)
        answer = api.send(
            "POST",
            "/grants",
            {"application_id": str(world.application), "user_id": str(world.user)},
            headers=KEY,
        )
        answers.append((answer.status_code, answer.get_json(force=True)["id"]))

    threads = [threading.Thread(target=call) for _ in range(calls)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(30)
    assert len(answers) == calls
    assert {status for status, _ in answers} == {201}
    assert len({made for _, made in answers}) == 1
    assert len(api.get("/grants")["items"]) == 2
