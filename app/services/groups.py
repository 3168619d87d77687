"""Groups: named sets of people, to assign tasks to."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from app.errors import FieldError, Invalid
from app.models import Group, GroupMember, User
from app.permissions import Actor
from app.schemas.people import GroupIn
from app.services import audit
from app.services.record_changes import assign, lock, refusing_duplicates

_TAKEN = "There is a group with this name."
_AT_ONCE = 500


def create_group(session: Session, actor: Actor, data: GroupIn, *, now: datetime) -> Group:
    """Add a group without members; raises Invalid when the name is taken."""
    group = Group(name=data.name, created_at=now)
    with refusing_duplicates(session, Invalid.field("name", _TAKEN)):
        session.add(group)
    audit.record(session, actor, "group.create", group, now=now)
    return group


def rename_group(session: Session, actor: Actor, group: Group, data: GroupIn, *, now: datetime) -> Group:
    """Raises Invalid when the name is taken."""
    with refusing_duplicates(session, Invalid.field("name", _TAKEN)):
        changes = assign(group, {"name": data.name})
    if changes:
        audit.record(session, actor, "group.change", group, now=now, changes=changes)
    return group


def set_members(
    session: Session, actor: Actor, group: Group, user_ids: Sequence[int], *, now: datetime
) -> Group:
    """Make exactly these people the members; raises Invalid naming each id that is nobody's."""
    wanted = dict.fromkeys(user_ids)
    known = _existing(session, list(wanted))
    errors = [
        FieldError(f"user_ids[{place}]", "There is no such person.")
        for place, one in enumerate(user_ids)
        if one not in known
    ]
    if errors:
        raise Invalid(errors[0].message, errors)
    lock(session, Group, group.id)
    members = set(session.scalars(select(GroupMember.user_id).where(GroupMember.group_id == group.id)))
    joined, left = sorted(set(wanted) - members), sorted(members - set(wanted))
    for start in range(0, len(left), _AT_ONCE):
        leaving = left[start : start + _AT_ONCE]
        session.execute(
            delete(GroupMember).where(GroupMember.group_id == group.id, GroupMember.user_id.in_(leaving))
        )
    session.add_all(GroupMember(group_id=group.id, user_id=one) for one in joined)
    if joined or left:
        changes = {"joined": [None, [str(one) for one in joined]], "left": [[str(one) for one in left], None]}
        audit.record(session, actor, "group.members", group, now=now, changes=changes)
    return group


def _existing(session: Session, ids: list[int]) -> set[int]:
    found: set[int] = set()
    for start in range(0, len(ids), _AT_ONCE):
        found.update(session.scalars(select(User.id).where(User.id.in_(ids[start : start + _AT_ONCE]))))
    return found


def add_member(session: Session, actor: Actor, group: Group, user: User, *, now: datetime) -> bool:
    """Let somebody join; False when they are in it already. Raises Invalid for a deactivated person."""
    if not user.is_active:
        raise Invalid.field("user_id", f"{user.name} is deactivated. Reactivate the person first.")
    lock(session, Group, group.id)
    if session.get(GroupMember, {"group_id": group.id, "user_id": user.id}) is not None:
        return False
    session.add(GroupMember(group_id=group.id, user_id=user.id))
    changes = {"joined": [None, [str(user.id)]]}
    audit.record(session, actor, "group.members", group, now=now, changes=changes)
    return True


def remove_member(session: Session, actor: Actor, group: Group, user: User, *, now: datetime) -> bool:
    """Let somebody leave; False when they are not in it."""
    lock(session, Group, group.id)
    member = session.get(GroupMember, {"group_id": group.id, "user_id": user.id})
    if member is None:
        return False
    session.delete(member)
    changes = {"left": [[str(user.id)], None]}
    audit.record(session, actor, "group.members", group, now=now, changes=changes)
    return True
