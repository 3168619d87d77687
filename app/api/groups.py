"""Groups of people, to whom tasks are assigned."""

from __future__ import annotations

from collections.abc import Iterable

from app.api.blueprint import bp
from app.api.lists import ListQuery, page_of
from app.api.operation import Act, reads, writes
from app.guard import requires
from app.models import Group
from app.queries.groups import groups_by_age, members_of
from app.queries.lookup import load
from app.schemas.answers import (
    GroupOut,
    Page,
)
from app.schemas.people import GroupIn, MembersIn
from app.services import groups

TAG = "Groups"


@bp.get("/groups")
@requires("grant:read")
@reads(TAG, Page[GroupOut], query=ListQuery)
def list_groups(act: Act, query: ListQuery) -> Page[GroupOut]:
    """Groups with their members, by age."""
    rows = groups_by_age(act.session, limit=query.limit + 1, before=query.key)
    members = members_of(act.session, [group.id for group in rows])
    return page_of(rows, query, lambda group: group_out(group, members[group.id]), key=lambda group: group.id)


@bp.post("/groups")
@requires("user:manage")
@writes(TAG, GroupOut, body=GroupIn, status=201, repeatable=True)
def create_group(act: Act, body: GroupIn) -> GroupOut:
    """Add a group without members."""
    return group_out(groups.create_group(act.session, act.actor, body, now=act.now), ())


@bp.put("/groups/<int:group_id>/members")
@requires("user:manage")
@writes(TAG, GroupOut, body=MembersIn)
def set_members(act: Act, group_id: int, body: MembersIn) -> GroupOut:
    """Make exactly these people the members; who is not listed leaves."""
    group = load(act.session, Group, group_id)
    groups.set_members(act.session, act.actor, group, body.user_ids, now=act.now)
    act.session.flush()  # the members are read back
    return group_out(group, members_of(act.session, [group.id])[group.id])


def group_out(group: Group, user_ids: Iterable[int]) -> GroupOut:
    return GroupOut(id=str(group.id), name=group.name, user_ids=[str(one) for one in user_ids])
