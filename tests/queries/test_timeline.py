"""What a run's timeline tells, in which order, and in how many statements."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import insert, update
from sqlalchemy.orm import Session

from app.domain.remedies.failure import Action
from app.domain.runs import signals as m
from app.domain.states import FailureClass
from app.extensions import db
from app.models import Attempt, AttemptStatus, Credential, WorkflowVersion
from app.queries.runs import run_detail
from app.queries.timeline import Entry, timeline
from app.queries.workflow_versions import read_version
from app.services.advance import Move, advance
from tests.support.factories import NOW, add_version, http_step
from tests.support.queries.statements import statements
from tests.support.queries.stories import WORKER, Story, edge, failed, ok, refused, retried, with_person


def told(story: Story) -> list[Entry]:
    version = story.session.get_one(WorkflowVersion, story.run.version_id)
    return timeline(story.session, story.run, read_version(version))


def test_attempts_and_events_are_told_in_the_order_in_which_they_happened(session: Session) -> None:
    story = Story(session).answer(ok(200, id="42"), refused()).retry().answer(ok(201))
    assert [(one.kind, one.step, one.outcome or one.event) for one in told(story)] == [
        ("attempt", "lookup", "succeeded"),
        ("attempt", "create", "failed"),
        ("event", None, "retried"),
        ("attempt", "create", "succeeded"),
    ]


def test_an_attempt_tells_everything_that_may_be_kept_of_it(session: Session) -> None:
    story = Story(session).answer(ok(200, id="42"), took=310)
    entry = told(story)[0]
    assert (entry.step, entry.step_name, entry.step_number, entry.step_type) == (
        "lookup",
        "Look up the account",
        1,
        "http",
    )
    assert (entry.method, entry.host, entry.path_template) == ("GET", "target.example", "/Users")
    assert (entry.http_status, entry.duration_ms) == (200, 310)
    assert (entry.number, entry.attempt, entry.of) == (1, 1, 1)
    assert entry.captured == {"id": "42"}
    assert entry.edge == "goes on to “Create the account”"
    assert entry.message == "HTTP 200 OK."
    assert entry.remedy is None
    assert entry.connection_id == story.connection.id


def test_mapped_fields_are_told_by_name_only(session: Session) -> None:
    story = Story(session).answer(ok(200), ok(201))
    assert told(story)[1].fields == ("userName",)


def test_a_try_again_tells_when_and_how_many_are_left(session: Session) -> None:
    story = Story(session, retried).answer(failed(FailureClass.HTTP_5XX, http_status=503))
    entry = told(story)[0]
    assert (entry.attempt, entry.of, entry.edge) == (1, 3, "tries again")
    assert entry.next_attempt_at is not None
    assert entry.next_attempt_at - entry.at > timedelta(minutes=59)
    assert entry.remedy is not None
    assert (entry.remedy.why, entry.remedy.action) == ("It is tried again by itself.", Action.NONE)


def test_waiting_until_the_other_system_is_ready_is_nobody_s_fault(session: Session) -> None:
    remedy = told(Story(session).answer(failed(FailureClass.WAIT, http_status=429)))[0].remedy
    assert remedy is not None
    assert remedy.title.endswith("asks for fewer requests (HTTP 429).")
    assert (remedy.why, remedy.action) == ("It is tried again by itself.", Action.NONE)


def test_a_fresh_set_of_attempts_counts_from_one_and_numbers_go_on(session: Session) -> None:
    story = Story(session, lambda c: retried(c, attempts=2))
    down = failed(FailureClass.HTTP_5XX, http_status=503)
    story.answer(down, down).retry().answer(down)
    tries = [(one.number, one.attempt, one.of) for one in told(story) if one.kind == "attempt"]
    assert tries == [(1, 1, 2), (2, 2, 2), (3, 1, 2)]


def test_a_failure_carries_its_remedy_from_what_holds_now(session: Session) -> None:
    story = Story(session).answer(ok(200), refused(401))
    assert told(story)[1].remedy.action is Action.ADD_CREDENTIAL
    secret = {"sealed": "x", "key_id": "k", "set_by": "Alice"}
    session.add(Credential(connection_id=story.connection.id, set_at=NOW, **secret))
    session.commit()
    assert told(story)[1].remedy.action is Action.REPLACE_CREDENTIAL
    session.execute(update(Credential).values(set_at=story.at + timedelta(minutes=1)))
    session.commit()
    assert told(story)[1].remedy.action is Action.TEST_CONNECTION


def test_an_unknown_outcome_is_flagged(session: Session) -> None:
    story = Story(session).answer(ok(200), failed(FailureClass.TIMEOUT, lost=True))
    entry = told(story)[1]
    assert entry.outcome_unknown
    assert entry.message == "No answer in time."
    assert entry.remedy.title.startswith("Outcome unknown")


def test_a_persons_turn_tells_who_and_why(session: Session) -> None:
    story = Story(session, with_person).take()
    waiting = told(story)[0]
    assert (waiting.outcome, waiting.message) == (AttemptStatus.WAITING, "Waiting for a person.")
    assert waiting.task_id == story.task().id
    story.skip("No team yet")
    skipped, resumed = told(story)
    assert skipped.message == "Skipped by Alice Admin: No team yet."
    assert (resumed.kind, resumed.by) == ("event", "Alice Admin")


def test_an_escalated_failure_is_two_entries(session: Session) -> None:
    story = Story(session, edge("escalate")).answer(refused(403))
    failure, waiting = told(story)
    assert (failure.outcome, failure.edge) == (AttemptStatus.FAILED, "asks a person")
    assert (waiting.outcome, waiting.task_origin) == (AttemptStatus.WAITING, "escalated_failure")


def test_compensation_is_marked(session: Session) -> None:
    story = Story(session, edge({"compensate": "undo"})).answer(refused(400), ok(204))
    assert [one.compensation for one in told(story)] == [False, True]


def test_an_answer_that_came_too_late_is_a_note_on_its_attempt(session: Session) -> None:
    story = Story(session).take()
    fence, step = story.run.fence, story.run.cursor
    story.lose_worker()
    late = Move(story.run.id, m.Answered(step, 1, ok(200)), fence=fence)
    advance(session.connection(), [late], now=story.at, holder=WORKER)
    session.commit()
    assert told(story)[0].late_note == "An answer (HTTP 200) came after the run had been taken over."


def test_names_are_those_of_the_pinned_version(session: Session) -> None:
    story = Story(session).answer(ok(200))
    detail = run_detail(session, story.run.id)
    add_version(session, story.workflow, http_step("lookup", story.connection.id, name="Search"))
    session.commit()
    names = ["Look up the account", "Create the account"]
    assert [one.step_name for one in timeline(session, story.run, detail.version)] == names
    assert [one.step_name for one in told(story)] == names


def test_a_long_timeline_takes_as_many_statements_as_a_short_one(session: Session) -> None:
    story = Story(session, edge("escalate")).answer(refused(403))
    with statements(db.engine) as short:
        told(story)
    first = session.query(Attempt).first()
    copied: dict[str, Any] = {
        column.name: getattr(first, column.name)
        for column in Attempt.__table__.columns
        if column.name != "id"
    }
    session.execute(insert(Attempt), [copied | {"number": number} for number in range(3, 61)])
    session.commit()
    session.refresh(story.run)
    with statements(db.engine) as long:
        assert len(told(story)) == 60
    assert len(short) == len(long) <= 7
