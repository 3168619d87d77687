"""A sweeper that comes back before the workers do, or whose clock is set, takes nothing from those who live."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask_migrate import upgrade
from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from app import create_app
from app.clock import now
from app.config.settings import load_settings
from app.extensions import db
from app.models import Duty, Grant, Run
from app.permissions import Actor
from tests.support.factories import http_step, make_application, make_connection, make_user, make_workflow
from tests.support.target import Answer, Target
from tests.support.workers.on_a_set_clock import CLOCK_FILE
from tests.support.workers.postgres_cluster import Cluster, cluster, programs
from tests.support.workers.processes import ROOT, Crew, crew_for, until
from tests.support.workers.world import Scene

BINARIES = programs()
pytestmark = pytest.mark.slow


@pytest.fixture
def server() -> Iterator[Cluster]:
    if BINARIES is None:
        pytest.skip("no PostgreSQL programs to start a server with")
    with cluster(BINARIES) as server:
        yield server


@pytest.fixture
def console(server: Cluster, tmp_path: Path) -> Iterator[Flask]:
    environ = {
        "DATABASE_URL": server.url,
        "DATA_DIR": str(tmp_path),
        "REDIS_URL": f"unix://{tmp_path}/nobody.sock",
    }
    app = create_app(load_settings(environ, env_file=None))
    with app.app_context():
        upgrade(directory=str(ROOT / "migrations"))
    yield app
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


def passes(crew: Crew, count: int = 2) -> None:
    """Wait for so many passes of the sweeper from now on."""
    seen = set()

    def look(session: Session) -> bool:
        seen.add(session.scalar(select(Duty.done_at)))
        return len(seen) > count

    until(lambda: crew.look(look), "the sweeper makes its passes")


def hold_calls(scene: Scene, count: int) -> threading.Event:
    """So many calls in the air that may not be sent twice; they are answered when the event is set."""
    gate = threading.Event()
    scene.target.answer = lambda _call: Answer(201, gate=gate)
    for number in range(count):
        scene.grant("off")
        scene.runs[f"off {number}"] = scene.runs.pop("off")
    scene.target.wait_for_calls(count)
    return gate


def all_succeeded_undisturbed(scene: Scene) -> None:
    scene.rest()
    for kind in scene.runs:
        came = scene.came(kind)
        assert (came.status, came.unknown, came.effects, came.events) == ("succeeded", False, 1, [])


def test_calls_answered_while_the_database_was_away_for_longer_than_a_lease_are_known(
    console: Flask, server: Cluster, admin: Actor, target: Target
) -> None:
    with crew_for(console, target.url) as crew:
        scene = Scene(console, admin, target, crew)
        worker = crew.worker()
        crew.sweeper()
        passes(crew)
        gate = hold_calls(scene, 15)
        with console.app_context():
            db.engine.dispose()
        server.crash()
        gate.set()
        # The answers come in, each lease runs out, and the sweeper is back before the worker.
        away = time.monotonic()
        until(lambda: time.monotonic() - away > 6, "a lease is over")
        worker.send_signal(signal.SIGSTOP)
        server.start()
        passes(crew)
        worker.send_signal(signal.SIGCONT)
        all_succeeded_undisturbed(scene)


def test_a_clock_that_is_set_costs_no_living_worker_its_runs(sqlite_scene: Scene, tmp_path: Path) -> None:
    scene, crew = sqlite_scene, sqlite_scene.crew
    clocks = {name: tmp_path / name for name in ("app.workers", "app.workers.sweeper")}
    for name, clock in clocks.items():
        clock.write_text("0")
        settable = {CLOCK_FILE: str(clock), "MODULE": name, "LEASE_SECONDS": "10"}
        crew.start("tests.support.workers.on_a_set_clock", **settable)
    passes(crew, 12)
    gate = hold_calls(scene, 4)
    # The sweeper is the first to see it.
    for name in ("app.workers.sweeper", "app.workers"):
        clocks[name].write_text("60")
        passes(crew)
    gate.set()
    all_succeeded_undisturbed(scene)


@pytest.mark.sqlite_only
def test_a_thousand_grants_that_expire_at_once_are_revoked_without_a_wait(
    app: Flask, session: Session, each_crew: Crew
) -> None:
    application = make_application(session)
    connection = make_connection(session, application)
    make_workflow(session, application, http_step("remove", connection.id), trigger="access_revoked")
    at = now()
    people = [make_user(session).id for _ in range(1000)]
    shared = {"application_id": application.id, "access_level": "", "granted_at": at, "granted_by": "Alice"}
    shared |= {"notes": "", "state": "no_automation", "expires_at": at}
    session.execute(insert(Grant), [{"user_id": one, **shared} for one in people])
    session.commit()
    # With waits in between it would take several of these minutes.
    each_crew.start("app.workers.sweeper", SWEEP_SECONDS="60")
    active = select(Grant.id).where(Grant.revoked_at.is_(None)).limit(1)
    until(lambda: each_crew.look(lambda s: s.scalars(active).all()) == [], "every grant is revoked")
    session.rollback()
    assert len(set(session.scalars(select(Run.grant_id)).all())) == 1000
