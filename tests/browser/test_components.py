"""The components as a reader meets them: in both themes, narrow and wide, by keyboard, and without script."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.support.browser.gallery import create_gallery
from tests.support.browser.watched_page import (
    HEIGHT,
    WIDTHS,
    Watched,
    assert_accessible,
    assert_accessible_in_both_themes,
    assert_good_everywhere,
)

PAGES = ("/?flash=1", "/run", "/form", "/bare?anonymous=1", "/error/404", "/error/500")

Open = Callable[..., Watched]


@pytest.fixture(scope="module")
def base(serve: Callable[..., str]) -> str:
    return serve(create_gallery())


def test_every_page_is_accessible_and_its_targets_are_large_enough(open_page: Open, base: str) -> None:
    assert_good_everywhere(open_page(base), *PAGES)


@pytest.mark.parametrize("width", WIDTHS)
def test_what_opens_is_accessible(open_page: Open, base: str, width: int) -> None:
    watched = open_page(base, "/", width=width, motion="reduce")
    page = watched.page
    page.get_by_role("button", name="Ana Ruiz").click()
    assert_accessible_in_both_themes(page)
    page.get_by_role("button", name="Keyboard shortcuts").click()
    assert_accessible_in_both_themes(page)
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Grant access…").click()
    assert_accessible_in_both_themes(page)


def test_no_page_is_wider_than_the_window(open_page: Open, base: str) -> None:
    watched = open_page(base)
    for path in PAGES:
        watched.goto(path)
        for width in (320, 360, 768, 1024, 1280, 2200):
            watched.page.set_viewport_size({"width": width, "height": HEIGHT})
            assert watched.overflow() <= 0, (path, width)


def test_a_refused_form_keeps_what_was_typed_and_takes_the_focus(open_page: Open, base: str) -> None:
    page = open_page(base, "/form").page
    page.get_by_label("Name").fill("Jira of the north")
    page.get_by_label("Credential").fill("s3cret")
    page.get_by_role("button", name="Save changes").click()
    expect(page.locator("#errors")).to_be_focused()
    expect(page.get_by_label("Name")).to_have_value("Jira of the north")
    expect(page.get_by_label("Credential")).to_have_value("")
    assert "s3cret" not in page.content()
    assert_accessible(page)
    page.get_by_role("link", name="Start the Base URL with https://").click()
    expect(page.get_by_label("Base URL")).to_be_focused()


def test_a_refused_form_is_a_page_without_script(open_page: Open, base: str) -> None:
    page = open_page(base, "/form", script=False).page
    page.get_by_label("Name").fill("Jira of the north")
    page.get_by_role("button", name="Save changes").click()
    expect(page).to_have_title("Error: Edit connection · Jira Cloud · Access Automation")
    expect(page.get_by_label("Name")).to_have_value("Jira of the north")


@pytest.mark.parametrize("script", [True, False])
def test_the_dialog_opens_on_the_safe_button_and_gives_the_focus_back(
    open_page: Open, base: str, script: bool
) -> None:
    page = open_page(base, "/", script=script).page
    page.get_by_role("button", name="Grant access…").click()
    expect(page.get_by_role("button", name="Cancel")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("dialog#ask")).to_be_hidden()
    expect(page.get_by_role("button", name="Grant access…")).to_be_focused()


def test_an_answer_closes_the_dialog_says_so_and_leaves_a_toast(open_page: Open, base: str) -> None:
    page = open_page(base, "/").page
    page.get_by_role("button", name="Grant access…").click()
    page.locator("dialog#ask").get_by_role("button", name="Grant access").click()
    expect(page.locator("dialog#ask")).to_be_hidden()
    expect(page.locator("#announce")).to_have_text("Step 2 of 4 was submitted.")
    toast = page.locator("#toasts > .toast")
    expect(toast).to_contain_text("Submitted.")
    assert_accessible(page)
    toast.get_by_role("button", name="Dismiss").click()
    expect(toast).to_have_count(0)
    expect(page.locator("main")).to_be_focused()


def test_the_theme_is_a_plain_button_and_stays(open_page: Open, base: str) -> None:
    page = open_page(base, "/run", script=False).page
    page.get_by_role("button", name="Ana Ruiz").click()
    page.get_by_role("button", name="Dark").click()
    expect(page).to_have_url(base + "/run")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    expect(page.locator("html")).to_have_css("background-color", "rgb(15, 18, 22)")


def test_keys_search_list_and_go(open_page: Open, base: str) -> None:
    page = open_page(base, "/run").page
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.type("?g")
    expect(page.get_by_role("searchbox")).to_have_value("?g")
    page.get_by_role("heading", level=1).click()
    page.keyboard.press("?")
    expect(page.locator("dialog#keys")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("g")
    page.keyboard.press("h")
    expect(page).to_have_url(base + "/")


def test_keys_can_be_switched_off(open_page: Open, base: str) -> None:
    page = open_page(base, "/").page
    page.keyboard.press("?")
    page.get_by_role("button", name="Switch shortcuts off").click()
    expect(page.locator("body")).to_have_attribute("data-keys", "off")
    page.keyboard.press("?")
    page.keyboard.press("g")
    page.keyboard.press("r")
    expect(page.locator("dialog#keys")).to_be_hidden()
    expect(page).to_have_url(base + "/")


def test_an_unchanged_poll_leaves_what_the_reader_opened(open_page: Open, base: str) -> None:
    watched = open_page(base, "/run")
    page = watched.page
    page.locator("#req-1 summary").click()
    with page.expect_response("**/poll*"), page.expect_response("**/poll*"):
        expect(page.locator("#req-1")).to_have_attribute("open", "")
    expect(page.locator("#req-1")).to_have_attribute("open", "")
    assert watched.hits("/poll") >= 1


@pytest.mark.parametrize(("status", "banner"), [(503, "#stale"), (401, "#signed-out")])
def test_a_failing_poll_shows_a_banner_backs_off_and_recovers(
    open_page: Open, base: str, status: int, banner: str
) -> None:
    watched = open_page(base, "/run")
    page = watched.page
    page.route("**/poll*", lambda route: route.fulfill(status=status, body="<p>No</p>"))
    expect(page.locator(banner)).to_be_visible()
    expect(page.locator("#toasts")).to_be_empty()
    expect(page.locator("#timeline")).to_contain_text("Create the account")
    page.unroute("**/poll*")
    page.evaluate("htmx.trigger(document.body, 'wake')")
    expect(page.locator(banner)).to_be_hidden()


def test_an_action_without_an_answer_says_that_it_may_have_arrived(open_page: Open, base: str) -> None:
    page = open_page(base, "/", allow=("htmx:sendError", "htmx:afterRequest")).page
    page.route("**/act", lambda route: route.abort())
    page.get_by_role("button", name="Grant access…").click()
    page.locator("dialog#ask").get_by_role("button", name="Grant access").click()
    expect(page.locator("#toasts > .toast")).to_contain_text("check the current state before you try again")


def test_reduced_motion_stops_every_animation(open_page: Open, base: str) -> None:
    page = open_page(base, "/run", motion="reduce").page
    assert page.evaluate("document.getAnimations().length") == 0


def test_every_status_differs_by_shape_and_words(open_page: Open, base: str) -> None:
    page = open_page(base, "/").page
    chips = page.locator("#chips .row:first-of-type .chip")
    shapes = chips.evaluate_all(
        "all => all.map(chip => [chip.innerText.trim(), chip.querySelector('path').getAttribute('d')].join())"
    )
    assert len(shapes) == len(set(shapes)) == 8


def test_focus_is_visible_on_every_stop(open_page: Open, base: str) -> None:
    page = open_page(base, "/").page
    for _ in range(30):
        page.keyboard.press("Tab")
        width = page.evaluate("parseFloat(getComputedStyle(document.activeElement).outlineWidth)")
        assert width >= 2, page.evaluate("document.activeElement.outerHTML.slice(0, 120)")
