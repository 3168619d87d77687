"""Groups, roles and tokens, a page at a time."""

from __future__ import annotations

from sqlalchemy.orm import Session

from app.models import ApiToken
from app.queries import people
from tests.make import NOW, make_group, make_user


def test_groups_come_by_name_and_read_on_both_ways(session: Session) -> None:
    for name in ("beta", "Alpha", "delta", "Gamma"):
        make_group(session, name=name)
    assert [one.name for one in people.groups_page(session, size=2)] == ["Alpha", "beta", "delta"]
    assert [one.name for one in people.groups_page(session, size=2, before="BETA")] == ["delta", "Gamma"]
    assert [one.name for one in people.groups_page(session, size=2, after="Gamma")] == [
        "delta",
        "beta",
        "Alpha",
    ]


def test_groups_are_searched_by_part_of_the_name_and_signs_mean_themselves(session: Session) -> None:
    make_group(session, name="IT team")
    make_group(session, name="100% staff")
    assert [one.name for one in people.groups_page(session, size=9, text="TEAM")] == ["IT team"]
    assert [one.name for one in people.groups_page(session, size=9, text="%")] == ["100% staff"]


def test_members_are_those_of_the_group_alone(session: Session) -> None:
    ana, bo, cy = (make_user(session) for _ in range(3))
    group = make_group(session, ana, bo, cy)
    make_group(session, ana, name="other")
    assert list(people.members_page(session, group.id, size=1)) == [ana, bo]
    assert list(people.members_page(session, group.id, size=1, before=bo.id)) == [cy]
    assert list(people.members_page(session, group.id, size=9, after=cy.id)) == [bo, ana]
    assert [one.name for one in people.groups_of(session, ana.id)] == [group.name, "other"]


def test_the_roles_begin_with_the_admins(session: Session) -> None:
    assert [one.kind for one in people.roles(session)] == ["admin", "member", "viewer"]


def test_tokens_come_newest_first(session: Session) -> None:
    made = [ApiToken(name=name, token_hash=name, permissions=[], created_at=NOW) for name in ("a", "b", "c")]
    session.add_all(made)
    session.flush()
    assert [one.name for one in people.tokens_page(session, size=1)] == ["c", "b"]
    assert [one.name for one in people.tokens_page(session, size=1, before=made[1].id)] == ["a"]
    assert [one.name for one in people.tokens_page(session, size=1, after=made[0].id)] == ["b", "c"]
