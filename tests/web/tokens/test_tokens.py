"""API tokens: shown once, never more rights than their maker has, taken back."""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.models import ApiToken, AuditEvent, Role
from tests.support.page import Page
from tests.support.web.readers import Reader, fresh, person, sign_in


@pytest.fixture
def keeper(only_sqlite: Flask, web: Session) -> Reader:
    """A member who may manage tokens and read access, and no more."""
    member = web.scalars(select(Role).where(Role.kind == "member")).one()
    member.permissions = ["settings:manage", "grant:read"]
    return sign_in(only_sqlite, person(only_sqlite, web, "kim", "member"))


def made(reader: Reader, **values: object) -> Page:
    form = reader.client.get("/tokens/new").form("token")
    return form.fill({"name": "HR sync", "permissions": ["grant:read"], **values}).submit(expect=200)


def secret_of(page: Page) -> str:
    return page.texts("main .ref code")[0]


def asks(app: Flask, secret: str) -> int:
    answer = app.test_client().get("/api/v1/users", headers={"Authorization": f"Bearer {secret}"})
    return answer.status_code


def test_a_token_is_shown_once_and_works_until_it_is_revoked(only_sqlite: Flask, alice: Reader) -> None:
    assert "No API tokens yet" in alice.client.get("/tokens").text
    page = made(alice)
    secret = secret_of(page)
    assert secret.startswith("aa_")
    assert page.url == "/tokens"
    assert "no-store" in page.response.headers["Cache-Control"]
    assert asks(only_sqlite, secret) == 200
    listed = alice.client.get("/tokens")
    assert secret not in listed.html
    row = listed.table("tokens")[0]
    assert (row["Name"], row["May"], row["Status"]) == ("HR sync", "grant:read", "Active")
    assert "Alice Example" in row["Created"]
    asked = listed.follow("Revoke… HR sync, token 1")
    assert "Every call with this token is refused at once, for ever." in asked.text
    after = alice.client.get(asked.press("Revoke token").location)
    assert "HR sync is revoked." in after.text
    assert asks(only_sqlite, secret) == 401
    assert "revoked already" in alice.client.get("/tokens/1/revoke").text


def test_the_secret_is_in_no_record(alice: Reader, web: Session) -> None:
    secret = secret_of(made(alice))
    entry = web.scalars(select(AuditEvent).where(AuditEvent.action == "token.create")).one()
    stored = web.scalars(select(ApiToken)).one()
    assert secret not in f"{entry.changes}{entry.subject}{stored.token_hash}"


def test_nobody_gives_what_they_lack(keeper: Reader, web: Session) -> None:
    page = keeper.client.get("/tokens/new")
    boxes = {str(box["value"]): box.get("disabled") is None for box in page.select('[name="permissions"]')}
    assert [name for name, offered in boxes.items() if offered] == ["grant:read", "settings:manage"]
    assert "You do not have this permission yourself, so you cannot give it." in page.text
    body = {"name": "More", "permissions": ["grant:read", "workflow:secrets"], "expires_at": ""}
    keeper.client.post("/tokens", body, expect=403)
    assert web.scalar(select(func.count(ApiToken.id))) == 0


def test_what_the_maker_loses_the_token_loses(only_sqlite: Flask, keeper: Reader, web: Session) -> None:
    secret = secret_of(made(keeper))
    assert asks(only_sqlite, secret) == 200
    web.scalars(select(Role).where(Role.kind == "member")).one().permissions = ["settings:manage"]
    web.commit()
    assert asks(only_sqlite, secret) == 403


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("name", "", "Enter a name."),
        ("name", "x" * 201, "Use at most 200 characters."),
        ("permissions", [], "Choose at least one permission."),
        ("expires_at", "2020-01-01T09:00", "The expiry must lie in the future."),
        ("expires_at", "soon", "Enter a date and time (UTC), such as 2026-11-30 09:00, or leave it empty."),
    ],
)
def test_a_refused_field_is_named_and_the_rest_stays(
    alice: Reader, web: Session, field: str, value: object, message: str
) -> None:
    values = {"name": "Kept", "permissions": ["audit:read"], "expires_at": "2090-01-01T09:00", field: value}
    page = alice.client.get("/tokens/new").form("token").fill(values).submit(expect=422)
    if field == "permissions":
        assert page.texts("#permissions-error") == [f"Error: {message}"]
    else:
        assert page.errors() == {field: message}
    form = page.form("token")
    assert form["name"] == (value if field == "name" else "Kept")
    assert form["expires_at"] == (value if field == "expires_at" else "2090-01-01T09:00")
    assert form.fields.get("permissions", []) == ([] if field == "permissions" else ["audit:read"])
    assert web.scalar(select(func.count(ApiToken.id))) == 0


def test_an_unknown_permission_is_refused(alice: Reader) -> None:
    alice.client.get("/tokens/new")
    page = alice.client.post("/tokens", {"name": "x", "permissions": ["no:such"]}, expect=422)
    assert "There is no permission “no:such”." in page.text


def test_a_token_may_end_or_not(alice: Reader, web: Session) -> None:
    made(alice, expires_at="2090-01-01T09:00")
    made(alice, expires_at="")
    rows = alice.client.get("/tokens").table("tokens")
    assert rows[0]["Expires"] == "Never"
    assert "1 Jan 2090, 09:00 UTC" in rows[1]["Expires"]


def test_it_pages(alice: Reader, web: Session) -> None:
    for number in range(30):
        made(alice, name=f"Token {number:02}")
    first = alice.client.get("/tokens")
    second = first.follow("Older")
    names = [row["Name"] for row in first.table("tokens") + second.table("tokens")]
    assert names == [f"Token {number:02}" for number in reversed(range(30))]


@pytest.mark.parametrize("name", ["<img hx-get=/x onerror=1>", "{{7*7}}", "🙂"])
def test_an_odd_name_is_shown_as_it_is(alice: Reader, name: str) -> None:
    assert made(alice, name=name).h1 == name
    assert alice.client.get("/tokens").table("tokens")[0]["Name"] == name
    assert alice.client.get("/tokens/1/revoke").h1 == f"Revoke {name}"


def test_bob_and_charlie_are_refused(alice: Reader, bob: Reader, charlie: Reader, web: Session) -> None:
    made(alice)
    for reader in (bob, charlie):
        assert "HR sync" not in reader.client.get("/tokens", expect=403).text
        reader.client.post("/tokens", {"name": "x", "permissions": ["grant:read"]}, expect=403)
        reader.client.post("/tokens/1/revoke", expect=403)
    fresh(web)
    assert web.scalars(select(ApiToken)).one().revoked_at is None


def test_an_unknown_token_is_not_found(alice: Reader) -> None:
    alice.client.get("/tokens")
    assert "There is no API token 77." in alice.client.get("/tokens/77/revoke", expect=404).text
    alice.client.post("/tokens/77/revoke", expect=404)


def test_a_refused_token_is_answered_to_htmx_as_to_a_browser(alice: Reader) -> None:
    form = alice.client.get("/tokens/new").form("token").fill({"name": "HR sync"})
    refused = form.submit(expect=422, htmx=True)
    assert "Choose at least one permission." in refused.text
    assert refused.form("token")["name"] == "HR sync"
