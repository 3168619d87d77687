"""Roles and tokens as their pages list them."""

from __future__ import annotations

from sqlalchemy.orm import Session

from app.models import ApiToken
from app.queries.people import roles, token_list
from tests.support.factories import NOW


def test_the_roles_begin_with_the_admins(session: Session) -> None:
    assert [one.kind for one in roles(session)] == ["admin", "member", "viewer"]


def test_tokens_come_newest_first(session: Session) -> None:
    made = [ApiToken(name=name, token_hash=name, permissions=[], created_at=NOW) for name in ("a", "b", "c")]
    session.add_all(made)
    session.flush()
    assert [one.name for one in token_list(session, limit=2)] == ["c", "b"]
    assert [one.name for one in token_list(session, limit=2, before=made[1].id)] == ["a"]
    assert [one.name for one in token_list(session, limit=2, after=made[0].id)] == ["b", "c"]
