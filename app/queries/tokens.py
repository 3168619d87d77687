"""API tokens as their page lists them."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.models import ApiToken
from app.queries.paging import page_by_number


def token_list(
    session: Session, *, limit: int, before: int | None = None, after: int | None = None
) -> Sequence[ApiToken]:
    """Up to `limit` tokens, newest first, revoked ones among them, from a neighbour on."""
    return session.scalars(page_by_number(select(ApiToken), ApiToken.id, before, after).limit(limit)).all()
