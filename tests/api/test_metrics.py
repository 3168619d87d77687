"""What Prometheus reads, and who may."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from app import create_app
from app.clock import now
from app.config.settings import load_settings
from app.domain.states import FailureClass
from app.extensions import db
from app.models import Duty, FailingDuty, Worker
from app.queries.system import NEWEST_ATTEMPTS, recent_attempts, system_facts
from app.queue import QueueLook, RunQueue
from tests.support.api.client import ApiClient
from tests.support.api.metrics import ask, figures, read
from tests.support.queries.statements import statements
from tests.support.queries.stories import Story, failed, ok, with_person


@pytest.fixture
def told(app: Flask) -> Iterator[Session]:
    """A session outside any application context, for telling stories."""
    with app.app_context():
        engine = db.engine
    with Session(engine) as session:
        yield session


def test_an_empty_console(app: Flask) -> None:
    found = figures(app)
    assert found["database_up", ""] == 1
    assert found["redis_up", ""] == 0
    assert found["workers_alive", ""] == 0
    assert {name for name, _ in found}.isdisjoint({"queue_ids", "worker_sign_age_seconds"})
    assert {status for name, status in found if name == "runs"} == {"queued", "running", "waiting_manual"}


def test_runs_attempts_and_durations(app: Flask, told: Session) -> None:
    Story(told)
    Story(told).take()
    Story(told, with_person).take()
    Story(told).answer(ok(200, id="42"), failed(FailureClass.HTTP_5XX, http_status=503), took=184)
    found = figures(app)
    statuses = ("queued", "running", "waiting_manual")
    assert [found["runs", status] for status in statuses] == [1, 1, 1]
    assert found["runs_failed_last_hour", ""] == 1
    assert found["queue_oldest_seconds", ""] >= 180
    assert found["attempts_last_hour", "http_5xx"] == 1
    # The answered lookup, the lookup under way, and the person's turn.
    assert found["attempts_last_hour", "none"] == 3
    assert found["attempts_last_hour_is_whole", ""] == 1
    buckets = [found["attempt_seconds_last_hour", le] for le in ("0.1", "0.25", "60.0", "+Inf")]
    assert buckets == [0, 2, 2, 2]


def test_what_stands_still_is_counted(app: Flask, told: Session) -> None:
    assert [figures(app)[name, ""] for name in ("runs_adrift", "sweeper_failing_duties")] == [0, 0]
    Story(told).take()  # three minutes ago, for fifteen seconds
    told.add(FailingDuty(name="look for alerts", since=now(), problem="KeyError", passes=2))
    told.commit()
    assert [figures(app)[name, ""] for name in ("runs_adrift", "sweeper_failing_duties")] == [1, 1]


def test_what_ended_or_began_before_the_hour_is_not_counted(app: Flask, told: Session) -> None:
    story = Story(told).answer(failed(FailureClass.HTTP_5XX, http_status=503))
    later = story.at + timedelta(hours=1, minutes=1)
    assert recent_attempts(told, now=story.at).by_class == {"http_5xx": 1}
    assert recent_attempts(told, now=later).by_class == {}
    assert system_facts(told, now=later).failed == 0


def test_workers_and_sweeper(app: Flask, told: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RunQueue, "look", lambda _: QueueLook(7))
    for name, ago in (("a", 1), ("b", 2), ("gone", 45)):
        at = now() - timedelta(seconds=ago)
        told.add(Worker(name=name, started_at=at, seen_at=at, in_flight=3, concurrency=32))
    told.add(Duty(name="sweep", holder="a", until=now(), done_at=now() - timedelta(seconds=4)))
    told.commit()
    found = figures(app)
    assert [found[name, ""] for name in ("workers_alive", "runs_in_flight", "worker_places")] == [2, 6, 64]
    assert found["queue_ids", ""] == 7
    assert 1 <= found["worker_sign_age_seconds", ""] < 45
    assert 4 <= found["sweeper_pass_age_seconds", ""] < 45


def test_without_a_database_it_still_answers(only_sqlite: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object, **__: object) -> None:
        raise OperationalError("SELECT 1", {}, Exception("no route to db.internal"))

    monkeypatch.setattr("app.api.metrics.system_facts", away)
    answer = ask(only_sqlite)
    assert read(answer) == {("redis_up", ""): 0, ("database_up", ""): 0}
    assert "db.internal" not in answer.get_data(as_text=True)


def test_it_takes_a_bounded_number_of_statements(app: Flask, told: Session) -> None:
    for _ in range(5):
        Story(told).answer(ok(200), failed(FailureClass.HTTP_5XX, http_status=503))
    with app.app_context():
        engine = db.engine
    with statements(engine) as sent:
        figures(app)
    assert len(sent) <= 14
    assert any("LIMIT" in one and "attempts" in one for one in sent)
    assert NEWEST_ATTEMPTS <= 2000


def test_from_elsewhere_it_needs_a_token_that_manages_settings(
    app: Flask, token_for: Callable[..., ApiClient]
) -> None:
    elsewhere = {"REMOTE_ADDR": "203.0.113.9"}
    refusal = ask(app, environ_base=elsewhere)
    assert (refusal.status_code, refusal.mimetype) == (401, "application/problem+json")
    lesser = {"Authorization": f"Bearer {token_for('workflow:run').secret}"}
    assert ask(app, environ_base=elsewhere, headers=lesser).status_code == 403
    token = {"Authorization": f"Bearer {token_for('settings:manage').secret}"}
    assert read(ask(app, environ_base=elsewhere, headers=token))["database_up", ""] == 1


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "Via"])
def test_a_proxy_on_the_host_speaks_for_somebody_else(only_sqlite: Flask, header: str) -> None:
    assert ask(only_sqlite, headers={header: "127.0.0.1"}).status_code == 401


def test_with_a_public_url_loopback_alone_opens_nothing(only_sqlite: Flask) -> None:
    settings = only_sqlite.extensions["settings"]
    public = load_settings(
        {
            "DATABASE_URL": settings.database_url,
            "DATA_DIR": str(settings.data_dir),
            "REDIS_URL": settings.redis_url,
            "PUBLIC_URL": "https://console.example.org",
        },
        env_file=None,
    )
    behind_proxy = create_app(public)
    assert ask(behind_proxy).status_code == 401
    assert ask(behind_proxy, headers={"X-Forwarded-For": "127.0.0.1"}).status_code == 401
    with behind_proxy.app_context():
        db.engine.dispose()
