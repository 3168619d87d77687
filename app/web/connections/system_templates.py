"""Templates: choosing a system fills a connection and both workflows."""

from __future__ import annotations

from flask import flash, render_template, request, url_for
from flask.typing import ResponseReturnValue

from app.catalogue import TEMPLATES, template_called
from app.catalogue.kinds import Step, SystemTemplate
from app.clock import now
from app.connectors.types.table import RECEIVERS
from app.errors import Conflict, FieldError, Invalid, NotFound
from app.extensions import db
from app.guard import current_actor, requires
from app.models import Application
from app.queries.lookup import load
from app.services.from_template import apply_template
from app.services.transaction import transaction
from app.web.applications.header import application_header
from app.web.connections.blueprint import bp
from app.web.forms import FormState
from app.web.htmx import is_fragment, see_other


@bp.get("/applications/<int:application_id>/templates")
@requires("workflow:manage")
def templates(application_id: int) -> ResponseReturnValue:
    """The systems that there are templates for."""
    return render_template(
        "connections/templates.html",
        templates=TEMPLATES,
        **application_header(load(db.session(), Application, application_id), "connections"),
    )


@bp.get("/applications/<int:application_id>/templates/<string:key>")
@requires("workflow:manage")
def template(application_id: int, key: str) -> ResponseReturnValue:
    """What the template makes, and the few questions that it asks."""
    chosen = _chosen(key)
    given = {one.field: one.given for one in chosen.questions}
    return _page(
        load(db.session(), Application, application_id), chosen, FormState.of({"name": chosen.name, **given})
    )


@bp.post("/applications/<int:application_id>/templates/<string:key>")
@requires("workflow:manage")
def use_template(application_id: int, key: str) -> ResponseReturnValue:
    """Make connection and workflows, and open the connection, where its credential is entered."""
    chosen = _chosen(key)
    fields = ["name", *(one.field for one in chosen.questions)]
    answers = {name: request.form.get(name, "") for name in fields}
    try:
        with transaction() as session:
            application = load(session, Application, application_id)
            made = apply_template(session, current_actor(), application, chosen, answers, now=now())
            connection_id, name = made.connection.id, made.connection.name
    except Invalid as refused:
        errors = [_by_input(error, fields) for error in refused.errors]
        return _page(
            load(db.session(), Application, application_id), chosen, FormState(_lists(answers), errors)
        ), 422
    except Conflict as refused:
        form = FormState(_lists(answers), [FieldError("", refused.message)])
        return _page(load(db.session(), Application, application_id), chosen, form), 409
    flash(f"{name} and two workflows are made. Add the credential, test, then enable the workflows.", "ok")
    return see_other(url_for(".show", connection_id=connection_id))


def _chosen(key: str) -> SystemTemplate:
    found = template_called(key)
    if found is None:
        raise NotFound("There is no such template.")
    return found


def _lists(answers: dict[str, str]) -> dict[str, list[str]]:
    return {name: [value] for name, value in answers.items()}


def _by_input(error: FieldError, fields: list[str]) -> FieldError:
    name = error.field.removeprefix("config.")
    return FieldError(name if name in fields else "", error.message)


def _in_order(steps: list[Step]) -> str:
    return ", ".join(f"{number}. {step['name']}" for number, step in enumerate(steps, 1))


def _page(application: Application, chosen: SystemTemplate, form: FormState) -> str:
    return render_template(
        "connections/_template_form.html" if is_fragment() else "connections/template.html",
        template=chosen,
        form=form,
        addresses=RECEIVERS,
        steps=[
            ("When access is granted", _in_order(chosen.grant(""))),
            ("When access is revoked", _in_order(chosen.revoke(""))),
        ],
        **application_header(application, "connections"),
    )
