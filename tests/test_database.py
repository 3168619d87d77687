"""What is asked of either database in the same words."""

from __future__ import annotations

from datetime import timedelta

import psycopg
import pytest
from psycopg import errors
from sqlalchemy import bindparam, exc, select, text, type_coerce, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from app.database import (
    PreparedUpsert,
    at_latest_now,
    changed,
    changed_one,
    database_is_away,
    db_now,
    upsert,
)
from app.models import Group
from tests.support.factories import NOW, make_group


def test_a_change_says_how_many_rows_still_were_as_it_expects(session: Session) -> None:
    first, second = make_group(session, name="Red"), make_group(session, name="Blue")
    later = update(Group).where(Group.created_at == NOW).values(created_at=NOW + timedelta(1))
    assert changed(session, later) == 2
    assert changed(session, later) == 0
    renaming = update(Group).where(Group.id == first.id, Group.name == "Red").values(name="Green")
    assert [changed_one(session, renaming), changed_one(session, renaming)] == [True, False]
    each = (
        update(Group.__table__)
        .where(Group.__table__.c.id == bindparam("b_id"))
        .values(name=bindparam("b_name"))
    )
    rows = [{"b_id": first.id, "b_name": "One"}, {"b_id": second.id, "b_name": "Two"}]
    assert changed(session.connection(), each, rows) == 2


def test_an_upsert_is_told_what_becomes_of_a_row_that_is_there(session: Session) -> None:
    made = {"name": "Red", "created_at": NOW}
    passing = upsert(session, Group).values(made).on_conflict_do_nothing()
    session.execute(passing.values(id=7))
    session.execute(passing.values(id=7, name="Blue"))
    assert session.scalars(select(Group.name)).all() == ["Red"]

    def renaming(statement: object) -> object:
        return statement.on_conflict_do_update(  # type: ignore[attr-defined]
            index_elements=["id"],
            set_={"name": statement.excluded.name},  # type: ignore[attr-defined]
        )

    prepared = PreparedUpsert(Group.__table__, renaming)
    connection = session.connection()
    connection.execute(prepared.on(connection), {"id": 7, **made, "name": "Blue"})
    assert session.scalars(select(Group.name)).all() == ["Blue"]


def test_a_time_ahead_of_the_database_is_brought_back_to_its_own(session: Session) -> None:
    at = bindparam("at", type_=Group.__table__.c.created_at.type)
    connection, times = session.connection(), select(type_coerce(at_latest_now(at), at.type))
    now = db_now(connection)
    assert connection.execute(times, {"at": now - timedelta(hours=1)}).scalar_one() == now - timedelta(
        hours=1
    )
    ahead = now + timedelta(hours=1)
    on_its_own_host = connection.dialect.name == "postgresql"
    assert (connection.execute(times, {"at": ahead}).scalar_one() < ahead) is on_its_own_host


@pytest.mark.parametrize(
    ("state", "away"),
    [
        ("08006", True),  # the connection broke
        ("25006", True),  # read-only
        ("25P03", True),  # idle in a transaction for too long
        ("40001", True),  # could not be serialized
        ("40P01", True),  # deadlock
        ("42501", True),  # no right to the table
        ("42703", True),  # no such column: a migration is under way
        ("42P01", True),  # no such table
        ("53100", True),  # disk full
        ("53300", True),  # too many connections
        ("55P03", True),  # a lock was waited for too long
        ("57014", True),  # a statement took too long
        ("57P01", True),  # shutting down
        ("22003", False),  # a number out of range
        ("23503", False),  # a row that is referred to is gone
        ("23505", False),  # a unique index
        ("42601", False),  # a statement that cannot be read
        ("54000", False),  # larger than an index takes
        ("P0001", False),  # one of our triggers
    ],
)
def test_a_fault_of_the_database_is_told_from_one_of_what_was_to_be_written(state: str, away: bool) -> None:
    given = errors.lookup(state)("")
    wrapped = DBAPIError.instance("INSERT", {}, given, psycopg.Error, dialect=None)
    assert isinstance(wrapped, DBAPIError)
    assert database_is_away(wrapped) is away


def test_no_connection_is_a_fault_of_the_database_and_another_error_is_not(session: Session) -> None:
    gone = psycopg.OperationalError("server closed the connection unexpectedly")
    assert database_is_away(DBAPIError.instance("COMMIT", {}, gone, psycopg.Error, dialect=None))
    assert database_is_away(exc.TimeoutError())
    assert not database_is_away(ValueError("database"))
    with pytest.raises(DBAPIError) as missing:
        session.execute(text("SELECT 1 FROM no_such_table"))
    assert database_is_away(missing.value)
