"""Test connection and test events: one call each, made while no transaction is open."""

from __future__ import annotations

from flask import current_app, flash, render_template, url_for
from flask.typing import ResponseReturnValue

from app.clock import now
from app.connectors.types.table import TYPES
from app.extensions import db, keyring
from app.guard import current_actor, requires
from app.models import Connection
from app.services import connection_test
from app.services.connection_test import NOTHING_TO_PROBE, TestPlan, TestResult
from app.services.transaction import transaction
from app.web.connections.blueprint import bp
from app.web.connections.shown import last_test
from app.web.htmx import is_fragment, see_other
from app.web.lookup import load


@bp.post("/connections/<int:connection_id>/test")
@requires("workflow:manage")
def test(connection_id: int) -> ResponseReturnValue:
    """Make the call and show what was found, in place or on the connection's page."""
    plan = _plan(connection_id)
    result = connection_test.probe(plan, current_app.extensions["egress"], keyring())
    if result.outcome == NOTHING_TO_PROBE:
        flash("Nothing to probe: a webhook only receives, so nothing was sent.", "info")
        return see_other(url_for(".show", connection_id=connection_id))
    return _kept(connection_id, result)


@bp.post("/connections/<int:connection_id>/test-event")
@requires("workflow:manage")
def test_event(connection_id: int) -> ResponseReturnValue:
    """Send a webhook a signed event that says it is a test, and show what came of it."""
    plan = _plan(connection_id)
    client = current_app.extensions["egress"]
    return _kept(connection_id, connection_test.send_test_event(plan, client, keyring(), now=now()))


def _plan(connection_id: int) -> TestPlan:
    plan = connection_test.prepare(load(Connection, connection_id))
    db.session.remove()  # nobody holds a connection to the database while waiting for a stranger
    return plan


def _kept(connection_id: int, result: TestResult) -> ResponseReturnValue:
    with transaction() as session:
        connection_test.keep(session, connection_id, result, now=now(), actor=current_actor())
    if not is_fragment():
        return see_other(url_for(".show", connection_id=connection_id) + "#test")
    connection = load(Connection, connection_id)
    return render_template(
        "connections/_test.html",
        tested=last_test(connection, advice=result.remedy),
        connection_type=TYPES[connection.type],
        fresh=True,
    )
