"""Every command, whoever registered it, answers in one line when a service is away."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import Result
from flask import Flask
from flask.cli import AppGroup

from app import cli, create_app, postgres
from app.config.settings import load_settings
from app.domain.steps.scope import Names
from app.domain.workflows.definition import Definition
from app.errors import Conflict
from app.extensions import db
from app.schemas.workflow_file import Head, write_file
from app.services.transaction import transaction
from tests.support.factories import make_application

# `demo` starts a console of its own, with a database and a Redis that are there.
ALONE = {"demo"}
# What Flask-Migrate's group asks of the database; the rest of it reads and writes files of the source.
MIGRATIONS = {"db upgrade", "db downgrade", "db current", "db check", "db stamp"}
# Files that are in order: the others are refused before the database is asked.
FILES = {
    "people import": "email,first_name,last_name\nana@example.org,Ana,Example\n",
    "workflow import": write_file(
        Head("Jira", "Provision", "access_granted", "each_grant", ""), Definition(), Names()
    ),
}
WORDS = {"--permission": "grant:read", "email": "ana@example.org"}
NOBODY = "postgresql://ada:s3cret@127.0.0.1:1/console"


def commands(group: click.Group, *above: str) -> Iterator[tuple[str, click.Command]]:
    """Every command of a group and of the groups in it, with the words that call it."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, *above, name)
        else:
            yield " ".join([*above, name]), command


def results(app: Flask, folder: Path, *, migrations: bool = False) -> dict[str, Result]:
    """What each command came to, with something fitting for whatever it requires."""
    found = {}
    for words, command in commands(app.cli):
        if words in ALONE or (words.startswith("db ") and not (migrations and words in MIGRATIONS)):
            continue
        typed = words.split()
        for one in command.params:
            if not one.required:
                continue
            if isinstance(one.type, click.Path):
                file = folder / "file"
                file.write_text(FILES[words], encoding="utf-8")
                typed.append(str(file))
            elif isinstance(one, click.Option):
                typed += [one.opts[0], WORDS[one.opts[0]]]
            else:
                typed.append(WORDS.get(one.name or "", "1"))
        found[words] = app.test_cli_runner().invoke(args=typed)
    return found


def is_one_line(result: Result) -> bool:
    """Whether the command failed with one line about it, and with no traceback in its place."""
    # Where a script exits with a sentence, as migrations do, the runner has it on standard output.
    lines = (result.stderr or result.stdout).splitlines()
    return isinstance(result.exception, SystemExit) and result.exit_code == 1 and len(lines) == 1


def several_lines(found: dict[str, Result]) -> dict[str, str]:
    return {words: f"{one.output}{one.exception!r}" for words, one in found.items() if not is_one_line(one)}


def app_on(folder: Path, **settings: str) -> Flask:
    demo = {"DEMO_DATA": "1", "DEMO_SCIM_URL": "http://127.0.0.1:1", "DEMO_SCIM_TOKEN": "x"}
    chosen = {"DATA_DIR": str(folder), "REDIS_URL": f"unix://{folder}/nobody.sock"} | demo | settings
    return create_app(load_settings(chosen, env_file=None))


def test_with_the_database_away_every_command_fails_in_one_line(tmp_path: Path) -> None:
    found = results(app_on(tmp_path, DATABASE_URL=NOBODY), tmp_path, migrations=True)
    assert {"admin create", "audit verify", "engine pause", "demo-data", "doctor", "db upgrade"} <= set(found)
    assert several_lines(found) == {}
    assert [words for words, one in found.items() if "s3cret" in one.output] == []


def test_without_tables_every_command_fails_in_one_line(tmp_path: Path) -> None:
    found = results(app_on(tmp_path, DATABASE_URL=f"sqlite:///{tmp_path}/empty.sqlite3"), tmp_path)
    assert several_lines(found) == {}


def test_a_locked_database_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.database.BUSY_MS", 10)
    file = tmp_path / "locked.sqlite3"
    app = app_on(tmp_path, DATABASE_URL=f"sqlite:///{file}")
    assert app.test_cli_runner().invoke(args=["db", "upgrade"]).exit_code == 0
    other = sqlite3.connect(file)
    other.execute("BEGIN IMMEDIATE")
    try:
        for words in (["engine", "pause", "Moving"], ["admin", "welcome"], ["sweep"], ["db", "upgrade"]):
            result = app.test_cli_runner().invoke(args=words)
            assert is_one_line(result), result.output
    finally:
        other.close()


def test_with_redis_away_no_command_prints_a_traceback(only_sqlite: Flask, tmp_path: Path) -> None:
    """Nobody listens at the address that tests have for Redis: only the doctor has something to say about it."""
    with only_sqlite.app_context(), transaction() as session:
        make_application(session, name="Jira")
    found = results(only_sqlite, tmp_path)
    assert several_lines({words: one for words, one in found.items() if one.exit_code}) == {}
    assert "redis" in found["doctor"].stderr
    assert found["sweep"].exit_code == 0


def test_a_command_that_is_added_tomorrow_answers_in_one_line_as_well(only_sqlite: Flask) -> None:
    app, group = Flask("tomorrow"), AppGroup("new")

    @group.command("one")
    def one() -> None:
        raise Conflict("Not now.")

    app.cli.add_command(group)
    cli.register(app)
    cli.register(app)  # an app more in the same process changes nothing
    result = app.test_cli_runner().invoke(args=["new", "one"])
    assert is_one_line(result)
    assert result.stderr == "Error: Not now.\n"


@pytest.mark.postgres
def test_a_database_that_takes_no_changes_is_said_to_be_read_only(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, database = request.getfixturevalue("postgres_app")
    database.reset(app)
    with app.app_context():
        engine = db.engine
    engine.dispose()
    with monkeypatch.context() as patched:
        patched.setattr(postgres, "LIMITS", postgres.LIMITS | {"default_transaction_read_only": "on"})
        result = app.test_cli_runner().invoke(args=["engine", "pause", "Maintenance"])
    engine.dispose()
    assert is_one_line(result)
    assert "The database takes no changes at present: it is read-only. Wait a minute" in result.stderr
