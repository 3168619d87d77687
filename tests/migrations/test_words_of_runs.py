"""Runs with failures and entries of newer words go back to a version that has no words for them."""

from __future__ import annotations

from flask import Flask
from flask_migrate import downgrade
from sqlalchemy import text

from app.domain.runs.calls import Outcome
from app.domain.states import FailureClass as F
from app.extensions import db
from app.permissions import Actor
from tests.support.migrations import MIGRATIONS
from tests.support.services.stage import Stage


def test_they_read_as_what_they_would_have_been_called(migrated: Flask, admin: Actor) -> None:
    stage = Stage(db.session(), admin)
    look = stage.step("look", method="GET", on_status={"404": {"step": "create"}}, on_success="end")
    stage.workflow(look, stage.step("create"))
    stage.grant()
    stage.claim()
    stage.answer(Outcome.failed(F.HTTP_4XX, http_status=404, branches=True))
    stage.answer(Outcome.failed(F.WRONG_ACCOUNT, http_status=200))
    db.session.commit()
    db.session.remove()
    downgrade(directory=MIGRATIONS, revision="0013")
    with db.engine.connect() as connection:
        attempts = connection.execute(text("SELECT step_key, status, failure_class FROM attempts")).all()
        assert sorted(map(tuple, attempts)) == [
            ("create", "failed", "mapping"),
            ("look", "failed", "http_4xx"),
        ]
        assert connection.execute(text("SELECT failure_class FROM runs")).scalars().all() == ["mapping"]
