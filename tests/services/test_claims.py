"""Which runs a notification or a freed lane may set going, when the clocks of two hosts differ by a moment."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.domain.runs import signals as m
from app.domain.runs.calls import Outcome
from app.models import Run
from app.permissions import Actor
from app.services import grants
from app.services.advance import Move, advance, claim
from app.services.advance.moves import Holder
from tests.support.factories import (
    NOW,
    http_step,
    make_application,
    make_connection,
    make_user,
    make_workflow,
)

HOLDER = Holder("worker-1", timedelta(seconds=15))
A_MOMENT_EARLIER = NOW - timedelta(milliseconds=20)


@pytest.fixture
def queued(session: Session, admin: Actor) -> list[int]:
    """Two new runs of one person on one application, in their order; both queued at NOW."""
    application = make_application(session)
    connection = make_connection(session, application)
    make_workflow(session, application, http_step("create", connection.id))
    person = make_user(session)
    for _ in range(2):
        grants.grant(session, admin, application=application, user=person, now=NOW)
    session.flush()
    return list(session.scalars(select(Run.id).order_by(Run.id)))


def test_a_new_run_that_was_rung_for_is_taken_by_a_worker_whose_time_is_a_moment_older(
    session: Session, queued: list[int]
) -> None:
    taken = claim(session.connection(), HOLDER, now=A_MOMENT_EARLIER, ids=queued, limit=10)
    assert [one.run_id for one in taken] == queued[:1]
    assert taken[0].order is not None


def test_a_run_in_backoff_that_is_rung_for_early_stays_where_it_is(
    session: Session, queued: list[int]
) -> None:
    later = {"status": "running", "due_at": NOW + timedelta(seconds=1)}
    session.execute(update(Run).where(Run.id == queued[0]).values(later))
    assert claim(session.connection(), HOLDER, now=NOW, ids=queued, limit=10) == []


def test_the_next_in_the_lane_is_woken_even_when_it_was_queued_a_moment_later(
    session: Session, queued: list[int]
) -> None:
    connection = session.connection()
    [first] = claim(connection, HOLDER, now=A_MOMENT_EARLIER, ids=queued, limit=10)
    assert first.order is not None
    answer = m.Answered("create", 1, Outcome.success(201))
    [moved] = advance(
        connection, [Move(first.run_id, answer, first.order.fence)], now=A_MOMENT_EARLIER, holder=HOLDER
    )
    assert moved.wake == [queued[1]]
