"""The rule that no open run stands still: what is adrift, what is not, and what the sweeper does about it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import and_, delete, or_, select
from sqlalchemy.orm import Session

from app.clock import now
from app.config.settings import Settings
from app.domain.runs.breaker import PROBE_LEASE
from app.extensions import db
from app.models import Attempt, ConnectionBreaker, EngineState, ManualTask, RunEvent, Worker
from app.queries.liveness import adrift, count_adrift, lapsed_after
from app.queries.system import overdue_since
from app.services.adrift import take_back
from tests.support.factories import make_user
from tests.support.queries.query_plans import whole_tables_read
from tests.support.queries.stories import Story, edge, refused, retried, with_person

MINUTE = timedelta(minutes=1)


@pytest.fixture
def settings(app: Flask) -> Settings:
    found: Settings = app.extensions["settings"]
    return found


@pytest.fixture
def kinds(session: Session, settings: Settings) -> Callable[[], list[str]]:
    """Which kinds of standing still there are now."""

    def look() -> list[str]:
        session.rollback()
        found = adrift(session, now=now(), settings=settings)
        assert count_adrift(session, now=now(), settings=settings) == len(found)
        return [one.kind.value for one in found]

    return look


@pytest.fixture
def worker(session: Session) -> Worker:
    """One that lives and has room."""
    made = Worker(
        name="w", started_at=now() - 9 * MINUTE, seen_at=now(), concurrency=8, in_flight=1, left_at=None
    )
    session.add(made)
    session.commit()
    return made


def change(session: Session, record: object, **values: object) -> None:
    for name, value in values.items():
        setattr(record, name, value)
    session.commit()


def parked(session: Session, state: str = "parked", **columns: object) -> tuple[Story, ConnectionBreaker]:
    """A run that waits for its connection since three minutes, and the connection's breaker."""
    story = Story(session)
    at = now() - 3 * MINUTE
    breaker = ConnectionBreaker(
        connection_id=story.connection.id,
        application_id=story.application.id,
        state=state,
        since=at,
        parked_at=None if state in ("closed", "watched") else at,
        **columns,
    )
    session.add(breaker)
    session.commit()
    change(
        session,
        story.run,
        status="running",
        cursor="lookup",
        holds_lane=True,
        due_at=None,
        waits_for_id=story.connection.id,
        waits_since=at,
    )
    return story, breaker


Kinds = Callable[[], list[str]]


def test_a_call_under_a_living_lease_is_not_adrift_and_one_that_nobody_took_over_is(
    session: Session, kinds: Kinds, settings: Settings
) -> None:
    story = Story(session).take()
    grace = lapsed_after(settings)
    change(session, story.run, lease_until=now() - grace + MINUTE / 4)
    assert kinds() == []
    change(session, story.run, lease_until=now() - grace - MINUTE / 4)
    assert kinds() == ["lapsed"]


def test_a_run_is_adrift_when_it_is_long_due_and_a_worker_has_room(
    session: Session, kinds: Kinds, worker: Worker
) -> None:
    story = Story(session)
    assert kinds() == ["due"]
    change(session, story.run, due_at=now() - MINUTE / 2)
    assert kinds() == []


@pytest.mark.parametrize(
    "change_of",
    [
        lambda: {"seen_at": now() - 2 * MINUTE},
        lambda: {"left_at": now()},
        lambda: {"in_flight": 5},
        lambda: {"started_at": now() - MINUTE / 2},
    ],
    ids=["silent", "left", "busy", "just begun"],
)
def test_a_run_that_no_worker_could_have_taken_is_not_adrift(
    session: Session, kinds: Kinds, worker: Worker, change_of: Callable[[], dict[str, object]]
) -> None:
    Story(session)
    change(session, worker, **change_of())
    assert kinds() == []


def test_a_run_in_backoff_is_due_at_a_known_time(session: Session, kinds: Kinds, worker: Worker) -> None:
    Story(session, retried).answer(refused(503))
    assert kinds() == []


def test_what_waits_while_its_application_is_served_is_a_queue_and_stands_not_still(
    session: Session, kinds: Kinds, worker: Worker
) -> None:
    story = Story(session)
    served = story.run
    story.person = make_user(session)
    story.granted()
    assert kinds() == ["due", "due"]
    story.run = served
    story.take()
    change(session, served, lease_until=now() + MINUTE)
    assert kinds() == []


def test_who_waits_behind_another_is_not_adrift_for_that(
    session: Session, kinds: Kinds, worker: Worker
) -> None:
    story = Story(session, retried)
    first = story.run
    story.granted()
    change(session, first, due_at=now() + 5 * MINUTE)
    assert kinds() == []
    change(session, first, due_at=now() - 2 * MINUTE)
    assert kinds() == ["due"]
    assert overdue_since(session.connection(), now=now()) == first.due_at


def test_runs_of_a_pair_that_wait_for_each_other_are_adrift_whatever_else_goes_on(
    session: Session, kinds: Kinds, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As they did once: who held the lane waited for an older run that had come back, and that for the holder."""
    story = Story(session)
    older = story.run
    story.granted()
    newer = story.newest()
    change(session, newer, status="running", holds_lane=True)
    served = Story(session)
    served.take()
    change(session, served.run, application_id=story.application.id, lease_until=now() + MINUTE)
    assert kinds() == []

    def either_way(other: Any, run: Any) -> Any:
        together = (other.user_id == run.user_id, other.application_id == run.application_id)
        return and_(*together, other.id != run.id, or_(other.holds_lane, other.id < run.id))

    monkeypatch.setattr("app.queries.liveness.is_ahead_of", either_way)
    assert kinds() == ["due", "due"]
    assert older.id < newer.id


def test_while_runs_are_paused_nothing_is_adrift(session: Session, kinds: Kinds, worker: Worker) -> None:
    Story(session)
    state = session.scalars(select(EngineState)).one()
    change(session, state, paused_at=now(), paused_by="Alice", paused_because="Maintenance")
    assert kinds() == []


@pytest.mark.parametrize(
    ("state", "ago", "found"),
    [
        ("parked", 0.5, []),
        ("parked", 2, ["unseen"]),
        ("trial", 2, ["unseen"]),
        ("draining", 2, ["unseen"]),
        ("refused", None, []),
        ("closed", None, ["in_use"]),
        ("watched", None, ["in_use"]),
    ],
)
def test_a_wait_for_a_connection_is_adrift_when_nobody_sees_to_it(
    session: Session, kinds: Kinds, state: str, ago: float | None, found: list[str]
) -> None:
    parked(session, state, next_at=None if ago is None else now() - ago * MINUTE)
    assert kinds() == found


def test_a_probe_that_is_under_way_is_seen_to(session: Session, kinds: Kinds) -> None:
    parked(session, "parked", next_at=now() + PROBE_LEASE)
    assert kinds() == []


def test_a_parking_by_hand_ends_at_its_time(session: Session, kinds: Kinds) -> None:
    _, breaker = parked(session, "held", next_at=now() + MINUTE, until=now() + MINUTE)
    assert kinds() == []
    change(session, breaker, next_at=now() - 2 * MINUTE, until=now() - 2 * MINUTE)
    assert kinds() == ["unseen"]


def test_a_wait_for_nothing_is_let_go_on_and_says_why(
    session: Session, kinds: Kinds, settings: Settings
) -> None:
    story, breaker = parked(session, "closed")
    session.delete(breaker)
    session.commit()
    assert kinds() == ["in_use"]
    before = story.run.revision
    assert told_of_taking_back(session, settings) == [
        "It stood still: it waited for a connection that is in use. The sweeper let it go on."
    ]
    session.refresh(story.run)
    assert (story.run.waits_for_id, story.run.due_at is None) == (None, False)
    assert story.run.revision > before
    assert kinds() == []


def test_a_run_whose_connection_is_gone_goes_on(session: Session, kinds: Kinds, settings: Settings) -> None:
    story, breaker = parked(session, "closed")
    session.delete(breaker)
    change(session, story.run, waits_for_id=story.connection.id + 77)
    assert kinds() == ["gone"]
    told_of_taking_back(session, settings)
    assert kinds() == []


def test_a_run_that_asks_nobody_is_adrift_and_is_asked_anew(
    session: Session, kinds: Kinds, settings: Settings
) -> None:
    story = Story(session, with_person).take()
    change(session, story.run, changed_at=now() - 2 * MINUTE)
    assert kinds() == []
    asked = story.task()
    prompt = asked.prompt
    session.execute(delete(ManualTask))
    session.commit()
    assert kinds() == ["unasked"]
    assert told_of_taking_back(session, settings) == [
        "It stood still: it waited for a person, and no task asked anybody. The sweeper asked anew."
    ]
    assert kinds() == []
    task = story.task()
    assert (task.prompt, task.status) == (prompt, "pending")
    assert session.scalars(select(Attempt.task_id).where(Attempt.run_id == story.run.id)).one() == task.id
    story.submit(team="Red").answer()
    assert story.run.status == "running"


def test_an_escalated_failure_that_asks_nobody_is_asked_anew(
    session: Session, kinds: Kinds, settings: Settings
) -> None:
    story = Story(session, edge("escalate")).answer(refused(403))
    change(session, story.run, changed_at=now() - 2 * MINUTE)
    session.execute(delete(ManualTask))
    session.commit()
    assert kinds() == ["unasked"]
    told_of_taking_back(session, settings)
    assert (kinds(), story.task().origin) == ([], "escalated_failure")


def test_a_run_that_no_worker_takes_says_it_once_and_goes_on_counting(
    session: Session, kinds: Kinds, settings: Settings, worker: Worker
) -> None:
    Story(session)
    words = ["It stood still: it was due, and no worker took it. The sweeper told the workers of it again."]
    assert told_of_taking_back(session, settings) == words
    assert told_of_taking_back(session, settings) == words
    assert kinds() == ["due"]


def told_of_taking_back(session: Session, settings: Settings) -> list[str]:
    """Take back all that stands still; what every timeline says of it."""
    session.rollback()
    for one in adrift(session, now=now(), settings=settings):
        take_back(session, one, now=now())
    session.commit()
    return list(session.scalars(select(RunEvent.message).where(RunEvent.kind == "stood_still")))


def test_what_was_taken_back_meanwhile_is_let_alone(session: Session, settings: Settings) -> None:
    parked(session, "closed")
    [found] = adrift(session, now=now(), settings=settings)
    assert take_back(session, found, now=now())
    assert not take_back(session, found, now=now())
    session.commit()
    assert len(session.scalars(select(RunEvent).where(RunEvent.kind == "stood_still")).all()) == 1


def test_the_rule_is_answered_by_indexes(session: Session, settings: Settings) -> None:
    Story(session).answer(refused(401))
    Story(session, with_person).take()
    assert whole_tables_read(db.engine, lambda: adrift(session, now=now(), settings=settings)) == []
