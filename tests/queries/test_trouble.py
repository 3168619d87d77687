"""Why a run does not move, in the order in which causes are looked for."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy.orm import Session

from app.clock import now
from app.domain.states import FailureClass
from app.models import Worker
from app.queries.trouble import QueueTrouble, queue_trouble
from app.queue import QueueProblem
from tests.support.queries.stories import Story, failed, refused, retried, with_person

AWAY = QueueProblem("does not answer", "Check it.", answers=False)


def trouble(story: Story, *, redis: bool = True, after: int = 300) -> QueueTrouble | None:
    at = story.run.due_at + timedelta(seconds=after) if story.run.due_at else now()
    return queue_trouble(story.session, story.run, now=at, queue_problem=lambda: None if redis else AWAY)


def worker(story: Story, *, seen: int) -> None:
    at = story.run.due_at + timedelta(seconds=seen)
    story.session.add(Worker(name="w1", started_at=at, seen_at=at, concurrency=32))
    story.session.commit()


def test_no_worker_is_said_at_once(session: Session) -> None:
    found = trouble(Story(session), after=0)
    assert found.title == "No worker is online"
    assert "None has been seen yet." in found.why


def test_a_worker_that_went_silent_is_named_by_its_last_sign(session: Session) -> None:
    story = Story(session)
    worker(story, seen=0)
    found = trouble(story, redis=False)
    assert "The last one was seen on" in found.why
    assert "Redis" in found.why


def test_a_queue_that_does_not_answer(session: Session) -> None:
    story = Story(session)
    worker(story, seen=299)
    found = trouble(story, redis=False)
    assert found.title == "The queue service (Redis) does not answer"
    assert found.todo.endswith("Check it.")


def test_busy_workers_with_how_many_come_first(session: Session) -> None:
    first, second = Story(session), Story(session)
    first.run.due_at = second.run.due_at - timedelta(seconds=1)
    session.commit()
    worker(second, seen=299)
    assert "No other run is due before it." in trouble(first).why
    assert "1 run is due before it, the oldest since" in trouble(second).why


def test_nothing_is_wrong_within_the_first_minute(session: Session) -> None:
    story = Story(session)
    worker(story, seen=20)
    assert trouble(story, after=30) is None


@pytest.mark.parametrize(
    "tell",
    [
        lambda s: Story(s, with_person).take(),
        lambda s: Story(s).answer(refused()),
    ],
)
def test_a_run_that_waits_or_is_over_has_none(session: Session, tell: Callable[[Session], Story]) -> None:
    assert trouble(tell(session)) is None


def test_a_backoff_is_no_trouble(session: Session) -> None:
    story = Story(session, retried).answer(failed(FailureClass.HTTP_5XX, http_status=503))
    assert trouble(story, after=-60) is None


def test_a_run_that_is_worked_on_has_none(session: Session) -> None:
    story = Story(session).take()
    assert queue_trouble(session, story.run, now=story.run.lease_until, queue_problem=lambda: AWAY) is None


def test_a_run_whose_worker_went_silent_unnoticed_names_the_sweeper(session: Session) -> None:
    story = Story(session).take()
    later = story.run.lease_until + timedelta(seconds=31)
    found = queue_trouble(session, story.run, now=later, queue_problem=lambda: None)
    assert found.title == "The worker of this run has gone silent"
    assert "sweeper" in found.todo


def test_a_queued_run_that_is_due_later_says_when(session: Session) -> None:
    story = Story(session)
    assert "It starts on" in trouble(story, after=-60).why
