"""The credential of a connection: entered, replaced, removed. Its value goes in here and never comes out."""

from __future__ import annotations

from flask import flash, render_template, request, url_for
from flask.typing import ResponseReturnValue

from app.clock import now
from app.connectors.types.table import TYPES, needs_credential
from app.errors import Invalid
from app.extensions import db, keyring
from app.guard import current_actor, requires
from app.models import Application, Connection
from app.permissions import may
from app.queries.connection_uses import workflows_using
from app.queries.lookup import load
from app.schemas.base import parse
from app.schemas.connections import CredentialIn
from app.services import credentials
from app.services.connections import addresses
from app.services.transaction import transaction
from app.web.applications.header import application_header
from app.web.connections.blueprint import bp
from app.web.connections.state import state_of
from app.web.connections.views import show_page
from app.web.forms import FormState
from app.web.htmx import is_fragment, see_other


@bp.post("/connections/<int:connection_id>/credential")
@requires("workflow:secrets")
def set_credential(connection_id: int) -> ResponseReturnValue:
    """Add or replace the credential. A refused value is not shown again."""
    try:
        data = parse(CredentialIn, {"value": request.form.get("value", "")})
        with transaction() as session:
            connection = load(session, Connection, connection_id)
            was_set = connection.credential is not None
            credentials.set_credential(
                session,
                current_actor(),
                connection,
                data,
                keyring(),
                now=now(),
                meant_for=request.form.get("meant_for"),
            )
    except Invalid as refused:
        connection = load(db.session(), Connection, connection_id)
        # The errors alone: what was typed must not come back.
        form = FormState({}, refused.errors)
        if is_fragment():
            return _block(connection, form), 422
        return show_page(connection, credential=form), 422
    flash(f"Credential {'replaced' if was_set else 'added'}. Test the connection now.", "ok")
    return see_other(url_for(".show", connection_id=connection_id))


def _block(connection: Connection, form: FormState) -> str:
    return render_template(
        "connections/_credential.html",
        connection=connection,
        state=state_of(connection),
        needs_credential=needs_credential(connection),
        connection_type=TYPES[connection.type],
        credential_form=form,
        goes_to=addresses(connection),
        may_secrets=may(current_actor(), "workflow:secrets"),
    )


@bp.get("/connections/<int:connection_id>/credential/remove")
@requires("workflow:secrets")
def confirm_remove(connection_id: int) -> ResponseReturnValue:
    """What will fail without it."""
    connection = load(db.session(), Connection, connection_id)
    return render_template(
        "connections/remove_credential.html",
        connection=connection,
        using=workflows_using(db.session(), connection),
        **application_header(load(db.session(), Application, connection.application_id), "connections"),
    )


@bp.post("/connections/<int:connection_id>/credential/remove")
@requires("workflow:secrets")
def remove_credential(connection_id: int) -> ResponseReturnValue:
    """Forget the credential; doing so twice changes nothing."""
    with transaction() as session:
        connection = load(session, Connection, connection_id)
        credentials.remove_credential(session, current_actor(), connection, now=now())
    flash("Credential removed.", "ok")
    return see_other(url_for(".show", connection_id=connection_id))
