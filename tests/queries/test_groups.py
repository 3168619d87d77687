"""Groups: by name, who is in them, who may join, and which workflows ask them."""

from __future__ import annotations

from sqlalchemy.orm import Session

from app.queries import groups
from app.queries.people import PersonFilters, people_list
from tests.support.factories import (
    NOW,
    add_version,
    human_step,
    make_application,
    make_group,
    make_user,
    make_workflow,
)


def test_groups_come_by_name_and_read_on_both_ways(session: Session) -> None:
    for name in ("beta", "Alpha", "delta", "Gamma"):
        make_group(session, name=name)
    assert [one.name for one in groups.groups_by_name(session, limit=3)] == ["Alpha", "beta", "delta"]
    assert [one.name for one in groups.groups_by_name(session, limit=3, before="BETA")] == ["delta", "Gamma"]
    assert [one.name for one in groups.groups_by_name(session, limit=3, after="Gamma")] == [
        "delta",
        "beta",
        "Alpha",
    ]


def test_groups_are_searched_by_part_of_the_name_and_signs_mean_themselves(session: Session) -> None:
    make_group(session, name="IT team")
    make_group(session, name="100% staff")
    assert [one.name for one in groups.groups_by_name(session, limit=10, text="TEAM")] == ["IT team"]
    assert [one.name for one in groups.groups_by_name(session, limit=10, text="%")] == ["100% staff"]


def test_members_are_those_of_the_group_alone(session: Session) -> None:
    ana, bo, cy = (make_user(session) for _ in range(3))
    group = make_group(session, ana, bo, cy)
    make_group(session, ana, name="other")
    assert list(groups.members_list(session, group.id, limit=2)) == [ana, bo]
    assert list(groups.members_list(session, group.id, limit=2, before=bo.id)) == [cy]
    assert list(groups.members_list(session, group.id, limit=10, after=cy.id)) == [bo, ana]


def test_only_the_newest_version_of_live_workflows_says_who_is_asked(session: Session) -> None:
    group, other = make_group(session), make_group(session)
    jira, wiki = make_application(session, name="Jira"), make_application(session, name="Wiki")
    asking = human_step(name="Ask", assignee={"group_id": str(group.id)})
    make_workflow(session, jira, asking, name="Live", is_enabled=False)
    replaced = make_workflow(session, wiki, asking, name="Replaced")
    add_version(session, replaced, human_step(assignee={"group_id": str(other.id)}), human_step("second"))
    make_workflow(session, wiki, asking, trigger="access_revoked", name="Deleted", deleted_at=NOW)
    assert groups.uses_of(session, group.id) == [(jira.id, "Jira", "Live", False, "Ask")]
    assert [use.workflow for use in groups.uses_of(session, other.id)] == ["Replaced"]


def test_who_may_join_is_active_and_outside(session: Session) -> None:
    inside = make_user(session, first_name="Ann", email="a@example.org")
    outside = make_user(session, first_name="Anna", last_name="B", email="b@example.org")
    make_user(session, first_name="Annika", is_active=False)
    group = make_group(session, inside)
    filters = PersonFilters(text="ANN", is_active=True, outside_group=group.id)
    assert list(people_list(session, filters, by_email=True, limit=5)) == [outside]
    assert groups.sizes(session, [group.id, 77]) == {group.id: 1, 77: 0}
