"""What would be different without a connection: counted, bounded, and told when deleting is refused."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.errors import Conflict
from app.models import Run, Workflow
from app.permissions import Actor
from app.queries import connection_uses
from app.queries.connection_uses import uses_of
from app.services import connections, grants
from tests.support.factories import (
    NOW,
    add_version,
    http_step,
    make_application,
    make_connection,
    make_user,
    make_workflow,
)


def test_nothing_uses_a_new_connection(session: Session) -> None:
    made = make_connection(session, make_application(session))
    found = uses_of(session, made, now=NOW)
    assert (found.workflows, found.active_grants, found.runs) == ([], 0, [])


def test_workflows_grants_and_runs_are_found_and_others_are_not(session: Session, admin: Actor) -> None:
    application = make_application(session)
    used, other = make_connection(session, application), make_connection(session, application)
    workflow = make_workflow(session, application, http_step("create", used.id))
    made = [
        grants.grant(session, admin, application=application, user=make_user(session), now=NOW)
        for _ in range(3)
    ]
    session.flush()
    grants.revoke(session, admin, made[0], now=NOW)
    # A grant on another application, and a run of a version that no longer uses it.
    grants.grant(session, admin, application=make_application(session), user=make_user(session), now=NOW)
    add_version(session, workflow, http_step("create", other.id))
    session.flush()
    grants.grant(session, admin, application=application, user=make_user(session), now=NOW)
    session.flush()
    before, after = uses_of(session, used, now=NOW), uses_of(session, other, now=NOW)
    assert (before.workflows, len(before.runs), before.active_grants) == ([], 3, 0)
    assert (after.workflows, len(after.runs), after.active_grants) == ([workflow], 1, 3)


def test_runs_are_those_of_the_last_30_days_newest_first(session: Session, admin: Actor) -> None:
    application = make_application(session)
    connection = make_connection(session, application)
    make_workflow(session, application, http_step("create", connection.id))
    for days in (31, 29, 1):
        at = NOW - timedelta(days=days)
        grants.grant(session, admin, application=application, user=make_user(session), now=at)
    session.flush()
    ids = list(session.scalars(select(Run.id).order_by(Run.id)))
    assert [one.id for one in uses_of(session, connection, now=NOW).runs] == [ids[2], ids[1]]


def test_counting_ends_somewhere(session: Session, admin: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_uses, "ENOUGH", 2)
    application = make_application(session)
    connection = make_connection(session, application)
    make_workflow(session, application, http_step("create", connection.id))
    for _ in range(4):
        grants.grant(session, admin, application=application, user=make_user(session), now=NOW)
    session.flush()
    found = uses_of(session, connection, now=NOW)
    assert (found.active_grants, len(found.runs)) == (2, 2)


def test_a_refusal_to_delete_carries_the_list(session: Session, admin: Actor, builder: Actor) -> None:
    application = make_application(session)
    connection = make_connection(session, application)
    workflow: Workflow = make_workflow(session, application, http_step("create", connection.id))
    grants.grant(session, admin, application=application, user=make_user(session), now=NOW)
    session.flush()
    with pytest.raises(Conflict) as caught:
        connections.delete_connection(session, builder, connection, now=NOW)
    run = session.scalars(select(Run.id)).one()
    assert caught.value.context == {
        "workflow_ids": [str(workflow.id)],
        "active_grants": 1,
        "run_ids": [str(run)],
    }
