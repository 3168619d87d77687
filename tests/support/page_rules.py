"""The rules of the house for a page, a fragment and their headers. `tests.support.page` applies them everywhere."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import html5lib
from bs4 import BeautifulSoup, Tag
from bs4.builder import HTML5TreeBuilder
from bs4.element import NavigableString, PageElement

from app.web.security import NO_STORE, SECURITY_HEADERS

PRODUCT = "Access Automation"
MAX_PAGE_BYTES = 60 * 1024

# Every htmx attribute that the console may use. Absent on purpose: hx-on and hx-vars need eval, hx-boost
# takes real navigation away, hx-confirm and hx-prompt ask in boxes that cannot be styled or described.
HX_ATTRIBUTES = frozenset(
    (
        "hx-get",
        "hx-post",
        "hx-target",
        "hx-swap",
        "hx-swap-oob",
        "hx-select",
        "hx-select-oob",
        "hx-trigger",
        "hx-include",
        "hx-indicator",
        "hx-sync",
        "hx-disabled-elt",
        "hx-ext",
        "hx-headers",
        "hx-vals",
        "hx-push-url",
        "hx-replace-url",
        "hx-disable",
        "hx-preserve",
        "hx-params",
        "hx-encoding",
        "hx-inherit",
        "hx-disinherit",
    )
)
_ID_LISTS = ("aria-labelledby", "aria-describedby", "aria-controls", "aria-owns", "aria-details", "headers")
_IDS = ("for", "form", "list", "commandfor", "popovertarget", "aria-activedescendant", "aria-errormessage")
_HX_SELECTORS = ("hx-target", "hx-include", "hx-indicator", "hx-disabled-elt")
_RUNNABLE = ("hx-vals", "hx-headers", "href", "action", "formaction")
_LOADED = ("src", "href", "action", "formaction", "hx-get", "hx-post")
_UNLABELLED_TYPES = ("hidden", "submit", "button", "reset", "image")

# What stands around a fragment where it is put; a list of rows or cells is only legal inside its table.
_FRAMES = {
    "<tr": ("<table data-frame><tbody>", "</tbody></table>"),
    "<td": ("<table data-frame><tbody><tr>", "</tr></tbody></table>"),
    "<th": ("<table data-frame><tbody><tr>", "</tr></tbody></table>"),
}
# fmt: off
_INLINE = frozenset((
    "a", "abbr", "b", "bdi", "code", "em", "i", "kbd", "label", "mark", "q",
    "s", "small", "span", "strong", "sub", "sup", "time", "u", "var",
))
# fmt: on
_UNSEEN = frozenset(("script", "style", "template"))


def lint_page(html: str) -> tuple[BeautifulSoup, list[str]]:
    """A whole page, parsed once as a browser would, and every rule that it breaks, in words."""
    soup, problems = _parse(html)
    problems += _common_problems(soup)
    size = len(html.encode())
    if size > MAX_PAGE_BYTES:
        problems.append(f"the page has {size} bytes, more than {MAX_PAGE_BYTES}")
    root = soup.find("html")
    if not isinstance(root, Tag) or not root.get("lang"):
        problems.append("<html> has no lang")
    heads = soup.find_all("h1")
    if len(heads) != 1:
        problems.append(f"{len(heads)} h1 elements, not one")
    problems += _title_problems(soup, text_of(heads[0]) if heads else "")
    problems += _heading_problems(soup)
    if len(soup.find_all("main")) != 1:
        problems.append("not exactly one <main>")
    problems += _reference_problems(soup)
    return soup, problems


def lint_fragment(html: str) -> tuple[BeautifulSoup, list[str]]:
    """A piece of a page in its place, and the rules that hold for it too."""
    before, after = _FRAMES.get(html.lstrip()[:3], ("", ""))
    soup, problems = _parse(
        html, f"<!doctype html><html><head></head><body>{before}", f"{after}</body></html>"
    )
    problems += _common_problems(soup)
    if re.search(r"<(html|body|main)\b", html, re.IGNORECASE):
        problems.append("a fragment holds a whole page")
    return soup, problems


def header_problems(headers: Any) -> list[str]:
    """Security headers that differ from what `app.web.security` promises, and a storable page."""
    problems = [
        f"header {name} is {headers.get(name)!r}"
        for name, value in SECURITY_HEADERS.items()
        if headers.get(name) != value
    ]
    if NO_STORE not in headers.get("Cache-Control", ""):
        problems.append(
            f"Cache-Control is {headers.get('Cache-Control')!r}, so Back may show it after sign-out"
        )
    if "HX-Request" not in headers.get("Vary", ""):
        problems.append("Vary does not name HX-Request, so a fragment may be shown as a page")
    return problems


class _Builder(HTML5TreeBuilder):
    """Beautiful Soup's, keeping what its parser objected to: one pass gives both."""

    def feed(self, markup: Any) -> None:
        parser = html5lib.HTMLParser(tree=self.create_treebuilder)
        assert self.underlying_builder is not None
        self.underlying_builder.parser = parser
        parser.parse(markup)
        self.underlying_builder.parser = None
        self.objections = parser.errors


def _parse(html: str, before: str = "", after: str = "") -> tuple[BeautifulSoup, list[str]]:
    """`html` between `before` and `after`, which have no line break, and where it is not HTML5."""
    builder = _Builder()
    soup = BeautifulSoup(before + html + after, builder=builder)
    lines = html.splitlines()
    found = []
    for (line, _column), code, details in builder.objections:
        shown = lines[line - 1].strip()[:80] if 0 < line <= len(lines) else ""
        found.append(
            f"HTML does not parse: {code} {dict(details) if details else ''} in line {line}: {shown}"
        )
    return soup, found


def _common_problems(soup: BeautifulSoup) -> list[str]:
    problems: list[str] = []
    ids = [str(element["id"]) for element in soup.select("[id]")]
    problems += [
        f"id {name!r} occurs {ids.count(name)} times" for name in sorted(set(ids)) if ids.count(name) > 1
    ]
    problems += [f"id {name!r} is empty or has a space" for name in ids if not name or re.search(r"\s", name)]
    for element in soup.find_all(True):
        problems += _element_problems(element)
    problems += _control_problems(soup)
    for form in soup.find_all("form"):
        problems += _form_problems(form)
    for table in soup.select("table:not([data-frame])"):
        name = table.get("id", "without id")
        if table.find("caption") is None or not text_of(table.find("caption")):
            problems.append(f"table {name} has no caption")
        problems += [
            f"table {name}: th {text_of(th)!r} has no scope"
            for th in table.find_all("th")
            if not th.get("scope")
        ]
    for chip in soup.select(".chip"):
        if not text_of(chip):
            problems.append("a chip has no words")
    return problems


def _element_problems(element: Tag) -> list[str]:
    problems = []
    name = element.name
    if name == "script" and not element.get("src"):
        problems.append("inline <script>")
    if name == "style":
        problems.append("inline <style>")
    if name == "img" and element.get("alt") is None:
        problems.append(f"<img src={element.get('src')!r}> has no alt")
    if name == "svg" and element.get("aria-hidden") != "true" and element.get("role") != "img":
        problems.append("<svg> is not aria-hidden")
    if name in ("a", "button") and not text_of(element) and not element.get("aria-label"):
        problems.append(f"<{name}> has no words: {str(element)[:80]}")
    for attribute, raw in element.attrs.items():
        problems += _attribute_problems(name, attribute, " ".join(raw) if isinstance(raw, list) else str(raw))
    return problems


def _attribute_problems(element: str, attribute: str, value: str) -> list[str]:
    problems = []
    if attribute == "style":
        problems.append(f"inline style on <{element}>")
    elif attribute.startswith("on"):
        problems.append(f"inline handler {attribute} on <{element}>")
    elif attribute.startswith(("hx-", "data-hx-")) and attribute not in HX_ATTRIBUTES:
        problems.append(f"{attribute} is not an allowed htmx attribute")
    elif attribute == "hx-trigger" and "[" in value:
        problems.append(f"hx-trigger has a filter, which needs eval: {value}")
    elif attribute in ("hx-swap", "hx-swap-oob") and "morph:{" in value.replace(" ", ""):
        problems.append(f"{attribute} configures morph inline, which needs eval")
    if attribute in _RUNNABLE and re.match(r"\s*(js|javascript):", value, re.IGNORECASE):
        problems.append(f"{attribute} runs script: {value[:40]}")
    if (
        attribute in _LOADED
        and element != "a"
        and re.match(r"\s*([a-z]+:)?//|\s*data:", value, re.IGNORECASE)
    ):
        problems.append(f"{attribute} of <{element}> leaves this host: {value[:60]}")
    return problems


def _control_problems(soup: BeautifulSoup) -> list[str]:
    problems = []
    labelled = {str(label["for"]) for label in soup.select("label[for]") if text_of(label)}
    for control in soup.select("input, select, textarea"):
        if control.name == "input" and str(control.get("type", "text")).lower() in _UNLABELLED_TYPES:
            continue
        named = (
            control.get("aria-label")
            or control.get("aria-labelledby")
            or control.get("id") in labelled
            or any(text_of(parent) for parent in control.find_parents("label"))
        )
        if not named:
            problems.append(f"<{control.name} name={control.get('name')!r}> has no label")
        if control.get("type") == "password" and control.get("value"):
            problems.append(f"password field {control.get('name')!r} is filled in")
    return problems


def _form_problems(form: Tag) -> list[str]:
    problems = []
    name = form.get("id") or form.get("action") or "without id"
    method = str(form.get("method", "get")).lower()
    if not form.get("action"):
        problems.append(f"form {name} has no action")
    if method not in ("get", "post"):
        problems.append(f"form {name} has the method {method!r}")
    tokens = form.select('input[type="hidden"][name="csrf_token"]')
    if method == "post" and (len(tokens) != 1 or not tokens[0].get("value")):
        problems.append(f"POST form {name} has no CSRF field")
    if method == "get" and tokens:
        problems.append(f"GET form {name} puts the CSRF token into the address")
    if form.find_parent("form") is not None:
        problems.append(f"form {name} is inside another form")
    return problems


def _title_problems(soup: BeautifulSoup, h1: str) -> list[str]:
    title = text_of(soup.head.title) if soup.head and soup.head.title else ""
    parts = title.removeprefix("Error: ").split(" · ")
    if len(parts) < 2 or not parts[0] or parts[-1] != PRODUCT:
        return [f"title {title!r} is not 'object · page · {PRODUCT}'"]
    if not h1.lower().startswith(parts[0].lower()):
        return [f"title {title!r} does not begin with the h1 {h1!r} or its object"]
    return []


def _heading_problems(soup: BeautifulSoup) -> list[str]:
    problems = []
    last = 0
    for heading in soup.find_all(re.compile(r"^h[1-6]$")):
        level = int(heading.name[1])
        # The alert that leads a refused form stands before the h1 only when a page puts it there.
        if level > last + 1 and last:
            problems.append(f"heading h{level} {text_of(heading)!r} follows h{last}")
        if not text_of(heading):
            problems.append(f"empty h{level}")
        last = level
    return problems


def _reference_problems(soup: BeautifulSoup) -> list[str]:
    ids = {str(element["id"]) for element in soup.select("[id]")}
    problems = []

    def missing(attribute: str, names: Iterable[str]) -> None:
        problems.extend(
            f"{attribute} names #{name}, which is not on the page" for name in names if name not in ids
        )

    for element in soup.find_all(True):
        for attribute in _ID_LISTS:
            raw = element.get(attribute)
            if raw is not None:
                missing(attribute, " ".join(raw).split() if isinstance(raw, list) else str(raw).split())
        for attribute in _IDS:
            if element.get(attribute) is not None:
                missing(attribute, [str(element[attribute])])
        for attribute in _HX_SELECTORS:
            missing(attribute, re.findall(r"#([\w-]+)", str(element.get(attribute, ""))))
        missing("hx-trigger", re.findall(r"from:#([\w-]+)", str(element.get("hx-trigger", ""))))
        href = str(element.get("href", "")) if element.name == "a" else ""
        if href.startswith("#") and len(href) > 1:
            missing("href", [href[1:]])
    return problems


def text_of(element: Tag | None) -> str:
    """The words of `element`, white space folded; a block separates words, an inline element does not."""
    return " ".join("".join(_pieces(element)).split()) if element is not None else ""


def _pieces(element: PageElement) -> Iterable[str]:
    if type(element) is NavigableString:
        yield str(element)
    elif isinstance(element, Tag) and element.name not in _UNSEEN:
        gap = "" if element.name in _INLINE else " "
        yield gap
        for child in element.children:
            yield from _pieces(child)
        yield gap
