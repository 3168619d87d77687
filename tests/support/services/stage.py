"""One application with a workflow, and what workers and people do to its runs, straight at the database."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain.runs import signals as m
from app.domain.runs.calls import Outcome
from app.domain.states import FailureClass
from app.models import Attempt, Grant, Run, RunEvent
from app.permissions import Actor
from app.services import grants
from app.services.advance import Move, Moved, advance, claim
from app.services.advance.claims import Claimed
from app.services.advance.moves import Holder
from tests.support.factories import (
    NOW,
    http_step,
    make_application,
    make_connection,
    make_user,
    make_workflow,
)
from tests.support.services.tasks import HOLDER

OTHER = Holder("worker-2", timedelta(seconds=15))
OK = Outcome.success(201)
DOWN = Outcome.failed(FailureClass.HTTP_5XX, http_status=503)
REFUSED = Outcome.failed(FailureClass.HTTP_4XX, http_status=401)
LOST = Outcome.failed(FailureClass.TIMEOUT, lost=True)


class Stage:
    """One application with a workflow, and the acts of workers and people on its runs."""

    def __init__(self, session: Session, admin: Actor) -> None:
        self.session, self.admin = session, admin
        self.application = make_application(session)
        self.connection = make_connection(session, self.application)
        self.person = make_user(session, email="ada@example.org")

    def workflow(self, *steps: dict[str, Any], trigger: str = "access_granted", **overrides: Any) -> None:
        make_workflow(self.session, self.application, *steps, trigger=trigger, **overrides)

    def step(self, key: str = "create", **overrides: Any) -> dict[str, Any]:
        return http_step(key, self.connection.id, **overrides)

    def grant(self, **overrides: Any) -> Grant:
        values = {"application": self.application, "user": self.person, "now": NOW} | overrides
        return grants.grant(self.session, self.admin, **values)

    def run(self, number: int = 0) -> Run:
        self.session.expire_all()
        return self.session.scalars(select(Run).order_by(Run.id)).all()[number]

    def claim(
        self, now: datetime = NOW, holder: Holder = HOLDER, ids: Any = None, limit: int = 10
    ) -> Claimed:
        self.session.flush()
        return claim(self.session.connection(), holder, now=now, ids=ids, limit=limit)

    def send(self, signal: m.Signal, run: Run | None = None, now: datetime = NOW, **options: Any) -> Moved:
        run = run or self.run()
        options = {"holder": HOLDER, "fence": run.fence} | options
        holder = options.pop("holder")
        [moved] = advance(
            self.session.connection(), [Move(run.id, signal, **options)], now=now, holder=holder
        )
        return moved

    def answer(self, outcome: Outcome, now: datetime = NOW, run: Run | None = None, **options: Any) -> Moved:
        run = run or self.run()
        assert run.cursor is not None
        return self.send(m.Answered(run.cursor, run.attempt, outcome), run, now, **options)

    def attempts(self) -> list[tuple[str, int, str, str | None]]:
        rows = self.session.scalars(select(Attempt).order_by(Attempt.id))
        return [(one.step_key, one.number, one.status, one.failure_class) for one in rows]

    def events(self) -> list[str]:
        return list(self.session.scalars(select(RunEvent.kind).order_by(RunEvent.id)))
