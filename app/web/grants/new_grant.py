"""Giving access: find the person, see what it will start, and do it once however often it is clicked."""

from __future__ import annotations

from dataclasses import dataclass

from flask import flash, render_template, request, url_for
from flask.typing import ResponseReturnValue

from app.clock import now
from app.domain.states import Trigger
from app.errors import Conflict, Invalid
from app.extensions import db
from app.guard import current_actor, requires
from app.models import Application, Grant, User
from app.queries.grants import Match, matching_people, one_match
from app.queries.lookup import load
from app.queries.situation import situation
from app.schemas.grants import GrantIn
from app.schemas.kinds import record_id
from app.services import grants
from app.services.transaction import transaction
from app.web.applications.header import application_header
from app.web.forms import FormState, form_page, shows_again
from app.web.grants.blueprint import bp
from app.web.grants.consequences import Consequence, consequence_of, stored_words
from app.web.grants.forms import mark_of, read_grant, shown_at
from app.web.htmx import see_other
from app.web.request_values import storable, ticked

_FIRST, _MOST = 8, 20


@dataclass(frozen=True, slots=True)
class People:
    """The people to choose from. `more` says that others match as well."""

    matches: list[Match]
    text: str
    more: bool


@bp.get("/applications/<int:application_id>/grant")
@requires("grant:write")
def new(application_id: int) -> ResponseReturnValue:
    """The form; `user_id` in the address chooses the person, as a link to grant again does."""
    chosen = record_id(request.args.get("user_id", ""))
    return _new(FormState.of({"user_id": chosen, "person": "", "shown_at": mark_of(now())}), application_id)


def _new(form: FormState, application_id: int) -> ResponseReturnValue:
    db.session.rollback()  # what a refused attempt has read is read again
    return form_page("grants/new", form, **_material(_open_application(application_id), form))


@bp.get("/applications/<int:application_id>/grant/people")
@requires("grant:write")
def people(application_id: int) -> ResponseReturnValue:
    """The people that match `person`, as choices: a piece of the form."""
    application = load(db.session(), Application, application_id)
    form = FormState.of({name: request.args.get(name, "") for name in ("person", "user_id", "record_only")})
    return render_template("grants/_people.html", form=form, **_material(application, form))


@bp.get("/applications/<int:application_id>/grant/consequence")
@requires("grant:write")
def consequence(application_id: int) -> ResponseReturnValue:
    """What granting would start, for the chosen person and switch: a piece of the form."""
    application = load(db.session(), Application, application_id)
    found = _consequence(
        application, record_id(request.args.get("user_id", "")), request.args.get("record_only", "") == "1"
    )
    ask = url_for("grants.consequence", application_id=application_id)
    return render_template("grants/_consequence.html", consequence=found, verb="granting", ask=ask)


@bp.post("/applications/<int:application_id>/grant")
@requires("grant:write")
@shows_again(_new)
def create(application_id: int) -> ResponseReturnValue:
    """Grant, or with the Find button look for people and keep everything that was typed."""
    if "find" in request.form:
        return _new(FormState.sent(), application_id)
    _say_what_came(_granted(read_grant(_open_application(application_id))))
    return see_other(url_for("applications.show", application_id=application_id))


def _granted(data: GrantIn) -> Grant:
    """The new grant, or the one that the same form has just made."""
    with transaction() as session:
        user = session.get(User, data.user_id)
        if user is None:
            raise Invalid.field("user_id", "There is no such person.")
        application = load(session, Application, data.application_id)
        return grants.grant(
            session,
            current_actor(),
            application=application,
            user=user,
            now=now(),
            access_level=data.access_level,
            expires_at=data.expires_at,
            notes=data.notes,
            record_only=data.record_only,
            form_shown_at=shown_at(),
        )


def _say_what_came(grant: Grant) -> None:
    name = load(db.session(), User, grant.user_id).name
    if grant.newest_run_id is not None:
        flash(f"Access granted to {name}. Provisioning started: run {grant.newest_run_id}.", "ok")
    else:
        why = stored_words(grant.state_reason)
        flash(f"Access granted to {name} and recorded. No automation ran: {why}.", "ok")


def _material(application: Application, form: FormState) -> dict[str, object]:
    """Everything that the form and its pieces show."""
    chosen = record_id(form.value("user_id"))
    return {
        "people": _people(application, storable(form.value("person")), chosen),
        "consequence": _consequence(
            application, chosen, form.value("record_only") == "1" or ticked("record_only")
        ),
        **application_header(application, "access"),
    }


def _people(application: Application, text: str, chosen: int | None) -> People:
    limit = _MOST if text else _FIRST
    session = db.session()
    found = matching_people(session, text, application_id=application.id, limit=limit + 1)
    matches = found[:limit]
    if chosen is not None and chosen not in [one.id for one in matches]:
        matches = one_match(session, chosen, application_id=application.id) + matches
    return People(matches, text, len(found) > limit)


def _consequence(application: Application, user_id: int | None, record_only: bool) -> Consequence:
    holds = situation(
        db.session(),
        user_id=user_id or 0,
        application_id=application.id,
        trigger=Trigger.ACCESS_GRANTED,
        record_only=record_only,
    )
    return consequence_of(holds, application.id)


def _open_application(application_id: int) -> Application:
    application = load(db.session(), Application, application_id)
    if application.archived_at is not None:
        raise Conflict(f"{application.name} is archived. Restore it first.")
    return application
