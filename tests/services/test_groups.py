"""Groups: joining and leaving one by one, and which workflows ask them."""

from __future__ import annotations

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.errors import Invalid
from app.models import AuditEvent, GroupMember
from app.permissions import Actor
from app.queries import group_uses
from app.services import groups
from tests.make import NOW, add_version, human_step, make_application, make_group, make_user, make_workflow


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


def test_only_the_newest_version_of_live_workflows_says_who_is_asked(session: Session) -> None:
    group, other = make_group(session), make_group(session)
    jira, wiki = make_application(session, name="Jira"), make_application(session, name="Wiki")
    asking = human_step(name="Ask", assignee={"group_id": str(group.id)})
    make_workflow(session, jira, asking, name="Live", is_enabled=False)
    replaced = make_workflow(session, wiki, asking, name="Replaced")
    add_version(session, replaced, human_step(assignee={"group_id": str(other.id)}), human_step("second"))
    make_workflow(session, wiki, asking, trigger="access_revoked", name="Deleted", deleted_at=NOW)
    assert group_uses.uses_of(session, group.id) == [(jira.id, "Jira", "Live", False, "Ask")]
    assert [use.workflow for use in group_uses.uses_of(session, other.id)] == ["Replaced"]


def test_who_may_join_is_active_and_outside(session: Session) -> None:
    inside = make_user(session, first_name="Ann", email="a@example.org")
    outside = make_user(session, first_name="Anna", last_name="B", email="b@example.org")
    make_user(session, first_name="Annika", is_active=False)
    group = make_group(session, inside)
    assert group_uses.who_may_join(session, group.id, "ANN", limit=5) == [
        (outside.id, "Anna B", "b@example.org")
    ]
    assert group_uses.sizes(session, [group.id, 77]) == {group.id: 1, 77: 0}
