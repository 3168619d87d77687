"""What tests with real processes begin from: an outside system, a crew around a database, a scene for crashes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask

from app.permissions import Actor
from tests.support.target import Target, running_target
from tests.support.workers.processes import Crew, crew_for
from tests.support.workers.world import Scene


@pytest.fixture
def target() -> Iterator[Target]:
    """An outside system that takes every call until a test tells it otherwise."""
    with running_target() as target:
        yield target


@pytest.fixture
def crew(only_sqlite: Flask, target: Target) -> Iterator[Crew]:
    """Processes around an empty SQLite database: for what does not differ between databases."""
    with crew_for(only_sqlite, target.url) as crew:
        yield crew


@pytest.fixture
def each_crew(app: Flask, target: Target) -> Iterator[Crew]:
    """Processes around an empty database, once for each kind of database."""
    with crew_for(app, target.url) as crew:
        yield crew


@pytest.fixture
def scene(app: Flask, admin: Actor, target: Target, each_crew: Crew) -> Scene:
    """A scene on each kind of database."""
    return Scene(app, admin, target, each_crew)


@pytest.fixture
def sqlite_scene(only_sqlite: Flask, admin: Actor, target: Target, crew: Crew) -> Scene:
    """A scene for what the database has no part in."""
    return Scene(only_sqlite, admin, target, crew)


@pytest.fixture
def postgres_scene(request: pytest.FixtureRequest, admin: Actor, target: Target) -> Iterator[Scene]:
    """A scene on PostgreSQL alone."""
    app, database = request.getfixturevalue("postgres_app")
    database.reset(app)
    with crew_for(app, target.url) as crew:
        yield Scene(app, admin, target, crew)
