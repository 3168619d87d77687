"""The page-linting client: every page that any test opens is checked against the rules of the house.

    client = PageClient(app)
    page = client.get("/runs")                         # 200, HTML, linted
    page = page.follow("Run 42")                       # the link with that text
    done = page.form("retry").submit(expect=303)       # hidden fields and the CSRF token go along
    part = client.fragment("/runs/42/timeline?v=1")    # as htmx asks; the smaller set of rules

A broken rule raises `PageProblem` with every problem of the page, so that one run names them all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urljoin, urlsplit

from bs4 import BeautifulSoup, Tag
from flask import Flask
from werkzeug.test import TestResponse

from tests.support.page_rules import header_problems, lint_fragment, lint_page, text_of


class PageProblem(AssertionError):
    """A page broke rules of the house; the message lists all of them."""


class Page:
    """One answer. HTML ones are parsed and linted when they are made."""

    def __init__(
        self, client: PageClient, response: TestResponse, url: str, *, fragment: bool = False
    ) -> None:
        self.client = client
        self.response = response
        self.url = url
        self.status = response.status_code
        self.headers = response.headers
        self.html = response.get_data(as_text=True)
        self.is_html = response.mimetype == "text/html" and not 300 <= self.status < 400
        self.is_fragment = fragment
        self.soup = BeautifulSoup("", "html5lib")
        if self.is_html and self.html.strip():
            self.soup, problems = lint_fragment(self.html) if fragment else lint_page(self.html)
            problems += header_problems(self.headers)
            if problems:
                lines = "\n  ".join(problems)
                raise PageProblem(f"{url} ({self.status}) breaks {len(problems)} rules:\n  {lines}")

    @property
    def location(self) -> str:
        """Where the answer sends the reader, by redirect or by htmx; "" when it does not."""
        return self.headers.get("Location") or self.headers.get("HX-Redirect") or ""

    @property
    def title(self) -> str:
        return text_of(self.soup.title) if self.soup.title else ""

    @property
    def h1(self) -> str:
        return text_of(self.one("h1"))

    @property
    def text(self) -> str:
        """The words, white space folded: of a page its main part only, of a fragment all."""
        if not self.is_html:
            return self.html
        main = self.soup.select_one("main")
        return text_of(main if main is not None and not self.is_fragment else self.soup)

    def select(self, selector: str) -> list[Tag]:
        """Every element that matches the CSS selector."""
        return list(self.soup.select(selector))

    def select_one(self, selector: str) -> Tag | None:
        """The first element that matches, or None."""
        return self.soup.select_one(selector)

    def one(self, selector: str) -> Tag:
        """The one element that matches; none or several is a failure."""
        found = self.select(selector)
        assert len(found) == 1, f"{self.url}: {len(found)} elements match {selector!r}, not one"
        return found[0]

    def texts(self, selector: str) -> list[str]:
        """The words of every element that matches."""
        return [text_of(element) for element in self.select(selector)]

    def table(self, table_id: str) -> list[dict[str, str]]:
        """The rows of a table as the words under each heading."""
        heads = self.texts(f"#{table_id} thead th")
        return [
            dict(zip(heads, (text_of(cell) for cell in row.select("th, td")), strict=False))
            for row in self.select(f"#{table_id} tbody tr")
        ]

    def errors(self) -> dict[str, str]:
        """The messages beside refused fields, by the field's name."""
        found = {}
        for element in self.select('[aria-invalid="true"]'):
            about = str(element.get("aria-describedby", "")).split()
            words = [text_of(self.one(f"#{part}")) for part in about if part.endswith("-error")]
            found[str(element["name"])] = " ".join(words).removeprefix("Error:").strip()
        return found

    def form(self, form_id: str = "") -> Form:
        """The form with that id; without an id the only form of the main part."""
        return Form(self, self.one(f"form#{form_id}" if form_id else "main form"))

    def form_with(self, button: str) -> Form:
        """The one form that has a button with these words."""
        found = [
            form for form in self.select("form") if button in [text_of(b) for b in form.select("button")]
        ]
        assert len(found) == 1, f"{self.url}: {len(found)} forms have a button {button!r}, not one"
        return Form(self, found[0])

    def press(self, button: str, *, expect: int = 303, htmx: bool = False) -> Page:
        """Submit the one form that has this button, by this button."""
        return self.form_with(button).submit(button, expect=expect, htmx=htmx)

    def follow(self, text: str, *, expect: int = 200) -> Page:
        """Open the link with exactly these words. Several such links must lead to one address."""
        targets = {str(link["href"]) for link in self.select("a[href]") if text_of(link) == text}
        assert len(targets) == 1, f"{self.url}: links called {text!r} lead to {sorted(targets) or 'nowhere'}"
        return self.client.get(urljoin(self.url, targets.pop()), expect=expect)

    def open_dialog_page(self, button: str, *, expect: int = 200) -> Page:
        """Open the page with the same question as the dialog that this button opens."""
        targets = {str(b["data-page"]) for b in self.select("button[data-page]") if text_of(b) == button}
        assert len(targets) == 1, f"{self.url}: button {button!r} names {sorted(targets) or 'no page'}"
        return self.client.get(urljoin(self.url, targets.pop()), expect=expect)

    def follow_redirect(self, *, expect: int = 200) -> Page:
        """Open the page that this answer sends the reader to."""
        assert self.location, f"{self.url}: {self.status} leads nowhere"
        return self.client.get(urljoin(self.url, self.location), expect=expect)


class Form:
    """A form on a page: fill by name, then submit with everything a browser would send."""

    def __init__(self, page: Page, element: Tag) -> None:
        self.page = page
        self.element = element
        self.fields: dict[str, list[str]] = _initial(element)

    def __getitem__(self, name: str) -> str:
        """The present value of a field, as the page shows it."""
        return self.fields[name][0]

    def fill(self, values: Mapping[str, object] | None = None, **more: object) -> Form:
        """Set fields by name. True ticks a box, False clears it, a list sets several. A wrong name fails."""
        for name, value in {**(values or {}), **more}.items():
            controls = self.element.select(f'[name="{name}"]')
            assert controls, f"{self.page.url}: the form has no field {name!r}, it has {sorted(self.names())}"
            if value is False or value is None:
                self.fields.pop(name, None)
            elif value is True:
                self.fields[name] = [str(controls[0].get("value", "on"))]
            elif isinstance(value, (list, tuple, set)):
                self.fields[name] = [str(item) for item in value]
            else:
                self.fields[name] = [str(value)]
        return self

    def names(self) -> set[str]:
        """The names of every field that a person or the page may fill."""
        return {str(control["name"]) for control in self.element.select("[name]")}

    def submit(self, button: str = "", *, expect: int = 303, htmx: bool = False) -> Page:
        """Send it, by the button with these words if it has several. `htmx` sends it as htmx does."""
        data = {name: list(values) for name, values in self.fields.items()}
        url = str(self.element["action"])
        if button:
            found = [b for b in self.element.select("button") if text_of(b) == button]
            assert len(found) == 1, f"{self.page.url}: {len(found)} buttons {button!r} in the form, not one"
            assert found[0].get("aria-disabled") != "true", f"{self.page.url}: button {button!r} is disabled"
            if found[0].get("name"):
                data.setdefault(str(found[0]["name"]), []).append(str(found[0].get("value", "")))
            url = str(found[0].get("formaction", url))
        target = urljoin(self.page.url, url)
        if str(self.element.get("method", "get")).lower() == "get":
            return self.page.client.get(
                target, query=data, expect=expect if expect != 303 else 200, htmx=htmx
            )
        return self.page.client.post(target, data, expect=expect, htmx=htmx, csrf=False)


class PageClient:
    """Flask's test client with the rules in front of it. Remembers cookies and the last CSRF token it saw."""

    def __init__(self, app: Flask) -> None:
        self.flask = app.test_client()
        self.token = ""

    def get(
        self, url: str, *, expect: int = 200, htmx: bool = False, query: Any = None, headers: Any = None
    ) -> Page:
        """Open `url`; the status must be `expect`."""
        sent = {**({"HX-Request": "true"} if htmx else {}), **(headers or {})}
        return self._page(self.flask.get(url, query_string=query, headers=sent), url, expect, fragment=htmx)

    def fragment(self, url: str, *, expect: int = 200, query: Any = None) -> Page:
        """Open `url` as htmx does."""
        return self.get(url, expect=expect, htmx=True, query=query)

    def post(
        self,
        url: str,
        data: Mapping[str, object] | None = None,
        *,
        expect: int = 303,
        htmx: bool = False,
        csrf: bool = True,
        headers: Any = None,
    ) -> Page:
        """Send a form. With `csrf` the last token seen on a page is added unless `data` has one."""
        body = dict(data or {})
        if csrf and self.token:
            body.setdefault("csrf_token", self.token)
        sent = {**({"HX-Request": "true"} if htmx else {}), **(headers or {})}
        return self._page(self.flask.post(url, data=body, headers=sent), url, expect, fragment=htmx)

    def _page(self, response: TestResponse, url: str, expect: int, *, fragment: bool) -> Page:
        assert response.status_code == expect, (
            f"{url} answered {response.status_code}, not {expect}: {_summary(response)}"
        )
        # htmx may still be given a whole page, to select a part of it.
        whole = response.get_data(as_text=True).lstrip()[:15].lower().startswith("<!doctype")
        path = urlsplit(url)
        page = Page(self, response, path._replace(fragment="").geturl(), fragment=fragment and not whole)
        token = page.select_one('input[name="csrf_token"]')
        if token is not None:
            self.token = str(token.get("value", ""))
        return page


def _initial(form: Tag) -> dict[str, list[str]]:
    fields: dict[str, list[str]] = {}
    for control in form.select("input[name], select[name], textarea[name]"):
        name, kind = str(control["name"]), str(control.get("type", "text")).lower()
        if control.get("disabled") is not None or (
            control.name == "input" and kind in ("submit", "button", "image")
        ):
            continue
        if control.name == "input" and kind in ("checkbox", "radio"):
            if control.get("checked") is not None:
                fields.setdefault(name, []).append(str(control.get("value", "on")))
        elif control.name == "select":
            options = control.select("option[selected]") or control.select("option")[:1]
            fields.setdefault(name, []).extend(str(o.get("value", text_of(o))) for o in options)
        elif control.name == "textarea":
            fields.setdefault(name, []).append(control.get_text())
        else:
            fields.setdefault(name, []).append(str(control.get("value", "")))
    return fields


def _summary(response: TestResponse) -> str:
    if 300 <= response.status_code < 400:
        return f"to {response.headers.get('Location')}"
    return text_of(BeautifulSoup(response.get_data(as_text=True), "html5lib"))[:300]
