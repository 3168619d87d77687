"""Is the process up, and can it work?"""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from sqlalchemy.exc import OperationalError

from app.database import db_now
from app.models import Duty, FailingDuty, Worker
from app.queue import QueueLook, RunQueue
from app.services.transaction import transaction
from tests.support.api.client import ApiClient, World


def test_the_process_is_up_whatever_else_is_not(only_sqlite: Flask) -> None:
    answer = only_sqlite.test_client().get("/healthz")
    assert (answer.status_code, answer.get_json()) == (200, {"status": "ok"})


def ready(app: Flask) -> tuple[int, Any]:
    answer = app.test_client().get("/readyz")
    return answer.status_code, answer.get_json()


def test_it_is_ready_when_every_part_is(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RunQueue, "look", lambda _: QueueLook(0))
    assert ready(app) == (
        200,
        {"status": "ready", "database": "ok", "migrations": "ok", "redis": "ok"},
    )


def test_without_redis_it_is_not_ready_and_says_so(app: Flask) -> None:
    status, parts = ready(app)
    assert status == 503
    assert (parts["redis"], parts["database"]) == ("unreachable", "ok")


def test_with_tables_of_another_version_it_is_not_ready(
    only_sqlite: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.queries.checkup._wanted_heads", lambda: frozenset({"9999"}))
    status, parts = ready(only_sqlite)
    assert status == 503
    assert parts["migrations"].startswith("behind")


def test_without_a_database_it_is_not_ready_and_tells_no_address(
    only_sqlite: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_connection: object) -> bool:
        raise OperationalError("SELECT 1", {}, Exception("no route to db.internal"))

    monkeypatch.setattr("app.api.probes.is_migrated", away)
    status, parts = ready(only_sqlite)
    assert (status, parts["database"], parts["migrations"]) == (503, "unreachable", "unknown")
    assert "db.internal" not in str(parts)


def test_health_tells_who_works_and_what_waits(api: ApiClient, world: World) -> None:
    with api.app.app_context(), transaction() as session:
        now = db_now(session.connection())
        session.add(Worker(name="host-1", started_at=now, seen_at=now, in_flight=3, concurrency=32))
        session.add(Duty(name="sweep", holder="host-1", until=now, done_at=now))
        session.add(FailingDuty(name="look for alerts", since=now, problem="KeyError", passes=2))
    told = api.get("/health")
    assert set(told) == {
        "database",
        "redis",
        "redis_problem",
        "workers",
        "queued",
        "oldest_queued_seconds",
        "sweeper_seen_at",
        "sweeper_failing",
        "runs_adrift",
        "paused",
    }
    [failing] = told["sweeper_failing"]
    assert (failing["duty"], failing["problem"], told["runs_adrift"]) == ("look for alerts", "KeyError", 0)
    [worker] = told["workers"]
    assert set(worker) == {"name", "seen_at", "in_flight"}
    assert (worker["name"], worker["in_flight"], told["queued"]) == ("host-1", 3, 1)
    assert (told["database"], told["redis"]) == ("ok", "unreachable")
    assert told["redis_problem"].startswith("Redis does not answer. Check that the server runs")
    assert told["oldest_queued_seconds"] >= 0
    assert told["sweeper_seen_at"].endswith("Z")


def test_the_audit_trail_has_the_shape_that_is_promised_and_is_narrowed(api: ApiClient, world: World) -> None:
    api.patch(f"/applications/{world.application}", {"vendor": "Atlassian"})
    [entry] = api.get(f"/audit?subject_type=application&subject_id={world.application}")["items"]
    assert set(entry) == {
        "id",
        "at",
        "action",
        "actor",
        "actor_kind",
        "actor_id",
        "subject_type",
        "subject_id",
        "subject",
        "source",
        "reason",
        "changes",
    }
    assert entry["changes"] == {"vendor": ["", "Atlassian"]}
    assert api.get(f"/audit?actor_id={world.user}")["items"] == []
