"""The roles, and how many people have each."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.models import Role, User


def roles(session: Session) -> Sequence[Role]:
    """The three roles, the one with most rights first."""
    return session.scalars(select(Role).order_by(Role.id)).all()


def active_people(session: Session) -> dict[int, int]:
    """How many active people have each role, by its id; a role that nobody has is missing."""
    statement = select(User.role_id, func.count()).where(User.is_active).group_by(User.role_id)
    return {role_id: count for role_id, count in session.execute(statement)}
