"""The list of applications, and adding, changing, archiving and restoring one."""

from __future__ import annotations

from functools import partial

from flask import flash, render_template, request, url_for
from flask.typing import ResponseReturnValue

from app.clock import now
from app.extensions import db
from app.guard import current_actor, requires
from app.models import Application
from app.queries import grants
from app.queries.applications import ApplicationFilters, application_list, with_automation
from app.queries.lookup import load
from app.queries.workflow_doubts import to_review
from app.schemas.applications import ApplicationIn, ApplicationPatch
from app.schemas.base import parse
from app.services import applications
from app.services.transaction import transaction
from app.web.applications.blueprint import bp
from app.web.applications.header import application_header
from app.web.forms import FormState, form_page, shows_again
from app.web.htmx import see_other
from app.web.login_session import viewer_may
from app.web.paging import links, read_page
from app.web.request_values import query

FIELDS = ("name", "description", "vendor", "category", "url", "notes")


def _typed() -> dict[str, object]:
    """What was sent, for the schema. An unticked box is sent as nothing, which means no."""
    return {name: request.form.get(name, "") for name in (*FIELDS, "critical")}


PAGE = 25


@bp.get("")
@requires("grant:read")
def index() -> ResponseReturnValue:
    """Applications by name; the search is in the address."""
    text, archived = query("q"), request.args.get("show") == "archived"
    read = partial(
        application_list, db.session(), ApplicationFilters(text, is_archived=archived), by_name=True
    )
    page = read_page(read, size=PAGE, key=lambda application: application.id)
    filters = [("q", text), ("show", "archived" if archived else "")]
    return render_template(
        "applications/index.html",
        rows=with_automation(db.session(), page.rows),
        links=links(request.path, filters, page),
        form=FormState.of(dict(filters)),
        text=text,
        archived=archived,
        may_add=viewer_may("application:write"),
        to_review=to_review(db.session()) if viewer_may("workflow:manage") else 0,
    )


@bp.get("/new")
@requires("application:write")
def new() -> ResponseReturnValue:
    """The empty form."""
    return _new(FormState())


def _new(form: FormState) -> ResponseReturnValue:
    return form_page("applications/new", form)


@bp.post("")
@requires("application:write")
@shows_again(_new)
def create() -> ResponseReturnValue:
    """Add an application and open it."""
    data = parse(ApplicationIn, _typed())
    with transaction() as session:
        application = applications.create_application(session, current_actor(), data, now=now())
    flash(f"{application.name} is added. Grants are recorded from now on.", "ok")
    return see_other(url_for("applications.show", application_id=application.id))


@bp.get("/<int:application_id>/edit")
@requires("application:write")
def edit(application_id: int) -> ResponseReturnValue:
    """The form with what is stored."""
    application = load(db.session(), Application, application_id)
    values = {name: getattr(application, name) for name in FIELDS}
    return _edit(FormState.of({**values, "critical": application.is_critical}), application_id)


def _edit(form: FormState, application_id: int) -> ResponseReturnValue:
    header = application_header(load(db.session(), Application, application_id), "")
    return form_page("applications/edit", form, **header)


@bp.post("/<int:application_id>/edit")
@requires("application:write")
@shows_again(_edit)
def update(application_id: int) -> ResponseReturnValue:
    """Save the form."""
    patch = parse(ApplicationPatch, _typed())
    with transaction() as session:
        application = load(session, Application, application_id)
        applications.change_application(session, current_actor(), application, patch, now=now())
    flash("Saved.", "ok")
    return see_other(url_for("applications.show", application_id=application_id))


@bp.get("/<int:application_id>/archive")
@requires("application:write")
def confirm_archive(application_id: int) -> ResponseReturnValue:
    """What archiving means, and what stands in its way."""
    application = load(db.session(), Application, application_id)
    held = grants.active_grants_on(db.session(), application_id)
    return render_template(
        "applications/archive.html", held=held, enough=grants.ENOUGH, **application_header(application, "")
    )


@bp.post("/<int:application_id>/archive")
@requires("application:write")
def archive(application_id: int) -> ResponseReturnValue:
    """Put it away; doing so twice changes nothing."""
    with transaction() as session:
        application = load(session, Application, application_id)
        applications.archive_application(session, current_actor(), application, now=now())
    flash(f"{application.name} is archived. Its history stays.", "ok")
    return see_other(url_for("applications.index"))


@bp.post("/<int:application_id>/restore")
@requires("application:write")
def restore(application_id: int) -> ResponseReturnValue:
    """Bring it back."""
    with transaction() as session:
        application = load(session, Application, application_id)
        applications.restore_application(session, current_actor(), application, now=now())
    flash(f"{application.name} is restored.", "ok")
    return see_other(url_for("applications.show", application_id=application_id))
