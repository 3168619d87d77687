"""Every COMMIT of a worker goes wrong once: cut off, or done with its reply lost; the worker dies of it or lives."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask
from sqlalchemy import select

from app.models import Run
from app.permissions import Actor
from tests.support.target import Target
from tests.support.workers.postgres_proxy import Fault, PostgresProxy, postgres_proxy
from tests.support.workers.processes import PATIENCE, crew_for, until
from tests.support.workers.world import KINDS, MOVING, Scene

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

# A worker has some four commits to make here; more than this would mean that the loop does not end.
MOST_COMMITS = 20


@pytest.fixture
def postgres_only(request: pytest.FixtureRequest) -> Flask:
    """The app on an empty PostgreSQL database."""
    app, database = request.getfixturevalue("postgres_app")
    database.reset(app)
    return app


@pytest.fixture
def scene(postgres_only: Flask, admin: Actor, target: Target) -> Iterator[Scene]:
    with crew_for(postgres_only, target.url) as crew:
        yield Scene(postgres_only, admin, target, crew)


@pytest.fixture
def proxy(postgres_only: Flask) -> Iterator[PostgresProxy]:
    with postgres_proxy(postgres_only.extensions["settings"].database_url) as proxy:
        yield proxy


def all_at_rest(scene: Scene) -> bool:
    return not scene.crew.look(lambda s: s.scalars(select(Run.id).where(Run.status.in_(MOVING))).all())


@pytest.mark.postgres
@pytest.mark.parametrize("arrives", [False, True], ids=["before-the-commit", "after-the-commit"])
def test_a_worker_may_die_at_any_of_its_commits(scene: Scene, proxy: PostgresProxy, arrives: bool) -> None:
    scene.crew.sweeper()
    for number in range(1, MOST_COMMITS):
        scene.grant(*KINDS)
        fault = Fault(number, arrives)
        proxy.arm(fault)
        worker = scene.crew.start("app.workers", DATABASE_URL=proxy.url)
        fault.meanwhile = lambda _port, doomed=worker: doomed.kill()
        until(lambda: fault.fired.is_set() or all_at_rest(scene), "the fault or the end")  # noqa: B023
        if not fault.fired.is_set():
            break
        worker.wait(PATIENCE)
        successor = scene.crew.start("app.workers")
        scene.rest()
        came = {kind: scene.came(kind) for kind in KINDS}
        assert came["resend"].status == came["idempotent"].status == "succeeded"
        assert came["ask"].status in ("succeeded", "waiting_manual")
        assert came["off"].status == "succeeded" or came["off"].unknown
        successor.kill()
        successor.wait(PATIENCE)
    assert 2 < number < MOST_COMMITS
    scene.rest()


@pytest.mark.postgres
@pytest.mark.parametrize("arrives", [False, True], ids=["cut-off", "reply-lost"])
def test_a_worker_outlives_any_commit_that_goes_wrong(
    scene: Scene, proxy: PostgresProxy, arrives: bool
) -> None:
    scene.crew.worker(DATABASE_URL=proxy.url)
    scene.crew.sweeper()
    for number in range(1, MOST_COMMITS):
        fault = Fault(number, arrives)
        proxy.arm(fault)
        scene.grant(*KINDS)
        scene.rest()
        for kind in KINDS:
            came = scene.came(kind)
            assert (came.status, came.unknown, came.effects) == ("succeeded", False, 1)
            assert [one[:3] for one in came.attempts] == [
                ("create", 1, "succeeded"),
                ("join", 1, "succeeded"),
            ]
        if not fault.fired.is_set():
            break
    assert 2 < number < MOST_COMMITS
