"""Lists of runs, one run's facts, what may be done to it, and what keeps it from moving."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import event, insert, text, update
from sqlalchemy.orm import Session

from app.clock import now
from app.domain.states import FailureClass, RunStatus, Trigger
from app.errors import Conflict
from app.extensions import db
from app.models import Run
from app.permissions import Actor
from app.queries.runs import (
    RunFilters,
    actions,
    run_detail,
    run_label,
    run_list,
)
from app.services import recovery, runs
from tests.support.factories import add_version, http_step
from tests.support.queries.statements import statements
from tests.support.queries.stories import ALICE, Story, edge, failed, ok, refused, retried, with_person

BOB = Actor("user", "Bob", frozenset({"workflow:read"}))
R = RunStatus
# Both hold only what still has to move; which is cheaper is for the database to say.
MOVING = "ix_runs_due|ix_runs_lane_order"


def found(session: Session, **filters: object) -> list[int]:
    return [row.run.id for row in run_list(session, RunFilters(**filters), limit=50)]


@pytest.fixture
def several(session: Session) -> dict[str, Story]:
    """One run each of several kinds, oldest first."""
    told = {
        "done": Story(session).answer(ok(200), ok()),
        "failed": Story(session).answer(refused(401)),
        "waiting": Story(session, with_person).take(),
        "queued": Story(session, trigger="access_revoked"),
        "timeout": Story(session).answer(failed(FailureClass.TIMEOUT)),
    }
    told["waiting"].person.first_name, told["waiting"].person.username = "Zoë", "zoe_100%"
    told["failed"].application.name = "Payroll"
    session.commit()
    return told


def test_a_list_is_newest_first_with_what_a_row_shows(session: Session, several: dict[str, Story]) -> None:
    rows = run_list(session, RunFilters(), limit=50)
    assert [row.run.id for row in rows] == sorted((one.run.id for one in several.values()), reverse=True)
    [row] = [row for row in rows if row.run.id == several["failed"].run.id]
    assert (row.run.application.name, row.failed_step) == ("Payroll", "Look up the account")
    assert row.stale is None


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ({"statuses": {R.FAILED}}, ["timeout", "failed"]),
        ({"statuses": {R.QUEUED, R.RUNNING}}, ["queued"]),
        ({"statuses": {R.SUCCEEDED}}, ["done"]),
        ({"statuses": {R.SUCCEEDED, R.WAITING_MANUAL}}, ["waiting", "done"]),
        ({"statuses": {R.CANCELLED}}, []),
        ({"trigger": Trigger.ACCESS_REVOKED}, ["queued"]),
        ({"failure_class": FailureClass.TIMEOUT}, ["timeout"]),
        ({"text": "payR"}, ["failed"]),
        ({"text": "zoë"}, ["waiting"]),
        ({"text": "zoe_100%"}, ["waiting"]),
        ({"text": "%"}, ["waiting"]),
        ({"person": "Zoë Person"}, []),
        ({"person": "Zoë Doe"}, ["waiting"]),
        ({"person": "payroll"}, []),
        ({"text": "nobody at all"}, []),
        ({"application_id": 2**63}, []),
        ({"grant_id": 0}, []),
        ({"workflow_id": -1}, []),
    ],
)
def test_filters_narrow_the_list(
    session: Session, several: dict[str, Story], filters: dict[str, object], names: list[str]
) -> None:
    if "statuses" in filters:
        filters = {"statuses": frozenset(filters["statuses"])}
    assert found(session, **filters) == [several[name].run.id for name in names]


def test_filters_by_number_find_the_runs_of_one_record(session: Session, several: dict[str, Story]) -> None:
    story = several["waiting"]
    for field, record in (
        ("application_id", story.application),
        ("user_id", story.person),
        ("grant_id", story.grant),
        ("workflow_id", story.workflow),
    ):
        assert found(session, **{field: record.id}) == [story.run.id]
    assert story.run.id in found(session, text=str(story.run.id))
    assert found(session, text="9" * 40) == []


def test_pages_by_key_neither_skip_nor_repeat(session: Session, several: dict[str, Story]) -> None:
    everything = found(session)
    older = run_list(session, RunFilters(), limit=2, before=everything[1])
    newer = run_list(session, RunFilters(), limit=2, after=everything[3])
    assert [row.run.id for row in older] == everything[2:4]
    assert [row.run.id for row in newer] == [everything[2], everything[1]]
    assert run_list(session, RunFilters(), limit=2, before=10**30) != []
    assert run_list(session, RunFilters(), limit=2, after=10**30) == []


def test_bounds_of_time_hold_for_runs_with_gaps_in_their_numbers(session: Session) -> None:
    stories = [Story(session) for _ in range(7)]
    start = now() - timedelta(days=10)
    for day, story in enumerate(stories):
        session.execute(
            update(Run).where(Run.id == story.run.id).values(created_at=start + timedelta(days=day))
        )
    session.commit()
    ids = [story.run.id for story in stories]
    for since in range(-1, 8):
        for until in range(since, 9):
            bounds = {"since": start + timedelta(days=since), "until": start + timedelta(days=until)}
            assert found(session, **bounds) == ids[max(since, 0) : max(until, 0)][::-1]


def test_bounds_of_time_find_nothing_where_there_are_no_runs(session: Session) -> None:
    assert found(session, since=now() - timedelta(days=1), until=now()) == []


def test_a_list_takes_a_fixed_number_of_statements(session: Session) -> None:
    Story(session).answer(refused())
    with statements(db.engine) as few:
        found(session, text="Doe")
    for _ in range(6):
        Story(session, edge("stop")).answer(refused())
    with statements(db.engine) as many:
        assert len(found(session, text="Doe")) == 7
    assert len(few) == len(many) <= 4


@pytest.mark.parametrize(
    ("filters", "index"),
    [
        ({"statuses": frozenset({R.FAILED})}, "ix_runs_unusual"),
        ({"statuses": frozenset({R.QUEUED})}, MOVING),
        ({"statuses": frozenset({R.QUEUED, R.RUNNING})}, MOVING),
        ({"statuses": frozenset({R.FAILED}), "application_id": 1}, "ix_runs_(application_)?unusual"),
    ],
)
def test_filters_on_status_are_answered_by_their_partial_index(
    session: Session, filters: dict[str, object], index: str
) -> None:
    """Among thousands of runs that succeeded, the few others are found without reading those."""
    story = Story(session).answer(ok(200), ok())
    session.refresh(story.run)
    columns = [column.name for column in Run.__table__.columns]
    copied = {name: getattr(story.run, name) for name in columns if name != "id"}
    session.execute(insert(Run), [copied | {"sequence": number} for number in range(1, 3000)])
    session.commit()
    session.execute(text("ANALYZE"))
    session.commit()
    plan = explained(session, RunFilters(**filters))
    # SQLite walks the list for the moving ones: it takes an index only to look something up in it.
    if index == MOVING and db.engine.dialect.name == "sqlite":
        assert "SCAN runs" in plan
    else:
        assert re.search(index, plan), plan


def explained(session: Session, filters: RunFilters) -> str:
    """How the database would answer the list."""
    asked: list[tuple[str, object]] = []

    def note(_connection, _cursor, statement: str, parameters: object, *_rest: object) -> None:
        asked.append((statement, parameters))

    event.listen(db.engine, "before_cursor_execute", note)
    run_list(session, filters, limit=50)
    event.remove(db.engine, "before_cursor_execute", note)
    statement, parameters = next(one for one in asked if "FROM runs" in one[0])
    how = "EXPLAIN QUERY PLAN" if db.engine.dialect.name == "sqlite" else "EXPLAIN"
    rows = session.connection().exec_driver_sql(f"{how} {statement}", parameters).all()
    return "\n".join(str(row) for row in rows)


def test_the_label_says_more_than_the_status_where_more_is_known(session: Session) -> None:
    story = Story(session, retried).answer(failed(FailureClass.HTTP_5XX, http_status=503))
    detail = run_detail(session, story.run.id)
    due = story.run.due_at
    assert run_label(story.run, now=now(), of=detail.of) == f"Retrying 2 of 3 at {due:%H:%M} UTC"
    assert run_label(story.run, now=due, of=3) == "Running"
    ignored = Story(session, edge("continue")).answer(refused(), ok())
    assert run_label(ignored.run, now=now()) == "Succeeded (a failure was ignored)"


def test_what_may_be_done_follows_from_state_intent_and_permission(session: Session) -> None:
    running = Story(session).take()
    broken = Story(session).answer(refused())
    assert actions(running.run, ALICE, stale=None, replaced_by=None, no_replay=None).cancel.allowed
    assert not actions(running.run, ALICE, stale=None, replaced_by=None, no_replay=None).retry.allowed
    assert actions(broken.run, ALICE, stale=None, replaced_by=None, no_replay=None).retry.allowed
    assert actions(
        broken.run, ALICE, stale="Its grant has been revoked.", replaced_by=None, no_replay=None
    ).retry.reason == (
        f"Run {broken.run.id} was overtaken: Its grant has been revoked. Nothing would be sent."
    )
    assert actions(broken.run, BOB, stale=None, replaced_by=None, no_replay=None).retry.reason == (
        "This needs the permission workflow:run. Ask an administrator."
    )
    assert actions(
        running.cancel().run, ALICE, stale=None, replaced_by=None, no_replay=None
    ).cancel.reason == ("Alice Admin has asked for this already; a call under way ends first.")


@pytest.mark.parametrize("tell", [lambda one: one.take(), lambda one: one.answer(ok(200), ok(201))])
def test_a_button_gives_the_reason_that_the_refusal_gives(
    session: Session, tell: Callable[[Story], Story]
) -> None:
    run = tell(Story(session)).run
    if run.status == "running":
        runs.cancel(session, ALICE, run, reason="Ordered by mistake")
    shown = actions(run, ALICE, stale=None, replaced_by=None, no_replay=None)
    with pytest.raises(Conflict) as no_retry:
        recovery.retry(session, ALICE, run)
    with pytest.raises(Conflict) as no_cancel:
        runs.cancel(session, ALICE, run, reason="Once more")
    assert (shown.retry.reason, shown.cancel.reason) == (no_retry.value.message, no_cancel.value.message)


def test_a_detail_knows_the_newest_version_and_the_replay(session: Session) -> None:
    story = Story(session).answer(refused())
    add_version(session, story.workflow, http_step("create", story.connection.id))
    columns = [column.name for column in Run.__table__.columns]
    copied = {name: getattr(story.run, name) for name in columns if name != "id"}
    session.execute(insert(Run), [copied | {"sequence": 1, "replaces_run_id": story.run.id}])
    session.commit()
    detail = run_detail(session, story.run.id)
    assert (detail.latest_version, detail.replaced_by) == (2, story.newest().id)
    assert detail.step_name("lookup") == "Look up the account"


@pytest.mark.parametrize("number", [0, -1, 12345, 2**63, 2**80])
def test_there_is_no_such_run(session: Session, number: int) -> None:
    assert run_detail(session, number) is None
