"""The permission matrix: changed in words, confirmed, never beyond what the reader has."""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.models import AuditEvent, Role
from app.permissions import ADMIN_LEVEL, ALL_PERMISSIONS, AREAS, PERMISSIONS
from tests.support.page import Page
from tests.support.web.readers import Reader, fresh, person, sign_in


def stored(session: Session, kind: str) -> list[str]:
    fresh(session)
    return session.scalars(select(Role).where(Role.kind == kind)).one().permissions


def ticks(page: Page, kind: str) -> set[str]:
    return {str(box["value"]) for box in page.select(f'input[type="checkbox"][name="{kind}"][checked]')}


def manager(app: Flask, session: Session) -> Reader:
    """A member who may manage people, and little else."""
    session.scalars(select(Role).where(Role.kind == "member")).one().permissions = [
        "user:manage",
        "grant:read",
    ]
    return sign_in(app, person(app, session, "mia", "member"))


def test_changes_are_shown_in_words_and_then_saved(alice: Reader, web: Session) -> None:
    page = alice.client.get("/roles")
    assert ticks(page, "member") == {"grant:read"}
    assert "See workflows, connections, runs and tasks workflow:read" in page.text
    form = page.form("roles").fill(member=["workflow:read", "workflow:task"], viewer=["grant:read"])
    asked = form.submit(expect=200)
    assert asked.h1 == "Review changes"
    assert (
        "Everybody with the role Member will be able to: See workflows, connections, runs and tasks"
        in asked.text
    )
    assert "Everybody with the role Member will no longer be able to: See applications, people" in asked.text
    assert "Takes effect on each person’s next action" in asked.text
    assert stored(web, "member") == ["grant:read"]
    done = asked.press("Save changes")
    assert ticks(alice.client.get(done.location), "viewer") == {"grant:read"}
    assert stored(web, "member") == ["workflow:read", "workflow:task"]
    entry = web.scalars(
        select(AuditEvent).where(AuditEvent.action == "role.change").order_by(AuditEvent.id)
    ).first()
    assert entry is not None
    assert entry.changes == {"permissions": [["grant:read"], ["workflow:read", "workflow:task"]]}


def test_a_change_takes_effect_at_the_next_action(alice: Reader, charlie: Reader) -> None:
    charlie.client.get("/people", expect=403)
    form = alice.client.get("/roles").form("roles").fill(viewer=["grant:read"])
    form.submit(expect=200).press("Save changes")
    charlie.client.get("/people")


def test_handing_on_administrators_power_is_said(alice: Reader) -> None:
    page = alice.client.get("/roles")
    asked = page.form("roles").fill(viewer=["user:manage"]).submit(expect=200)
    assert "This hands on administrators’ power" in asked.text
    harmless = page.form("roles").fill(viewer=["grant:read"]).submit(expect=200)
    assert "administrators’ power" not in harmless.text


def test_going_back_keeps_what_was_ticked(alice: Reader, web: Session) -> None:
    asked = alice.client.get("/roles").form("roles").fill(member=[], viewer=["audit:read"]).submit(expect=200)
    page = asked.follow("Back, nothing saved")
    assert (ticks(page, "member"), ticks(page, "viewer")) == (set(), {"audit:read"})
    assert stored(web, "viewer") == []
    page.form("roles").submit(expect=200).press("Save changes")
    assert (stored(web, "member"), stored(web, "viewer")) == ([], ["audit:read"])


def test_nothing_changed_is_said(alice: Reader) -> None:
    same = alice.client.get("/roles").form("roles").submit()
    assert "Nothing was changed" in alice.client.get(same.location).text


def test_every_permission_stands_in_one_area_of_the_page() -> None:
    assert sorted(name for _, names in AREAS for name in names) == sorted(PERMISSIONS)
    assert ADMIN_LEVEL <= ALL_PERMISSIONS


def test_the_admin_column_is_locked_with_the_reason(alice: Reader, web: Session) -> None:
    page = alice.client.get("/roles")
    assert "Administrators always have every permission, so that nobody can be locked out" in page.text
    assert not page.select('input[name="admin"]')
    body = {"edited": "admin", "admin": ["grant:read"], "before_admin": []}
    alice.client.post("/roles/check", body, expect=409)
    alice.client.post("/roles", body, expect=409)
    assert stored(web, "admin") == []


def test_a_change_that_somebody_else_overtook_is_refused(alice: Reader, web: Session) -> None:
    asked = alice.client.get("/roles").form("roles").fill(viewer=["grant:read"]).submit(expect=200)
    web.scalars(select(Role).where(Role.kind == "viewer")).one().permissions = ["audit:read"]
    web.commit()
    refused = asked.form_with("Save changes").submit(expect=409)
    assert "Somebody else has changed the role Viewer meanwhile." in refused.text
    assert stored(web, "viewer") == ["audit:read"]


def test_nobody_changes_their_own_role_or_gives_what_they_lack(only_sqlite: Flask, web: Session) -> None:
    mia = manager(only_sqlite, web)
    page = mia.client.get("/roles")
    assert "This is your own role. Another administrator can change it." in page.text
    assert not page.select('input[type="checkbox"][name="member"]')
    assert {str(box["value"]) for box in page.select('input[type="checkbox"][name="viewer"]')} == {
        "user:manage",
        "grant:read",
    }
    assert "You lack this permission" in page.text
    for address in ("/roles/check", "/roles"):
        mia.client.post(address, {"edited": "viewer", "viewer": ["workflow:secrets"]}, expect=403)
        mia.client.post(
            address,
            {"edited": "member", "member": ["grant:read"], "before_member": ["user:manage", "grant:read"]},
            expect=409,
        )
    assert stored(web, "viewer") == []
    assert stored(web, "member") == ["user:manage", "grant:read"]


@pytest.mark.parametrize(
    "body",
    [
        {"edited": "viewer", "viewer": ["no:such"]},
        {"edited": "viewer", "viewer": ["\0"]},
        {"edited": "emperor"},
        {"edited": "viewer", "viewer": ["grant:read"] * 200},
    ],
)
def test_an_edited_form_is_refused_and_saves_nothing(
    alice: Reader, web: Session, body: dict[str, object]
) -> None:
    alice.client.get("/roles")
    page = alice.client.post("/roles/check", body, expect=422)
    assert page.select('[role="alert"]')
    alice.client.post("/roles", body, expect=422)
    assert stored(web, "viewer") == []


def test_a_form_without_columns_changes_nothing(alice: Reader, web: Session) -> None:
    alice.client.get("/roles")
    alice.client.post("/roles", {})
    assert stored(web, "member") == ["grant:read"]


@pytest.mark.parametrize("query", ["member=no:such", "viewer=%00", "admin=x", "member="])
def test_an_edited_address_only_changes_what_is_ticked(alice: Reader, query: str) -> None:
    alice.client.get(f"/roles?{query}", expect=200)


def test_bob_and_charlie_are_refused(bob: Reader, charlie: Reader) -> None:
    for reader in (bob, charlie):
        reader.client.get("/roles", expect=403)
        reader.client.post("/roles", {"edited": "viewer", "viewer": ["user:manage"]}, expect=403)


def test_checking_is_no_link(alice: Reader) -> None:
    alice.client.get("/roles/check", expect=405)
