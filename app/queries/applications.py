"""Applications as their page and the API list them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, literal_column, or_, select
from sqlalchemy.orm import Session

from app.domain.grants.state import GrantState
from app.domain.states import Trigger
from app.models import Application, Grant, Workflow
from app.queries.paging import page_by_name, page_by_number


@dataclass(frozen=True, slots=True)
class ApplicationFilters:
    """What a list of applications is narrowed to. `text` is part of the name, vendor or category."""

    text: str = ""
    is_archived: bool | None = None


@dataclass(frozen=True, slots=True)
class ApplicationRow:
    """One application in the list. An automation is None without a workflow, else whether it is enabled."""

    application: Application
    on_grant: bool | None
    on_revoke: bool | None
    needs_attention: bool


def application_list(
    session: Session,
    filters: ApplicationFilters,
    *,
    limit: int,
    by_name: bool = False,
    before: int | None = None,
    after: int | None = None,
) -> Sequence[Application]:
    """Up to `limit` applications, the oldest first or `by_name`, from a neighbour on (see `queries.paging`)."""
    statement = select(Application)
    if filters.is_archived is not None:
        missing = Application.archived_at.is_(None)
        statement = statement.where(~missing if filters.is_archived else missing)
    if filters.text:
        columns = (Application.name, Application.vendor, Application.category)
        statement = statement.where(
            or_(*(column.icontains(filters.text, autoescape=True) for column in columns))
        )
    if by_name:
        statement = page_by_name(statement, Application.name, Application.id, before, after)
    else:
        statement = page_by_number(statement, Application.id, before, after, rising=True)
    return session.scalars(statement.limit(limit)).all()


def with_automation(session: Session, found: Sequence[Application]) -> list[ApplicationRow]:
    """These applications with what happens on each by itself, in two statements."""
    ids = [one.id for one in found]
    if not ids:
        return []
    live = select(Workflow.application_id, Workflow.trigger, Workflow.is_enabled, Workflow.step_count).where(
        Workflow.application_id.in_(ids), Workflow.deleted_at.is_(None)
    )
    enabled = {
        (application_id, trigger): is_enabled and steps > 0
        for application_id, trigger, is_enabled, steps in session.execute(live)
    }
    failing = (
        select(literal_column("1"))
        .where(Grant.application_id == Application.id, Grant.state == GrantState.NEEDS_ATTENTION)
        .exists()
    )
    troubled = set(session.scalars(select(Application.id).where(Application.id.in_(ids), failing)))
    return [
        ApplicationRow(
            one,
            enabled.get((one.id, Trigger.ACCESS_GRANTED)),
            enabled.get((one.id, Trigger.ACCESS_REVOKED)),
            one.id in troubled,
        )
        for one in found
    ]


def application_names(session: Session, *, limit: int, in_use: bool = False) -> list[tuple[int, str]]:
    """Number and name of up to `limit` applications by name, to choose from; `in_use` leaves out archived ones."""
    statement = select(Application.id, Application.name)
    if in_use:
        statement = statement.where(Application.archived_at.is_(None))
    rows = session.execute(statement.order_by(func.lower(Application.name)).limit(limit))
    return [(number, name) for number, name in rows]


def applications_with_grants(session: Session, user_id: int, *, limit: int) -> Sequence[Application]:
    """Applications on which the person holds an active grant, up to `limit`, by name."""
    held = select(Grant.application_id).where(Grant.user_id == user_id, Grant.is_active).distinct()
    statement = select(Application).where(Application.id.in_(held))
    return session.scalars(statement.order_by(func.lower(Application.name)).limit(limit)).all()


def has_any_application(session: Session) -> bool:
    """False on the first day."""
    return session.scalar(select(Application.id).limit(1)) is not None
