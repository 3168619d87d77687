"""Runs that wait for a person, and the worker that brought them there."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain.runs import signals as m
from app.domain.runs.calls import Outcome
from app.domain.states import FailureClass
from app.models import ManualTask
from app.permissions import Actor
from app.services import grants
from app.services.advance import Move, advance, claim
from app.services.advance.moves import Holder
from tests.support.factories import (
    NOW,
    http_step,
    human_step,
    make_application,
    make_connection,
    make_user,
    make_workflow,
)

HOLDER = Holder("worker-1", timedelta(seconds=15))


def waiting_task(session: Session, admin: Actor, *steps: dict[str, Any]) -> ManualTask:
    """A run that waits at its first step, and its task."""
    application = make_application(session)
    make_workflow(session, application, *(steps or (human_step(),)))
    grants.grant(session, admin, application=application, user=make_user(session), now=NOW)
    session.flush()
    claim(session.connection(), HOLDER, now=NOW, ids=None, limit=1)
    return session.scalars(select(ManualTask).order_by(ManualTask.id.desc())).first()


def escalated_task(session: Session, admin: Actor) -> ManualTask:
    """A failed call that was handed to a person."""
    application = make_application(session)
    connection = make_connection(session, application)
    step = http_step("create", connection.id, on_failure="escalate", capture={"id": "$.id"})
    make_workflow(session, application, step, http_step("second", connection.id))
    grants.grant(session, admin, application=application, user=make_user(session), now=NOW)
    session.flush()
    [moved] = claim(session.connection(), HOLDER, now=NOW, ids=None, limit=1)
    refused = m.Answered("create", 1, Outcome.failed(FailureClass.HTTP_4XX, http_status=403))
    advance(session.connection(), [Move(moved.run_id, refused, fence=1)], now=NOW, holder=HOLDER)
    return session.scalars(select(ManualTask)).one()
