"""Parking a connection by hand, for maintenance, and letting one go on that is parked."""

from __future__ import annotations

from datetime import timedelta

from flask import flash, request, url_for
from flask.typing import ResponseReturnValue

from app.clock import now
from app.errors import Conflict
from app.guard import current_actor, requires
from app.models import Application, Connection
from app.schemas.connections import ParkIn
from app.services import parking
from app.services.transaction import transaction
from app.web.applications.header import application_header
from app.web.connections.blueprint import bp
from app.web.forms import FormState, form_page, parse_typed, shows_again
from app.web.htmx import see_other
from app.web.lookup import load
from app.web.request_values import utc_time


@bp.get("/connections/<int:connection_id>/park")
@requires("workflow:run")
def park(connection_id: int) -> ResponseReturnValue:
    """What parking means, with its end an hour from now."""
    end = (now() + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M")
    return _park(FormState.of({"until": end}), connection_id)


def _park(form: FormState, connection_id: int) -> ResponseReturnValue:
    connection = load(Connection, connection_id)
    header = application_header(load(Application, connection.application_id), "connections")
    return form_page("connections/park", form, connection=connection, **header)


@bp.post("/connections/<int:connection_id>/park")
@requires("workflow:run")
@shows_again(_park)
def park_now(connection_id: int) -> ResponseReturnValue:
    """Park it; a second time changes end and reason."""
    data = _typed()
    with transaction() as session:
        connection = load(Connection, connection_id, session=session)
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
            connection = load(Connection, connection_id, session=session)
            parking.unpark(session, current_actor(), connection, now=now())
    except Conflict as refused:
        flash(refused.message, "bad")
    else:
        flash("One waiting run goes on within seconds, and the others after it when it succeeds.", "ok")
    return see_other(url_for(".show", connection_id=connection_id))


def _typed() -> ParkIn:
    given = {"until": utc_time(request.form.get("until", "")), "reason": request.form.get("reason", "")}
    return parse_typed(ParkIn, given, {"until": "Enter a date and a time."})
