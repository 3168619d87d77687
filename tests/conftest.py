"""The app on a fresh database: SQLite always, PostgreSQL as well where TEST_DATABASE_URL names a server."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from flask import Flask
from flask_migrate import upgrade
from sqlalchemy import Connection, create_engine, make_url, text
from sqlalchemy.orm import Session

from app import create_app
from app.config.checks import new_fernet_key
from app.config.settings import load_settings
from app.crypto import KeyRing
from app.extensions import db
from app.models import Base, EngineState, Role
from app.permissions import ALL_PERMISSIONS, DEFAULT_ROLES, Actor
from app.queries.workflow_versions import forget_definitions
from tests.support.page import PageClient

pytest_plugins = [
    "tests.plugins.hypothesis_profile",
    "tests.plugins.pure_reads",
    "tests.plugins.require_all",
]

POSTGRES = os.environ.get("TEST_DATABASE_URL", "")
ROOT = Path(__file__).parent.parent


# Seconds for a test that is marked as slow: they are for machines several times slower than most.
SLOW_TIMEOUT = 480


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give slow tests the time that they may need, and keep those from PostgreSQL that ask nothing of a dialect."""
    items[:] = [
        item
        for item in items
        if not (item.get_closest_marker("sqlite_only") and item.get_closest_marker("postgres"))
    ]
    for item in items:
        if item.get_closest_marker("slow") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(SLOW_TIMEOUT))


@dataclass
class Database:
    """A migrated database that can be emptied between tests."""

    url: str
    pristine: Path | None = None

    def reset(self, app: Flask) -> None:
        forget_definitions()
        with app.app_context():
            db.session.remove()
            if self.pristine is not None:
                db.engine.dispose()
                file = Path(make_url(self.url).database or "")
                for leftover in file.parent.glob(f"{file.name}-*"):
                    leftover.unlink()
                shutil.copyfile(self.pristine, file)
                return
            with db.engine.begin() as connection:
                _empty(connection)
                connection.execute(EngineState.__table__.insert().values(id=1, uid="0" * 32))
                for kind, (name, permissions) in DEFAULT_ROLES.items():
                    stored = [] if kind == "admin" else sorted(permissions)
                    connection.execute(
                        Role.__table__.insert().values(kind=kind, name=name, permissions=stored)
                    )


def _empty(connection: Connection) -> None:
    """Delete every row and begin to count anew, without triggers and foreign keys.

    TRUNCATE makes new files for every table and index, which takes a hundred times as long as deleting few rows.
    """
    names = "SELECT relname FROM pg_class WHERE relkind = 'S' AND relnamespace = 'public'::regnamespace"
    sequences = connection.execute(text(names)).scalars().all()
    acts = [
        "SET LOCAL session_replication_role = replica",
        *(f'DELETE FROM "{table.name}"' for table in Base.metadata.sorted_tables),
        *(f"SELECT setval('\"{name}\"', 1, false)" for name in sequences),
    ]
    connection.exec_driver_sql("; ".join(acts))


def _app_on(url: str, folder: Path) -> Flask:
    settings = load_settings(
        {
            "DATABASE_URL": url,
            "DATA_DIR": str(folder),
            # Nobody listens there: what a test does must not depend on a queue unless it starts one.
            "REDIS_URL": f"unix://{folder}/nobody.sock",
        },
        env_file=None,
    )
    app = create_app(settings)
    app.config["TESTING"] = True
    app.config["PASSWORD_HASH_COST"] = "test"
    return app


def _worker(request: pytest.FixtureRequest) -> str:
    return getattr(request.config, "workerinput", {}).get("workerid", "main")


@pytest.fixture(scope="session")
def sqlite_app(tmp_path_factory: pytest.TempPathFactory) -> tuple[Flask, Database]:
    folder = tmp_path_factory.mktemp("sqlite")
    url = f"sqlite:///{folder}/test.sqlite3"
    app = _app_on(url, folder)
    with app.app_context():
        upgrade(directory=str(ROOT / "migrations"))
        db.engine.dispose()
    pristine = folder / "pristine.sqlite3"
    shutil.copyfile(folder / "test.sqlite3", pristine)
    return app, Database(url, pristine)


@pytest.fixture(scope="session")
def postgres_app(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Flask, Database]]:
    if not POSTGRES:
        pytest.skip("no PostgreSQL: set TEST_DATABASE_URL to a server and its superuser")
    name = f"access_automation_{_worker(request)}_{os.getpid()}"
    server = create_engine(POSTGRES, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(text(f'CREATE DATABASE "{name}"'))
    url = make_url(POSTGRES).set(database=name).render_as_string(hide_password=False)
    app = _app_on(url, tmp_path_factory.mktemp("postgres"))
    with app.app_context():
        upgrade(directory=str(ROOT / "migrations"))
    yield app, Database(url)
    with app.app_context():
        db.session.remove()
        db.engine.dispose()
    with server.connect() as connection:
        connection.execute(text(f'DROP DATABASE "{name}" WITH (FORCE)'))
    server.dispose()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def app(request: pytest.FixtureRequest) -> Iterator[Flask]:
    """The app on an empty database, once for each kind of database; on SQLite alone for a test marked so."""
    app, database = request.getfixturevalue(f"{request.param}_app")
    database.reset(app)
    yield app
    with app.app_context():
        db.session.remove()


@pytest.fixture
def only_sqlite(request: pytest.FixtureRequest, sqlite_app: tuple[Flask, Database]) -> Flask:
    """The app on an empty SQLite database: for what does not differ between databases."""
    app, database = sqlite_app
    database.reset(app)
    return app


@pytest.fixture
def session(app: Flask) -> Iterator[Session]:
    """A session on the app's database, inside its context."""
    with app.app_context():
        yield db.session()
        db.session.remove()


@pytest.fixture
def web(only_sqlite: Flask) -> Iterator[Session]:
    """A session on an empty database, for arranging and looking; commit what a page is to see.

    It stands outside any application context: requests made inside one would share its `g`.
    """
    with only_sqlite.app_context():
        engine = db.engine
    with Session(engine, expire_on_commit=False) as session:
        yield session


@pytest.fixture
def visitor(only_sqlite: Flask, web: Session) -> PageClient:
    """Nobody in particular."""
    return PageClient(only_sqlite)


@pytest.fixture
def admin() -> Actor:
    """Somebody who may do everything."""
    return Actor("user", "Alice Admin", ALL_PERMISSIONS, source="test")


@pytest.fixture
def keyring() -> KeyRing:
    return KeyRing([new_fernet_key()])


@pytest.fixture
def builder() -> Actor:
    """Bob, who builds workflows and may not touch credentials."""
    return Actor("user", "Bob Builder", frozenset({"workflow:read", "workflow:manage"}), source="test")
