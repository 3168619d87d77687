"""Single sign-on with a real OpenID provider, Canaille: to it and back, as a browser without script goes."""

from __future__ import annotations

import http.cookiejar
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from urllib.parse import urlencode, urljoin, urlsplit

import pytest
from flask import Flask
from sqlalchemy import update
from sqlalchemy.orm import Session

from app.models import User
from tests.support.e2e.systems import OpenIdProvider, canaille
from tests.support.factories import make_user
from tests.support.page import Page, PageClient
from tests.support.settings import with_settings
from tests.support.web.readers import fresh

pytestmark = pytest.mark.slow

PEOPLE = [
    {"user_name": "ana", "email": "ana@example.org", "verified": True},
    {"user_name": "bea", "email": "bea@example.org", "verified": False},
    {"user_name": "cleo", "email": "cleo@example.org", "verified": True},
]
BACK = "http://localhost/sign-in/sso/callback"
ROLES = (("identity admins", "admin"), ("staff", "member"))


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenIdProvider]:
    groups = {"identity admins": ["ana"], "staff": ["ana", "bea"]}
    folder = tmp_path_factory.mktemp("canaille")
    with canaille(folder, redirect_uris=[BACK], people=PEOPLE, groups=groups) as found:
        yield found


@pytest.fixture
def configured(only_sqlite: Flask, there: OpenIdProvider) -> Iterator[Flask]:
    """The app with the provider in its settings and groups that mean roles."""
    with with_settings(only_sqlite, **there.settings(), oidc_group_roles=ROLES):
        yield only_sqlite


class Elsewhere:
    """The person's browser at the provider; it stops where the way leads back to us."""

    def __init__(self, there: OpenIdProvider) -> None:
        self._there = there
        cookies = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), cookies, _NoRedirect)

    def sign_in(self, url: str, name: str) -> str:
        """Sign in as `name` where we were sent; the address that leads back, as we see it."""
        url, page = self._open(url)
        while not url.startswith(BACK):
            fields = dict(re.findall(r'<input[^>]*name="([^"]+)"[^>]*value="([^"]*)"', page))
            typed = {"login": name, "password": self._there.person_password}
            fields |= {field: value for field, value in typed.items() if f'name="{field}"' in page}
            url, page = self._open(url, fields)
        parts = urlsplit(url)
        return f"{parts.path}?{parts.query}"

    def _open(self, url: str, fields: dict[str, str] | None = None) -> tuple[str, str]:
        data = urlencode(fields).encode() if fields is not None else None
        while not url.startswith(BACK):
            try:
                with self._opener.open(urllib.request.Request(url, data), timeout=20) as answer:
                    return url, answer.read().decode()
            except urllib.error.HTTPError as moved:
                with moved:
                    url, data = urljoin(url, moved.headers["Location"]), None
        return url, ""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_about: object, **_more: object) -> None:
        """Let the caller see where it would lead."""


def sign_in(
    client: PageClient, there: OpenIdProvider, name: str, *, onward: str = "", expect: int = 303
) -> Page:
    sent = client.get("/sign-in/sso", query={"next": onward} if onward else None, expect=303)
    return client.get(Elsewhere(there).sign_in(sent.location, name), expect=expect)


def test_a_person_comes_in_where_they_were_going_with_the_role_of_their_groups(
    configured: Flask,
    web: Session,
    visitor: PageClient,
    there: OpenIdProvider,
) -> None:
    user = make_user(web, "viewer", email="Ana@example.org", first_name="Ana", last_name="Example")
    web.commit()
    page = visitor.get("/sign-in", query={"next": "/people?q=a"})
    assert urlsplit(there.issuer).netloc in page.text
    link = next(a for a in page.select("main a") if a.get_text(strip=True) == "Sign in with single sign-on")
    sent = visitor.get(str(link["href"]), expect=303)
    assert sent.location.startswith(f"{there.issuer}/oauth/authorize?")
    back = Elsewhere(there).sign_in(sent.location, "ana")
    assert visitor.get(back, expect=303).location == "/people?q=a"
    assert "Ana Example" in visitor.get("/people").html
    fresh(web)
    assert web.get_one(User, user.id).role.kind == "admin"
    again = visitor.get(back, expect=400)
    assert "was used already" in again.text


def test_a_person_whom_nobody_added_is_told_so(
    configured: Flask,
    web: Session,
    visitor: PageClient,
    there: OpenIdProvider,
) -> None:
    page = sign_in(visitor, there, "cleo", expect=403)
    assert "Nobody here has the email cleo@example.org." in page.text
    visitor.get("/people", expect=303)


def test_an_email_that_the_provider_does_not_confirm_opens_nothing_until_it_is_trusted(
    configured: Flask,
    web: Session,
    visitor: PageClient,
    there: OpenIdProvider,
) -> None:
    user = make_user(web, email="bea@example.org")
    web.commit()
    assert "OIDC_TRUST_EMAIL" in sign_in(visitor, there, "bea", expect=403).text
    with with_settings(configured, oidc_trust_email=True):
        assert sign_in(visitor, there, "bea").location == "/"
    web.execute(update(User).where(User.id == user.id).values(is_active=False))
    web.commit()
    visitor.get("/", expect=303)
    assert "is deactivated here" in sign_in(visitor, there, "bea", expect=403).text


def test_a_wrong_client_secret_is_a_clear_page(
    configured: Flask,
    web: Session,
    visitor: PageClient,
    there: OpenIdProvider,
) -> None:
    with with_settings(configured, oidc_client_secret="not this one"):
        page = sign_in(visitor, there, "ana", expect=502)
    assert "(invalid_client)" in page.text
    assert "not this one" not in page.html
