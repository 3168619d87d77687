"""Retrying many failed runs as one job: probe first, in order, a few at a time, each run once."""

from __future__ import annotations

import threading

import pytest
from flask import Flask
from sqlalchemy import event, func, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.domain.runs.breaker import REFUSALS
from app.domain.states import FailureClass
from app.errors import AppError, Conflict, Invalid
from app.extensions import db
from app.models import AuditEvent, BulkRetry, BulkRetryItem, ConnectionBreaker, ManualTask, Run, RunEvent
from app.queries.bulk_retries import (
    bulk_progress,
    chosen_by_filter,
    chosen_by_number,
    in_live_jobs,
    live_jobs,
)
from app.queries.runs import RunFilters
from app.services import bulk_retries, recovery, runs, tasks
from app.services.bulk_retries import IN_FLIGHT, go_on
from app.services.transaction import transaction
from tests.support.audit import audited
from tests.support.factories import human_step
from tests.support.failed_runs import Outage
from tests.support.queries.stories import ALICE, failed, ok, refused

F = FailureClass
LOST = failed(F.TIMEOUT, lost=True)


def outcomes(outage: Outage, bulk: BulkRetry) -> list[tuple[str, str | None]]:
    return [(one.status, one.skip_reason) for one in outage.items(bulk)]


def retried(session: Session) -> list[int]:
    """Every Retry that was ever made, by run, in order."""
    told = select(RunEvent.run_id).where(RunEvent.kind == "retried").order_by(RunEvent.id)
    return list(session.scalars(told))


def ended_because(outage: Outage, bulk: BulkRetry) -> str:
    outage.session.rollback()
    found = bulk_progress(outage.session, bulk.id)
    assert found is not None
    return found.ended_because


# The probe


def test_thirty_seven_runs_with_the_credential_still_wrong_touch_one(session: Session) -> None:
    outage = Outage(session, 37)
    bulk = outage.until_over(outage.start(), refused())
    assert bulk.status == "probe_failed"
    assert retried(session) == [outage.ids[0]]
    assert outcomes(outage, bulk) == [("failed_again", None), *[("skipped", "probe_failed")] * 36]
    assert ended_because(outage, bulk) == "HTTP 401 Unauthorized again: nothing else was touched."


def test_with_the_right_one_all_thirty_seven_finish_in_their_order(session: Session) -> None:
    outage = Outage(session, 37)
    bulk = outage.until_over(outage.start())
    assert bulk.status == "finished"
    assert retried(session) == outage.ids
    assert outage.statuses() == ["succeeded"] * 37
    assert outcomes(outage, bulk) == [("succeeded", None)] * 37


def test_nothing_follows_the_probe_before_it_has_come_back(session: Session) -> None:
    outage = Outage(session, 3)
    bulk = outage.start()
    assert outage.go_on(bulk) == 1
    assert outage.go_on(bulk) == 0
    assert [one.status for one in outage.items(bulk)] == ["started", "waiting", "waiting"]
    assert [one.is_probe for one in outage.items(bulk)] == [True, False, False]


def test_a_probe_that_fails_otherwise_says_with_what(session: Session) -> None:
    outage = Outage(session, 2)
    bulk = outage.until_over(outage.start(), refused(403))
    assert ended_because(outage, bulk) == (
        "HTTP 403 Forbidden this time, HTTP 401 Unauthorized before: nothing else was touched."
    )


def test_a_probe_that_is_cancelled_proves_nothing_and_the_next_run_is_the_probe(
    session: Session,
) -> None:
    outage = Outage(session, 3)
    bulk = outage.start()
    outage.go_on(bulk)
    runs.cancel(session, ALICE, session.get_one(Run, outage.ids[0]), reason="Not this one")
    session.commit()
    outage.go_on(bulk)
    assert [(one.status, one.is_probe) for one in outage.items(bulk)] == [
        ("ended", True),
        ("started", True),
        ("waiting", False),
    ]
    outage.until_over(bulk, refused())
    assert ended_because(outage, bulk) == "HTTP 401 Unauthorized again: the other runs were left alone."


def test_a_probe_that_goes_on_to_a_person_has_passed(session: Session) -> None:
    outage = Outage(session, 2, refused(), human_step())
    bulk = outage.until_over(outage.start())
    assert outcomes(outage, bulk) == [("waiting_manual", None)] * 2
    assert {one.note for one in outage.items(bulk)} == {"A person is asked next."}


def test_a_probe_that_is_handed_to_a_person_again_has_failed(session: Session) -> None:
    outage = Outage(session, 2, on_failure="escalate")
    for task in session.scalars(select(ManualTask)).all():
        tasks.fail(session, ALICE, task, "Not by hand")
    session.commit()
    assert outage.statuses() == ["failed"] * 2
    bulk = outage.until_over(outage.start(), refused())
    assert outcomes(outage, bulk) == [("waiting_manual", None), ("skipped", "probe_failed")]
    assert "was handed to a person" in outage.items(bulk)[0].note


def test_a_run_that_the_database_refuses_to_change_is_passed_over_and_the_job_ends(session: Session) -> None:
    outage = Outage(session, 3)
    bulk = outage.start()
    on_postgresql = session.get_bind().dialect.name == "postgresql"
    act = "EXECUTE FUNCTION refuse_change('broken')"
    if not on_postgresql:
        act = "BEGIN SELECT RAISE(ABORT, 'broken'); END"
    number = outage.ids[0]
    session.execute(
        text(f"CREATE TRIGGER broken BEFORE UPDATE ON runs FOR EACH ROW WHEN (OLD.id = {number}) {act}")
    )
    session.commit()
    try:
        bulk = outage.until_over(bulk)
    finally:
        session.rollback()
        session.execute(text("DROP TRIGGER broken" + (" ON runs" if on_postgresql else "")))
        session.commit()
    assert outcomes(outage, bulk) == [("skipped", "refused"), ("succeeded", None), ("succeeded", None)]
    assert outage.items(bulk)[0].note == "The database refused it (IntegrityError)."


# A probe of each cause


def mixed(session: Session) -> tuple[Outage, list[int], list[int]]:
    """Three runs whose credential was refused, and three that were not allowed, taken in turn."""
    outage = Outage(session, 6, lambda run: refused(403 if run.user_id % 2 else 401))
    causes = {one.id: one.failure_status for one in outage.runs}
    return outage, *([run for run in outage.ids if causes[run] == status] for status in (401, 403))


def test_each_cause_is_tried_by_one_run_before_others_of_it_follow(session: Session) -> None:
    outage, refusals, denials = mixed(session)
    bulk = outage.start()
    assert outage.go_on(bulk) == 2
    assert outage.go_on(bulk) == 0
    assert sorted(retried(session)) == sorted([refusals[0], denials[0]])
    assert [one.is_probe for one in outage.items(bulk)] == [True, True, False, False, False, False]


def test_a_cause_that_is_not_mended_holds_no_other_up(session: Session) -> None:
    outage, refusals, denials = mixed(session)
    bulk = outage.until_over(outage.start(), lambda run: refused(403) if run.id in denials else ok())
    assert bulk.status == "finished"
    by_run = {one.run_id: (one.status, one.skip_reason) for one in outage.items(bulk)}
    assert {by_run[run] for run in refusals} == {("succeeded", None)}
    first, *others = denials
    assert by_run[first] == ("failed_again", None)
    assert {by_run[run] for run in others} == {("skipped", "probe_failed")}
    assert sorted(retried(session)) == sorted([*refusals, first])
    [note] = {one.note for one in outage.items(bulk) if one.skip_reason}
    assert note == f"Run {first}, which had failed alike, failed again."


def test_when_no_cause_is_mended_one_run_of_each_was_touched(session: Session) -> None:
    outage, refusals, denials = mixed(session)
    bulk = outage.until_over(outage.start(), refused(404))
    assert bulk.status == "probe_failed"
    assert sorted(retried(session)) == sorted([refusals[0], denials[0]])
    assert ended_because(outage, bulk) == (
        "Of each cause one run was tried, and all 2 failed again: the others were left alone."
    )


# Parked connections


def parked(session: Session) -> Outage:
    """Two have failed, and what came after them waits."""
    outage = Outage(session, 5, failed(F.HTTP_5XX, http_status=503), parks_after=3)
    assert outage.statuses() == ["failed"] * 2 + ["running"] * 3
    return outage


def order(outage: Outage, *, unpark: bool) -> BulkRetry:
    wanted = bulk_retries.RetryOrder("n", "r", f"unpark {unpark}", "s", unpark=unpark)
    return bulk_retries.start(outage.session, ALICE, wanted, outage.choice().rows)


def test_who_retries_runs_of_a_parked_connection_may_let_it_go_on(session: Session) -> None:
    outage = parked(session)
    order(outage, unpark=True)
    state = select(ConnectionBreaker.state).where(ConnectionBreaker.connection_id == outage.connection.id)
    assert session.scalar(state) == "trial"
    assert audited(session)[-2:] == ["bulk_retry.start", "connection.unpark"]


def test_otherwise_it_stays_parked_as_it_does_after_refusing_its_credential(session: Session) -> None:
    outage = parked(session)
    state = select(ConnectionBreaker.state).where(ConnectionBreaker.connection_id == outage.connection.id)
    order(outage, unpark=False)
    assert session.scalar(state) == "parked"
    refusing = Outage(session, REFUSALS, parks_after=3)
    order(refusing, unpark=True)
    state = select(ConnectionBreaker.state).where(ConnectionBreaker.connection_id == refusing.connection.id)
    assert session.scalar(state) == "refused"


# A few at a time


def test_a_bounded_number_is_under_way_at_once(session: Session) -> None:
    outage = Outage(session, 20)
    bulk = outage.start()
    outage.go_on(bulk)
    outage.answer(ok())
    assert outage.go_on(bulk) == IN_FLIGHT
    assert outage.go_on(bulk) == 0
    moving = [one for one in outage.statuses() if one == "running"]
    assert len(moving) == IN_FLIGHT


def test_a_run_that_fails_again_after_the_probe_is_told_and_the_others_go_on(session: Session) -> None:
    outage = Outage(session, 4)
    odd = outage.ids[2]
    bulk = outage.until_over(outage.start(), lambda run: refused(404) if run.id == odd else ok())
    assert bulk.status == "finished"
    [item] = [one for one in outage.items(bulk) if one.run_id == odd]
    assert (item.status, item.failure_status, item.cause_status) == ("failed_again", 404, 401)
    assert [one.status for one in outage.items(bulk)].count("succeeded") == 3


# What is left alone, and why


def test_twenty_five_runs_of_which_some_have_moved_meanwhile_each_have_their_outcome(
    session: Session,
) -> None:
    outage = Outage(session, 25)
    bulk = outage.start()
    for run_id in outage.ids[3:6]:
        recovery.retry(session, ALICE, session.get_one(Run, run_id))
    session.commit()
    outage.answer(ok())
    outage.until_over(bulk)
    told = outcomes(outage, bulk)
    assert told[3:6] == [("skipped", "not_failed")] * 3
    assert told[:3] + told[6:] == [("succeeded", None)] * 22
    assert {one.note for one in outage.items(bulk)[3:6]} == {"It is succeeded."}


def test_runs_that_cannot_be_retried_are_in_the_job_with_the_reason(session: Session) -> None:
    outage = Outage(session, 4)
    unknown, stale, replaced, fine = outage.runs
    session.execute(
        text("UPDATE runs SET outcome_unknown = :yes WHERE id = :id"), {"yes": True, "id": unknown.id}
    )
    session.execute(
        text("UPDATE grants SET revoked_at = granted_at, revoked_by = 'Bob' WHERE id = :id"),
        {"id": stale.grant_id},
    )
    session.commit()
    newer = recovery.replay(session, ALICE, replaced)
    session.commit()
    bulk = outage.start()
    items = outage.items(bulk)
    assert [one.skip_reason for one in items] == ["needs_confirmation", "stale", "replaced", None]
    assert "check in the other system" in items[0].note
    assert "Its grant has been revoked." in items[1].note
    assert f"Run {newer.id} has replaced this one" in items[2].note
    outage.until_over(bulk)
    assert retried(session) == [fine.id]


def test_a_create_that_was_answered_is_left_alone(session: Session) -> None:
    outage = Outage(session, 3)
    session.execute(
        text("UPDATE runs SET failure_class = 'mapping', failure_status = 201 WHERE id = :id"),
        {"id": outage.ids[0]},
    )
    session.commit()
    bulk = outage.start()
    [first, *_] = outage.items(bulk)
    assert first.skip_reason == "needs_confirmation"
    assert first.note.startswith("The failed call was answered with success, so it was carried out")
    outage.until_over(bulk)
    assert retried(session) == outage.ids[1:]


def test_a_run_that_became_unknown_after_the_start_is_left_alone_when_its_turn_comes(
    session: Session,
) -> None:
    outage = Outage(session, 2)
    bulk = outage.start()
    session.execute(text("UPDATE runs SET outcome_unknown = :yes"), {"yes": True})
    session.commit()
    outage.until_over(bulk)
    assert outcomes(outage, bulk) == [("skipped", "needs_confirmation")] * 2
    assert bulk.status == "finished"
    assert retried(session) == []


def test_when_nothing_can_be_retried_there_is_no_job(session: Session) -> None:
    outage = Outage(session, 2, LOST)
    with pytest.raises(Invalid, match="None of these runs can be retried"):
        outage.start()
    session.rollback()
    assert session.scalar(select(func.count()).select_from(BulkRetry)) == 0


def test_an_empty_filter_and_an_empty_selection_are_refused(session: Session) -> None:
    Outage(session, 1)
    with pytest.raises(Invalid, match="Narrow the runs by a filter first"):
        chosen_by_filter(session, RunFilters())
    with pytest.raises(Invalid, match="Choose at least one"):
        chosen_by_number(session, [])
    wanted = bulk_retries.RetryOrder("n", "r", "t", "s")
    with pytest.raises(Invalid, match="nothing to retry"):
        bulk_retries.start(session, ALICE, wanted, [])


def test_one_job_takes_five_hundred_and_says_that_there_are_more(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.queries.bulk_retries.MAX_RUNS", 2)
    outage = Outage(session, 3)
    chosen = outage.choice()
    assert ([one.run.id for one in chosen.rows], chosen.left_out) == (outage.ids[:2], True)
    with pytest.raises(Invalid, match="At most 2 runs"):
        chosen_by_number(session, outage.ids)


# Once


def test_a_form_that_is_sent_twice_makes_one_job(session: Session) -> None:
    outage = Outage(session, 2)
    first = outage.start("same")
    second = outage.start("same")
    assert first.id == second.id
    assert session.scalars(select(AuditEvent.action)).all().count("bulk_retry.start") == 1


def test_jobs_that_overlap_retry_no_run_twice(session: Session) -> None:
    outage = Outage(session, 4)
    part = chosen_by_number(session, outage.ids[:2])
    first = outage.start("first", part)
    second = outage.start("second")
    assert [one.skip_reason for one in outage.items(second)] == ["in_another", "in_another", None, None]
    assert outage.items(second)[0].note == f"It is in bulk retry {first.id}."
    for bulk in (first, second):
        outage.until_over(bulk)
    assert sorted(retried(session)) == outage.ids


def test_the_database_keeps_a_run_in_one_live_job_and_an_outcome_as_it_is(session: Session) -> None:
    outage = Outage(session, 1)
    bulk = outage.start()
    [item] = outage.items(bulk)
    other = {"token": "x", "name": "n", "reason": "r", "scope": "s", "total": 1, "created_by": "A"}
    now = bulk.created_at
    session.add(BulkRetry(**other, created_at=now, changed_at=now))
    session.flush()
    number = session.scalar(select(func.max(BulkRetry.id)))
    session.add(BulkRetryItem(bulk_retry_id=number, run_id=item.run_id, position=1))
    with pytest.raises(IntegrityError):
        session.flush()
    session.rollback()
    outage.until_over(bulk)
    for statement in (
        "UPDATE bulk_retry_items SET status = 'waiting', started_at = NULL",
        "UPDATE bulk_retries SET status = 'running', finished_at = NULL",
        "DELETE FROM bulk_retry_items",
    ):
        with pytest.raises(IntegrityError):
            session.execute(text(statement))
        session.rollback()


def _at_once(app: Flask, acts: list) -> list[str]:  # type: ignore[type-arg]
    """Run each act in a thread and a transaction of its own; what came of each, sorted."""
    start, results = threading.Barrier(len(acts)), []

    def run(act) -> None:  # type: ignore[no-untyped-def]
        with app.app_context():
            start.wait()
            try:
                with transaction() as session:
                    results.append(str(act(session)))
            except AppError as refusal:
                results.append(type(refusal).__name__)
            finally:
                db.session.remove()

    threads = [threading.Thread(target=run, args=(one,)) for one in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(results)


def _start(token: str, application_id: int):  # type: ignore[no-untyped-def]
    def act(session: Session) -> int:
        chosen = chosen_by_filter(session, RunFilters(application_id=application_id))
        return bulk_retries.start(
            session, ALICE, bulk_retries.RetryOrder("n", "r", token, "s"), chosen.rows
        ).id

    return act


def test_two_clicks_at_the_same_moment_make_one_job(app: Flask) -> None:
    with app.app_context():
        place = Outage(db.session(), 3).application.id
        db.session.remove()
    first, second = _at_once(app, [_start("same", place), _start("same", place)])
    assert first == second
    with app.app_context():
        assert db.session().scalar(select(func.count()).select_from(BulkRetryItem)) == 3


def test_of_two_overlapping_jobs_at_the_same_moment_one_has_the_runs(app: Flask) -> None:
    with app.app_context():
        place = Outage(db.session(), 3).application.id
        db.session.remove()
    assert "Invalid" in _at_once(app, [_start("one", place), _start("two", place)])
    with app.app_context():
        assert db.session().scalar(select(func.count()).select_from(BulkRetryItem)) == 3


def test_of_two_sweepers_at_the_same_moment_one_takes_the_turn(app: Flask) -> None:
    with app.app_context():
        outage = Outage(db.session(), 3)
        number = outage.start().id
        db.session.remove()
    _at_once(app, [lambda session: go_on(session, number)] * 3)
    with app.app_context():
        assert len(retried(db.session())) == 1


# Stopping


def test_a_stopped_job_lets_what_is_under_way_finish_and_skips_the_rest(session: Session) -> None:
    outage = Outage(session, 8)
    bulk = outage.start()
    outage.go_on(bulk)
    outage.answer(ok())
    outage.go_on(bulk)
    bulk_retries.stop(session, ALICE, bulk.id)
    session.commit()
    assert bulk.status == "stopping"
    with pytest.raises(Conflict, match="Alice Admin has stopped bulk retry"):
        bulk_retries.stop(session, ALICE, bulk.id)
    outage.until_over(bulk)
    assert bulk.status == "stopped"
    assert outcomes(outage, bulk) == [("succeeded", None)] * 6 + [("skipped", "stopped")] * 2
    assert len(retried(session)) == 6


def test_a_job_that_is_stopped_before_its_first_run_is_over_at_once(session: Session) -> None:
    outage = Outage(session, 2)
    bulk = outage.start()
    bulk_retries.stop(session, ALICE, bulk.id)
    session.commit()
    assert bulk.status == "stopped"
    assert outage.go_on(bulk) == 0
    assert retried(session) == []


def test_a_job_that_is_over_cannot_be_stopped(session: Session) -> None:
    outage = Outage(session, 1)
    bulk = outage.until_over(outage.start())
    with pytest.raises(Conflict, match="nothing left to stop"):
        bulk_retries.stop(session, ALICE, bulk.id)


# What is told


def test_timeline_and_audit_name_the_job_and_its_reason(session: Session) -> None:
    outage = Outage(session, 1)
    bulk = outage.until_over(outage.start())
    [told] = session.scalars(select(RunEvent).where(RunEvent.kind == "retried"))
    assert told.message == f"Retried by the bulk retry {bulk.id}."
    started = session.scalars(select(AuditEvent).where(AuditEvent.action == "bulk_retry.start")).one()
    assert (started.subject, started.reason) == (
        f"Bulk retry {bulk.id}: After the outage",
        "The credential was replaced",
    )
    each = session.scalars(select(AuditEvent).where(AuditEvent.action == "run.retry")).one()
    assert (each.actor, each.actor_kind, each.reason) == (
        f"the bulk retry {bulk.id}",
        "system",
        "The credential was replaced",
    )


def test_runs_in_live_jobs_are_found_without_reading_the_jobs_that_are_over(only_sqlite: Flask) -> None:
    with only_sqlite.app_context():
        session, asked = db.session(), []

        def note(_connection, _cursor, statement: str, parameters: object, *_rest: object) -> None:  # type: ignore[no-untyped-def]
            asked.append((statement, parameters))

        event.listen(db.engine, "before_cursor_execute", note)
        in_live_jobs(session, [1, 2])
        live_jobs(session)
        event.remove(db.engine, "before_cursor_execute", note)
        plans = [
            str(session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all())
            for statement, parameters in asked
            if statement.startswith("SELECT")
        ]
    assert len(plans) == 2
    assert "uq_bulk_retry_items_open_run" in plans[0]
    assert "ix_bulk_retries_live" in plans[1]
