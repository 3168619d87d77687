"""One-time codes: each counts once, guesses are few, and the key is sealed."""

from __future__ import annotations

from datetime import timedelta

import pyotp
import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.config.checks import new_fernet_key
from app.crypto import KeyRing
from app.errors import Conflict, Invalid, NotAllowed
from app.models import Authenticator, RecoveryCode, User
from app.permissions import Actor
from app.services import accounts, one_time_codes, passwords
from app.services.one_time_codes import LOCKED, LOST, WRONG
from tests.support.audit import audited
from tests.support.factories import NOW, make_user
from tests.support.passwords import check_password

KEY = new_fernet_key()
KEYS = KeyRing([KEY])
PASSWORD = "correct horse battery"


class App:
    """Somebody, the app on their phone, and the recovery codes that they keep."""

    def __init__(self, session: Session, admin: Actor) -> None:
        self.session, self.admin = session, admin
        self.user: User = make_user(session, password_hash=passwords.hash_password(PASSWORD))
        one_time_codes.begin(session, self.user, KEYS, now=NOW)
        session.flush()
        key = one_time_codes.unconfirmed_key(session, self.user.id, KEYS)
        assert key is not None
        self.key = key.reveal()
        self.recovery: list[str] = []

    def code(self, **late: int) -> str:
        return pyotp.TOTP(self.key).at(NOW + timedelta(**late))

    def confirm(self) -> App:
        self.recovery = one_time_codes.confirm(
            self.session, self.admin, self.user, self.code(), KEYS, now=NOW
        )
        self.session.flush()
        return self

    def check(self, typed: str, **late: int) -> str:
        """How the code was right, or the message."""
        at = NOW + timedelta(**late)
        found = one_time_codes.check(self.session, self.user, typed, KEYS, now=at)
        return found.how or found.message


@pytest.fixture
def app_of_ada(session: Session, admin: Actor) -> App:
    return App(session, admin).confirm()


def test_codes_are_off_until_the_first_right_one(session: Session, admin: Actor) -> None:
    ada = App(session, admin)
    assert not accounts.needs_code(session, ada.user)
    with pytest.raises(Invalid) as caught:
        one_time_codes.confirm(session, admin, ada.user, "000000", KEYS, now=NOW)
    assert [error.field for error in caught.value.errors] == ["code"]
    assert one_time_codes.standing(session, ada.user.id).since is None
    ada.confirm()
    assert accounts.needs_code(session, ada.user)
    assert one_time_codes.standing(session, ada.user.id) == one_time_codes.Standing(NOW, 10)
    assert ada.user.session_epoch == 1
    assert audited(session) == ["user.codes_on"]


def test_the_key_is_readable_by_an_app_and_shown_only_until_it_counts(session: Session, admin: Actor) -> None:
    ada = App(session, admin)
    key = one_time_codes.unconfirmed_key(session, ada.user.id, KEYS)
    assert key is not None
    read = pyotp.parse_uri(one_time_codes.address_of(key, ada.user.email))
    assert isinstance(read, pyotp.TOTP)
    assert (read.issuer, read.name, read.at(NOW)) == ("Access Automation", ada.user.email, ada.code())
    ada.confirm()
    assert one_time_codes.unconfirmed_key(session, ada.user.id, KEYS) is None


def test_key_and_recovery_codes_are_in_no_column(session: Session, app_of_ada: App) -> None:
    kept = repr([(row.sealed, row.key_id) for row in session.scalars(select(Authenticator))])
    kept += repr([row.code_hash for row in session.scalars(select(RecoveryCode))])
    assert app_of_ada.key not in kept
    assert len(set(app_of_ada.recovery)) == 10
    for code in app_of_ada.recovery:
        assert len(code) == 19
        assert code not in kept and code.replace("-", "") not in kept


def test_a_code_counts_once_and_so_does_every_earlier_one(app_of_ada: App) -> None:
    ada = app_of_ada
    assert ada.check(ada.code()) == WRONG  # it was the one that turned them on
    assert ada.check(ada.code(seconds=60), seconds=60) == "code"
    assert ada.check(ada.code(seconds=60), seconds=60) == WRONG
    assert ada.check(ada.code(seconds=30), seconds=60) == WRONG
    assert ada.check(ada.code(seconds=90), seconds=90) == "code"


@pytest.mark.parametrize(("late", "right"), [(-60, False), (-30, True), (0, True), (30, True), (60, False)])
def test_a_phone_may_be_half_a_minute_off(app_of_ada: App, *, late: int, right: bool) -> None:
    typed = app_of_ada.code(hours=1, seconds=late)
    assert app_of_ada.check(typed, hours=1) == ("code" if right else WRONG)


def test_codes_may_be_typed_as_people_type(app_of_ada: App) -> None:
    code = app_of_ada.code(hours=1)
    assert app_of_ada.check(f" {code[:3]} {code[3:]}\n", hours=1) == "code"
    assert app_of_ada.check(app_of_ada.recovery[0].upper().replace("-", " "), hours=1) == "recovery code"


@pytest.mark.parametrize("typed", ["", "12345", "1234567", "١٢٣٤٥٦", "\0", "\ud800", "x" * 5000, "aaaa-" * 4])
def test_what_is_no_code_is_refused(app_of_ada: App, typed: str) -> None:
    assert app_of_ada.check(typed) == WRONG


def test_each_recovery_code_works_once(session: Session, app_of_ada: App) -> None:
    first, *others = app_of_ada.recovery
    assert app_of_ada.check(first) == "recovery code"
    assert app_of_ada.check(first) == WRONG
    assert one_time_codes.standing(session, app_of_ada.user.id).recovery_left == 9
    assert [app_of_ada.check(code) for code in others] == ["recovery code"] * 9


def test_somebody_elses_recovery_code_is_nothing(session: Session, admin: Actor, app_of_ada: App) -> None:
    other = App(session, admin).confirm()
    assert other.check(app_of_ada.recovery[0]) == WRONG
    assert app_of_ada.check(app_of_ada.recovery[0]) == "recovery code"


def test_ten_wrong_ones_lock_for_an_hour_even_the_right_one(app_of_ada: App) -> None:
    ada = app_of_ada
    assert [ada.check("000000") for _ in range(10)] == [WRONG] * 9 + [LOCKED]
    assert ada.check(ada.code(minutes=59), minutes=59) == LOCKED
    assert ada.check(ada.recovery[0], minutes=59) == LOCKED
    assert ada.check(ada.code(minutes=60), minutes=60) == "code"


def test_the_password_alone_does_not_forget_wrong_codes(session: Session, app_of_ada: App) -> None:
    ada = app_of_ada
    for _ in range(9):
        ada.check("000000")
        came_in = check_password(session, ada.user.email, PASSWORD, now=NOW)
        assert (came_in.user, came_in.needs_code) == (ada.user, True)
    assert ada.check("000000") == LOCKED
    assert "session.start" not in audited(session)


def test_a_sign_in_link_does_not_go_around_them(session: Session, admin: Actor, app_of_ada: App) -> None:
    link = accounts.make_sign_in_link(session, admin, app_of_ada.user, now=NOW)
    assert accounts.use_sign_in_link(session, link, now=NOW, source="") == app_of_ada.user
    assert "session.start" not in audited(session)


def test_a_key_that_cannot_be_read_says_so_and_recovery_codes_still_work(
    session: Session, app_of_ada: App
) -> None:
    other = KeyRing([new_fernet_key()])
    typed = app_of_ada.code(hours=1)
    at = NOW + timedelta(hours=1)
    assert one_time_codes.check(session, app_of_ada.user, typed, other, now=at).message == LOST
    found = one_time_codes.check(session, app_of_ada.user, app_of_ada.recovery[0], other, now=at)
    assert found.how == "recovery code"


def test_a_key_in_another_row_does_not_open(session: Session, admin: Actor, app_of_ada: App) -> None:
    other = App(session, admin).confirm()
    rows = {row.user_id: row for row in session.scalars(select(Authenticator))}
    rows[other.user.id].sealed = rows[app_of_ada.user.id].sealed
    session.flush()
    assert other.check(app_of_ada.code(hours=1), hours=1) == LOST


def test_keys_are_sealed_anew_with_the_others(session: Session, app_of_ada: App) -> None:
    newer = new_fernet_key()
    assert one_time_codes.rotate(session, KeyRing([newer])) == (0, 1)
    both = KeyRing([newer, KEY])
    assert one_time_codes.rotate(session, both) == (1, 0)
    assert one_time_codes.rotate(session, both) == (0, 0)
    at = NOW + timedelta(hours=1)
    found = one_time_codes.check(session, app_of_ada.user, app_of_ada.code(hours=1), KeyRing([newer]), now=at)
    assert found.how == "code"


def test_turning_off_and_new_recovery_codes(session: Session, admin: Actor, app_of_ada: App) -> None:
    ada = app_of_ada
    fresh = one_time_codes.renew_recovery_codes(session, admin, ada.user, now=NOW)
    session.flush()
    assert ada.check(ada.recovery[0]) == WRONG
    assert ada.check(fresh[0]) == "recovery code"
    one_time_codes.turn_off(session, admin, ada.user, now=NOW)
    assert not accounts.needs_code(session, ada.user)
    assert ada.check(fresh[1]) == WRONG
    for act in (one_time_codes.turn_off, one_time_codes.reset, one_time_codes.renew_recovery_codes):
        with pytest.raises(Conflict):
            act(session, admin, ada.user, now=NOW)
    assert audited(session) == ["user.codes_on", "user.recovery_codes", "user.codes_off"]


def test_a_reset_ends_sessions_and_the_pause(session: Session, admin: Actor, app_of_ada: App) -> None:
    ada = app_of_ada
    for _ in range(10):
        ada.check("000000")
    epoch = ada.user.session_epoch
    one_time_codes.reset(session, admin, ada.user, now=NOW)
    assert ada.user.session_epoch == epoch + 1
    assert check_password(session, ada.user.email, PASSWORD, now=NOW).needs_code is False
    one_time_codes.begin(session, ada.user, KEYS, now=NOW)
    assert "user.codes_reset" in audited(session)


def test_nobody_resets_those_of_somebody_higher(session: Session, admin: Actor) -> None:
    boss = App(session, admin)
    boss.user.role = make_user(session, "admin").role
    boss.confirm()
    with pytest.raises(NotAllowed):
        one_time_codes.reset(session, Actor("user", "Bo", frozenset({"user:manage"})), boss.user, now=NOW)


def test_a_second_key_replaces_one_that_waits_and_never_one_that_counts(
    session: Session, admin: Actor
) -> None:
    ada = App(session, admin)
    first = ada.key
    one_time_codes.begin(session, ada.user, KEYS, now=NOW)
    session.flush()
    key = one_time_codes.unconfirmed_key(session, ada.user.id, KEYS)
    assert key is not None and key.reveal() != first
    ada.key = key.reveal()
    ada.confirm()
    with pytest.raises(Conflict):
        one_time_codes.begin(session, ada.user, KEYS, now=NOW)
    with pytest.raises(Conflict):
        one_time_codes.confirm(session, admin, ada.user, ada.code(), KEYS, now=NOW)


def test_without_a_password_there_is_nothing_to_stand_beside(session: Session) -> None:
    with pytest.raises(Conflict):
        one_time_codes.begin(session, make_user(session), KEYS, now=NOW)
