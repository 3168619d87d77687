"""`make screenshots`: pictures of the main pages of a fresh demo console, taken by the project itself."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

from app.local.supervisor.stack import Stack

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "screenshots"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-headless-shell")
PASSWORD = "a password for pictures only"


def main() -> int:
    """Start a console, do the main job in the browser, and keep pictures of it."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with Stack.temporary(DEMO_DATA="1") as stack, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        page = browser.new_page(
            viewport={"width": 1200, "height": 800}, device_scale_factor=1, reduced_motion="reduce"
        )
        link = stack.flask("admin", "create", "alice@example.org").split()[-1]
        page.goto(link if link.startswith("http") else stack.url + link)
        for field in page.locator("input[type=password]").all():
            field.fill(PASSWORD)
        page.get_by_role("button", name="password").or_(page.locator("main form button")).last.click()
        expect(page.get_by_role("heading", name="Home")).to_be_visible()
        _grant(page, stack.url)
        browser.close()
    return 0


def _grant(page: Page, url: str) -> None:
    page.goto(f"{url}/applications")
    page.get_by_role("link", name="Demo directory").first.click()
    page.get_by_role("link", name="Grant access").or_(
        page.get_by_role("button", name="Grant access")
    ).first.click()
    page.get_by_label("Grace Hopper").check()
    page.get_by_role("button", name="Grant access", exact=True).last.click()
    expect(page.locator("table").get_by_text("Provisioned", exact=True).first).to_be_visible(timeout=20_000)
    page.screenshot(path=FOLDER / "access.png")
    page.locator("table").get_by_role("link", name="Provisioned").first.click()
    expect(page.get_by_role("heading", name="Timeline")).to_be_visible()
    page.screenshot(path=FOLDER / "run.png")
    page.emulate_media(color_scheme="dark", reduced_motion="reduce")
    page.screenshot(path=FOLDER / "run-dark.png")


if __name__ == "__main__":
    sys.exit(main())
