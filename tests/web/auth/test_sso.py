"""Single sign-on's pages, with a provider that does as it is told. The real one is in `tests/e2e/`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlencode

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from app import clock, create_app
from app.config.checks import SettingsError
from app.config.settings import load_settings
from app.connectors import places
from app.models import User
from app.services import single_sign_on
from app.web.auth import sso
from tests.support.connectors.openid_provider import CLIENT_ID, CLIENT_SECRET, CODE, OpenId, openid
from tests.support.connectors.servers import answer
from tests.support.page import Page, PageClient
from tests.support.settings import with_settings
from tests.support.web.readers import Reader, actor, fresh, person


@pytest.fixture
def there(only_sqlite: Flask) -> Iterator[OpenId]:
    with openid() as found:
        found.claims = {"email": "ana@example.org", "email_verified": True}
        settings = {
            "oidc_issuer": found.url,
            "oidc_client_id": CLIENT_ID,
            "oidc_client_secret": CLIENT_SECRET,
        }
        with with_settings(only_sqlite, **settings):
            yield found


@pytest.fixture
def ana(only_sqlite: Flask, web: Session) -> User:
    return person(only_sqlite, web, "ana", "admin")


def leave(client: PageClient, there: OpenId, onward: str | None = None) -> str:
    """Off to the provider; the state that it was given."""
    sent = client.get("/sign-in/sso", query={"next": onward} if onward else None, expect=303)
    return there.visit(sent.location)["state"]


def come_back(client: PageClient, *, expect: int = 303, **brought: str) -> Page:
    return client.get(f"/sign-in/sso/callback?{urlencode({'code': CODE, **brought})}", expect=expect)


def test_where_it_is_not_set_up_there_is_no_such_page(visitor: PageClient) -> None:
    assert "single sign-on" not in visitor.get("/sign-in").text
    visitor.get("/sign-in/sso", expect=404)
    visitor.get("/sign-in/sso/callback?state=x&code=y", expect=404)


@pytest.mark.parametrize(
    "issuer", ["http://169.254.169.254", "https://metadata.google.internal/x", "https://0x7f.1/x"]
)
def test_a_provider_that_can_never_be_called_stops_the_start(tmp_path: Path, issuer: str) -> None:
    given = {"OIDC_ISSUER": issuer, "OIDC_CLIENT_ID": "console", "OIDC_CLIENT_SECRET": "s3cret"}
    settings = load_settings({"DATA_DIR": str(tmp_path), **given}, env_file=None)
    with pytest.raises(SettingsError, match=r"^OIDC_ISSUER: cannot be called"):
        create_app(settings)


def test_signing_in_starts_a_session_of_its_own(visitor: PageClient, there: OpenId, ana: User) -> None:
    visitor.get("/sign-in")
    before = visitor.token
    with visitor.flask.session_transaction() as session:
        session["planted"] = "by somebody else"
    assert come_back(visitor, state=leave(visitor, there)).location == "/"
    visitor.get("/")
    assert visitor.token != before
    with visitor.flask.session_transaction() as session:
        assert "planted" not in session
        assert "sso" not in session


@pytest.mark.parametrize(
    ("onward", "reached"),
    [
        ("/people?q=a", "/people?q=a"),
        ("https://evil.example/", "/"),
        ("//evil.example/", "/"),
        ("/\\evil.example", "/"),
        ("/" + "x" * 600, "/" + "x" * 499),
    ],
)
def test_it_goes_on_only_within_this_console(
    visitor: PageClient, there: OpenId, ana: User, onward: str, reached: str
) -> None:
    assert come_back(visitor, state=leave(visitor, there, onward)).location == reached


@pytest.mark.parametrize("state", ["", "made-up", "\0", "é" * 2000])
def test_a_state_that_was_not_given_out_is_refused(
    visitor: PageClient, there: OpenId, ana: User, state: str
) -> None:
    leave(visitor, there)
    page = come_back(visitor, state=state, expect=400)
    assert "was not started in this browser" in page.text
    assert {path for path, _, _ in there.asked} == {"/.well-known/openid-configuration", "/keys"}


def test_a_state_of_another_browser_is_refused(
    only_sqlite: Flask, visitor: PageClient, there: OpenId, ana: User
) -> None:
    state = leave(visitor, there)
    come_back(PageClient(only_sqlite), state=state, expect=400)


def test_a_state_is_good_once(visitor: PageClient, there: OpenId, ana: User) -> None:
    state = leave(visitor, there)
    come_back(visitor, state=state, code="made up", expect=502)
    come_back(visitor, state=state, expect=400)


def test_a_state_is_good_for_ten_minutes(
    visitor: PageClient, there: OpenId, ana: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = leave(visitor, there)
    later = clock.now() + timedelta(seconds=601)
    monkeypatch.setattr(sso, "now", lambda: later)
    come_back(visitor, state=state, expect=400)


def test_several_tabs_may_sign_in_and_the_cookie_stays_small(
    visitor: PageClient, there: OpenId, ana: User
) -> None:
    states = [leave(visitor, there, "/" + "x" * 600) for _ in range(5)]
    with visitor.flask.session_transaction() as session:
        assert len(session["sso"]) == 3
    assert len(str(visitor.flask.get_cookie("session"))) < 4096
    come_back(visitor, state=states[0], expect=400)
    state = leave(visitor, there, "/runs")
    leave(visitor, there)
    page = come_back(visitor, state=state, expect=502)  # the provider was last told another nonce
    assert "Single sign-on did not work." in page.text


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ("access_denied", "You, or a rule there, did not allow it."),
        ("temporarily_unavailable", "It answered with temporarily_unavailable."),
        ("<b>Call 555</b>", "It answered with an error."),
        ("", "It answered with an error."),
    ],
)
def test_the_providers_no_is_told_plainly(
    visitor: PageClient, there: OpenId, ana: User, error: str, words: str
) -> None:
    state = leave(visitor, there)
    page = come_back(visitor, state=state, error=error, error_description="Call 555", expect=403)
    assert words in page.text
    assert "555" not in page.html


def test_an_answer_from_another_provider_is_refused(visitor: PageClient, there: OpenId, ana: User) -> None:
    state = leave(visitor, there)
    page = come_back(visitor, state=state, iss="https://elsewhere.example", expect=502)
    assert "came from another provider" in page.text


@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/keys"])
def test_a_provider_that_is_broken_is_a_clear_page_and_passwords_still_work(
    visitor: PageClient, there: OpenId, ana: User, path: str
) -> None:
    there.raw = {path: answer(500, b"oops")}
    page = visitor.get("/sign-in/sso", expect=502)
    assert page.h1 == "You are not signed in"
    assert "sign in with a password" in page.text
    assert "oops" not in page.html
    page.follow("Back to sign-in")


def test_a_broken_answer_of_its_token_endpoint_is_a_clear_page(
    visitor: PageClient, there: OpenId, ana: User
) -> None:
    state = leave(visitor, there)
    there.raw = {"/token": answer(200, b"\xff{not json")}
    assert "could not be read" in come_back(visitor, state=state, expect=502).text


def test_the_person_page_says_how_they_sign_in_and_unlinks(
    alice: Reader, visitor: PageClient, there: OpenId, ana: User, web: Session
) -> None:
    come_back(visitor, state=leave(visitor, there))
    page = alice.client.get(f"/people/{ana.id}")
    assert "With password or single sign-on" in page.text
    done = page.press("Unlink single sign-on")
    assert "Unlinked." in done.follow_redirect().text
    visitor.get("/", expect=303)
    fresh(web)
    assert not single_sign_on.is_linked(web, web.get_one(User, ana.id))
    assert alice.client.get("/audit").text.count("Unlinked single sign-on") >= 1


def test_somebody_lower_cannot_unlink_an_administrator(
    bob: Reader, visitor: PageClient, there: OpenId, ana: User, web: Session
) -> None:
    come_back(visitor, state=leave(visitor, there))
    member = web.get_one(User, bob.id).role
    member.permissions = ["grant:read", "user:manage"]
    web.commit()
    bob.client.get(f"/people/{ana.id}")
    bob.client.post(f"/people/{ana.id}/unlink-single-sign-on", expect=403)
    assert actor(web, bob).permissions == {"grant:read", "user:manage"}


def test_while_others_wait_for_the_provider_one_is_told(
    only_sqlite: Flask, visitor: PageClient, there: OpenId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "WAIT_SECONDS", 0.01)
    state = leave(visitor, there)
    asked = len(there.asked)
    finishing = only_sqlite.extensions["oidc"]._finishing
    with finishing.one(), finishing.one():
        page = come_back(visitor, state=state, expect=503)
    assert "Single sign-on is busy." in page.text
    assert "Start again in a few seconds, or sign in with a password." in page.text
    assert page.response.headers["Retry-After"] == "5"
    assert len(there.asked) == asked
