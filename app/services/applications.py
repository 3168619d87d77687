"""Applications: what people get access to."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.errors import Conflict, Invalid
from app.models import Application, Grant
from app.permissions import Actor
from app.schemas.applications import ApplicationIn, ApplicationPatch
from app.services import audit
from app.services.record_changes import assign, lock, refusing_duplicates

_TAKEN = "There is an application with this name."


def create_application(session: Session, actor: Actor, data: ApplicationIn, *, now: datetime) -> Application:
    """Add an application; raises Invalid when one that is not archived has its name."""
    application = Application(created_at=now, **_columns(data.model_dump()))
    with refusing_duplicates(session, Invalid.field("name", _TAKEN)):
        session.add(application)
    audit.record(session, actor, "application.create", application, now=now)
    return application


def change_application(
    session: Session, actor: Actor, application: Application, patch: ApplicationPatch, *, now: datetime
) -> Application:
    """Change what was sent; raises Invalid when the name is taken."""
    with refusing_duplicates(session, Invalid.field("name", _TAKEN)):
        changes = assign(application, _columns(patch.given()))
    if changes:
        audit.record(session, actor, "application.change", application, now=now, changes=changes)
    return application


def archive_application(session: Session, actor: Actor, application: Application, *, now: datetime) -> None:
    """Put an application away with its history. Doing so twice changes nothing.

    Raises Conflict while somebody has access: what nobody sees any more would never be revoked.
    """
    lock(session, Application, application.id, with_references=True)  # a grant that is just being made, too
    if application.archived_at is not None:
        return
    held = select(Grant.id).where(Grant.application_id == application.id, Grant.is_active).limit(1)
    if session.scalar(held) is not None:
        raise Conflict("Somebody still has access to this application. Revoke every grant first.")
    application.archived_at = now
    audit.record(session, actor, "application.archive", application, now=now)


def restore_application(session: Session, actor: Actor, application: Application, *, now: datetime) -> None:
    """Bring an archived application back; raises Conflict when its name has been given to another."""
    if application.archived_at is None:
        return
    with refusing_duplicates(session, Conflict(_TAKEN + " Rename that one first.")):
        application.archived_at = None
    audit.record(session, actor, "application.restore", application, now=now)


def _columns(fields: dict[str, object]) -> dict[str, object]:
    return {"is_critical" if name == "critical" else name: value for name, value in fields.items()}
