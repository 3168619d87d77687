"""Workers that are paused, late, or dead at a bad moment: what they may not do afterwards."""

from __future__ import annotations

import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.orm import Session

from app import clock
from app.extensions import db
from app.models import Attempt, Grant, ManualTask, Run, Worker
from app.services import grants, runs
from app.services.transaction import transaction
from tests.support.factories import human_step, make_application, make_user, make_workflow
from tests.support.target import Answer, Call, Target
from tests.support.workers.processes import PATIENCE, until
from tests.support.workers.world import Scene

pytestmark = pytest.mark.slow

REMOVE = {"method": "DELETE", "path": "/gone", "body": None}


def started(session: Session, run_id: int) -> bool:
    return session.scalar(select(Attempt.id).where(Attempt.run_id == run_id)) is not None


def row_of(session: Session, process: subprocess.Popen[bytes]) -> Worker:
    return session.scalars(select(Worker).where(Worker.name.contains(f"-{process.pid}-"))).one()


@contextmanager
def paused(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """The process does nothing meanwhile. For PostgreSQL, where it holds no lock that everybody needs."""
    process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.send_signal(signal.SIGCONT)


def has_come_to(scene: Scene, process: subprocess.Popen[bytes], since: datetime) -> None:
    """The worker has written a sign of life since then and has nothing more in hand."""

    def is_idle(session: Session) -> bool:
        row = row_of(session, process)
        return row.seen_at > since and row.in_flight == 0

    until(lambda: scene.crew.look(is_idle), "the worker that was paused has nothing in hand")


@pytest.mark.postgres
def test_a_worker_that_was_paused_sends_nothing_for_a_run_that_it_lost(
    postgres_scene: Scene, target: Target
) -> None:
    scene = postgres_scene
    scene.config |= {"requests_per_second": 0.25}
    scene.revoke_step = REMOVE
    worker = scene.crew.worker()
    scene.crew.sweeper()
    scene.grant("idempotent")
    target.wait_for_calls(1)
    until(lambda: scene.status(scene.runs["idempotent"]) == "running", "its second call waits for its turn")
    until(
        lambda: scene.crew.look(lambda s: s.scalar(select(Attempt.id).where(Attempt.step_key == "join"))),
        "the call that waits is written",
    )
    with paused(worker):
        scene.crew.worker()
        until(lambda: scene.status(scene.runs["idempotent"]) == "succeeded", "another worker does it")
        removal = scene.revoke()
        until(lambda: scene.status(removal) == "succeeded", "the access is gone")
        before = [one.path for one in target.calls]
        assert before == ["/Users", "/join", "/gone"]
        woken_at = clock.now()
    has_come_to(scene, worker, woken_at)
    assert [one.path for one in target.calls] == before


@pytest.mark.postgres
def test_a_late_answer_of_a_worker_s_own_costs_its_newer_try_nothing(
    postgres_scene: Scene, target: Target
) -> None:
    scene = postgres_scene
    first_is_out = threading.Event()

    def answer(call: Call) -> Answer:
        if call.path == "/Users" and not first_is_out.is_set():
            first_is_out.set()
            return Answer(201, after=9)
        return Answer(201, after=4 if call.path == "/Users" else 0)

    target.answer = answer
    worker = scene.crew.worker()
    scene.crew.sweeper()
    scene.grant("idempotent")
    assert first_is_out.wait(PATIENCE)
    with paused(worker):
        until(lambda: scene.came("idempotent").events == ["recovered"], "its run is taken back")
    scene.rest()
    came = scene.came("idempotent")
    assert (came.status, came.events) == ("succeeded", ["recovered"])
    assert [one.path for one in target.calls] == ["/Users", "/Users", "/join"]


def test_a_run_that_was_cancelled_before_its_worker_died_ends_and_lets_the_revoke_go(
    sqlite_scene: Scene, target: Target
) -> None:
    scene = sqlite_scene
    gate = threading.Event()
    target.answer = lambda _call: Answer(200, gate=None if gate.is_set() else gate)
    scene.revoke_step = REMOVE
    worker = scene.crew.worker()
    scene.crew.sweeper()
    scene.grant("off")
    target.wait_for_calls(1)
    with scene.app.app_context(), transaction() as session:
        run = session.get_one(Run, scene.runs["off"])
        runs.cancel(session, scene.admin, run, reason="Wrong person")
    worker.kill()
    worker.wait(PATIENCE)
    gate.set()
    removal = scene.revoke()
    scene.crew.worker()
    until(lambda: scene.status(scene.runs["off"]) == "cancelled", "the cancelled run ends")
    until(lambda: scene.status(removal) == "succeeded", "the revoke goes on")


@pytest.mark.postgres
def test_a_hostile_redirect_ends_its_own_run_and_nobody_else_s(postgres_scene: Scene, target: Target) -> None:
    scene = postgres_scene
    scene.revoke_step = REMOVE
    hostile = {"Location": "http://evil\x00.example/\x0b"}
    target.answer = lambda call: Answer(302, headers=hostile) if call.path == "/Users" else Answer(200)
    scene.crew.worker(WORKER_CONCURRENCY="1")
    scene.grant("off", "idempotent")
    until(lambda: scene.status(scene.runs["idempotent"]) == "failed", "both are answered")
    assert scene.status(scene.runs["off"]) == "failed"
    removal = scene.revoke(1)
    until(lambda: scene.status(removal) == "succeeded", "the revoke goes on")


@pytest.mark.postgres
def test_a_database_that_was_put_back_under_a_living_worker_has_nothing_sent_again(
    postgres_scene: Scene, target: Target
) -> None:
    scene = postgres_scene
    gate = threading.Event()
    target.answer = lambda call: Answer(201, {"id": "u-1"}, gate=gate if call.path == "/Users" else None)
    scene.crew.worker()
    scene.crew.sweeper()
    scene.grant("off")
    target.wait_for_calls(1)
    rows = scene.crew.look(snapshot)
    gate.set()
    scene.rest()
    assert [one.path for one in target.calls] == ["/Users", "/join"]
    with scene.app.app_context():
        put_back(rows)
    run_id = scene.runs["off"]
    until(lambda: scene.status(run_id) == "failed", "what was out when the backup was made is unknown")
    assert scene.came("off").unknown
    assert [one.path for one in target.calls] == ["/Users", "/join"]


_KEPT = ("runs", "attempts", "grants", "duties", "external_accounts")


def snapshot(session: Session) -> dict[str, list[dict[str, Any]]]:
    return {
        name: [dict(row._mapping) for row in session.execute(text(f"SELECT * FROM {name}"))] for name in _KEPT
    }


def put_back(rows: dict[str, list[dict[str, Any]]]) -> None:
    """The database as it was, as a restore leaves it: rows of then, and no connection of before."""
    with db.engine.begin() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.execute(text("DELETE FROM attempts"))
        for name, table in ((one, db.metadatas[None].tables[one]) for one in _KEPT):
            if name == "attempts":
                connection.execute(table.insert(), rows[name])
                continue
            for row in rows[name]:
                key = [column == row[column.name] for column in table.primary_key]
                connection.execute(update(table).where(*key).values(row))
        old = text("UPDATE duties SET done_at = done_at - interval '1 hour'")
        connection.execute(old)
        others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
        connection.execute(text(f"{others} AND pid <> pg_backend_pid()"))


@pytest.mark.postgres
def test_revoking_in_the_moment_of_a_run_s_stop_leaves_no_task_and_no_failure_behind(
    postgres_scene: Scene, target: Target
) -> None:
    scene = postgres_scene
    scene.crew.worker()
    with scene.app.app_context():
        with transaction() as session:
            application = make_application(session)
            make_workflow(session, application, human_step())
            place = application
            people = [make_user(session) for _ in range(60)]
        for number, person in enumerate(people):
            with transaction() as session:
                record = grants.grant(
                    session,
                    scene.admin,
                    application=session.merge(place, load=False),
                    user=session.merge(person, load=False),
                    now=clock.now(),
                )
                grant_id = record.id
            threading.Event().wait(number / 1000)  # each at another moment of the worker's move
            with transaction() as session:
                grants.revoke(session, scene.admin, session.get_one(Grant, grant_id), now=clock.now())
    until(
        lambda: not scene.crew.look(lambda s: s.scalars(select(Run.id).where(Run.status == "running")).all()),
        "nothing moves",
    )
    until(
        lambda: scene.crew.look(lambda s: set(s.scalars(select(Run.status)))) == {"superseded"},
        "every run has ended",
    )
    assert "pending" not in scene.crew.look(lambda s: set(s.scalars(select(ManualTask.status))))
