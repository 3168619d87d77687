"""Runs brought into every state by the engine itself: what the tests of reads and pages are told about."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.clock import now as clock_now
from app.domain.runs import signals as m
from app.domain.runs.calls import Outcome
from app.domain.states import FailureClass
from app.models import Connection, Grant, ManualTask, Run
from app.permissions import ALL_PERMISSIONS, Actor
from app.services import grants, recovery, runs, tasks
from app.services.advance import Move, advance, claim, take_back_lost
from app.services.advance.moves import Holder
from tests.support.factories import (
    http_step,
    human_step,
    make_application,
    make_connection,
    make_user,
    make_workflow,
)

ALICE = Actor("user", "Alice Admin", ALL_PERMISSIONS, source="test")
WORKER = Holder("worker-1", timedelta(seconds=15))

Steps = Callable[[int], list[dict[str, Any]]]


def ok(status: int = 201, **captured: Any) -> Outcome:
    return Outcome.success(status, captured)


def failed(failure: FailureClass, **facts: Any) -> Outcome:
    return Outcome.failed(failure, **facts)


def refused(status: int = 401) -> Outcome:
    return Outcome.failed(FailureClass.HTTP_4XX, http_status=status)


def two_steps(connection_id: int) -> list[dict[str, Any]]:
    """A lookup and a create, neither retried."""
    lookup = http_step("lookup", connection_id, name="Look up the account", method="GET", path="/Users")
    lookup.pop("body")
    return [lookup, http_step("create", connection_id, name="Create the account")]


def with_person(connection_id: int) -> list[dict[str, Any]]:
    return [
        human_step("team", name="Assign a team"),
        http_step("create", connection_id, name="Create the account"),
    ]


class Story:
    """One run of one person on one application, told step by step; every act is committed."""

    def __init__(
        self, session: Session, steps: Steps = two_steps, *, trigger: str = "access_granted", **workflow: Any
    ) -> None:
        self.session = session
        self.at = clock_now() - timedelta(minutes=3)
        self.application = make_application(session)
        self.connection: Connection = make_connection(
            session, self.application, config={"base_url": "https://target.example", "auth": "bearer"}
        )
        self.person = make_user(session, first_name="Jane", last_name="Doe")
        made = steps(self.connection.id)
        self.workflow = make_workflow(session, self.application, *made, trigger=trigger, **workflow)
        self.grant = self.granted()
        if trigger == "access_revoked":
            grants.revoke(session, ALICE, self.grant, now=self.at)
        session.commit()
        self.run = self.newest()

    def granted(self) -> Grant:
        """One more grant of the same person."""
        grant = grants.grant(self.session, ALICE, application=self.application, user=self.person, now=self.at)
        self.session.commit()
        return grant

    def newest(self) -> Run:
        return self.session.scalars(select(Run).order_by(Run.id.desc()).limit(1)).one()

    def take(self) -> Story:
        """A worker takes the run and starts what comes next."""
        self.at = max(self.at + timedelta(seconds=1), self.run.due_at or self.at)
        claim(self.session.connection(), WORKER, now=self.at, ids=[self.run.id], limit=1)
        return self.told()

    def answer(self, *outcomes: Outcome, took: int = 184) -> Story:
        """Each outcome in turn is the answer of the call under way, which a worker sends first if need be."""
        for outcome in outcomes:
            if not self.run.in_flight:
                self.take()
            self.at += timedelta(milliseconds=took)
            assert self.run.cursor is not None
            signal = m.Answered(self.run.cursor, self.run.attempt, outcome)
            move = Move(self.run.id, signal, fence=self.run.fence, duration_ms=took)
            advance(self.session.connection(), [move], now=self.at, holder=WORKER)
            self.told()
        return self

    def lose_worker(self) -> Story:
        """The worker that holds the run dies, and the sweeper notices."""
        if not self.run.in_flight:
            self.take()
        self.at += timedelta(seconds=30)
        take_back_lost(self.session.connection(), now=self.at, limit=10, ids=[self.run.id])
        return self.told()

    def task(self) -> ManualTask:
        found = select(ManualTask).where(ManualTask.run_id == self.run.id).order_by(ManualTask.id.desc())
        return self.session.scalars(found.limit(1)).one()

    def submit(self, **values: Any) -> Story:
        """Alice acts on the open task."""
        tasks.submit(self.session, ALICE, self.task(), values)
        return self.told()

    def skip(self, reason: str) -> Story:
        tasks.skip(self.session, ALICE, self.task(), reason)
        return self.told()

    def fail(self, reason: str) -> Story:
        tasks.fail(self.session, ALICE, self.task(), reason)
        return self.told()

    def retry(self, *, confirm: bool = False) -> Story:
        recovery.retry(self.session, ALICE, self.run, confirm_unknown=confirm)
        return self.told()

    def cancel(self, reason: str = "Ordered by mistake") -> Story:
        runs.cancel(self.session, ALICE, self.run, reason=reason)
        return self.told()

    def revoke(self) -> Story:
        grants.revoke(self.session, ALICE, self.grant, now=self.at)
        return self.told()

    def moved(self, at: datetime) -> Story:
        """The run last changed at `at`."""
        self.run.changed_at = at
        return self.told()

    def told(self) -> Story:
        self.session.commit()
        self.session.refresh(self.run)
        # People act by the database's clock, which is ahead of the story's.
        self.at = max(self.at, self.run.changed_at)
        return self


@dataclass(frozen=True)
class State:
    """One state that a run can be in: how it gets there, and what its page then says."""

    tell: Callable[[Session], Story]
    label: str
    polls: bool = False
    says: tuple[str, ...] = ()


def retried(connection_id: int, **retry: Any) -> list[dict[str, Any]]:
    policy = {"attempts": 3, "backoff": "fixed", "delay_seconds": 3600} | retry
    return [http_step("create", connection_id, name="Create the account", retry=policy)]


def edge(on_failure: Any) -> Steps:
    """Two calls, the first with that failure edge; a third undoes."""

    def steps(connection_id: int) -> list[dict[str, Any]]:
        first = http_step("create", connection_id, name="Create the account", on_failure=on_failure)
        undo = http_step("undo", connection_id, name="Remove the account", method="DELETE", path="/Users/1")
        undo.pop("body")
        last = http_step("tell", connection_id, name="Tell the team")
        return [first, last, undo] if on_failure == {"compensate": "undo"} else [first, last]

    return steps


SAFE = "The grant is safe."
_F = FailureClass


def _failing(failure: FailureClass, **facts: Any) -> Callable[[Session], Story]:
    return lambda session: Story(session).answer(ok(200, id="42"), failed(failure, **facts))


STATES: dict[str, State] = {
    "queued": State(Story, "Queued", True, ("No step has started yet", "No worker is online")),
    "running": State(lambda s: Story(s).take(), "Running", True, ("Updating live.", "Still to come")),
    "retrying": State(
        lambda s: Story(s, retried).answer(failed(_F.HTTP_5XX, http_status=503)),
        "Retrying 2 of 3",
        True,
        ("HTTP 503 Service Unavailable", "It is tried again by itself.", "Failure → tries again"),
    ),
    "waiting": State(
        lambda s: Story(s, with_person).take(),
        "Waiting (manual)",
        says=("Waiting for a person: Assign a team.", "Open the task"),
    ),
    "succeeded": State(
        lambda s: Story(s).answer(ok(200, id="42"), ok()),
        "Succeeded",
        says=("Finished. This page is no longer updating.", 'id = "42"', "HTTP 201 Created"),
    ),
    "succeeded after a person": State(
        lambda s: Story(s, with_person).take().submit(team="Red").answer(ok()),
        "Succeeded",
        says=("Submitted by Alice Admin.", "Resumed by Alice Admin."),
    ),
    "succeeded with a skipped step": State(
        lambda s: Story(s, with_person).take().skip("No team yet").answer(ok()),
        "Succeeded",
        says=("Skipped by Alice Admin: No team yet.",),
    ),
    "succeeded with an ignored failure": State(
        lambda s: Story(s, edge("continue")).answer(refused(409), ok()),
        "Succeeded (a failure was ignored)",
        says=("A failure on the way was ignored.", "continues anyway"),
    ),
    "failed by a person": State(
        lambda s: Story(s, with_person).take().fail("She left"),
        "Failed",
        says=(SAFE, "Failed by Alice Admin: She left."),
    ),
    "escalated": State(
        lambda s: Story(s, edge("escalate")).answer(refused(403)),
        "Waiting (manual)",
        says=("HTTP 403 Forbidden", "Escalated failure"),
    ),
    "compensated": State(
        lambda s: Story(s, edge({"compensate": "undo"})).answer(refused(400), ok(204)),
        "Compensated",
        says=("The grant is safe.", "Compensation"),
    ),
    "superseded": State(
        lambda s: Story(s, with_person).take().revoke(), "Superseded", says=("Its grant has been revoked.",)
    ),
    "cancelled": State(
        lambda s: Story(s).cancel(), "Cancelled", says=("Cancelled by Alice Admin.", "Ordered by mistake")
    ),
    "cancelling": State(
        lambda s: Story(s).take().cancel(),
        "Running",
        True,
        ("Alice Admin asked for this run to be cancelled.",),
    ),
    "retried after a failure": State(
        lambda s: Story(s).answer(refused()).retry(), "Running", True, ("Retried by Alice Admin.",)
    ),
    "recovered": State(
        lambda s: Story(s).take().lose_worker(), "Running", True, ("Recovered after its worker died.",)
    ),
    "outcome unknown": State(
        lambda s: Story(s).answer(ok(200), failed(_F.TIMEOUT, lost=True)),
        "Failed",
        says=(SAFE, "Outcome unknown: check", "Retry…"),
    ),
    **{
        f"failed with {name}": State(tell, "Failed", says=(SAFE, *says))
        for name, tell, says in (
            ("401", _failing(_F.HTTP_4XX, http_status=401), ("none is set (HTTP 401)", "Add credential")),
            ("404", _failing(_F.HTTP_4XX, http_status=404), ("HTTP 404 Not Found", "Open path")),
            ("422", _failing(_F.HTTP_4XX, http_status=422), ("did not accept the data", "Open data mapping")),
            ("5xx", _failing(_F.HTTP_5XX, http_status=503), ("Retry on failure is off", "Turn on retry")),
            ("wait", _failing(_F.TIMEOUT, http_status=429), ("was not ready in time",)),
            (
                "no in the answer",
                _failing(_F.UNEXPECTED_ANSWER, http_status=200),
                ("not as this step expects",),
            ),
            ("another account", _failing(_F.WRONG_ACCOUNT, http_status=200), ("not the one that is known",)),
            ("redirect", _failing(_F.REDIRECT, http_status=302), ("points elsewhere", "Edit connection")),
            ("odd status", _failing(_F.UNEXPECTED_STATUS, http_status=204), ("does not count as success",)),
            ("strange status", _failing(_F.HTTP_5XX, http_status=599), ("HTTP 599",)),
            ("timeout", _failing(_F.TIMEOUT), ("did not answer in time",)),
            ("network", _failing(_F.NETWORK), ("could not be reached",)),
            ("tls", _failing(_F.TLS), ("is not trusted",)),
            ("egress", _failing(_F.EGRESS_BLOCKED), ("not an allowed target",)),
            ("configuration", _failing(_F.CONFIGURATION), ("No credential is set.",)),
            ("mapping", _failing(_F.MAPPING, detail="grantee.email is empty."), ("grantee.email is empty.",)),
        )
    },
}
