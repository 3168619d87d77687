"""What a worker does with answers that cannot be written, and with a database that takes nothing for a while."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Connection, Engine, select, text
from sqlalchemy.orm import Session

from app.database import db_now
from app.domain.runs import signals as m
from app.domain.runs.calls import Outcome
from app.extensions import db
from app.models import Run
from app.permissions import Actor
from app.services import grants
from app.services.advance import Move, Moved
from app.services.advance.moves import Holder
from app.services.advance.places import Places
from app.services.transaction import transaction
from app.workers.journal import Claim, Journal
from tests.support.factories import http_step, make_application, make_connection, make_user, make_workflow
from tests.support.services.tasks import HOLDER


class Owner:
    """An executor that makes no calls, and remembers what it is told."""

    def __init__(self) -> None:
        self.results: list[Moved] = []
        self.gone: list[tuple[int, int | None]] = []
        self.want: set[int] | None = None

    def holder(self, _over: object = ()) -> Holder:
        return Holder(HOLDER.worker, HOLDER.lease, places=Places(10))

    def held(self) -> dict[int, int]:
        return {}

    def has_room(self) -> bool:
        return True

    def wanted(self, _room: int) -> set[int] | None:
        return self.want

    def write_beat(self, _connection: Connection, _now: datetime) -> None:
        """Nobody asks for a sign of life."""

    def look_back(self) -> None:
        """The database is the one it was."""

    def kept(self, run_ids: object, began: float) -> None:
        """Nothing is held."""

    def let_go(self, run_id: int, fence: int | None) -> None:
        self.gone.append((run_id, fence))

    def after_commit(self, results: Sequence[Moved], _now: datetime, *, began: float, more: bool) -> None:
        assert began > 0 and more in (True, False)
        self.results += results


@pytest.fixture
def owner() -> Owner:
    return Owner()


@pytest.fixture
def journal(app: Flask, owner: Owner) -> Iterator[Journal]:
    with app.app_context():
        yield Journal(db.engine, owner)


def queue_runs(app: Flask, admin: Actor) -> list[int]:
    """Three runs of one application, which are due."""
    with app.app_context(), transaction() as session:
        application = make_application(session)
        connection = make_connection(session, application)
        make_workflow(session, application, http_step("create", connection.id, capture={"id": "$.id"}))
        now = db_now(session.connection())
        for _ in range(3):
            grants.grant(session, admin, application=application, user=make_user(session), now=now)
        return list(session.scalars(select(Run.id).order_by(Run.id)))


@pytest.fixture
def run_ids(app: Flask, admin: Actor, journal: Journal, owner: Owner) -> list[int]:
    """Three runs whose first calls are out."""
    queued = queue_runs(app, admin)
    journal._write([Claim()])
    owner.results.clear()
    return queued


def answered(run_id: int, outcome: Outcome) -> Move:
    return Move(run_id, m.Answered("create", 1, outcome), 1, 5)


def stories(session: Session) -> list[tuple[str, str | None, bool]]:
    rows = session.execute(select(Run.status, Run.failure_class, Run.outcome_unknown).order_by(Run.id))
    return [tuple(row) for row in rows]


@pytest.mark.parametrize("value", ["u\x00", "u\ud800", {1}])
def test_an_answer_that_cannot_be_stored_costs_no_other_its_own(
    app: Flask, journal: Journal, run_ids: list[int], owner: Owner, value: Any
) -> None:
    hostile = Outcome.success(201, {"id": value})
    fine = Outcome.success(201, {"id": "u"})
    journal._write([answered(one, hostile if one == run_ids[1] else fine) for one in run_ids])
    first, second, third = stories(db.session())
    assert first == third == ("succeeded", None, False)
    # What SQLite keeps PostgreSQL refuses.
    assert second in [("failed", "mapping", False), first]
    assert (second == first) == (
        value != {1} and app.extensions["settings"].database_url.startswith("sqlite")
    )
    assert owner.gone == []


@contextmanager
def refusing(engine: Engine, run_id: int) -> Iterator[None]:
    """The database takes no change of that run."""
    on_postgres = engine.dialect.name == "postgresql"
    act = "EXECUTE FUNCTION refuse_change('no')" if on_postgres else "BEGIN SELECT RAISE(ABORT, 'no'); END"
    made = f"CREATE TRIGGER poison BEFORE UPDATE ON runs FOR EACH ROW WHEN (OLD.id = {run_id}) {act}"
    with engine.begin() as connection:
        connection.execute(text(made))
    try:
        yield
    finally:
        with engine.begin() as connection:
            connection.execute(text("DROP TRIGGER poison" + (" ON runs" if on_postgres else "")))


def test_what_cannot_be_written_at_all_is_let_go_of(
    journal: Journal, run_ids: list[int], owner: Owner
) -> None:
    with refusing(journal._engine, run_ids[1]):
        journal._write([answered(one, Outcome.success(201, {"id": "u"})) for one in run_ids])
    assert owner.gone == [(run_ids[1], 1)], "its lease runs out"
    assert [one[0] for one in stories(db.session())] == ["succeeded", "running", "succeeded"]


def test_a_run_that_cannot_be_taken_keeps_no_other_waiting(
    app: Flask, admin: Actor, journal: Journal, owner: Owner
) -> None:
    queued = queue_runs(app, admin)
    with refusing(journal._engine, queued[1]):
        journal._write([Claim()])
    assert sorted(one.run_id for one in owner.results) == [queued[0], queued[2]]
    assert [one[0] for one in stories(db.session())] == ["running", "queued", "running"]


@pytest.mark.postgres
def test_an_answer_whose_run_somebody_holds_is_put_off_and_the_others_are_written(
    request: pytest.FixtureRequest, admin: Actor
) -> None:
    app, database = request.getfixturevalue("postgres_app")
    database.reset(app)
    owner = Owner()
    with app.app_context():
        journal = Journal(db.engine, owner)
        queued = queue_runs(app, admin)
        journal._write([Claim()])
        moves = [answered(one, Outcome.success(201, {"id": "u"})) for one in queued]
        with db.engine.begin() as somebody:
            somebody.execute(select(Run.id).where(Run.id == queued[1]).with_for_update())
            journal._write(list(moves))
            assert [one[0] for one in stories(db.session())] == ["succeeded", "running", "succeeded"]
            db.session.rollback()
        journal._write_the_rest()
        assert [one[0] for one in stories(db.session())] == ["succeeded"] * 3
        db.session.remove()
