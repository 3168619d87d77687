"""Signing in as a reader meets it: by password and by an OpenID provider's word."""

from __future__ import annotations

from pathlib import Path

import pyotp
from flask import Flask
from playwright.sync_api import expect
from sqlalchemy.orm import Session

from app.clock import now
from tests.support.browser.console import PASSWORD, Open, add_person, open_as
from tests.support.browser.watched_page import assert_accessible, assert_good_everywhere
from tests.support.e2e.systems import canaille
from tests.support.settings import with_settings

PAGES = ("/sign-in", "/sign-in?next=/people", "/sign-in/nothing", "/sign-in/sso/callback?state=x")
SSO = {"oidc_issuer": "http://127.0.0.1:1", "oidc_client_id": "console", "oidc_client_secret": "x"}


def test_every_page_is_accessible_and_fits(open_page: Open, base: str, console: Flask) -> None:
    with with_settings(console, **SSO):
        assert_good_everywhere(open_page(base), *PAGES, "/sign-in/sso")


def test_what_was_typed_as_a_password_can_be_looked_at(open_page: Open, base: str) -> None:
    page = open_page(base, "/sign-in").page
    field, button = (
        page.get_by_label("Password"),
        page.get_by_role("button", name="Show password"),
    )
    field.fill("correct horse")
    for pressed, kind in (("true", "text"), ("false", "password")):
        button.press("Enter")
        expect(button).to_have_attribute("aria-pressed", pressed)
        expect(field).to_have_attribute("type", kind)
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("#errors")).to_be_focused()
    expect(button).to_be_visible()
    expect(field).to_have_value("")
    without = open_page(base, "/sign-in", script=False).page
    expect(without.get_by_role("button", name="Show password")).to_have_count(0)


def test_one_time_codes_are_set_up_and_used_by_keyboard(open_page: Open, base: str) -> None:
    watched = open_as(open_page, base, "bob", "/account", motion="reduce")
    page = watched.page
    page.get_by_role("link", name="Set up…").press("Enter")
    assert_accessible(page)
    page.get_by_label("Current password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(base + "/account/codes/scan")
    picture = page.get_by_role("img", name="QR code that holds the key below")
    expect(picture).to_be_visible()
    assert picture.evaluate("image => image.complete && image.naturalWidth") > 100
    assert_accessible(page)
    key = pyotp.TOTP(page.locator(".ref code").inner_text().replace(" ", ""))
    page.get_by_label("Code that the app shows").fill("000000")
    page.keyboard.press("Enter")
    expect(page.locator("#errors")).to_be_focused()
    assert_accessible(page)
    page.get_by_label("Code that the app shows").fill(key.at(now()))
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()
    recovery = page.locator("#recovery-codes code").all_inner_texts()
    assert_accessible(page)
    for path in ("/account", "/account/codes/recovery", "/account/codes/off"):
        watched.goto(path)
        assert_accessible(page)
    other = open_page(base, "/sign-in")
    other.page.get_by_label("Email").fill("bob@example.org")
    other.page.get_by_label("Password").fill(PASSWORD)
    other.page.keyboard.press("Enter")
    other.page.wait_for_url(base + "/sign-in/code")
    expect(other.page.get_by_label("One-time code")).to_be_focused()
    assert_accessible(other.page)
    other.page.keyboard.type(recovery[0])
    other.page.keyboard.press("Enter")
    other.page.wait_for_url(base + "/")
    expect(other.page.locator("#flashes")).to_contain_text("You have 9 left.")


def test_a_deep_link_is_reached_through_the_provider_and_back(
    open_page: Open, base: str, console: Flask, tmp_path: Path
) -> None:
    people = [{"user_name": "alice", "email": "alice@example.org", "verified": True}]
    back = f"{base}/sign-in/sso/callback"
    with (
        canaille(tmp_path, redirect_uris=[back], people=people, groups={}) as there,
        with_settings(console, **there.settings()),
    ):
        watched = open_page(base, "/people?q=alice")
        page = watched.page
        expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
        watched.assert_clean()
        page.get_by_role("link", name="Sign in with single sign-on").click()
        page.wait_for_url(there.issuer + "/**")
        page.locator("[name=login]").fill("alice")
        page.keyboard.press("Enter")
        page.locator("[name=password]").fill(there.person_password)
        page.keyboard.press("Enter")
        page.wait_for_url(f"{base}/people?q=alice")
        expect(page.get_by_role("heading", name="People")).to_be_visible()
        expect(page.locator("#people")).to_contain_text("alice@example.org")
        # Everything else was asked of the provider, whose pages answer for themselves.
        assert all(url.startswith(there.issuer) for url in watched.foreign)
        watched.foreign.clear()
        watched.messages.clear()
        watched.violations.clear()
        page.reload()
        watched.assert_clean()


def fill(session: Session) -> None:
    for name in ("alice", "bob"):
        add_person(session, name, "admin")
