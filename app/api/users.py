"""People: the directory that grants refer to."""

from __future__ import annotations

from typing import Annotated

from app.api.blueprint import bp
from app.api.lists import ListQuery, page_of
from app.api.operation import Act, reads, writes
from app.guard import requires
from app.models import User
from app.queries.lookup import load
from app.queries.people import PersonFilters, people_list
from app.schemas.answers import (
    Page,
    UserOut,
)
from app.schemas.kinds import MAX_EMAIL, Text
from app.schemas.people import UserIn, UserPatch
from app.services import people

TAG = "People"


class UsersQuery(ListQuery):
    """With `email`, the one person who has it."""

    email: Annotated[str, Text(MAX_EMAIL)] = ""


@bp.get("/users")
@requires("grant:read")
@reads(TAG, Page[UserOut], query=UsersQuery)
def list_users(act: Act, query: UsersQuery) -> Page[UserOut]:
    """People, by age of their record."""
    rows = people_list(act.session, PersonFilters(email=query.email), limit=query.limit + 1, before=query.key)
    return page_of(rows, query, user_out, key=lambda user: user.id)


@bp.post("/users")
@requires("user:manage")
@writes(TAG, UserOut, body=UserIn, status=201, repeatable=True)
def create_user(act: Act, body: UserIn) -> UserOut:
    """Add a person."""
    return user_out(people.create_user(act.session, act.actor, body, now=act.now))


@bp.get("/users/<int:user_id>")
@requires("grant:read")
@reads(TAG, UserOut)
def show_user(act: Act, user_id: int) -> UserOut:
    """One person."""
    return user_out(load(act.session, User, user_id))


@bp.patch("/users/<int:user_id>")
@requires("user:manage")
@writes(TAG, UserOut, body=UserPatch)
def change_user(act: Act, user_id: int, body: UserPatch) -> UserOut:
    """Change a person.

    Deactivating one revokes their grants, so that workflows start.
    """
    user = load(act.session, User, user_id)
    return user_out(people.change_user(act.session, act.actor, user, body, now=act.now))


def user_out(user: User) -> UserOut:
    return UserOut(
        id=str(user.id),
        email=user.email,
        first_name=user.first_name,
        last_name=user.last_name,
        username=user.username,
        employee_id=user.employee_id,
        role=user.role.kind,
        active=user.is_active,
        created_at=user.created_at,
    )
