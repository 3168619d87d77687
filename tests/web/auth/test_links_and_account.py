"""One-time links, and one's own account."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import update
from sqlalchemy.orm import Session

from app.clock import now
from app.models import FailedSignIns, SignInLink, User
from app.permissions import SYSTEM
from app.services import accounts, sign_in_throttle
from tests.support.factories import make_user
from tests.support.page import PageClient
from tests.support.web.readers import PASSWORD, Reader, fresh, sign_in

NEW = "a longer new password"


@pytest.fixture
def link(web: Session) -> str:
    """The address of a fresh link for somebody without a password."""
    user = make_user(web, first_name="Nia", email="nia@example.org")
    secret = accounts.make_sign_in_link(web, SYSTEM, user, now=now())
    web.commit()
    return f"/sign-in/{secret}"


def test_opening_a_link_uses_nothing_up(visitor: PageClient, link: str) -> None:
    for _ in range(2):
        page = visitor.get(link)
        assert page.h1 == "Welcome, Nia"


def test_choosing_a_password_signs_in_and_uses_the_link_up(visitor: PageClient, link: str) -> None:
    done = visitor.get(link).form("welcome").fill(password=NEW, again=NEW).submit()
    assert done.location == "/"
    visitor.get("/")
    page = visitor.get(link, expect=410)
    assert page.h1 == "This sign-in link no longer works"
    assert "ask an administrator for a new link" in page.text
    visitor.post(link, {"password": NEW, "again": NEW}, expect=410)


@pytest.mark.parametrize(
    ("password", "again", "field", "message"),
    [
        ("short", "short", "password", "Use at least 12 characters."),
        (NEW, NEW + "x", "again", "The two passwords are not the same."),
        ("", "", "password", "Choose a password."),
        ("nia@example.org", "nia@example.org", "password", "The password cannot be the email address."),
        ("x" * 1001, "x" * 1001, "password", "Use at most 1,000 characters."),
        ("with a nul\0 in it", "with a nul\0 in it", "password", "characters that cannot be used"),
    ],
)
def test_a_refused_password_leaves_the_link_good(
    visitor: PageClient, link: str, *, password: str, again: str, field: str, message: str
) -> None:
    page = visitor.get(link).form("welcome").fill(password=password, again=again).submit(expect=422)
    assert message in page.errors()[field]
    visitor.get(link).form("welcome").fill(password=NEW, again=NEW).submit()


def test_an_expired_link_says_so(visitor: PageClient, link: str, web: Session) -> None:
    web.execute(update(SignInLink).values(expires_at=now() - timedelta(seconds=1)))
    web.commit()
    visitor.get(link, expect=410)


@pytest.mark.parametrize("secret", ["nothing", "%00", "é" * 50, "x" * 3000, "<img src=x onerror=1>"])
def test_what_is_no_link_reads_the_same(visitor: PageClient, secret: str) -> None:
    visitor.get(f"/sign-in/{secret}", expect=410)


def test_the_account_page_says_what_one_may_do(bob: Reader) -> None:
    page = bob.client.get("/account")
    assert "Grant and revoke access" in page.text
    assert "Enter, replace and remove credentials" not in page.text


def test_changing_the_password_ends_other_sessions_and_keeps_this_one(
    only_sqlite: Flask, web: Session, alice: Reader
) -> None:
    elsewhere = sign_in(only_sqlite, web.get_one(User, alice.id))
    form = alice.client.get("/account").form("password-form")
    form.fill(current=PASSWORD, password=NEW, again=NEW).submit()
    assert "Your password is changed." in alice.client.get("/account").text
    elsewhere.client.get("/", expect=303)


def test_a_wrong_current_password_changes_nothing_and_counts(alice: Reader, web: Session) -> None:
    form = alice.client.get("/account").form("password-form")
    page = form.fill(current="wrong", password=NEW, again=NEW).submit(expect=422)
    assert page.errors() == {"current": "This is not your current password."}
    fresh(web)
    assert web.get_one(FailedSignIns, sign_in_throttle.email_key(alice.email)).failures == 1


def test_a_refused_change_by_htmx_is_the_form_alone(alice: Reader) -> None:
    form = alice.client.get("/account").form("password-form")
    part = form.fill(current=PASSWORD, password="short", again="short").submit(expect=422, htmx=True)
    assert part.is_fragment
    assert part.errors() == {"password": "Use at least 12 characters."}


def test_signing_out_everywhere_ends_every_session(only_sqlite: Flask, web: Session, alice: Reader) -> None:
    elsewhere = sign_in(only_sqlite, web.get_one(User, alice.id))
    done = alice.client.get("/account").press("Sign out everywhere")
    assert done.location == "/sign-in"
    alice.client.get("/", expect=303)
    elsewhere.client.get("/", expect=303)


def test_somebody_without_a_password_is_told_how_to_get_one(alice: Reader, web: Session) -> None:
    web.execute(update(User).where(User.id == alice.id).values(password_hash=None))
    web.commit()
    assert "sign-in link that lets you choose one" in alice.client.get("/account").text


def test_charlie_is_told_what_his_role_lacks(charlie: Reader) -> None:
    assert "your role gives you nothing to see yet" in charlie.client.get("/").text
