"""Applications and people as their lists show them, and what the home page counts. All of it is bounded."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Select, func, literal_column, or_, select, tuple_
from sqlalchemy.orm import InstrumentedAttribute, Session, lazyload

from app.domain.grants.state import GrantState
from app.domain.states import Trigger
from app.models import Application, Grant, Role, User, Workflow
from app.queries.access import person_matches

# Counting stops here: nobody needs the exact number of a backlog, and a database should not count one.
ENOUGH = 100

AnySelect = Select[*tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class ApplicationRow:
    """One application in the list. An automation is None without a workflow, else whether it is enabled."""

    application: Application
    on_grant: bool | None
    on_revoke: bool | None
    needs_attention: bool


class PersonRow(NamedTuple):
    """One person in the list."""

    id: int
    first_name: str
    last_name: str
    email: str
    role: str
    is_active: bool
    last_seen_at: datetime | None

    @property
    def name(self) -> str:
        """How the person is called on the screen."""
        return f"{self.first_name} {self.last_name}".strip() or self.email


def applications_page(
    session: Session,
    *,
    size: int,
    text: str = "",
    archived: bool = False,
    before: int | None = None,
    after: int | None = None,
) -> list[ApplicationRow]:
    """Up to `size` + 1 applications in the order of their names; `before` and `after` are ids of neighbours.

    `before` reads on behind that application, as `app.web.paging` calls it; `after` reads backwards from it.
    """
    statement = select(Application).where(
        Application.archived_at.is_not(None) if archived else Application.archived_at.is_(None)
    )
    if text:
        wanted = text.lower()
        statement = statement.where(
            or_(
                *(
                    func.lower(column).contains(wanted, autoescape=True)
                    for column in (Application.name, Application.vendor, Application.category)
                )
            )
        )
    statement = _by_key(statement, Application.name, Application.id, before, after)
    found = session.scalars(statement.limit(size + 1)).all()
    return _with_automation(session, found)


def people_page(
    session: Session,
    *,
    size: int,
    text: str = "",
    status: str = "active",
    role: str = "",
    before: int | None = None,
    after: int | None = None,
) -> list[PersonRow]:
    """Up to `size` + 1 people by email. `status`: active, deactivated or all; `role`: the kind of one."""
    statement = select(
        User.id, User.first_name, User.last_name, User.email, Role.name, User.is_active, User.last_seen_at
    ).join(Role, Role.id == User.role_id)
    if status != "all":
        statement = statement.where(User.is_active if status == "active" else ~User.is_active)
    if role:
        statement = statement.where(Role.kind == role)
    if text:
        statement = statement.where(person_matches(text))
    statement = _by_key(statement, User.email, User.id, before, after)
    return [PersonRow(*row) for row in session.execute(statement.limit(size + 1))]


def applications_with_grants(session: Session, user_id: int, *, limit: int) -> Sequence[Application]:
    """Applications on which the person holds an active grant, up to `limit`, by name."""
    held = select(Grant.application_id).where(Grant.user_id == user_id, Grant.revoked_at.is_(None)).distinct()
    statement = select(Application).where(Application.id.in_(held))
    return session.scalars(statement.order_by(func.lower(Application.name)).limit(limit)).all()


def grants_to_revoke(
    session: Session, user_id: int, application_ids: Collection[int], *, limit: int
) -> dict[int, list[Grant]]:
    """The person's active grants on these applications, oldest first and `limit` in all, by application."""
    held = select(Grant).where(
        Grant.user_id == user_id, Grant.revoked_at.is_(None), Grant.application_id.in_(application_ids)
    )
    found: dict[int, list[Grant]] = {}
    for grant in session.scalars(held.options(lazyload("*")).order_by(Grant.id).limit(limit)):
        found.setdefault(grant.application_id, []).append(grant)
    return found


def active_grants_of_person(session: Session, user_id: int) -> int:
    """How many active grants the person holds, counted up to ENOUGH."""
    return _counted(session, select(Grant.id).where(Grant.user_id == user_id, Grant.revoked_at.is_(None)))


def active_grants_on(session: Session, application_id: int) -> int:
    """How many active grants there are on the application, counted up to ENOUGH."""
    held = select(Grant.id).where(Grant.application_id == application_id, Grant.revoked_at.is_(None))
    return _counted(session, held)


def has_any_application(session: Session) -> bool:
    """False on the first day."""
    return session.scalar(select(Application.id).limit(1)) is not None


def _counted(session: Session, rows: AnySelect) -> int:
    return session.scalar(select(func.count()).select_from(rows.limit(ENOUGH).subquery())) or 0


def _by_key(
    statement: AnySelect,
    name: InstrumentedAttribute[str],
    key: InstrumentedAttribute[int],
    before: int | None,
    after: int | None,
) -> AnySelect:
    """Order by name, and go on from the neighbour with this id, whose name is read anew."""
    lowered = func.lower(name)
    neighbour = after if after is not None else before
    if neighbour is not None:
        its_name = select(func.lower(name)).where(key == neighbour).scalar_subquery()
        here, there = tuple_(lowered, key), tuple_(its_name, neighbour)
        statement = statement.where(here < there if after is not None else here > there)
    if after is not None:
        return statement.order_by(lowered.desc(), key.desc())
    return statement.order_by(lowered, key)


def _with_automation(session: Session, found: Sequence[Application]) -> list[ApplicationRow]:
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
