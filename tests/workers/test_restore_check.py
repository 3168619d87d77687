"""An older backup is put back: nothing that was done since is done again before a person has looked."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import make_url

from app.extensions import db
from app.queries.system import paused
from app.services import run_pause
from app.services.transaction import transaction
from tests.support.factories import NOW
from tests.support.target import Target
from tests.support.workers.processes import PATIENCE, Crew, until
from tests.support.workers.world import Scene

pytestmark = pytest.mark.slow


def back_up(app: Flask, to: Path) -> Path:
    """A copy of the database as it is now, made while it is in use."""
    url = app.extensions["settings"].database_url
    source = sqlite3.connect(make_url(url).database or "")
    copy = sqlite3.connect(to)
    source.backup(copy)
    source.close()
    copy.close()
    return to


def put_back(app: Flask, backup: Path) -> None:
    with app.app_context():
        db.session.remove()
        db.engine.dispose()
    file = Path(make_url(app.extensions["settings"].database_url).database or "")
    for leftover in file.parent.glob(f"{file.name}-*"):
        leftover.unlink()
    shutil.copyfile(backup, file)


def is_held(crew: Crew) -> bool:
    return bool(crew.look(paused))


def test_runs_of_a_restored_database_wait_until_a_person_resumes_them(
    sqlite_scene: Scene, target: Target, tmp_path: Path
) -> None:
    scene, crew = sqlite_scene, sqlite_scene.crew
    sweeper = crew.sweeper()
    scene.grant("off")
    backup = back_up(scene.app, tmp_path / "backup.sqlite3")
    worker = crew.worker()
    scene.rest()
    done = len(target.calls)
    assert done == 2
    run_queue = scene.app.extensions["run_queue"]
    uid = crew.look(run_pause.engine_uid)
    before = run_queue.remembered_sweep(uid)
    until(lambda: run_queue.remembered_sweep(uid) != before, "a pass after the backup")
    for process in (worker, sweeper):
        process.terminate()
        process.wait(PATIENCE)

    put_back(scene.app, backup)
    crew.worker()
    until(lambda: is_held(crew), "the worker notices that the database is an older one")
    after = run_queue.remembered_sweep(uid)
    crew.sweeper()
    until(lambda: run_queue.remembered_sweep(uid) != after, "a whole pass of the sweeper")
    assert scene.crew.run_status() == "queued"
    assert len(target.calls) == done

    with scene.app.app_context(), transaction() as session:
        run_pause.resume(session, scene.admin, now=NOW)
    until(lambda: crew.run_status() == "succeeded", "the run goes on once it was looked at")
    assert not is_held(crew)
