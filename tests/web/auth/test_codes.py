"""One-time codes on the pages: set-up, the second step of a sign-in, and the ways out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pyotp
import pytest
from flask import Flask
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.models import AuditEvent, User
from app.permissions import SYSTEM
from app.services import accounts
from app.services.one_time_codes import LOCKED, WRONG
from app.web.auth import codes, views
from tests.support.page import Page, PageClient
from tests.support.web.readers import PASSWORD, Reader, fresh, person, sign_in

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


class Phone:
    """Alice's authenticator app, and what the clock of the codes says."""

    def __init__(self, reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reader, self.time = reader, NOON
        for module in (codes, views):
            monkeypatch.setattr(module, "now", lambda: self.time)
        page = reader.client.get("/account").follow("Set up…")
        page = page.form("codes-start").fill(current=PASSWORD).submit().follow_redirect()
        self.key = page.one("main .ref code").get_text().replace(" ", "")
        made = page.form("codes-scan").fill(code=self.code()).submit(expect=200)
        self.recovery = made.texts("#recovery-codes code")

    def code(self) -> str:
        return pyotp.TOTP(self.key).at(self.time)

    def next_code(self) -> str:
        self.time += timedelta(seconds=30)
        return self.code()


@pytest.fixture
def phone(alice: Reader, monkeypatch: pytest.MonkeyPatch) -> Phone:
    return Phone(alice, monkeypatch)


def with_password(client: PageClient, onward: str = "") -> Page:
    """The page that asks for the code."""
    page = client.get("/sign-in", query={"next": onward} if onward else None)
    done = page.form("sign-in").fill(email="alice@example.org", password=PASSWORD).submit()
    assert done.location == "/sign-in/code"
    return done.follow_redirect()


def test_the_password_leads_to_the_code_and_the_code_to_where_one_was_going(
    visitor: PageClient, phone: Phone, web: Session
) -> None:
    page = with_password(visitor, "/people?q=a")
    assert page.h1 == "One-time code"
    assert page.one("#code")["autocomplete"] == "one-time-code"
    visitor.get("/people", expect=303)
    before = visitor.token
    done = visitor.get("/sign-in/code").form("code-form").fill(code=phone.next_code()).submit()
    assert done.location == "/people?q=a"
    visitor.get("/people")
    assert visitor.token != before
    event = web.scalars(select(AuditEvent).where(AuditEvent.action == "session.start")).all()[-1]
    assert event.changes == {"how": [None, "password and code"]}


def test_a_wrong_code_is_told_and_a_right_one_counts_once(visitor: PageClient, phone: Phone) -> None:
    page = with_password(visitor).form("code-form").fill(code=phone.code()).submit(expect=422)
    assert page.errors() == {"code": WRONG}
    assert page.title.startswith("Error: One-time code")
    part = page.form("code-form").fill(code="123").submit(expect=422, htmx=True)
    assert part.is_fragment
    code = phone.next_code()
    part.form("code-form").fill(code=code).submit()
    visitor.get("/account").form_with("Sign out").submit()
    with_password(visitor).form("code-form").fill(code=code).submit(expect=422)


def test_ten_wrong_codes_lock_whoever_knows_the_password(visitor: PageClient, phone: Phone) -> None:
    page = with_password(visitor)
    for _ in range(9):
        page = page.form("code-form").fill(code="000000").submit(expect=422)
    assert page.form("code-form").fill(code="000000").submit(expect=422).errors() == {"code": LOCKED}
    page = with_password(visitor).form("code-form").fill(code=phone.next_code()).submit(expect=422)
    assert page.errors() == {"code": LOCKED}


def test_a_recovery_code_signs_in_once_and_says_how_many_are_left(visitor: PageClient, phone: Phone) -> None:
    assert len(phone.recovery) == 10
    done = with_password(visitor).form("code-form").fill(code=phone.recovery[3]).submit()
    assert "You have 9 left." in done.follow_redirect().text
    visitor.get("/account").form_with("Sign out").submit()
    with_password(visitor).form("code-form").fill(code=phone.recovery[3]).submit(expect=422)


def test_without_a_password_before_it_there_is_no_second_step(visitor: PageClient, phone: Phone) -> None:
    assert visitor.get("/sign-in/code", expect=303).location == "/sign-in"
    visitor.get("/sign-in")
    done = visitor.post("/sign-in/code", {"code": phone.next_code()})
    assert done.location == "/sign-in"
    visitor.get("/", expect=303)


@pytest.mark.parametrize("change", [{"is_active": False}, {"session_epoch": User.session_epoch + 1}])
def test_what_ends_sessions_ends_a_sign_in_under_way(
    visitor: PageClient, phone: Phone, web: Session, change: dict[str, object]
) -> None:
    page = with_password(visitor)
    web.execute(update(User).where(User.id == phone.reader.id).values(change))
    web.commit()
    done = page.form("code-form").fill(code=phone.next_code()).submit()
    assert "Sign in again." in done.follow_redirect().text
    visitor.get("/", expect=303)


def test_a_right_password_waits_five_minutes_for_its_code(visitor: PageClient, phone: Phone) -> None:
    page = with_password(visitor)
    with visitor.flask.session_transaction() as session:
        session["second"] = [*session["second"][:4], session["second"][4] - 300]
    done = page.form("code-form").fill(code=phone.next_code()).submit()
    assert done.location == "/sign-in"


def test_a_sign_in_link_asks_for_the_code_too(visitor: PageClient, phone: Phone, web: Session) -> None:
    user = web.get_one(User, phone.reader.id)
    link = accounts.make_sign_in_link(web, SYSTEM, user, now=datetime.now(UTC))
    web.commit()
    form = (
        visitor.get(f"/sign-in/{link}")
        .form("welcome")
        .fill(password="a new long one", again="a new long one")
    )
    page = form.submit().follow_redirect()
    assert page.h1 == "One-time code"
    assert page.form("code-form").fill(code=phone.next_code()).submit().location == "/"


def test_setting_up_asks_for_the_password_and_ends_other_sessions(
    only_sqlite: Flask, alice: Reader, web: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = sign_in(only_sqlite, web.get_one(User, alice.id))
    page = alice.client.get("/account/codes").form("codes-start").fill(current="wrong").submit(expect=422)
    assert page.errors() == {"current": "This is not your current password."}
    alice.client.get("/account/codes/picture", expect=404)
    assert alice.client.get("/account/codes/scan", expect=303).location == "/account"
    phone = Phone(alice, monkeypatch)
    assert "On since" in alice.client.get("/account").text
    assert "You have 10 recovery codes left." in alice.client.get("/account").text
    elsewhere.client.get("/", expect=303)
    alice.client.get("/account/codes/picture", expect=404)
    assert phone.key not in alice.client.get("/account").html


def test_the_picture_is_an_image_of_its_own_under_the_strict_policy(alice: Reader) -> None:
    page = alice.client.get("/account/codes").form("codes-start").fill(current=PASSWORD).submit()
    page = page.follow_redirect()
    picture = alice.client.get(str(page.one("main img")["src"]))
    assert picture.headers["Content-Type"].startswith("image/svg+xml")
    assert picture.headers["Cache-Control"] == "no-store"
    assert "style=" not in picture.html and "<script" not in picture.html
    wrong = page.form("codes-scan").fill(code="000000").submit(expect=422)
    assert "is not right" in wrong.errors()["code"]
    assert wrong.one("main .ref code").get_text() == page.one("main .ref code").get_text()


def test_new_recovery_codes_end_the_old(visitor: PageClient, alice: Reader, phone: Phone) -> None:
    page = alice.client.get("/account").follow("New recovery codes…")
    refused = page.form("codes-recovery").fill(code="000000").submit(expect=422)
    assert refused.errors() == {"code": WRONG}
    made = page.form("codes-recovery").fill(code=phone.next_code()).submit(expect=200)
    fresh_codes = made.texts("#recovery-codes code")
    with_password(visitor).form("code-form").fill(code=phone.recovery[0]).submit(expect=422)
    with_password(visitor).form("code-form").fill(code=fresh_codes[0]).submit()


def test_turning_off_asks_for_password_and_code(visitor: PageClient, alice: Reader, phone: Phone) -> None:
    page = alice.client.get("/account").follow("Turn off…")
    refused = page.form("codes-off").fill(current="wrong", code=phone.next_code()).submit(expect=422)
    assert set(refused.errors()) == {"current"}
    refused = page.form("codes-off").fill(current=PASSWORD, code="000000").submit(expect=422)
    assert set(refused.errors()) == {"code"}
    done = page.form("codes-off").fill(current=PASSWORD, code=phone.next_code()).submit()
    assert "One-time codes are off." in done.follow_redirect().text
    form = visitor.get("/sign-in").form("sign-in").fill(email="alice@example.org", password=PASSWORD)
    assert form.submit().location == "/"


@pytest.mark.parametrize("path", ["/account/codes/recovery", "/account/codes/off"])
def test_what_is_off_cannot_be_turned_off(alice: Reader, path: str) -> None:
    assert alice.client.get(path, expect=303).location == "/account"
    alice.client.get("/account")
    assert alice.client.post(path, {"current": PASSWORD, "code": "000000"}).location == "/account"


def test_an_administrator_resets_them(
    only_sqlite: Flask, web: Session, visitor: PageClient, alice: Reader, phone: Phone
) -> None:
    zoe = sign_in(only_sqlite, person(only_sqlite, web, "zoe", "admin"))
    page = zoe.client.get(f"/people/{alice.id}")
    assert "With password and one-time codes" in page.text
    done = page.press("Reset one-time codes")
    assert "Their one-time codes are reset" in done.follow_redirect().text
    alice.client.get("/", expect=303)
    form = visitor.get("/sign-in").form("sign-in").fill(email="alice@example.org", password=PASSWORD)
    assert form.submit().location == "/"
    assert "Reset one-time codes" in zoe.client.get("/audit").text
    zoe.client.post(f"/people/{alice.id}/reset-codes", expect=409)


def test_one_cannot_reset_ones_own_without_the_code(alice: Reader, phone: Phone) -> None:
    assert "Reset one-time codes" not in alice.client.get(f"/people/{alice.id}").text


def test_the_key_is_in_no_audit_entry(alice: Reader, phone: Phone, web: Session) -> None:
    fresh(web)
    told = repr([(one.action, one.changes, one.reason) for one in web.scalars(select(AuditEvent))])
    assert "user.codes_on" in told
    assert phone.key not in told
    assert not any(code in told for code in phone.recovery)
