"""Whom the sweeper rings for, and what a pass leaves in Redis."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.clock import now
from app.models import Duty, EngineState, Run
from app.queue import RunQueue
from app.workers.sweeper import overdue, sweep_once
from tests.support.factories import make_user
from tests.support.queries.stories import Story


def rung(session: Session, limit: int = 10) -> list[int]:
    """The runs that a pass would ring for now."""
    return overdue(session.connection(), now=now(), limit=limit)


def copies(session: Session, run: Run, *, by: int, people: bool) -> None:
    """So many runs as this one, due before it: of other people on its application, or later ones of its lane."""
    columns = {c.name: getattr(run, c.name) for c in Run.__table__.columns if c.name != "id"}
    columns["due_at"] = now() - timedelta(hours=1)
    for one in range(by):
        person = {"user_id": make_user(session).id} if people else {}
        more = {"sequence": 1 + one, "uid": f"{run.id:08}{one:024}"}
        session.execute(Run.__table__.insert(), [columns | more | person])
    session.commit()


def test_a_run_that_nobody_took_is_rung_for_and_a_fresh_one_is_not(session: Session) -> None:
    lost, fresh = Story(session), Story(session)
    fresh.run.due_at = now()
    session.commit()
    assert rung(session) == [lost.run.id]


def test_what_cannot_move_is_not_rung_for(session: Session) -> None:
    story = Story(session)
    story.take()
    story.granted()
    session.commit()
    assert rung(session) == []
    alone = Story(session)
    assert rung(session) == [alone.run.id]
    state = session.scalars(select(EngineState)).one()
    state.paused_at, state.paused_by, state.paused_because = now(), "alice", "A restore is looked at."
    session.commit()
    assert rung(session) == []


@pytest.mark.parametrize("people", [True, False], ids=["of one application", "behind one lane"])
def test_many_runs_of_one_application_hide_no_other_s_lost_bell(session: Session, people: bool) -> None:
    crowd, other = Story(session), Story(session)
    copies(session, crowd.run, by=20, people=people)
    found = rung(session, limit=3)
    assert other.run.id in found
    assert len(found) == (3 if people else 2)


def test_a_pass_that_leaves_no_time_in_the_database_leaves_none_in_redis(
    app: Flask, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    remembered: list[object] = []
    monkeypatch.setattr(RunQueue, "remember_sweep", lambda _bell, _uid, at: remembered.append(at))
    sweep_once(app)  # nobody holds the duty yet, as after `flask sweep` on a new console
    assert remembered == []
    sweep_once(app, holder="sweeper-1")
    [at] = remembered
    session.rollback()
    assert session.scalars(select(Duty.done_at)).one() == at
