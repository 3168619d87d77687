"""What is done on a connection: parking it by hand and letting it go on, Test connection and test events."""

from __future__ import annotations

from datetime import timedelta

from flask import current_app, flash, render_template, request, url_for
from flask.typing import ResponseReturnValue

from app.clock import now
from app.connectors.types.table import TYPES
from app.errors import Conflict
from app.extensions import db, keyring
from app.guard import current_actor, requires
from app.models import Application, Connection
from app.queries.lookup import load
from app.schemas.connections import ParkIn
from app.services import connection_test, parking
from app.services.connection_test import NOTHING_TO_PROBE, TestPlan, TestResult
from app.services.transaction import before_asking_outside, transaction
from app.web.applications.header import application_header
from app.web.connections.blueprint import bp
from app.web.connections.state import last_test
from app.web.forms import FormState, form_page, parse_typed, shows_again
from app.web.htmx import is_fragment, see_other
from app.web.request_values import utc_time


@bp.get("/connections/<int:connection_id>/park")
@requires("workflow:run")
def park(connection_id: int) -> ResponseReturnValue:
    """What parking means, with its end an hour from now."""
    end = (now() + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M")
    return _park(FormState.of({"until": end}), connection_id)


def _park(form: FormState, connection_id: int) -> ResponseReturnValue:
    connection = load(db.session(), Connection, connection_id)
    header = application_header(load(db.session(), Application, connection.application_id), "connections")
    return form_page("connections/park", form, connection=connection, **header)


@bp.post("/connections/<int:connection_id>/park")
@requires("workflow:run")
@shows_again(_park)
def park_now(connection_id: int) -> ResponseReturnValue:
    """Park it; a second time changes end and reason."""
    data = _typed()
    with transaction() as session:
        connection = load(session, Connection, connection_id)
        parking.park(session, current_actor(), connection, data, now=now())
        name = connection.name
    flash(f"{name} is parked. Runs that reach it wait.", "ok")
    return see_other(url_for(".show", connection_id=connection_id))


@bp.post("/connections/<int:connection_id>/unpark")
@requires("workflow:run")
def unpark(connection_id: int) -> ResponseReturnValue:
    """Let one waiting run through now, and the others after it."""
    try:
        with transaction() as session:
            connection = load(session, Connection, connection_id)
            parking.unpark(session, current_actor(), connection, now=now())
    except Conflict as refused:
        flash(refused.message, "bad")
    else:
        flash("One waiting run goes on within seconds, and the others after it when it succeeds.", "ok")
    return see_other(url_for(".show", connection_id=connection_id))


def _typed() -> ParkIn:
    given = {"until": utc_time(request.form.get("until", "")), "reason": request.form.get("reason", "")}
    return parse_typed(ParkIn, given, {"until": "Enter a date and a time."})


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
    plan = connection_test.prepare(load(db.session(), Connection, connection_id))
    before_asking_outside()
    return plan


def _kept(connection_id: int, result: TestResult) -> ResponseReturnValue:
    with transaction() as session:
        connection_test.keep(session, connection_id, result, now=now(), actor=current_actor())
    if not is_fragment():
        return see_other(url_for(".show", connection_id=connection_id) + "#test")
    connection = load(db.session(), Connection, connection_id)
    return render_template(
        "connections/_test.html",
        tested=last_test(connection, advice=result.remedy),
        connection_type=TYPES[connection.type],
        fresh=True,
    )
