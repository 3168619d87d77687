"""The Connections tab of an application, and making, changing and deleting a connection."""

from __future__ import annotations

from typing import Any

from flask import flash, render_template, request, url_for
from flask.typing import ResponseReturnValue

from app.clock import now
from app.connectors.types.table import DEFAULT, TYPES, needs_credential
from app.errors import Conflict, Invalid
from app.extensions import db
from app.guard import current_actor, requires
from app.models import Application, Connection
from app.permissions import may
from app.queries.connection_uses import uses_of
from app.queries.connections import connections_by_name, parkings_of
from app.queries.lookup import load
from app.schemas.base import parse
from app.schemas.connections import ConnectionIn, ConnectionPatch
from app.services import connections
from app.services.transaction import transaction
from app.web.applications.header import application_header
from app.web.connections.blueprint import bp
from app.web.connections.forms import AUTH_CHOICES, AUTH_FIELDS, blank, filled, sent, typed
from app.web.connections.state import last_test, state_of
from app.web.forms import FormState
from app.web.htmx import is_fragment, see_other


@bp.get("/applications/<int:application_id>/connections")
@requires("workflow:read")
def index(application_id: int) -> ResponseReturnValue:
    """The application's connections, by name."""
    application = load(db.session(), Application, application_id)
    found = connections_by_name(db.session(), application.id)
    rows = [(one, state_of(one), last_test(one), needs_credential(one)) for one in found]
    parked = parkings_of(db.session(), [one.id for one in found])
    return render_template(
        "connections/index.html",
        rows=rows,
        parked=parked,
        types=TYPES,
        may_manage=may(current_actor(), "workflow:manage"),
        **application_header(application, "connections"),
    )


@bp.get("/applications/<int:application_id>/connections/new")
@requires("workflow:manage")
def new(application_id: int) -> ResponseReturnValue:
    """The empty form of the type that the address names."""
    return _new_form(load(db.session(), Application, application_id), request.args.get("type", ""), blank())


@bp.post("/applications/<int:application_id>/connections")
@requires("workflow:manage")
def create(application_id: int) -> ResponseReturnValue:
    """Add a connection and open it, where its credential is entered."""
    kind = request.form.get("type", "")
    if request.form.get("do") == "row":
        return _new_form(load(db.session(), Application, application_id), kind, typed(), more=True)
    try:
        data = parse(ConnectionIn, {"type": kind, **sent(kind)})
        with transaction() as session:
            application = load(session, Application, application_id)
            connection = connections.create_connection(session, current_actor(), application, data, now=now())
    except Invalid as refused:
        return _new_form(load(db.session(), Application, application_id), kind, typed(refused.errors)), 422
    needs = " Add its credential, then test it." if needs_credential(connection) else " Test it now."
    flash(f"{connection.name} is added.{needs}", "ok")
    return see_other(url_for(".show", connection_id=connection.id))


@bp.get("/connections/<int:connection_id>")
@requires("workflow:read")
def show(connection_id: int) -> ResponseReturnValue:
    """One connection: where it leads, its credential, its last test."""
    return show_page(load(db.session(), Connection, connection_id))


def show_page(connection: Connection, *, credential: FormState | None = None) -> str:
    """The page of a connection; `credential` is the refused form of its credential, never with its value."""
    actor = current_actor()
    application = load(db.session(), Application, connection.application_id)
    return render_template(
        "connections/show.html",
        **_described(connection),
        credential_form=credential or FormState(),
        goes_to=connections.addresses(connection),
        uses=uses_of(db.session(), connection, now=now()),
        parked=parkings_of(db.session(), [connection.id]).get(connection.id),
        may_park=may(actor, "workflow:run"),
        may_manage=may(actor, "workflow:manage"),
        may_secrets=may(actor, "workflow:secrets"),
        **application_header(application, "connections"),
    )


def _described(connection: Connection) -> dict[str, Any]:
    return {
        "connection": connection,
        "state": state_of(connection),
        "tested": last_test(connection),
        "needs_credential": needs_credential(connection),
        "connection_type": TYPES[connection.type],
    }


@bp.get("/connections/<int:connection_id>/edit")
@requires("workflow:manage")
def edit(connection_id: int) -> ResponseReturnValue:
    """The form with what is stored."""
    connection = load(db.session(), Connection, connection_id)
    return _edit_form(connection, filled(connection))


@bp.post("/connections/<int:connection_id>/edit")
@requires("workflow:manage")
def update(connection_id: int) -> ResponseReturnValue:
    """Save the form. A new address for a stored credential needs `workflow:secrets` as well (403)."""
    connection = load(db.session(), Connection, connection_id)
    if request.form.get("do") == "row":
        return _edit_form(connection, typed(), more=True)
    try:
        patch = parse(ConnectionPatch, sent(connection.type))
        with transaction() as session:
            connection = load(session, Connection, connection_id)
            connections.change_connection(session, current_actor(), connection, patch, now=now())
    except Invalid as refused:
        return _edit_form(load(db.session(), Connection, connection_id), typed(refused.errors)), 422
    flash("Saved. Runs use it from their next try on.", "ok")
    return see_other(url_for(".show", connection_id=connection_id))


@bp.get("/connections/<int:connection_id>/delete")
@requires("workflow:manage")
def confirm_delete(connection_id: int) -> ResponseReturnValue:
    """What deleting means, or which workflows stand against it."""
    return _delete_page(load(db.session(), Connection, connection_id))


@bp.post("/connections/<int:connection_id>/delete")
@requires("workflow:manage")
def delete(connection_id: int) -> ResponseReturnValue:
    """Delete it with its credential; refused with the list while a live workflow uses it."""
    try:
        with transaction() as session:
            connection = load(session, Connection, connection_id)
            application_id, name = connection.application_id, connection.name
            connections.delete_connection(session, current_actor(), connection, now=now())
    except Conflict as refused:
        return _delete_page(load(db.session(), Connection, connection_id), refusal=refused.message), 409
    flash(f"{name} is deleted, and its credential with it.", "ok")
    return see_other(url_for(".index", application_id=application_id))


def _delete_page(connection: Connection, *, refusal: str = "") -> str:
    application = load(db.session(), Application, connection.application_id)
    return render_template(
        "connections/delete.html",
        connection=connection,
        uses=uses_of(db.session(), connection, now=now()),
        refusal=refusal,
        **application_header(application, "connections"),
    )


def _new_form(application: Application, kind: str, form: FormState, *, more: bool = False) -> str:
    return _form(
        "connections/new.html",
        application,
        form,
        more,
        kind=kind if kind in TYPES else DEFAULT.name,
        action=url_for(".create", application_id=application.id),
        connection=None,
        locked=False,
    )


def _edit_form(connection: Connection, form: FormState, *, more: bool = False) -> str:
    has_credential = connection.credential is not None
    return _form(
        "connections/edit.html",
        load(db.session(), Application, connection.application_id),
        form,
        more,
        kind=connection.type,
        action=url_for(".update", connection_id=connection.id),
        connection=connection,
        locked=has_credential and not may(current_actor(), "workflow:secrets"),
    )


def _form(template: str, application: Application, form: FormState, more: bool, **facts: Any) -> str:
    return render_template(
        "connections/_form.html" if is_fragment() else template,
        form=form,
        more=more,
        auth_choices=AUTH_CHOICES,
        auth_fields=AUTH_FIELDS,
        types=TYPES,
        **facts,
        **application_header(application, "connections"),
    )
