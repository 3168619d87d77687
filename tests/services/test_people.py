"""People, roles and groups: who may be made, changed, and what ends with somebody's leaving."""

from __future__ import annotations

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.errors import Conflict, Invalid, NotAllowed
from app.models import AuditEvent, GroupMember, Role, User
from app.permissions import Actor
from app.schemas.base import parse
from app.schemas.people import GroupIn, TokenIn, UserIn, UserPatch
from app.services import accounts, grants, groups, people, tokens
from tests.support.audit import audited
from tests.support.factories import NOW, make_application, make_group, make_user

FEW = Actor("token", "Directory sync", frozenset({"user:manage"}))


def patch(**fields: object) -> UserPatch:
    return parse(UserPatch, fields)


def new(**fields: object) -> UserIn:
    return parse(UserIn, {"email": "ana@example.org", **fields})


def test_a_person_is_added_and_the_act_is_audited(session: Session, admin: Actor) -> None:
    user = people.create_user(session, admin, new(first_name="Ana", role="member"), now=NOW)
    assert (user.name, user.role.kind, user.username) == ("Ana", "member", None)
    event = session.scalars(select(AuditEvent)).one()
    assert (event.action, event.actor, event.subject) == ("user.create", "Alice Admin", "Ana")


def test_an_email_belongs_to_one_person_whatever_its_case(session: Session, admin: Actor) -> None:
    make_user(session, email="Ana@Example.org")
    with pytest.raises(Invalid) as caught:
        people.create_user(session, admin, new(), now=NOW)
    assert [error.field for error in caught.value.errors] == ["email"]
    other = make_user(session)
    with pytest.raises(Invalid):
        people.change_user(session, admin, other, patch(email="ana@example.org"), now=NOW)


def test_the_session_still_works_after_a_refused_email(session: Session, admin: Actor) -> None:
    make_user(session, email="ana@example.org")
    with pytest.raises(Invalid):
        people.create_user(session, admin, new(), now=NOW)
    assert people.create_user(session, admin, new(email="bo@example.org"), now=NOW).id


def test_only_what_was_sent_changes(session: Session, admin: Actor) -> None:
    user = make_user(session, first_name="Ana", username="ana")
    people.change_user(session, admin, user, patch(username=None), now=NOW)
    assert (user.first_name, user.username) == ("Ana", None)
    assert session.scalars(select(AuditEvent)).one().changes == {"username": ["ana", None]}


def test_a_change_of_nothing_is_not_audited(session: Session, admin: Actor) -> None:
    user = make_user(session, first_name="Ana")
    people.change_user(session, admin, user, patch(first_name="Ana", active=True), now=NOW)
    assert audited(session) == []


def test_deactivating_revokes_grants_through_the_normal_path(session: Session, admin: Actor) -> None:
    user, application = make_user(session), make_application(session)
    held = [grants.grant(session, admin, application=application, user=user, now=NOW) for _ in range(2)]
    people.change_user(session, admin, user, patch(active=False), now=NOW)
    assert [one.revoked_by for one in held] == ["Alice Admin", "Alice Admin"]
    assert not user.is_active
    assert audited(session).count("grant.revoke") == 2


def test_deactivating_closes_every_way_in(session: Session, admin: Actor) -> None:
    user = make_user(session, "admin")
    actor = accounts.actor_for_user(user, "test")
    link = accounts.make_sign_in_link(session, admin, user, now=NOW)
    asked = parse(TokenIn, {"name": "ci", "permissions": ["grant:read"]})
    _, secret = tokens.create_token(session, actor, asked, now=NOW)
    make_user(session, "admin")
    epoch = user.session_epoch
    people.change_user(session, admin, user, patch(active=False), now=NOW)
    assert user.session_epoch > epoch
    assert accounts.owner_of_link(session, link, now=NOW) is None
    assert tokens.find_token(session, secret, now=NOW) is None


def test_activating_again_gives_no_grant_back(session: Session, admin: Actor) -> None:
    user, application = make_user(session), make_application(session)
    grant = grants.grant(session, admin, application=application, user=user, now=NOW)
    people.change_user(session, admin, user, patch(active=False), now=NOW)
    people.change_user(session, admin, user, patch(active=True), now=NOW)
    assert user.is_active
    assert user.deactivated_at is None
    assert not grant.is_active


@pytest.mark.parametrize("change", [{"active": False}, {"role": "member"}])
def test_the_last_active_administrator_stays(
    session: Session, admin: Actor, change: dict[str, object]
) -> None:
    only = make_user(session, "admin")
    make_user(session, "admin", is_active=False)
    with pytest.raises(Conflict, match="last active administrator"):
        people.change_user(session, admin, only, patch(**change), now=NOW)
    make_user(session, "admin")
    people.change_user(session, admin, only, patch(**change), now=NOW)
    assert not only.is_active or only.role.kind == "member"


@pytest.mark.parametrize("change", [{"active": False}, {"role": "member"}])
def test_nobody_takes_their_own_role_or_access_away(session: Session, change: dict[str, object]) -> None:
    make_user(session, "admin")
    user = make_user(session, "admin")
    with pytest.raises(Conflict, match="You cannot"):
        people.change_user(session, accounts.actor_for_user(user, "test"), user, patch(**change), now=NOW)


def test_one_may_change_ones_own_name(session: Session) -> None:
    user = make_user(session, "admin")
    actor = accounts.actor_for_user(user, "test")
    people.change_user(session, actor, user, patch(first_name="Ann", role="admin", active=True), now=NOW)
    assert user.first_name == "Ann"


def test_nobody_makes_an_account_that_may_do_more_than_they_may(session: Session) -> None:
    with pytest.raises(NotAllowed):
        people.create_user(session, FEW, new(role="admin"), now=NOW)
    assert people.create_user(session, FEW, new(), now=NOW).role.kind == "viewer"


def test_nobody_takes_over_an_account_that_may_do_more_than_they_may(session: Session) -> None:
    boss, helper = make_user(session, "admin"), make_user(session)
    with pytest.raises(NotAllowed):
        people.change_user(session, FEW, boss, patch(email="mine@example.org"), now=NOW)
    with pytest.raises(NotAllowed):
        people.change_user(session, FEW, helper, patch(role="admin"), now=NOW)
    with pytest.raises(NotAllowed):
        accounts.make_sign_in_link(session, FEW, boss, now=NOW)
    with pytest.raises(NotAllowed):
        accounts.set_password(session, FEW, boss, "correct horse battery", now=NOW)


def role(session: Session, kind: str) -> Role:
    return session.scalars(select(Role).where(Role.kind == kind)).one()


def test_a_roles_permissions_are_replaced_and_audited(session: Session, admin: Actor) -> None:
    member = role(session, "member")
    people.change_role(session, admin, member, ["workflow:read", "grant:read"], now=NOW)
    assert member.permissions == ["grant:read", "workflow:read"]
    assert session.scalars(select(AuditEvent)).one().changes == {
        "permissions": [["grant:read"], ["grant:read", "workflow:read"]]
    }


def test_the_admin_role_is_not_editable(session: Session, admin: Actor) -> None:
    with pytest.raises(Conflict):
        people.change_role(session, admin, role(session, "admin"), [], now=NOW)


def test_nobody_adds_rights_to_a_role_that_they_lack_or_hold_it_by(session: Session) -> None:
    with pytest.raises(NotAllowed) as caught:
        people.change_role(session, FEW, role(session, "member"), ["workflow:secrets"], now=NOW)
    assert caught.value.permission == "workflow:secrets"
    own = Actor("user", "Bo", frozenset({"user:manage"}), user_id=make_user(session, "member").id)
    with pytest.raises(Conflict, match="your own role"):
        people.change_role(session, own, role(session, "member"), ["user:manage"], now=NOW)


def members(session: Session, group_id: int) -> set[int]:
    return set(session.scalars(select(GroupMember.user_id).where(GroupMember.group_id == group_id)))


def test_members_become_exactly_who_was_listed(session: Session, admin: Actor) -> None:
    ana, bo, cy = (make_user(session) for _ in range(3))
    group = make_group(session, ana, bo)
    groups.set_members(session, admin, group, [bo.id, cy.id], now=NOW)
    session.flush()
    assert members(session, group.id) == {bo.id, cy.id}
    groups.set_members(session, admin, group, [bo.id, cy.id], now=NOW)
    assert audited(session) == ["group.members"]


def test_an_unknown_member_is_named_by_place_and_nothing_is_saved(session: Session, admin: Actor) -> None:
    ana = make_user(session)
    group = make_group(session, ana)
    with pytest.raises(Invalid) as caught:
        groups.set_members(session, admin, group, [ana.id, 987654], now=NOW)
    assert [error.field for error in caught.value.errors] == ["user_ids[1]"]
    assert members(session, group.id) == {ana.id}


def test_a_groups_name_is_taken_once(session: Session, admin: Actor) -> None:
    groups.create_group(session, admin, GroupIn(name="IT"), now=NOW)
    with pytest.raises(Invalid):
        groups.create_group(session, admin, GroupIn(name="it"), now=NOW)
    other = groups.create_group(session, admin, GroupIn(name="HR"), now=NOW)
    with pytest.raises(Invalid):
        groups.rename_group(session, admin, other, GroupIn(name="IT"), now=NOW)


def test_a_person_deactivated_from_the_start_may_not_sign_in(session: Session, admin: Actor) -> None:
    user = people.create_user(session, admin, new(active=False), now=NOW)
    with pytest.raises(NotAllowed):
        accounts.make_sign_in_link(session, admin, user, now=NOW)
    assert session.get_one(User, user.id).deactivated_at == NOW
