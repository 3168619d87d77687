"""Applications: what people get access to."""

from __future__ import annotations

from app.api.blueprint import bp
from app.api.lists import ListQuery, page_of
from app.api.operation import Act, reads, writes
from app.guard import requires
from app.models import Application
from app.queries.applications import ApplicationFilters, application_list
from app.queries.lookup import load
from app.schemas.answers import (
    ApplicationOut,
    Page,
)
from app.schemas.applications import ApplicationIn, ApplicationPatch
from app.services import applications

TAG = "Applications"


@bp.get("/applications")
@requires("grant:read")
@reads(TAG, Page[ApplicationOut], query=ListQuery)
def list_applications(act: Act, query: ListQuery) -> Page[ApplicationOut]:
    """Applications by age, archived ones among them."""
    rows = application_list(act.session, ApplicationFilters(), limit=query.limit + 1, before=query.key)
    return page_of(rows, query, application_out, key=lambda application: application.id)


@bp.post("/applications")
@requires("application:write")
@writes(TAG, ApplicationOut, body=ApplicationIn, status=201, repeatable=True)
def create_application(act: Act, body: ApplicationIn) -> ApplicationOut:
    """Add an application."""
    return application_out(applications.create_application(act.session, act.actor, body, now=act.now))


@bp.get("/applications/<int:application_id>")
@requires("grant:read")
@reads(TAG, ApplicationOut)
def show_application(act: Act, application_id: int) -> ApplicationOut:
    """One application."""
    return application_out(load(act.session, Application, application_id))


@bp.patch("/applications/<int:application_id>")
@requires("application:write")
@writes(TAG, ApplicationOut, body=ApplicationPatch)
def change_application(act: Act, application_id: int, body: ApplicationPatch) -> ApplicationOut:
    """Change an application."""
    application = load(act.session, Application, application_id)
    changed = applications.change_application(act.session, act.actor, application, body, now=act.now)
    return application_out(changed)


def application_out(application: Application) -> ApplicationOut:
    return ApplicationOut(
        id=str(application.id),
        name=application.name,
        description=application.description,
        vendor=application.vendor,
        category=application.category,
        url=application.url,
        critical=application.is_critical,
        notes=application.notes,
        created_at=application.created_at,
        archived_at=application.archived_at,
    )
