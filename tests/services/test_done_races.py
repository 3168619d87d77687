"""Several people act on one failed run at the same moment: one act counts, and the others are told of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.domain.runs.calls import Outcome
from app.domain.states import FailureClass as F
from app.extensions import db
from app.models import Attempt, ExternalAccount, Grant, Run
from app.permissions import ALL_PERMISSIONS, Actor
from app.services import grants, recovery
from tests.support.factories import NOW
from tests.support.services.races import at_once
from tests.support.services.stage import Stage

ALICE, BOB = (Actor("user", name, ALL_PERMISSIONS) for name in ("Alice", "Bob"))
MADE = Outcome.failed(F.MAPPING, http_status=201, detail="capture id: the answer holds nothing at this path")
Act = Callable[[Session], object]


def failed_run(app: Flask) -> int:
    with app.app_context():
        stage = Stage(db.session(), ALICE)
        stage.workflow(stage.step(capture={"id": "$.id"}))
        stage.grant()
        stage.claim()
        stage.answer(MADE)
        db.session.commit()
        number = stage.run().id
        db.session.remove()
        return number


def done(number: int, who: Actor, value: str) -> Act:
    def act(session: Session) -> object:
        run = session.get_one(Run, number)
        return recovery.done(session, who, run, reason="by hand", captured={"id": value})

    return act


@pytest.mark.parametrize("round_", range(5))
def test_it_was_done_is_said_once(app: Flask, round_: int) -> None:
    number = failed_run(app)
    came = at_once(app, done(number, ALICE, "a"), done(number, BOB, "b"))
    assert came.count("done") == 1
    assert any("somebody else" in one or "done" in one.lower() for one in came if one != "done")
    with app.app_context():
        assert db.session.scalar(select(func.count()).where(Attempt.status == "submitted")) == 1
        kept = db.session.scalars(select(ExternalAccount)).one().captured["id"]
        assert kept == ("a" if came[0] == "done" else "b")
        db.session.remove()


@pytest.mark.parametrize("round_", range(5))
def test_it_was_done_and_a_revoke_leave_one_truth(app: Flask, round_: int) -> None:
    number = failed_run(app)

    def revoke(session: Session) -> object:
        return grants.revoke(session, BOB, session.scalars(select(Grant)).one(), now=NOW)

    came = at_once(app, done(number, ALICE, "a"), revoke)
    assert came[1] == "done"
    with app.app_context():
        run = db.session.get_one(Run, number)
        assert run.status == ("superseded" if came[0] != "done" else run.status)
        assert run.status in ("superseded", "running", "queued")
        db.session.remove()
