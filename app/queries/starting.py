"""Grants that a workflow could still start a run for: they were made while it did not answer."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Select, exists, select
from sqlalchemy.orm import Session, contains_eager

from app.domain.states import Trigger
from app.models import Grant, TriggerDecision, User


def grants_without_run(
    session: Session, application_id: int, *, limit: int, after: int | None = None
) -> Sequence[Grant]:
    """Up to `limit` active grants whose granting started no run, oldest first, with their persons.

    `after` is the number of the grant that came last on the page before.
    """
    statement = (
        _without_run(application_id)
        .join(User, User.id == Grant.user_id)
        .options(contains_eager(Grant.user).lazyload(User.role))
        .order_by(Grant.id)
        .limit(limit)
    )
    if after is not None:
        statement = statement.where(Grant.id > after)
    return session.scalars(statement).all()


def has_grants_without_run(session: Session, application_id: int) -> bool:
    """Whether there is any."""
    return session.scalar(_without_run(application_id).with_only_columns(Grant.id).limit(1)) is not None


def _without_run(application_id: int) -> Select[Grant]:
    granted = exists().where(
        TriggerDecision.grant_id == Grant.id,
        TriggerDecision.trigger == Trigger.ACCESS_GRANTED,
        TriggerDecision.run_id.is_(None),
    )
    return select(Grant).where(Grant.application_id == application_id, Grant.revoked_at.is_(None), granted)
