"""Services that go away, come back or refuse, everything restarted, many claimers, and clocks that differ."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from app import clock
from app.database import WRITES, db_now
from app.extensions import db
from app.models import ManualTask, Run
from app.services import tasks
from app.services.advance import claim
from app.services.advance.moves import Holder
from app.services.transaction import transaction
from app.workers.sweeper import sweep_once
from tests.support.target import Answer, Call, Target
from tests.support.workers.processes import PATIENCE, until
from tests.support.workers.world import KINDS, Scene

pytestmark = pytest.mark.slow


def all_succeeded_once(scene: Scene) -> None:
    scene.rest()
    for kind in scene.runs:
        came = scene.came(kind)
        assert (came.status, came.unknown, came.effects) == ("succeeded", False, 1)
        assert [one[:3] for one in came.attempts] == [("create", 1, "succeeded"), ("join", 1, "succeeded")]


def test_redis_may_be_full_refuse_writes_be_flushed_and_restarted_in_turn(sqlite_scene: Scene) -> None:
    scene, kinds = sqlite_scene, iter(KINDS)
    scene.crew.sweeper()
    scene.crew.worker()
    queue = redis.Redis.from_url(f"unix://{scene.crew.socket}")
    queue.config_set("maxmemory", "1")
    scene.grant(next(kinds))
    queue.config_set("maxmemory", "0")
    queue.replicaof("127.0.0.1", "1")  # a replica takes no writes
    scene.grant(next(kinds))
    queue.replicaof("NO", "ONE")
    scene.grant(next(kinds))
    queue.flushall()
    scene.grant(next(kinds))
    queue.close()
    scene.crew.stop_redis()
    scene.crew.start_redis()
    all_succeeded_once(scene)


def test_a_flush_during_backoff_moves_no_due_time(sqlite_scene: Scene, target: Target) -> None:
    scene = sqlite_scene
    target.answer = lambda _call: Answer(503 if len(target.calls) == 1 else 201)
    scene.crew.sweeper()
    scene.crew.worker()
    scene.grant("resend")
    target.wait_for_calls(1)
    redis.Redis.from_url(f"unix://{scene.crew.socket}").flushall()
    scene.rest()
    tries = scene.came("resend").attempts
    assert [one[:4] for one in tries[:2]] == [
        ("create", 1, "failed", "http_5xx"),
        ("create", 2, "succeeded", None),
    ]


@pytest.mark.postgres
def test_a_worker_whose_database_connections_are_cut_off_keeps_its_answers(
    postgres_scene: Scene, target: Target
) -> None:
    scene, gate = postgres_scene, threading.Event()
    target.answer = lambda _call: Answer(201, gate=gate)
    scene.crew.worker()
    scene.crew.sweeper()
    scene.grant(*KINDS)
    target.wait_for_calls(len(KINDS))
    others = text(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    assert scene.crew.look(lambda s: s.execute(others).all())
    gate.set()
    all_succeeded_once(scene)


def test_a_run_that_waits_for_a_person_still_waits_when_everything_was_restarted(scene: Scene) -> None:
    worker, sweeper = scene.crew.worker(), scene.crew.sweeper()
    scene.target.answer = lambda call: Answer(422 if call.path == "/Users" else 200)
    scene.grant("off", on_failure="escalate")
    scene.rest()
    before = scene.came("off")
    assert (before.status, before.tasks) == ("waiting_manual", [("pending", False)])
    for process in (worker, sweeper):
        process.kill()
        process.wait(PATIENCE)
    scene.crew.stop_redis()
    scene.crew.start_redis()
    scene.crew.worker()
    scene.crew.sweeper()
    assert scene.came("off") == before
    with scene.app.app_context(), transaction() as session:
        task = session.scalars(select(ManualTask)).one()
        tasks.submit(session, scene.admin, task, {})
    scene.rest()
    assert scene.came("off").status == "succeeded"
    assert [one.path for one in scene.target.calls] == ["/Users", "/join"]


def test_of_ten_claimers_one_gets_the_run(scene: Scene) -> None:
    scene.grant("off")
    with scene.app.app_context():
        engine = db.engine.execution_options(**WRITES)
    together, orders = threading.Barrier(10), []

    def take(number: int) -> None:
        together.wait(30)
        with engine.begin() as connection:
            holder = Holder(f"claimer-{number}", timedelta(seconds=30))
            moved = claim(connection, holder, now=db_now(connection), ids=[scene.runs["off"]], limit=1)
            orders.extend(one.order for one in moved)

    claimers = [threading.Thread(target=take, args=(number,)) for number in range(10)]
    for one in claimers:
        one.start()
    for one in claimers:
        one.join(PATIENCE)
    assert len(orders) == 1
    assert len(scene.came("off").attempts) == 1


@pytest.mark.postgres
@pytest.mark.parametrize("minutes", [10, -10])
def test_a_web_host_whose_clock_is_wrong_changes_nothing(
    postgres_scene: Scene, monkeypatch: pytest.MonkeyPatch, minutes: int
) -> None:
    scene = postgres_scene
    scene.crew.stop_redis()  # nobody rings: the sweep must see by the due time that the run is to go
    with monkeypatch.context() as here:
        here.setattr(clock, "now", lambda: datetime.now(UTC) + timedelta(minutes=minutes))
        scene.grant("off")
    at, due = scene.crew.look(lambda s: (db_now(s.connection()), s.scalars(select(Run.due_at)).one()))
    assert due <= at
    scene.crew.start_redis()
    scene.crew.sweeper()
    scene.crew.worker()
    all_succeeded_once(scene)


def test_two_sweepers_at_once_take_a_lost_run_back_once(scene: Scene, target: Target) -> None:
    gate = threading.Event()

    def answer(call: Call) -> Answer:
        return Answer(201, gate=None if gate.is_set() else gate)

    target.answer = answer
    worker = scene.crew.worker()
    scene.grant(*KINDS)
    target.wait_for_calls(len(KINDS))
    worker.kill()
    worker.wait(PATIENCE)
    gate.set()

    def leases_over(session: Session) -> bool:
        at = db_now(session.connection())
        return not session.scalars(select(Run.id).where(Run.lease_until >= at)).all()

    until(lambda: scene.crew.look(leases_over), "the leases are over")
    found: list[Any] = []
    sweepers = [threading.Thread(target=lambda: found.append(sweep_once(scene.app))) for _ in range(2)]
    for one in sweepers:
        one.start()
    for one in sweepers:
        one.join(PATIENCE)
    assert sum(one.taken_back for one in found) == len(KINDS)
    scene.crew.worker()
    scene.crew.sweeper()
    scene.rest()
    assert all(scene.came(kind).events == ["recovered"] for kind in KINDS)
