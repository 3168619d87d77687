"""Ways in: passwords, lock-out, one-time links, API tokens."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.event import listen
from sqlalchemy.orm import Session

from app.errors import Invalid, NotAllowed
from app.models import ApiToken, FailedSignIns, SignInLink
from app.permissions import ALL_PERMISSIONS, Actor
from app.schemas.base import parse
from app.schemas.people import TokenIn
from app.services import accounts, passwords, sign_in_throttle, tokens
from tests.support.audit import audited
from tests.support.factories import NOW, make_user
from tests.support.passwords import check_password

GOOD = "correct horse battery"


def sign_in(session: Session, email: str, password: str, **late: timedelta) -> accounts.SignIn:
    return check_password(session, email, password, now=NOW + late.get("late", timedelta()))


def test_the_right_password_lets_in_whatever_the_emails_case(session: Session, admin: Actor) -> None:
    user = make_user(session, email="ana@example.org")
    accounts.set_password(session, admin, user, GOOD, now=NOW)
    assert sign_in(session, " Ana@Example.ORG ", GOOD).user == user
    assert user.last_seen_at == NOW
    assert audited(session)[-1] == "session.start"


def test_what_is_wrong_is_never_said(session: Session, admin: Actor) -> None:
    user = make_user(session)
    accounts.set_password(session, admin, user, GOOD, now=NOW)
    without = make_user(session)
    gone = make_user(session, is_active=False, password_hash=user.password_hash)
    tried = [
        sign_in(session, user.email, "wrong"),
        sign_in(session, "nobody@example.org", GOOD),
        sign_in(session, without.email, GOOD),
        sign_in(session, gone.email, GOOD),
        sign_in(session, "\0\ud800", "\ud800"),
    ]
    assert {(one.user, one.message) for one in tried} == {(None, accounts.WRONG)}


def test_ten_wrong_passwords_lock_for_five_minutes(session: Session, admin: Actor) -> None:
    user = make_user(session)
    accounts.set_password(session, admin, user, GOOD, now=NOW)
    messages = [sign_in(session, user.email, "wrong").message for _ in range(10)]
    assert messages == [accounts.WRONG] * 9 + [accounts.LOCKED]
    assert sign_in(session, user.email, GOOD).message == accounts.LOCKED
    assert sign_in(session, user.email, GOOD, late=timedelta(minutes=5)).user == user
    assert "user.lock" in audited(session)


def test_an_email_that_nobody_has_locks_after_as_many_tries(session: Session) -> None:
    messages = [sign_in(session, "nobody@example.org", "wrong").message for _ in range(11)]
    assert messages == [accounts.WRONG] * 9 + [accounts.LOCKED] * 2
    assert sign_in(session, "somebody@example.org", "wrong").message == accounts.WRONG


@pytest.mark.parametrize(
    ("guessing", "neighbour", "locked"),
    [
        ("192.0.2.7", "192.0.2.7", True),
        ("192.0.2.7", "192.0.2.8", False),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
    ],
)
def test_fifty_wrong_ones_lock_the_address_that_they_come_from(
    session: Session, admin: Actor, *, guessing: str, neighbour: str, locked: bool
) -> None:
    user = make_user(session)
    accounts.set_password(session, admin, user, GOOD, now=NOW)
    messages = [
        check_password(session, f"{number}@example.org", "x", now=NOW, source=guessing).message
        for number in range(50)
    ]
    assert messages == [accounts.WRONG] * 49 + [accounts.LOCKED]
    came_in = check_password(session, user.email, GOOD, now=NOW, source=neighbour)
    assert came_in.message == (accounts.LOCKED if locked else "")
    later = NOW + timedelta(minutes=5)
    assert check_password(session, user.email, GOOD, now=later, source=guessing).user == user


def test_wrong_ones_that_are_far_apart_do_not_lock_an_address(session: Session) -> None:
    for number in range(60):
        at = NOW + timedelta(seconds=10 * number)
        tried = check_password(session, f"{number}@example.org", "x", now=at, source="192.0.2.7")
        assert tried.message == accounts.WRONG


def test_known_and_unknown_emails_cost_the_same_statements(session: Session, admin: Actor) -> None:
    user = make_user(session)
    accounts.set_password(session, admin, user, GOOD, now=NOW)
    emails = (user.email, "nobody@example.org", make_user(session).email)
    session.flush()
    seen: list[str] = []
    listen(session.get_bind(), "before_cursor_execute", lambda *about: seen.append(about[2]))
    asked = []
    for email in emails:
        seen.clear()
        sign_in(session, email, "wrong")
        asked.append(list(seen))
    assert asked[0] == asked[1] == asked[2]
    assert any("sign_in_tries" in statement for statement in asked[0])


def test_what_is_a_day_old_is_forgotten(session: Session) -> None:
    sign_in(session, "a@example.org", "wrong")
    sign_in(session, "b@example.org", "wrong", late=timedelta(days=1, seconds=1))
    kept = session.scalars(select(FailedSignIns.key)).all()
    assert sign_in_throttle.email_key("b@example.org") in kept
    assert sign_in_throttle.email_key("a@example.org") not in kept


def test_what_is_typed_as_an_email_is_not_kept(session: Session) -> None:
    sign_in(session, "my secret by mistake", "wrong")
    assert "secret" not in repr([(row.key, row.failures) for row in session.scalars(select(FailedSignIns))])


def test_a_success_forgets_earlier_failures(session: Session, admin: Actor) -> None:
    user = make_user(session)
    accounts.set_password(session, admin, user, GOOD, now=NOW)
    for _ in range(3):
        for _ in range(9):
            assert sign_in(session, user.email, "wrong").user is None
        assert sign_in(session, user.email, GOOD).user == user


def test_a_password_changed_meanwhile_no_longer_lets_in(session: Session, admin: Actor) -> None:
    user = make_user(session)
    accounts.set_password(session, admin, user, GOOD, now=NOW)
    candidate = accounts.find_candidate(session, user.email, now=NOW)
    accounts.set_password(session, admin, user, "another long password", now=NOW)
    session.flush()
    assert accounts.settle(session, candidate, True, now=NOW, source="").user is None


def test_a_candidate_does_not_show_its_hash(session: Session, admin: Actor) -> None:
    user = make_user(session)
    accounts.set_password(session, admin, user, GOOD, now=NOW)
    assert "argon2" not in repr(accounts.find_candidate(session, user.email, now=NOW))


@pytest.mark.parametrize(
    "password",
    ["short", "x" * 1001, "person@example.org", "aaaaaaaaaaaaaa", "a\0bcdefghijklmn", "\ud800" * 20],
)
def test_a_poor_password_is_refused_by_field(session: Session, admin: Actor, password: str) -> None:
    user = make_user(session, email="person@example.org")
    with pytest.raises(Invalid) as caught:
        accounts.set_password(session, admin, user, password, now=NOW, field="new_password")
    assert [error.field for error in caught.value.errors] == ["new_password"]
    assert user.password_hash is None


def test_a_thousand_characters_and_composed_forms_work(session: Session, admin: Actor) -> None:
    user = make_user(session)
    accounts.set_password(session, admin, user, "é" + "ab3-" * 249, now=NOW)
    assert sign_in(session, user.email, "e\u0301" + "ab3-" * 249).user == user


def test_hashes_differ_for_the_same_password(session: Session) -> None:
    assert passwords.hash_password(GOOD) != passwords.hash_password(GOOD)


def test_a_new_password_ends_sessions_links_and_locks(session: Session, admin: Actor) -> None:
    user = make_user(session, password_hash=passwords.hash_password("an older password"))
    assert [sign_in(session, user.email, "wrong").user for _ in range(10)] == [None] * 10
    link = accounts.make_sign_in_link(session, admin, user, now=NOW)
    epoch = user.session_epoch
    accounts.set_password(session, admin, user, GOOD, now=NOW)
    assert user.session_epoch == epoch + 1
    assert accounts.owner_of_link(session, link, now=NOW) is None
    assert sign_in(session, user.email, GOOD).user == user


def test_a_link_lets_in_once(session: Session, admin: Actor) -> None:
    user = make_user(session)
    link = accounts.make_sign_in_link(session, admin, user, now=NOW)
    assert accounts.owner_of_link(session, link, now=NOW) == user
    assert accounts.use_sign_in_link(session, link, now=NOW, source="test") == user
    assert accounts.use_sign_in_link(session, link, now=NOW, source="test") is None


def test_a_link_ends_after_a_day_and_with_the_next_one(session: Session, admin: Actor) -> None:
    user = make_user(session)
    first = accounts.make_sign_in_link(session, admin, user, now=NOW)
    second = accounts.make_sign_in_link(session, admin, user, now=NOW)
    assert accounts.use_sign_in_link(session, first, now=NOW, source="") is None
    late = NOW + timedelta(hours=24)
    assert accounts.use_sign_in_link(session, second, now=late, source="") is None
    assert accounts.use_sign_in_link(session, "made up \ud800", now=NOW, source="") is None


def test_only_the_hash_of_a_link_is_kept(session: Session, admin: Actor) -> None:
    link = accounts.make_sign_in_link(session, admin, make_user(session), now=NOW)
    assert len(link) >= 43
    assert link not in session.scalars(select(SignInLink.token_hash)).one()


def test_signing_out_everywhere_raises_the_epoch(session: Session, admin: Actor) -> None:
    user = make_user(session)
    accounts.sign_out_everywhere(session, admin, user, now=NOW)
    assert user.session_epoch == 1


def test_an_actor_has_the_rights_of_the_role_as_it_is_now(session: Session) -> None:
    boss, member = make_user(session, "admin"), make_user(session, "member")
    assert accounts.actor_for_user(boss, "127.0.0.1").permissions == ALL_PERMISSIONS
    actor = accounts.actor_for_user(member, "127.0.0.1")
    assert (actor.kind, actor.user_id, actor.source) == ("user", member.id, "127.0.0.1")
    assert actor.permissions == {"grant:read"}


def asked(**fields: object) -> TokenIn:
    return parse(TokenIn, {"name": "ci", "permissions": ["grant:read"], **fields})


def test_a_token_is_found_by_its_secret_alone(session: Session, admin: Actor) -> None:
    token, secret = tokens.create_token(session, admin, asked(), now=NOW)
    assert secret.startswith("aa_")
    assert tokens.find_token(session, secret, now=NOW) == token
    assert tokens.find_token(session, secret[:-1], now=NOW) is None
    assert tokens.find_token(session, token.token_hash, now=NOW) is None
    assert secret not in str(session.scalars(select(ApiToken.token_hash)).all())


def test_a_token_never_holds_more_than_its_maker(session: Session) -> None:
    few = Actor("user", "Bo", frozenset({"grant:read", "settings:manage"}))
    with pytest.raises(NotAllowed) as caught:
        tokens.create_token(session, few, asked(permissions=["grant:write"]), now=NOW)
    assert caught.value.permission == "grant:write"


def test_a_token_ends_when_it_expires_or_is_revoked(session: Session, admin: Actor) -> None:
    later = NOW + timedelta(hours=1)
    token, secret = tokens.create_token(session, admin, asked(expires_at=later), now=NOW)
    assert tokens.find_token(session, secret, now=later - timedelta(seconds=1)) == token
    assert tokens.find_token(session, secret, now=later) is None
    tokens.revoke_token(session, admin, token, now=NOW)
    tokens.revoke_token(session, admin, token, now=NOW)
    assert tokens.find_token(session, secret, now=NOW) is None
    assert audited(session) == ["token.create", "token.revoke"]


def test_a_token_that_would_expire_at_once_is_refused(session: Session, admin: Actor) -> None:
    with pytest.raises(Invalid):
        tokens.create_token(session, admin, asked(expires_at=NOW), now=NOW)


def test_use_is_noted_once_a_minute(session: Session, admin: Actor) -> None:
    token, _ = tokens.create_token(session, admin, asked(), now=NOW)
    assert tokens.use_is_to_be_noted(token, now=NOW)
    tokens.note_use(session, token.id, now=NOW)
    tokens.note_use(session, token.id, now=NOW + timedelta(seconds=59))
    session.refresh(token)
    assert token.last_used_at == NOW
    assert not tokens.use_is_to_be_noted(token, now=NOW + timedelta(seconds=59))
    tokens.note_use(session, token.id, now=NOW + timedelta(seconds=60))
    session.refresh(token)
    assert token.last_used_at == NOW + timedelta(seconds=60)


def test_a_tokens_actor_is_no_person_and_knows_only_real_permissions(session: Session, admin: Actor) -> None:
    token, _ = tokens.create_token(session, admin, asked(), now=NOW)
    token.permissions = ["grant:read", "grant:fly"]
    actor = tokens.actor_for_token(session, token, "10.0.0.1")
    assert (actor.kind, actor.user_id, actor.token_id) == ("token", None, token.id)
    assert actor.permissions == {"grant:read"}
