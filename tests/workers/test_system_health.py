"""System health with real processes: Redis hung, stopped and back, a worker lost."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from app.extensions import db
from app.web.system.queue_watch import KEY, Watch
from tests.support.page import PageClient
from tests.support.web.readers import person, sign_in
from tests.support.workers.processes import Crew, crew_for, until

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _push_request_context() -> None:
    """Keeps pytest-flask from sharing one context, and so one snapshot, between all requests of a test."""


@pytest.fixture
def crew(app: Flask) -> Iterator[Crew]:
    with crew_for(app, "http://127.0.0.1:1") as crew:
        app.extensions[KEY] = Watch()
        yield crew
        app.extensions[KEY] = Watch()


@pytest.fixture
def alice(app: Flask, crew: Crew) -> PageClient:
    with app.app_context():
        engine = db.engine
    with Session(engine) as session:
        return sign_in(app, person(app, session, "alice", "admin")).client


def shown(app: Flask, client: PageClient, part: str) -> str:
    """The words of one card, looked at afresh."""
    watch: Watch = app.extensions[KEY]
    watch.forget()
    return " ".join(client.get("/system").texts(f"#part-{part}"))


def test_a_redis_that_hangs_or_stops_keeps_no_page_waiting(app: Flask, crew: Crew, alice: PageClient) -> None:
    assert "Answering" in shown(app, alice, "queue")
    with crew.hung_redis():
        before = time.monotonic()
        assert "Does not answer" in shown(app, alice, "queue")
        # Below what a gunicorn worker may take, and far above what a loaded machine adds.
        assert time.monotonic() - before < 45
        metrics = app.test_client().get("/metrics").get_data(as_text=True)
        assert "access_automation_redis_up 0.0" in metrics
    until(lambda: "Answering" in shown(app, alice, "queue"), "Redis is seen to answer again")
    crew.stop_redis()
    assert "Noticed" in shown(app, alice, "queue")


def test_a_worker_and_a_sweeper_are_seen_at_work(app: Flask, crew: Crew, alice: PageClient) -> None:
    assert "None has ever connected" in shown(app, alice, "workers")
    crew.worker()
    crew.sweeper()
    assert "1 online" in shown(app, alice, "workers")
    until(lambda: "At work" in shown(app, alice, "sweeper"), "the sweeper's pass is seen")
    assert "Everything works." in alice.get("/system").text
