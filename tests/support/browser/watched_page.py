"""A page under watch, and what every page must satisfy: accessible, within its width and quiet."""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, ConsoleMessage, Page

THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
WIDTHS = (360, 1280)
HEIGHT = 800

_AXE = Axe()

# The browser, and htmx after it, report every 4xx and 5xx answer: a fact of the network, not of the page.
_NETWORK = ("Failed to load resource", "Response Status Error Code")
_AXE_RULES = {
    "runOnly": {
        "type": "tag",
        "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    },
    # Without this every element of the page travels here, with all that is right about it: four times as slow.
    "resultTypes": ["violations"],
}


class Watched:
    """A browser page that remembers what went wrong. `page` is Playwright's own."""

    def __init__(self, context: BrowserContext, base: str, *, allow: tuple[str, ...] = ()) -> None:
        self.context = context
        self.base = base
        self.allow = allow
        self.messages: list[str] = []
        self.violations: list[str] = []
        self.foreign: list[str] = []
        self.requests: list[str] = []
        self.page: Page = context.new_page()
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.messages.append(f"uncaught: {error}"))
        self.page.on("request", lambda request: self._request(request.url))

    def goto(self, path: str) -> None:
        """Open `path` on the same host."""
        self.page.goto(self.base + path)

    def hits(self, path: str) -> int:
        """How often an address that begins with `path` was asked for."""
        return sum(1 for url in self.requests if url.startswith(path))

    def assert_clean(self) -> None:
        """No console message, no violation of the content policy, nothing asked of another host."""
        assert not self.console_clean(), self.console_clean()
        assert not self.csp_violations(), self.csp_violations()
        assert not self.foreign, self.foreign

    # A page that was quicker than its own transition: the browser says so, and nothing is wrong.
    HARMLESS = ("Transition was aborted", "Transition was skipped")

    def console_clean(self) -> list[str]:
        """The errors and warnings that the test did not provoke."""
        return [
            m
            for m in self.messages
            if not any(piece in m for piece in (*_NETWORK, *self.HARMLESS, *self.allow))
        ]

    def csp_violations(self) -> list[str]:
        """What the content policy refused. Chromium reports each refusal to the console."""
        return self.violations

    def overflow(self) -> int:
        """By how many px the page is wider than the window."""
        return int(
            self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        )

    def small_targets(self) -> list[str]:
        """Links and buttons under 24 px that are not within a sentence (WCAG 2.5.8)."""
        return list(self.page.evaluate(_SMALL_TARGETS))

    def _console(self, message: ConsoleMessage) -> None:
        if "Content Security Policy" in message.text:
            self.violations.append(message.text)
        elif message.type in ("error", "warning"):
            self.messages.append(f"{message.type}: {message.text}")

    def _request(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.netloc == urlsplit(self.base).netloc:
            self.requests.append(parts.path)
        else:
            self.foreign.append(url)


def assert_good_everywhere(watched: Watched, *paths: str) -> None:
    """Open each path: in each theme and at each width axe finds nothing and all that is shown fits.

    Without a path, the page as it stands. A page is loaded once; only its window and the system's theme change.
    """
    for path in paths or (None,):
        if path is not None:
            watched.goto(path)
        for width in WIDTHS:
            watched.page.set_viewport_size({"width": width, "height": HEIGHT})
            where = f"{path or watched.page.url} at {width} px"
            assert watched.overflow() <= 0, where
            assert watched.small_targets() == [], where
            assert_accessible_in_both_themes(watched.page, where)


def assert_accessible_in_both_themes(page: Page, where: str = "") -> None:
    """The page as it stands, as a system that prefers light and one that prefers dark show it."""
    for theme in THEMES:
        page.emulate_media(color_scheme=theme, reduced_motion="reduce")
        assert_accessible(page, f"{where or page.url}, {theme}")


def assert_accessible(page: Page, where: str = "", *, within: str = "") -> None:
    """axe finds nothing: WCAG 2.2 AA and best practice. The message names rule, element and reason.

    `within` is what lies over the page, whose edge covers what stands below it by chance.
    """
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(_AXE.axe_script)
    found = page.evaluate("([place, rules]) => axe.run(place || document, rules)", [within, _AXE_RULES])[
        "violations"
    ]
    lines = [
        f"{violation['id']}: {node['target']} {node['failureSummary']}"
        for violation in found
        for node in violation["nodes"]
    ]
    assert not lines, "\n".join((where or page.url, *lines))


_SMALL_TARGETS = """() => [...document.querySelectorAll("a, button, input, select, summary")]
  .filter(el => el.checkVisibility() && !el.closest(".sr, .skip, p, li p, td, th, dd, .hint li"))
  .filter(el => !["checkbox", "radio"].includes(el.type))
  .map(el => [el, el.getBoundingClientRect()])
  .filter(([, box]) => box.right > 0 && (box.width < 24 || box.height < 24))
  .map(([el, box]) => `${el.outerHTML.slice(0, 90)} ${box.width}x${box.height}`)"""
