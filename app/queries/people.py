"""People as the directory, the pickers and the API list them, with their roles and their tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, exists, func, or_, select
from sqlalchemy.orm import Session, contains_eager

from app.models import ApiToken, GroupMember, Role, User
from app.queries.paging import page_by_name, page_by_number


@dataclass(frozen=True, slots=True)
class PersonFilters:
    """What a list of people is narrowed to; what is left out does not narrow it.

    `text` is part of the name, email, username or employee id, `email` the whole of it, `role` the kind of one.
    `outside_group` leaves out who is in that group.
    """

    text: str = ""
    email: str = ""
    is_active: bool | None = None
    role: str = ""
    outside_group: int | None = None


def people_list(
    session: Session,
    filters: PersonFilters,
    *,
    limit: int,
    by_email: bool = False,
    before: int | None = None,
    after: int | None = None,
) -> Sequence[User]:
    """Up to `limit` people, the oldest record first or `by_email`, from a neighbour on (see `queries.paging`)."""
    statement = select(User).join(User.role).options(contains_eager(User.role))
    if filters.text:
        statement = statement.where(person_matches(filters.text))
    if filters.email:
        statement = statement.where(func.lower(User.email) == filters.email.lower())
    if filters.is_active is not None:
        statement = statement.where(User.is_active if filters.is_active else ~User.is_active)
    if filters.role:
        statement = statement.where(Role.kind == filters.role)
    if filters.outside_group is not None:
        inside = exists().where(GroupMember.group_id == filters.outside_group, GroupMember.user_id == User.id)
        statement = statement.where(~inside)
    if by_email:
        statement = page_by_name(statement, User.email, User.id, before, after)
    else:
        statement = page_by_number(statement, User.id, before, after, rising=True)
    return session.scalars(statement.limit(limit)).all()


def person_matches(text: str) -> ColumnElement[bool]:
    """Whether the person's full name, email, username or employee id holds `text`, whatever its case."""
    full_name = User.first_name + " " + User.last_name
    columns = (full_name, User.email, User.username, User.employee_id)
    # SQLite folds the letters of ASCII alone, so others are looked for as typed and as small ones.
    spellings = dict.fromkeys([text] if text.isascii() else [text, text.lower()])
    return or_(*(column.icontains(one, autoescape=True) for column in columns for one in spellings))


def roles(session: Session) -> Sequence[Role]:
    """The three roles, the one with most rights first."""
    return session.scalars(select(Role).order_by(Role.id)).all()


def active_people(session: Session) -> dict[int, int]:
    """How many active people have each role, by its id; a role that nobody has is missing."""
    statement = select(User.role_id, func.count()).where(User.is_active).group_by(User.role_id)
    return {role_id: count for role_id, count in session.execute(statement)}


def token_list(
    session: Session, *, limit: int, before: int | None = None, after: int | None = None
) -> Sequence[ApiToken]:
    """Up to `limit` tokens, newest first, revoked ones among them, from a neighbour on."""
    return session.scalars(page_by_number(select(ApiToken), ApiToken.id, before, after).limit(limit)).all()
