"""Migrations: one line of them, the same tables as the models, and a way down that works."""

from __future__ import annotations

import re
import warnings

from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Flask
from flask_migrate import downgrade, upgrade
from sqlalchemy import CheckConstraint, inspect, text

from app.extensions import db
from app.models import Base
from tests.support.migrations import MIGRATIONS


def script() -> ScriptDirectory:
    config = Config()
    config.set_main_option("script_location", MIGRATIONS)
    return ScriptDirectory.from_config(config)


def test_there_is_one_head() -> None:
    assert len(script().get_heads()) == 1


def test_the_migrations_make_the_tables_of_the_models(migrated: Flask) -> None:
    with db.engine.connect() as connection, warnings.catch_warnings():
        # SQLite cannot tell what an index over an expression covers; PostgreSQL compares those.
        warnings.filterwarnings("ignore", message=".*expression-based index")
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_the_migrations_check_the_same_as_the_models(migrated: Flask) -> None:
    """Alembic does not compare checks. Each is written differently by each database, its words are the same."""
    made = {
        (table, str(one["name"])): quoted(one["sqltext"])
        for table in Base.metadata.tables
        for one in inspect(db.engine).get_check_constraints(table)
    }
    wanted = {
        (table.name, str(one.name)): quoted(str(one.sqltext))
        for table in Base.metadata.sorted_tables
        for one in table.constraints
        if isinstance(one, CheckConstraint)
    }
    assert made == wanted


def test_every_migration_goes_down_and_up_again(migrated: Flask) -> None:
    before = tables()
    for _ in script().walk_revisions():
        downgrade(directory=MIGRATIONS)
    assert tables() <= {"alembic_version"}
    upgrade(directory=MIGRATIONS)
    assert tables() == before


def test_the_built_in_roles_are_there_after_migrating(migrated: Flask) -> None:
    downgrade(directory=MIGRATIONS, revision="base")
    upgrade(directory=MIGRATIONS)
    with db.engine.connect() as connection:
        kinds = connection.execute(text("SELECT kind FROM roles ORDER BY kind")).scalars().all()
    assert kinds == ["admin", "member", "viewer"]


def quoted(check: str) -> list[str]:
    return sorted(re.findall(r"'([^']*)'", check))


def tables() -> set[str]:
    return set(inspect(db.engine).get_table_names())
