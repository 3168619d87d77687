"""Runs brought to where a test wants them, by the moves that a worker makes."""

from __future__ import annotations

from datetime import timedelta

from flask import Flask
from sqlalchemy import select

from app.database import db_now
from app.domain.runs import signals as m
from app.domain.runs.calls import Outcome
from app.domain.states import FailureClass
from app.models import ManualTask, Run
from app.services.advance import Move, advance, claim
from app.services.advance.moves import Holder
from app.services.transaction import transaction

WORKER = Holder("worker-1", timedelta(seconds=15))


def start(app: Flask, run_id: int) -> None:
    """A worker takes the run: its first call is under way, or its first person is asked."""
    with app.app_context(), transaction() as session:
        connection = session.connection()
        moved = claim(connection, WORKER, now=db_now(connection), ids=[run_id], limit=1)
        assert [one.run_id for one in moved] == [run_id]


def refuse(app: Flask, run_id: int, *, status: int = 401, unknown: bool = False, lacks: bool = False) -> None:
    """The first step's call is answered with `status`; `unknown`: never, and it may have been done.

    `lacks`: it is a success, in which a value to be captured is missing.
    """
    start(app, run_id)
    with app.app_context(), transaction() as session:
        run = session.get_one(Run, run_id)
        outcome = (
            Outcome.failed(FailureClass.TIMEOUT, lost=True)
            if unknown
            else Outcome.failed(FailureClass.MAPPING if lacks else FailureClass.HTTP_4XX, http_status=status)
        )
        answered = Move(run_id, m.Answered(run.cursor or "", run.attempt, outcome), fence=run.fence)
        [moved] = advance(session.connection(), [answered], now=db_now(session.connection()), holder=WORKER)
        assert moved.applied


def task_of(app: Flask, run_id: int) -> int:
    """The id of the run's newest task."""
    with app.app_context(), transaction() as session:
        found = session.scalars(select(ManualTask.id).where(ManualTask.run_id == run_id)).all()
        return max(found)
