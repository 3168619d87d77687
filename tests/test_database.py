"""What is asked of either database in the same words."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import bindparam, select, type_coerce, update
from sqlalchemy.orm import Session

from app.database import PreparedUpsert, at_latest_now, changed, changed_one, db_now, upsert
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
