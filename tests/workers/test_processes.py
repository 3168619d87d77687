"""Workers and sweepers as real processes: killed, hung, flushed, stopped, and what comes out."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import redis
from flask import Flask
from rq import Worker as RqWorker
from sqlalchemy import select, update

from app import clock
from app.domain.alerts.rules import AlertKind, AlertText, Channel
from app.models import AlertDelivery, Application, Attempt, Duty, Grant, Run, User, Worker
from app.permissions import Actor
from app.services import grants
from app.services.alerts.lifecycle import tell
from app.services.transaction import transaction
from tests.support.factories import http_step, make_application, make_connection, make_user, make_workflow
from tests.support.mailbox import running_mailbox
from tests.support.target import Answer, Call, Target
from tests.support.workers.processes import PATIENCE, Crew, until

pytestmark = pytest.mark.slow


@pytest.fixture
def crew(each_crew: Crew) -> Crew:
    """Every one of these is shown on each kind of database."""
    return each_crew


@pytest.fixture
def grant(app: Flask, admin: Actor, target: Target) -> Callable[..., None]:
    """Make an application with a workflow of the given steps, and grant one person or more access to it."""

    def make(*steps: dict[str, Any], people: int = 1) -> None:
        with app.app_context():
            with transaction() as session:
                application = make_application(session)
                config = {"base_url": target.url, "auth": "none", "timeout_seconds": 20}
                connection = make_connection(session, application, config=config)
                made = [step | {"connection_id": str(connection.id)} for step in steps]
                make_workflow(session, application, *made)
                place = application.id
                ids = [make_user(session).id for _ in range(people)]
            for person in ids:
                with transaction() as session:
                    grants.grant(
                        session,
                        admin,
                        application=session.get_one(Application, place),
                        user=session.get_one(User, person),
                        now=clock.now(),
                    )

    return make


def attempts(crew: Crew) -> list[tuple[str, int, str, str | None]]:
    columns = (Attempt.step_key, Attempt.number, Attempt.status, Attempt.failure_class)
    return [tuple(row) for row in crew.look(lambda s: s.execute(select(*columns).order_by(Attempt.id)).all())]


def test_a_grant_reaches_the_outside_and_its_values_feed_the_next_step(
    crew: Crew, target: Target, grant: Callable[..., None]
) -> None:
    crew.worker()
    grant(
        http_step("create", capture={"id": "$.id"}),
        http_step("join", path="/groups/x/members", body={"value": "{{ steps.create.id }}"}),
    )
    until(lambda: crew.run_status() == "succeeded", "the run succeeds")
    assert [(one.path, one.body) for one in target.calls][1] == ("/groups/x/members", {"value": "u-1"})


def test_many_runs_are_in_the_air_at_once_in_one_process(
    crew: Crew, target: Target, grant: Callable[..., None]
) -> None:
    gate = threading.Event()
    target.answer = lambda _call: Answer(201, gate=gate)
    crew.worker()
    grant(http_step(), people=20)
    target.wait_for_calls(20)
    gate.set()
    until(lambda: all(crew.run_status(one) == "succeeded" for one in range(20)), "all succeed")


def test_a_system_that_answers_nobody_keeps_no_other_s_bell_from_being_heard(
    crew: Crew, target: Target, grant: Callable[..., None]
) -> None:
    gate = threading.Event()
    target.answer = lambda call: Answer(201, gate=gate if call.path == "/slow" else None)
    crew.worker(WORKER_CONCURRENCY="4", SWEEP_SECONDS="60")
    grant(http_step("wait", path="/slow"), people=10)
    target.wait_for_calls(4)
    grant(http_step("quick", path="/quick"))
    # Before the slow calls are given up, which would free their places.
    until(lambda: any(one.path == "/quick" for one in target.calls), "the other is called", 15)
    gate.set()


def test_a_killed_worker_s_idempotent_call_is_sent_again_and_finished_steps_are_not(
    crew: Crew, target: Target, grant: Callable[..., None]
) -> None:
    gate = threading.Event()
    hold = {"path": "/slow"}

    def answer(call: Call) -> Answer:
        return Answer(200, gate=gate if call.path == hold["path"] else None)

    target.answer = answer
    worker = crew.worker()
    crew.sweeper()
    grant(http_step("create"), http_step("slow", method="PUT", path="/slow"))
    target.wait_for_calls(2)
    worker.kill()
    worker.wait(PATIENCE)
    gate.set()
    hold["path"] = "nothing is held any more"
    crew.worker()
    until(lambda: crew.run_status() == "succeeded", "another worker finishes the run")
    by_path = [one.path for one in target.calls]
    assert (by_path.count("/Users"), by_path.count("/slow")) == (1, 2)
    assert len({one.key for one in target.calls if one.path == "/slow"}) == 1
    assert attempts(crew) == [
        ("create", 1, "succeeded", None),
        ("slow", 1, "failed", "outcome_unknown"),
        ("slow", 2, "succeeded", None),
    ]


def test_a_killed_worker_s_create_is_never_sent_twice_and_shows_as_unknown(
    crew: Crew, target: Target, grant: Callable[..., None]
) -> None:
    gate = threading.Event()
    target.answer = lambda _call: Answer(201, gate=gate)
    worker = crew.worker()
    crew.sweeper()
    grant(http_step("create"))
    target.wait_for_calls(1)
    worker.kill()
    worker.wait(PATIENCE)
    gate.set()
    crew.worker()
    until(lambda: crew.run_status() == "failed", "the run says that its outcome is unknown")
    assert crew.look(lambda s: s.scalars(select(Run.outcome_unknown)).one()) is True
    assert len(target.calls) == 1


def test_with_redis_stopped_granting_works_and_the_run_completes_when_it_is_back(
    crew: Crew, target: Target, grant: Callable[..., None]
) -> None:
    crew.worker()
    crew.sweeper()
    crew.stop_redis()
    grant(http_step())
    assert crew.look(lambda s: s.scalars(select(Grant.state)).one()) == "provisioning"
    crew.start_redis()
    until(lambda: crew.run_status() == "succeeded", "the run completes without a restart")


def test_with_redis_hanging_granting_still_answers(
    crew: Crew, target: Target, grant: Callable[..., None]
) -> None:
    crew.worker()
    crew.sweeper()
    with crew.hung_redis():
        grant(http_step(), people=3)
        assert len(crew.look(lambda s: s.scalars(select(Grant.id)).all())) == 3
    until(lambda: all(crew.run_status(one) == "succeeded" for one in range(3)), "all complete")


def test_a_flushed_redis_loses_nothing(crew: Crew, target: Target, grant: Callable[..., None]) -> None:
    grant(http_step(), people=3)
    redis.Redis.from_url(f"unix://{crew.socket}").flushall()
    crew.sweeper()
    crew.worker()
    until(lambda: all(crew.run_status(one) == "succeeded" for one in range(3)), "all complete")
    assert max(target.keys().values()) == 1


def test_a_worker_that_is_told_to_stop_lets_its_call_finish_and_leaves_the_rest_to_others(
    crew: Crew, target: Target, grant: Callable[..., None]
) -> None:
    gate = threading.Event()
    target.answer = lambda call: Answer(201, gate=gate if call.path == "/Users" else None)
    worker = crew.worker()
    crew.sweeper()
    grant(http_step("create"), http_step("second", path="/second"))
    target.wait_for_calls(1)
    worker.send_signal(signal.SIGTERM)
    until(lambda: "worker.stopping" in crew.printed(worker), "the worker has heard it")
    gate.set()
    assert worker.wait(PATIENCE) == 0
    assert attempts(crew) == [("create", 1, "succeeded", None)]
    crew.worker()
    until(lambda: crew.run_status() == "succeeded", "another worker goes on")
    assert attempts(crew)[1:] == [("second", 1, "succeeded", None)]


def test_a_run_rung_for_many_times_is_walked_once_by_any_number_of_workers(
    crew: Crew, app: Flask, target: Target, grant: Callable[..., None]
) -> None:
    for _ in range(3):
        crew.worker()
    grant(http_step())
    run_id = crew.look(lambda s: s.scalars(select(Run.id)).one())
    for _ in range(20):
        app.extensions["run_queue"].notify([run_id])
    until(lambda: crew.run_status() == "succeeded", "the run succeeds")
    assert attempts(crew) == [("create", 1, "succeeded", None)]
    assert len(target.calls) == 1


def test_a_transient_failure_is_tried_again_in_time_without_anybody_ringing(
    crew: Crew, target: Target, grant: Callable[..., None]
) -> None:
    target.answer = lambda _call: Answer(503 if len(target.calls) < 3 else 201)
    crew.worker()
    grant(http_step(retry={"attempts": 3, "delay_seconds": 1, "backoff": "fixed"}))
    until(lambda: crew.run_status() == "succeeded", "the third try succeeds")
    assert len(target.calls) == 3 and max(target.keys().values()) == 3


def test_rq_s_own_tools_see_the_worker_come_and_go(crew: Crew, target: Target) -> None:
    worker = crew.worker()
    connection = redis.Redis.from_url(f"unix://{crew.socket}")
    [seen] = until(lambda: RqWorker.all(connection=connection), "RQ lists the worker")
    assert seen.queue_names() == ["runs"]
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(PATIENCE) == 0
    assert RqWorker.all(connection=connection) == []
    # It said goodbye in the database too, so nobody is told that it was lost.
    assert None not in crew.look(lambda s: s.scalars(select(Worker.left_at)).all())


def test_a_sweeper_finds_a_failure_and_mails_it_to_who_may_act(
    crew: Crew, app: Flask, target: Target, grant: Callable[..., None]
) -> None:
    target.answer = lambda _call: Answer(403)
    with app.app_context(), transaction() as session:
        make_user(session, "admin", email="alice@example.org")
    with running_mailbox() as box:
        crew.worker()
        grant(http_step("create"))
        until(lambda: crew.run_status() == "failed", "the run fails")
        for _ in range(2):
            crew.start("app.workers.sweeper", SMTP_URL=f"smtp://127.0.0.1:{box.port}")
        until(lambda: box.messages, "the mail arrives")
        until(
            lambda: crew.look(lambda s: s.scalars(select(AlertDelivery.status)).all()) == ["delivered"],
            "what came of it is noted",
        )
    assert box.recipients == ["alice@example.org"]
    assert "403" in str(box.messages[0]["Subject"])


def test_a_sweeper_that_is_killed_as_it_sends_has_the_mail_sent_once_more_and_said_to_be_uncertain(
    crew: Crew, app: Flask, target: Target
) -> None:
    with app.app_context(), transaction() as session:
        alice = make_user(session, "admin", email="alice@example.org")
        said = AlertText("Jira: fails", ("3 runs failed.",), "/runs")
        tell(
            session,
            said,
            kind=AlertKind.FAILURES,
            transition="opened",
            people=[alice.id],
            channels=[Channel.MAIL],
            now=clock.now(),
        )
    with running_mailbox() as box:
        there = {"SMTP_URL": f"smtp://127.0.0.1:{box.port}"}
        victims = []

        def kills_the_first() -> str:
            if len(box.messages) == 1:
                # It has the mail, and its sender will never hear so.
                victims[0].kill()
                victims[0].wait(PATIENCE)
            return "250 OK"

        box.on_data = kills_the_first
        victims.append(crew.start("app.workers.sweeper", **there))
        until(lambda: box.messages, "the mail arrives")
        assert victims[0].wait(PATIENCE) == -signal.SIGKILL
        with app.app_context(), transaction() as session:
            # Two minutes go by.
            session.execute(update(AlertDelivery).values(held_until=clock.now() - timedelta(seconds=1)))
        for _ in range(2):
            crew.start("app.workers.sweeper", **there)
        until(
            lambda: (
                crew.look(lambda s: s.execute(select(AlertDelivery.status, AlertDelivery.uncertain)).all())
                == [("delivered", True)]
            ),
            "it is delivered, and may have come twice",
        )
    first, second = box.messages
    assert first["Message-ID"] == second["Message-ID"]


def test_of_two_sweepers_one_does_the_work_and_the_other_takes_over(crew: Crew, target: Target) -> None:
    def holder() -> str | None:
        return crew.look(lambda s: s.scalars(select(Duty.holder)).one_or_none())

    first = crew.sweeper()
    name = until(holder, "a sweeper is on duty")
    crew.sweeper()
    first.kill()
    until(lambda: holder() != name, "the other one takes over")
