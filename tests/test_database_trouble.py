"""What stood in the way, in words: each fault by its own name, and no word of being saved that is not known."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import psycopg
import pytest
from psycopg import errors
from sqlalchemy import create_engine, exc, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from app.database import CommitInDoubt, commit, database_is_away
from app.database_trouble import trouble


def of(state: str) -> BaseException:
    return DBAPIError.instance("INSERT", {}, errors.lookup(state)(""), psycopg.Error, dialect=None)


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("25006", "read-only"),
        ("25P03", "stood still"),
        ("40001", "Somebody else was writing"),
        ("40P01", "Somebody else was writing"),
        ("42501", "no longer"),
        ("42P01", "update"),
        ("53100", "no room"),
        ("53300", "no more work"),
        ("55P03", "Somebody else is writing"),
        ("57014", "longer than it may"),
        ("57P01", "stopped or started"),
        ("08006", "does not answer"),
    ],
)
def test_each_fault_has_its_own_words(state: str, words: str) -> None:
    error = of(state)
    assert database_is_away(error)
    assert words in trouble(error).why
    assert trouble(error).is_undone


def test_no_connection_to_be_had_is_no_silence() -> None:
    assert "in use" in trouble(exc.TimeoutError()).why


@pytest.mark.parametrize(
    ("act", "words"),
    [
        ("PRAGMA query_only = ON", "read-only"),
        ("PRAGMA max_page_count = 1", "no room"),
        ("DROP TABLE notes", "update"),
    ],
)
def test_what_sqlite_says_has_the_same_words(tmp_path: Path, act: str, words: str) -> None:
    engine = create_engine(f"sqlite:///{tmp_path}/small.sqlite3")
    with engine.connect() as connection:
        connection.execute(text("CREATE TABLE notes (words TEXT)"))
        connection.commit()
        connection.execute(text(act))
        with pytest.raises(DBAPIError) as refused:
            connection.execute(text("INSERT INTO notes VALUES (:words)"), {"words": "x" * 100_000})
    engine.dispose()
    assert words in trouble(refused.value).why


def test_a_writer_that_waits_too_long_on_sqlite_is_told_who_is_in_the_way(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path}/busy.sqlite3", connect_args={"timeout": 0})
    first = sqlite3.connect(tmp_path / "busy.sqlite3", isolation_level=None)
    first.execute("BEGIN IMMEDIATE")
    with engine.connect() as second, pytest.raises(DBAPIError) as busy:
        second.exec_driver_sql("CREATE TABLE notes (words TEXT)")
    first.close()
    engine.dispose()
    assert "Somebody else is writing" in trouble(busy.value).why


@pytest.mark.postgres
def test_only_a_commit_without_an_answer_leaves_it_open_whether_it_was_saved(
    request: pytest.FixtureRequest,
) -> None:
    app = request.getfixturevalue("postgres_app")[0]
    engine = create_engine(app.extensions["settings"].database_url)
    with Session(engine) as session:
        session.execute(
            text("CREATE TEMPORARY TABLE notes (words TEXT UNIQUE DEFERRABLE INITIALLY DEFERRED)")
        )
        session.execute(text("INSERT INTO notes VALUES ('a'), ('a')"))
        with pytest.raises(exc.IntegrityError):
            commit(session)
    with Session(engine) as session:
        number = session.scalar(text("SELECT pg_backend_pid()"))
        with engine.connect() as other:
            other.execute(text("SELECT pg_terminate_backend(:number)"), {"number": number})
        with pytest.raises(CommitInDoubt) as lost:
            commit(session)
    engine.dispose()
    assert not trouble(lost.value).is_undone
