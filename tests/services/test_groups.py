"""Groups: joining and leaving one by one."""

from __future__ import annotations

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.errors import Invalid
from app.models import AuditEvent, GroupMember
from app.permissions import Actor
from app.services import groups
from tests.support.factories import NOW, make_group, make_user


def members(session: Session, group_id: int) -> list[int]:
    return list(session.scalars(select(GroupMember.user_id).where(GroupMember.group_id == group_id)))


def test_joining_and_leaving_are_noted_once(session: Session, admin: Actor) -> None:
    user, other = make_user(session), make_user(session)
    group = make_group(session, other)
    assert groups.add_member(session, admin, group, user, now=NOW)
    assert not groups.add_member(session, admin, group, user, now=NOW)
    assert groups.remove_member(session, admin, group, other, now=NOW)
    assert not groups.remove_member(session, admin, group, other, now=NOW)
    assert members(session, group.id) == [user.id]
    changes = session.scalars(select(AuditEvent.changes).order_by(AuditEvent.id)).all()
    assert changes == [{"joined": [None, [str(user.id)]]}, {"left": [[str(other.id)], None]}]


def test_a_deactivated_person_does_not_join(session: Session, admin: Actor) -> None:
    user, group = make_user(session, is_active=False), make_group(session)
    with pytest.raises(Invalid, match="is deactivated"):
        groups.add_member(session, admin, group, user, now=NOW)
