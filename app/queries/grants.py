"""Grants as lists, pages and the API show them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session, defer, joinedload, selectinload

from app.domain.grants.state import GrantState
from app.domain.grants.trigger import NoRunReason
from app.domain.states import Trigger
from app.models import Application, Grant, Run, TriggerDecision, User, Workflow
from app.queries.run_filters import MAX_ID

CANCELLED = "cancelled"
_REASONS = {reason.value: reason.label for reason in NoRunReason} | {CANCELLED: "its run was cancelled"}


@dataclass(frozen=True, slots=True)
class GrantFilters:
    """What a list of grants is narrowed to; what is left out does not narrow it."""

    application_id: int | None = None
    user_id: int | None = None
    is_active: bool | None = None
    state: GrantState | None = None


@dataclass(frozen=True, slots=True)
class GrantChip:
    """A grant's state as a chip.

    `reason` says in words why there is no automation, `reason_code` as it is stored.
    """

    code: str
    label: str
    tone: str
    reason: str | None
    reason_code: str | None
    run_id: int | None


@dataclass(frozen=True, slots=True)
class GrantDetail:
    """A grant with the decisions about its events and its runs, oldest first."""

    grant: Grant
    decisions: list[TriggerDecision]
    runs: list[Run]


class Foreign(NamedTuple):
    """A workflow that answers the trigger on another application on which the same person holds a grant."""

    application_id: int
    application: str
    workflow: str


def foreign_workflow(session: Session, grant: Grant, trigger: Trigger) -> Foreign | None:
    """The one on the application that the person was given access to last, or None."""
    row = session.execute(
        select(Application.id, Application.name, Workflow.name.label("workflow"))
        .join(Grant, Grant.application_id == Application.id)
        .join(Workflow, Workflow.application_id == Application.id)
        .where(
            Grant.user_id == grant.user_id,
            Grant.application_id != grant.application_id,
            Workflow.trigger == trigger,
            Workflow.deleted_at.is_(None),
        )
        .order_by(Grant.id.desc())
        .limit(1)
    ).first()
    return Foreign(row.id, row.name, row.workflow) if row is not None else None


def state_of(grant: Grant) -> GrantChip:
    """The chip of `grant`: the stored state in words. It links to the run, or without one to the decision."""
    state = GrantState(grant.state)
    code = grant.state_reason
    return GrantChip(
        code=state.value,
        label=state.label,
        tone=state.tone,
        reason=_REASONS.get(code, code) if code else None,
        reason_code=code,
        run_id=grant.newest_run_id,
    )


def grant_list(
    session: Session,
    filters: GrantFilters,
    *,
    limit: int,
    before: int | None = None,
    after: int | None = None,
    with_decisions: bool = False,
) -> list[Grant]:
    """Up to `limit` grants with person and application, newest first.

    `before` gives those older than that grant's number; `after` the newer ones, oldest first.
    """
    statement = select(Grant).options(
        joinedload(Grant.user).lazyload(User.role), joinedload(Grant.application)
    )
    if with_decisions:
        statement = statement.options(selectinload(Grant.decisions))
    for column, value in ((Grant.application_id, filters.application_id), (Grant.user_id, filters.user_id)):
        if value is not None:
            statement = statement.where(column == (value if 0 < value <= MAX_ID else 0))
    if filters.is_active is not None:
        missing = Grant.revoked_at.is_(None)
        statement = statement.where(missing if filters.is_active else ~missing)
    if filters.state is not None:
        statement = statement.where(Grant.state == filters.state)
    if before is not None:
        statement = statement.where(Grant.id < min(before, MAX_ID))
    elif after is not None:
        return list(
            session.scalars(statement.where(Grant.id > min(after, MAX_ID)).order_by(Grant.id).limit(limit))
        )
    return list(session.scalars(statement.order_by(Grant.id.desc()).limit(limit)))


def grant_detail(session: Session, grant_id: int) -> GrantDetail | None:
    """The grant with that number and what became of its events, in three statements; None without one."""
    if not 0 < grant_id <= MAX_ID:
        return None
    grant = session.scalars(
        select(Grant)
        .where(Grant.id == grant_id)
        .options(
            joinedload(Grant.user).lazyload(User.role),
            joinedload(Grant.application),
            selectinload(Grant.decisions),
        )
    ).one_or_none()
    if grant is None:
        return None
    runs = session.scalars(
        select(Run)
        .where(Run.grant_id == grant_id)
        .options(defer(Run.captured), defer(Run.attempts_made))
        .order_by(Run.id)
    )
    return GrantDetail(grant, list(grant.decisions), list(runs))
