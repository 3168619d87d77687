"""Many runs of one application that failed alike, and a worker that answers for the other system."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.clock import now as clock_now
from app.domain.runs import signals as m
from app.domain.runs.calls import Outcome
from app.models import BulkRetry, BulkRetryItem, Run
from app.queries.bulk_retries import ChosenRuns, chosen_by_filter
from app.queries.runs import RunFilters
from app.services import bulk_retries, grants
from app.services.advance import Move, advance, claim
from app.services.bulk_retries import RetryOrder, go_on
from tests.support.factories import http_step, make_application, make_connection, make_user, make_workflow
from tests.support.queries.stories import ALICE, WORKER, ok, refused

_forms = itertools.count(1)
Answers = Callable[[Run], Outcome]


class Outage:
    """`count` people whose runs failed at the same step of the same application; every act is committed.

    The connection is never parked, so that all of them fail, unless it `parks_after` so many failures.
    """

    def __init__(
        self,
        session: Session,
        count: int,
        outcome: Outcome | None = None,
        *then: dict[str, Any],
        parks_after: int = 0,
        **step: Any,
    ) -> None:
        self.session = session
        self.at: datetime = clock_now() - timedelta(hours=1)
        self.application = make_application(session)
        config = {"base_url": "https://target.example", "auth": "bearer", "park_after_failures": parks_after}
        self.connection = make_connection(session, self.application, config=config)
        create = http_step("create", self.connection.id, name="Create the account", **step)
        make_workflow(session, self.application, create, *then)
        for number in range(count):
            person = make_user(session, first_name="Person", last_name=str(number + 1))
            grants.grant(session, ALICE, application=self.application, user=person, now=self.at)
        session.commit()
        mine = select(Run).where(Run.application_id == self.application.id).order_by(Run.id)
        self.runs = list(session.scalars(mine))
        self.answer(outcome or refused())

    @property
    def ids(self) -> list[int]:
        return [one.id for one in self.runs]

    def statuses(self) -> list[str]:
        self.session.expire_all()
        return [one.status for one in self.runs]

    def answer(self, outcome: Outcome | Answers) -> list[int]:
        """A worker takes what is due and is answered so until nothing of it moves; gives the runs that it sent."""
        sent: list[int] = []
        while True:
            self.at = max(self.at + timedelta(seconds=1), clock_now() + timedelta(seconds=5))
            moved = claim(self.session.connection(), WORKER, now=self.at, ids=self.ids, limit=500)
            self.session.commit()
            calls = [one.run_id for one in moved if one.order is not None]
            if not calls:
                return sent
            sent += calls
            for run_id in calls:
                run = self.session.get_one(Run, run_id, populate_existing=True)
                given = outcome(run) if callable(outcome) else outcome
                signal = m.Answered(run.cursor or "", run.attempt, given)
                advance(
                    self.session.connection(),
                    [Move(run.id, signal, fence=run.fence)],
                    now=self.at,
                    holder=WORKER,
                )
                self.session.commit()

    def choice(self) -> ChosenRuns:
        return chosen_by_filter(self.session, RunFilters(application_id=self.application.id))

    def start(self, token: str = "", choice: ChosenRuns | None = None) -> BulkRetry:
        """Alice starts a bulk retry of all that failed, or of `choice`."""
        self.session.rollback()
        wanted = RetryOrder(
            "After the outage",
            "The credential was replaced",
            token or f"form-{next(_forms)}",
            "/runs?status=failed",
        )
        chosen = choice or self.choice()
        bulk = bulk_retries.start(self.session, ALICE, wanted, chosen.rows)
        self.session.commit()
        return bulk

    def go_on(self, bulk: BulkRetry) -> int:
        """One pass of the sweeper over this job; gives how many turns it took."""
        turns = 0
        while True:
            self.session.rollback()
            more = go_on(self.session, bulk.id)
            self.session.commit()
            if not more:
                return turns
            turns += 1

    def until_over(self, bulk: BulkRetry, outcome: Outcome | Answers | None = None) -> BulkRetry:
        """Passes of the sweeper and the worker's calls in turn, until the job is over."""
        for _ in range(1000):
            self.go_on(bulk)
            self.session.refresh(bulk)
            if bulk.finished_at is not None:
                return bulk
            self.answer(outcome or ok())
        raise AssertionError("the job is never over")

    def items(self, bulk: BulkRetry) -> list[BulkRetryItem]:
        self.session.rollback()
        self.session.expire_all()
        mine = select(BulkRetryItem).where(BulkRetryItem.bulk_retry_id == bulk.id)
        return list(self.session.scalars(mine.order_by(BulkRetryItem.position)))
