"""Holding runs back: by a person, and when the database has gone back in time."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.database import db_now
from app.errors import Conflict, Invalid
from app.models import AuditEvent, Duty, EngineState
from app.models.operations import SWEEPING
from app.permissions import Actor
from app.queries.system import paused
from app.services import run_pause
from app.services.advance import claim
from app.services.advance.moves import Holder
from tests.support.factories import NOW
from tests.support.queries.stories import Story

WORKER = Holder("worker-1", timedelta(seconds=15))


def taken(session: Session) -> int:
    """How many runs a worker gets."""
    connection = session.connection()
    return len(claim(connection, WORKER, now=db_now(connection), ids=None, limit=10))


def swept(session: Session, at: datetime) -> None:
    session.add(Duty(name=SWEEPING, holder="sweeper", until=at, done_at=at))
    session.commit()


def test_no_run_is_taken_while_runs_are_paused_and_each_is_afterwards(session: Session, admin: Actor) -> None:
    Story(session)
    run_pause.pause(session, admin, " The directory is being moved. ", now=NOW)
    assert taken(session) == 0
    held = paused(session)
    assert held is not None
    assert (held.since, held.by, held.because) == (NOW, "Alice Admin", "The directory is being moved.")
    run_pause.resume(session, admin, now=NOW)
    assert paused(session) is None
    assert taken(session) == 1


def test_both_acts_are_audited_with_the_reason(session: Session, admin: Actor) -> None:
    run_pause.pause(session, admin, "Moving", now=NOW)
    run_pause.resume(session, admin, now=NOW)
    entries = session.execute(select(AuditEvent.action, AuditEvent.reason).order_by(AuditEvent.id)).all()
    assert [tuple(one) for one in entries] == [("engine.pause", "Moving"), ("engine.resume", None)]


def test_a_second_pause_names_who_was_first_and_a_second_resume_is_refused(
    session: Session, admin: Actor
) -> None:
    run_pause.pause(session, admin, "Moving", now=NOW)
    with pytest.raises(Conflict, match="Alice Admin has paused runs already"):
        run_pause.pause(session, Actor("user", "Bob", frozenset()), "Also moving", now=NOW)
    run_pause.resume(session, admin, now=NOW)
    with pytest.raises(Conflict, match="not paused"):
        run_pause.resume(session, admin, now=NOW)


@pytest.mark.parametrize("reason", ["", "  ", "x" * 501])
def test_a_reason_is_asked_for(session: Session, admin: Actor, reason: str) -> None:
    with pytest.raises(Invalid) as refused:
        run_pause.pause(session, admin, reason, now=NOW)
    assert [one.field for one in refused.value.errors] == ["reason"]
    assert paused(session) is None


def test_there_is_one_state_and_no_pause_without_a_reason(session: Session) -> None:
    session.add(EngineState(id=2, uid="x"))
    with pytest.raises(IntegrityError):
        session.flush()
    session.rollback()
    session.get_one(EngineState, 1).paused_at = NOW
    with pytest.raises(IntegrityError):
        session.flush()


@pytest.mark.parametrize(
    ("remembered", "restored"),
    [(None, False), (timedelta(0), False), (timedelta(seconds=-5), False), (timedelta(microseconds=1), True)],
    ids=["redis knows nothing", "the same pass", "an earlier pass", "a later pass"],
)
def test_a_database_swept_before_what_redis_remembers_is_restored(
    session: Session, remembered: timedelta | None, restored: bool
) -> None:
    swept(session, NOW)
    seen = None if remembered is None else NOW + remembered
    assert (run_pause.restored_uid(session, lambda _uid: seen) is not None) is restored


def test_a_pass_that_ends_while_it_is_asked_makes_no_restore(session: Session) -> None:
    swept(session, NOW)

    def remembered(_uid: str) -> datetime:
        later = NOW + timedelta(seconds=5)
        session.get_one(Duty, SWEEPING).done_at = later
        session.commit()
        return later

    assert run_pause.restored_uid(session, remembered) is None


def test_a_restored_database_is_held_once(session: Session) -> None:
    uid = run_pause.engine_uid(session)
    assert run_pause.hold_restored(session, uid, now=NOW)
    assert not run_pause.hold_restored(session, uid, now=NOW + timedelta(seconds=5))
    held = paused(session)
    assert held is not None
    assert (held.since, held.by) == (NOW, "Access Automation")
    assert "restored from a backup" in held.because


def test_what_a_person_resumed_is_not_held_again_for_the_same_restore(session: Session, admin: Actor) -> None:
    """Before any sweep of the restored database: Redis still remembers a later one, under the former name."""
    remembered = {run_pause.engine_uid(session): NOW}
    swept(session, NOW - timedelta(hours=1))
    former = run_pause.restored_uid(session, remembered.get)
    assert former is not None
    run_pause.hold_restored(session, former, now=NOW)
    run_pause.resume(session, admin, now=NOW)
    session.commit()
    assert run_pause.restored_uid(session, remembered.get) is None
    assert not run_pause.hold_restored(session, former, now=NOW), (
        "by somebody who looked before it was resumed"
    )
