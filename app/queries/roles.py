"""Who has which role."""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.models import User


def active_people(session: Session) -> dict[int, int]:
    """How many active people have each role, by its id; a role that nobody has is missing."""
    statement = select(User.role_id, func.count()).where(User.is_active).group_by(User.role_id)
    return {role_id: count for role_id, count in session.execute(statement)}
