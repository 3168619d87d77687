"""What the sweeper does for a run stands on the run's own timeline."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.clock import now
from app.extensions import db
from app.models import Duty, RunEvent
from app.queue import RunQueue
from app.workers.sweeper import sweep_once
from tests.support.queries.stories import Story


@pytest.fixture
def empty_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RunQueue, "waiting", lambda _: 0)


def kinds(app: Flask, story: Story) -> list[str]:
    """What a sweep has told of the run since."""
    sweep_once(app)
    with app.app_context():
        found = select(RunEvent.kind).where(RunEvent.run_id == story.run.id).order_by(RunEvent.id)
        return list(db.session.scalars(found))


@pytest.mark.usefixtures("empty_queue")
def test_a_run_that_the_queue_had_lost_says_once_that_the_workers_were_told_again(
    app: Flask, session: Session
) -> None:
    story = Story(session)
    before = story.run.revision
    assert kinds(app, story) == kinds(app, story) == ["reminded"]
    session.rollback()
    session.refresh(story.run)
    assert story.run.revision == before + 1


def test_nothing_is_said_while_it_lies_on_the_queue_or_redis_is_away(
    app: Flask, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    story = Story(session)
    for waiting in (1, None):
        monkeypatch.setattr(RunQueue, "waiting", lambda _, found=waiting: found)
        assert kinds(app, story) == []


@pytest.mark.usefixtures("empty_queue")
def test_a_fresh_run_and_one_that_waits_for_its_turn_are_not_told_of(app: Flask, session: Session) -> None:
    story = Story(session)
    story.take()
    story.run.lease_until = now() + timedelta(minutes=1)
    story.granted()
    story.run = story.newest()
    story.run.due_at = now() - timedelta(minutes=1)
    session.commit()
    assert kinds(app, story) == []
    fresh = Story(session)
    fresh.run.due_at = now() - timedelta(seconds=4)
    session.commit()
    assert kinds(app, fresh) == []


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
