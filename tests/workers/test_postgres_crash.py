"""PostgreSQL itself crashes, or takes no writes, and comes back, with calls in the air."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask_migrate import upgrade

from app import create_app
from app.config.settings import load_settings
from app.extensions import db
from app.permissions import Actor
from tests.support.target import Answer, Target
from tests.support.workers.postgres_cluster import Cluster, cluster, programs
from tests.support.workers.processes import ROOT, crew_for, until
from tests.support.workers.world import KINDS, Scene

BINARIES = programs()
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BINARIES is None, reason="no PostgreSQL programs to start a server with"),
]


@pytest.fixture
def server() -> Iterator[Cluster]:
    assert BINARIES is not None
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


def all_done_once(scene: Scene) -> None:
    scene.rest()
    for kind in KINDS:
        came = scene.came(kind)
        assert (came.status, came.unknown, came.effects) == ("succeeded", False, 1)
        assert [one[:3] for one in came.attempts] == [("create", 1, "succeeded"), ("join", 1, "succeeded")]


def test_a_crash_of_the_database_loses_no_answer_and_sends_nothing_twice(
    console: Flask, server: Cluster, admin: Actor, target: Target
) -> None:
    gate = threading.Event()
    target.answer = lambda _call: Answer(201, gate=gate)
    with crew_for(console, target.url) as crew:
        scene = Scene(console, admin, target, crew)
        crew.worker()
        crew.sweeper()
        scene.grant(*KINDS)
        target.wait_for_calls(len(KINDS))
        with console.app_context():
            db.engine.dispose()
        server.crash()
        gate.set()
        server.start()
        all_done_once(scene)


def test_answers_that_come_while_the_database_is_read_only_are_kept(
    console: Flask, server: Cluster, admin: Actor, target: Target
) -> None:
    gate = threading.Event()
    target.answer = lambda _call: Answer(201, gate=gate)
    with crew_for(console, target.url) as crew:
        scene = Scene(console, admin, target, crew)
        worker = crew.worker()
        crew.sweeper()
        scene.grant(*KINDS)
        target.wait_for_calls(len(KINDS))
        server.take_writes(False)
        gate.set()
        until(lambda: crew.printed(worker).count("database_away") > 3, "the worker is refused")
        server.take_writes(True)
        all_done_once(scene)
        assert "recovered" not in {event for kind in KINDS for event in scene.came(kind).events}
