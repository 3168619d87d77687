"""Groups, roles and tokens as their pages show them. People themselves are in `directory`."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.models import ApiToken, Group, GroupMember, Role, User


def groups_page(
    session: Session,
    *,
    size: int,
    text: str = "",
    before: str | None = None,
    after: str | None = None,
) -> Sequence[Group]:
    """Up to `size` + 1 groups by name; `before` and `after` are names of neighbours.

    `before` reads on behind that name, as `app.web.paging` calls it; `after` reads backwards from it.
    """
    key = func.lower(Group.name)
    statement = select(Group)
    if text:
        statement = statement.where(Group.name.icontains(text, autoescape=True))
    if after is not None:
        statement = statement.where(key < func.lower(after)).order_by(key.desc())
    else:
        statement = statement.order_by(key)
        if before is not None:
            statement = statement.where(key > func.lower(before))
    return session.scalars(statement.limit(size + 1)).all()


def members_page(
    session: Session, group_id: int, *, size: int, before: int | None = None, after: int | None = None
) -> Sequence[User]:
    """Up to `size` + 1 members of a group by id; `before` and `after` are ids, and read as above."""
    statement = select(User).join(GroupMember, GroupMember.user_id == User.id)
    statement = statement.where(GroupMember.group_id == group_id)
    if after is not None:
        statement = statement.where(GroupMember.user_id < after).order_by(GroupMember.user_id.desc())
    else:
        statement = statement.order_by(GroupMember.user_id)
        if before is not None:
            statement = statement.where(GroupMember.user_id > before)
    return session.scalars(statement.limit(size + 1)).all()


def groups_of(session: Session, user_id: int) -> Sequence[Group]:
    """The groups that a person is in, by name."""
    return session.scalars(
        select(Group)
        .join(GroupMember, GroupMember.group_id == Group.id)
        .where(GroupMember.user_id == user_id)
        .order_by(func.lower(Group.name))
    ).all()


def roles(session: Session) -> Sequence[Role]:
    """The three roles, the one with most rights first."""
    return session.scalars(select(Role).order_by(Role.id)).all()


def tokens_page(
    session: Session, *, size: int, before: int | None = None, after: int | None = None
) -> Sequence[ApiToken]:
    """Up to `size` + 1 tokens, newest first, revoked ones among them; from `after`, newer ones upwards."""
    statement = select(ApiToken)
    if after is not None:
        statement = statement.where(ApiToken.id > after).order_by(ApiToken.id)
    else:
        statement = statement.order_by(ApiToken.id.desc())
        if before is not None:
            statement = statement.where(ApiToken.id < before)
    return session.scalars(statement.limit(size + 1)).all()
