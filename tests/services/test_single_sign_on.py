"""Whom a provider's word lets in, and as what."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.errors import Conflict, NotAllowed
from app.models import AuditEvent, SingleSignOn, User
from app.permissions import Actor
from app.services import single_sign_on
from app.services.single_sign_on import CameIn, SignOnRules
from tests.support.audit import audited
from tests.support.factories import NOW, make_user

ISSUER = "https://id.example.org"
ROLES = (("Identity admins", "admin"), ("Staff", "member"))


def settle(session: Session, rules: SignOnRules | None = None, **claims: Any) -> CameIn:
    said = {"sub": "ana-1", "email": "ana@example.org", "email_verified": True, **claims}
    came_in = single_sign_on.settle(
        session, said, rules or SignOnRules(ISSUER), now=NOW + timedelta(hours=1), source="192.0.2.7"
    )
    session.flush()
    return came_in


def ana(session: Session, role: str = "viewer", **values: Any) -> User:
    return make_user(session, role, **{"email": "ana@example.org", "first_name": "Ana"} | values)


@pytest.mark.parametrize("email", ["ana@example.org", " ANA@Example.ORG "])
def test_the_first_time_a_verified_email_finds_the_person(session: Session, email: str) -> None:
    user = ana(session)
    assert settle(session, email=email).user == user
    assert user.last_seen_at == NOW + timedelta(hours=1)
    assert audited(session) == ["user.sso_link", "session.start"]
    events = session.scalars(select(AuditEvent).order_by(AuditEvent.id)).all()
    assert (events[0].actor, events[0].source) == ("Single sign-on", "192.0.2.7")
    assert events[1].changes == {"how": [None, "sso"]}


def test_from_then_on_the_subject_does_whatever_the_email_is(session: Session) -> None:
    user = ana(session)
    make_user(session, email="new@example.org")
    settle(session)
    assert settle(session, email="new@example.org", email_verified=False).user == user
    user.email = "married@example.org"
    assert settle(session).user == user
    assert session.scalar(select(func.count()).select_from(SingleSignOn)) == 1


def test_the_same_subject_of_another_provider_is_nobody(session: Session) -> None:
    ana(session)
    settle(session)
    assert settle(session, SignOnRules("https://other.example"), email=None).user is None


def test_an_email_that_went_to_somebody_else_does_not_open_what_its_former_owner_had(
    session: Session,
) -> None:
    ana(session)
    settle(session)
    came_in = settle(session, sub="somebody-else")
    assert came_in.user is None
    assert "belongs here to another account" in came_in.what
    assert "unlink" in came_in.todo


@pytest.mark.parametrize(
    ("claims", "trust", "let_in", "words"),
    [
        ({"email_verified": True}, False, True, ""),
        ({"email_verified": "true"}, False, True, ""),
        ({"email_verified": False}, False, False, "says that your email is not verified"),
        ({"email_verified": False}, True, False, "says that your email is not verified"),
        ({"email_verified": "false"}, True, False, "says that your email is not verified"),
        ({"email_verified": None}, False, False, "OIDC_TRUST_EMAIL"),
        ({"email_verified": None}, True, True, ""),
        ({"email_verified": 1}, True, False, "OIDC_TRUST_EMAIL"),
        ({"email": None}, True, False, "OIDC_TRUST_EMAIL"),
        ({"email": ["ana@example.org"]}, True, False, "OIDC_TRUST_EMAIL"),
        ({"email": "ana@example.org\0"}, True, False, "OIDC_TRUST_EMAIL"),
    ],
)
def test_only_an_email_that_the_provider_stands_for_counts(
    session: Session, *, claims: dict[str, Any], trust: bool, let_in: bool, words: str
) -> None:
    user = ana(session)
    came_in = settle(session, SignOnRules(ISSUER, trust_email=trust), **claims)
    assert came_in.user == (user if let_in else None)
    assert words in f"{came_in.why} {came_in.todo}"


def test_nobody_is_added(session: Session) -> None:
    came_in = settle(session, email="stranger@example.org")
    assert came_in.user is None
    assert came_in.what == "Nobody here has the email stranger@example.org."
    assert "Ask an administrator to add you" in came_in.todo
    assert session.scalar(select(func.count()).select_from(User)) == 0
    assert audited(session) == []


@pytest.mark.parametrize("known", [True, False])
def test_whoever_is_deactivated_is_told_so_and_stays_out(session: Session, known: bool) -> None:
    user = ana(session)
    if known:
        settle(session)
    user.is_active = False
    came_in = settle(session)
    assert came_in.user is None
    assert "is deactivated here" in came_in.what
    assert "reactivate" in came_in.todo


@pytest.mark.parametrize(
    ("groups", "role"),
    [
        (["Identity admins", "Staff"], "admin"),
        (["Staff", "Others"], "member"),
        ("Staff", "member"),
        (["staff"], "viewer"),
        ([], "viewer"),
        (None, "viewer"),
        ([{"name": "Staff"}, 7, None], "viewer"),
        ({"Staff": True}, "viewer"),
    ],
)
def test_groups_give_the_role_at_every_sign_in(session: Session, groups: object, role: str) -> None:
    make_user(session, "admin")
    user = ana(session, "admin")
    rules = SignOnRules(ISSUER, groups_claim="teams", group_roles=ROLES)
    assert settle(session, rules, teams=groups).user == user
    assert user.role.kind == role
    assert ("user.change" in audited(session)) == (role != "admin")


def test_without_a_mapping_the_role_stays_as_the_console_gave_it(session: Session) -> None:
    user = ana(session, "member")
    settle(session, groups=["Identity admins"])
    assert user.role.kind == "member"


def test_the_last_administrator_stays_one_whatever_the_groups_say(session: Session) -> None:
    user = ana(session, "admin")
    assert settle(session, SignOnRules(ISSUER, group_roles=ROLES), groups=["Staff"]).user == user
    assert user.role.kind == "admin"


def test_unlinking_lets_another_account_of_the_provider_in(session: Session, admin: Actor) -> None:
    user = ana(session)
    settle(session)
    single_sign_on.unlink(session, admin, user, now=NOW)
    assert user.session_epoch == 1
    assert not single_sign_on.is_linked(session, user)
    assert settle(session, sub="a-new-account").user == user
    assert "user.sso_unlink" in audited(session)


def test_unlinking_nobody_is_refused_and_so_is_somebody_higher(session: Session, admin: Actor) -> None:
    user = ana(session, "admin")
    with pytest.raises(Conflict):
        single_sign_on.unlink(session, admin, user, now=NOW)
    settle(session)
    with pytest.raises(NotAllowed):
        single_sign_on.unlink(session, Actor("user", "Bo", frozenset({"user:manage"})), user, now=NOW)
