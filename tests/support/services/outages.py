"""A world in which another system can be down: workers, sweeper and that system, by a clock of the test's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain.runs import signals as m
from app.domain.runs.calls import Order, Outcome
from app.domain.states import FailureClass as F
from app.models import Application, Connection, ConnectionBreaker, Grant, Run, RunEvent
from app.permissions import Actor
from app.services import grants
from app.services.advance import Move, advance, claim
from app.services.advance.moves import Holder, Moved
from app.services.connection_test import FAILED, REACHABLE, TestResult, note_probe
from app.services.parking import reconcile, to_reconcile
from tests.support.factories import (
    NOW,
    http_step,
    make_application,
    make_connection,
    make_user,
    make_workflow,
)

BROKEN = Outcome.failed(F.HTTP_5XX, http_status=503)
UNAUTHORISED = Outcome.failed(F.HTTP_4XX, http_status=401)
DONE = Outcome.success(201)
WORKER = Holder("worker-1", timedelta(seconds=15))
SWEEP_SECONDS = 5


@dataclass
class Outside:
    """The world around one application, whose connection three failures park unless `config` says otherwise.

    `answer` says what the other system makes of a call just now.
    """

    session: Session
    actor: Actor
    steps: Callable[[int], list[dict[str, Any]]] = lambda connection: [http_step("create", connection)]
    config: dict[str, Any] = field(default_factory=dict)
    kind: str = "http"
    now: datetime = NOW
    answer: Outcome = DONE
    # What it makes of the calls of some runs, whatever it makes of the others'.
    own: dict[int, Outcome] = field(default_factory=dict)
    room: int = 32
    calls: list[tuple[datetime, int]] = field(default_factory=list)
    probes: list[datetime] = field(default_factory=list)
    went_on: list[tuple[datetime, int]] = field(default_factory=list)
    out: dict[int, Order] = field(default_factory=dict)

    def __post_init__(self) -> None:
        config = (
            {"base_url": "https://target.example"}
            if self.kind == "http"
            else {"url": "https://target.example"}
        )
        self.application: Application = make_application(self.session)
        self.connection: Connection = make_connection(
            self.session,
            self.application,
            type=self.kind,
            config=config | {"park_after_failures": 3} | self.config,
        )
        make_workflow(self.session, self.application, *self.steps(self.connection.id))

    def grant(self, number: int = 1, **overrides: Any) -> list[Grant]:
        """That many grants, each to a person of its own."""
        return [
            grants.grant(
                self.session,
                self.actor,
                **{"application": self.application, "user": make_user(self.session), "now": self.now}
                | overrides,
            )
            for _ in range(number)
        ]

    # What happens
    def claim(self) -> list[Moved]:
        """A worker takes what is due, as much as it has room for; the calls are out from here on."""
        self.session.flush()
        moved = claim(
            self.session.connection(), WORKER, now=self.now, ids=None, limit=max(1, self.room - len(self.out))
        )
        self._send(moved)
        return moved

    def hear(self, answer: Outcome | None = None) -> None:
        """The other system answers everything that is out, and what follows from it at once, in one batch each."""
        while self.out:
            orders, self.out = list(self.out.values()), {}
            moves = [
                Move(one.run_id, m.Answered(one.step.key, one.attempt, self._meets(one, answer)), one.fence)
                for one in orders
            ]
            self._send(advance(self.session.connection(), moves, now=self.now, holder=WORKER))

    def _meets(self, order: Order, answer: Outcome | None) -> Outcome:
        return (
            Outcome.failed(F.CONFIGURATION)
            if order.connection is None
            else answer or self.own.get(order.run_id, self.answer)
        )

    def _send(self, moved: list[Moved]) -> None:
        for one in moved:
            if one.order is not None:
                self.out[one.run_id] = one.order
                self.calls.append((self.now, one.run_id))

    def sweep(self) -> None:
        """What the sweeper does for parked connections; probes meet what runs would meet."""
        connection = self.session.connection()
        for connection_id in to_reconcile(connection, now=self.now):
            reconciled = reconcile(connection, connection_id, now=self.now)
            self.went_on += [(self.now, one) for one in reconciled.going_on]
            if reconciled.probe:
                self.probes.append(self.now)
                note_probe(self.session, connection_id, self.found(), now=self.now)

    def found(self) -> TestResult:
        outcome = REACHABLE if self.answer.ok else FAILED
        return TestResult(outcome, "", status=self.answer.http_status, failure=self.answer.failure)

    def live(self, seconds: float, every: float = SWEEP_SECONDS) -> None:
        """Let that much time go by, a sweep at a time."""
        for _ in range(round(seconds / every)):
            self.now += timedelta(seconds=every)
            self.work()

    def work(self) -> None:
        self.sweep()
        self.claim()
        self.hear()

    # What there is to see
    def state(self) -> str:
        self.session.expire_all()
        row = self.session.get(ConnectionBreaker, self.connection.id)
        return row.state if row else "closed"

    def runs(self) -> list[Run]:
        self.session.expire_all()
        return list(self.session.scalars(select(Run).order_by(Run.id)))

    def statuses(self) -> list[str]:
        return [one.status for one in self.runs()]

    def waiting(self) -> list[int]:
        return [one.id for one in self.runs() if one.waits_for_id == self.connection.id]

    def events(self, run: Run) -> list[str]:
        statement = select(RunEvent.kind).where(RunEvent.run_id == run.id).order_by(RunEvent.id)
        return list(self.session.scalars(statement))
