"""Signing in and out, and what ends a session."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app import clock
from app.models import AuditEvent, User
from app.services.accounts import LOCKED, WRONG
from tests.support.page import PageClient
from tests.support.web.readers import PASSWORD, Reader, person


@pytest.fixture
def ana(only_sqlite: Flask, web: Session) -> User:
    return person(only_sqlite, web, "ana", "admin")


def try_password(client: PageClient, password: str, *, expect: int = 422, **fields: object):  # type: ignore[no-untyped-def]
    form = client.get("/sign-in").form("sign-in").fill(email="ana@example.org", password=password)
    for name, value in fields.items():
        form.fill({name: value})
    return form.submit(expect=expect)


def test_the_right_password_leads_home(visitor: PageClient, ana: User) -> None:
    assert try_password(visitor, PASSWORD, expect=303).location == "/"
    page = visitor.get("/")
    assert page.h1 == "Home"
    assert "Ana Example" in page.html


def test_the_email_may_be_typed_in_any_case(visitor: PageClient, ana: User) -> None:
    try_password(visitor, PASSWORD, expect=303, email=" ANA@Example.ORG ")


@pytest.mark.parametrize("email", ["ana@example.org", "nobody@example.org", "", "a\0b", "x" * 5000, "🙂@x"])
def test_a_wrong_email_and_a_wrong_password_read_the_same(visitor: PageClient, ana: User, email: str) -> None:
    page = try_password(visitor, "not the password", email=email)
    assert page.errors() == {"email": WRONG}
    assert page.title.startswith("Error: Sign in")
    assert page.form("sign-in")["email"] == email[:320].replace("\0", "")


def test_the_password_is_never_shown_again(visitor: PageClient, ana: User) -> None:
    assert "s3cret-typed" not in try_password(visitor, "s3cret-typed").html


@pytest.mark.parametrize("email", ["ana@example.org", "nobody@example.org"])
def test_ten_wrong_passwords_lock_even_the_right_one(visitor: PageClient, ana: User, email: str) -> None:
    for _ in range(9):
        assert try_password(visitor, "wrong", email=email).errors() == {"email": WRONG}
    assert try_password(visitor, "wrong", email=email).errors() == {"email": LOCKED}
    page = try_password(visitor, PASSWORD, email=email)
    assert page.errors() == {"email": LOCKED}
    assert "Too many tries. Wait 5 minutes, or ask an administrator to reset it." in page.text


def test_htmx_gets_the_form_alone(visitor: PageClient, ana: User) -> None:
    form = visitor.get("/sign-in").form("sign-in").fill(email="ana@example.org", password="wrong")
    part = form.submit(expect=422, htmx=True)
    assert part.is_fragment
    assert part.form("sign-in")["email"] == "ana@example.org"


@pytest.mark.parametrize(
    ("onward", "reached"),
    [
        ("/people?q=a&status=all", "/people?q=a&status=all"),
        ("https://evil.example/", "/"),
        ("//evil.example/", "/"),
        ("/\\evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("", "/"),
    ],
)
def test_it_goes_on_only_within_this_console(
    visitor: PageClient, ana: User, onward: str, reached: str
) -> None:
    page = visitor.get("/sign-in", query={"next": onward})
    form = page.form("sign-in").fill(email="ana@example.org", password=PASSWORD)
    assert form.submit().location == reached


def test_a_page_asks_to_sign_in_and_comes_back(visitor: PageClient, ana: User) -> None:
    assert visitor.get("/people?q=a", expect=303).location == "/sign-in?next=/people%3Fq%3Da"


def test_a_piece_of_a_page_answers_401_and_stays(visitor: PageClient) -> None:
    page = visitor.fragment("/applications/1/chips?v=2.1p", expect=401)
    assert "You have been signed out" in page.text
    assert page.location == ""


def test_a_post_of_nobody_is_401_and_says_how_to_keep_what_was_typed(visitor: PageClient) -> None:
    page = visitor.post("/people", {"email": "x@example.org"}, expect=401)
    assert "go back to the form" in page.text


def test_signing_in_starts_a_session_of_its_own(visitor: PageClient, ana: User) -> None:
    visitor.get("/sign-in")
    before = visitor.token
    with visitor.flask.session_transaction() as session:
        session["planted"] = "by somebody else"
    try_password(visitor, PASSWORD, expect=303)
    visitor.get("/")
    assert visitor.token != before
    with visitor.flask.session_transaction() as session:
        assert "planted" not in session
        assert "@" not in repr(dict(session))


def test_who_is_signed_in_goes_on(alice: Reader) -> None:
    assert alice.client.get("/sign-in?next=/people", expect=303).location == "/people"


def test_signing_out_ends_the_session(alice: Reader) -> None:
    done = alice.client.get("/").form_with("Sign out").submit()
    assert done.location == "/sign-in"
    assert "You are signed out." in alice.client.get("/sign-in").text
    alice.client.get("/", expect=303)


def test_signing_out_is_no_link(alice: Reader) -> None:
    alice.client.get("/sign-out", expect=405)


def test_a_session_ends_after_its_hours_however_busy(alice: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = clock.now()
    with alice.client.flask.session_transaction() as session:
        session["since"] = int((begun - timedelta(hours=12, seconds=1)).timestamp())
    page = alice.client.get("/people", expect=303)
    assert page.location == "/sign-in?next=/people"
    words = "You were signed out after 12 hours. Sign in to return to the page that you asked for."
    assert words in alice.client.get(page.location).text


def test_deactivation_acts_at_the_next_request(alice: Reader, web: Session) -> None:
    web.execute(update(User).where(User.id == alice.id).values(is_active=False))
    web.commit()
    page = alice.client.get("/", expect=303)
    assert "not active any more" in alice.client.get(page.location).text


def test_raising_the_epoch_signs_out_everywhere(alice: Reader, web: Session) -> None:
    web.execute(update(User).where(User.id == alice.id).values(session_epoch=User.session_epoch + 1))
    web.commit()
    alice.client.get("/", expect=303)


def test_rights_are_read_at_each_request(bob: Reader, web: Session) -> None:
    bob.client.get("/applications/new")
    user = web.get_one(User, bob.id)
    user.role.permissions = ["grant:read"]
    web.commit()
    bob.client.get("/applications/new", expect=403)


def test_a_form_without_its_token_is_refused(alice: Reader) -> None:
    page = alice.client.post("/applications", {"name": "Forged"}, expect=400, csrf=False)
    assert "Your sign-in changed" in page.text


def test_a_sign_in_is_audited_with_its_address(visitor: PageClient, ana: User, web: Session) -> None:
    try_password(visitor, PASSWORD, expect=303)
    event = web.scalars(select(AuditEvent).where(AuditEvent.action == "session.start")).one()
    assert (event.actor, event.source) == ("Ana Example", "127.0.0.1")


def test_every_answer_carries_its_reference(visitor: PageClient) -> None:
    page = visitor.get("/sign-in")
    missing = visitor.get("/static-nothing", expect=404)
    assert len(page.headers["X-Request-Id"]) == 16
    assert missing.headers["X-Request-Id"] in missing.text
