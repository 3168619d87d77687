"""Each rule of the page client can fail, and the client fills and follows as a browser does."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask import Flask, request
from flask_wtf import CSRFProtect

from app.web import security
from tests.support.browser.gallery import create_gallery
from tests.support.page import PageClient, PageProblem
from tests.support.page_rules import header_problems, lint_fragment, lint_page, text_of

GOOD = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Run 42 · Runs · Access Automation</title></head>
<body><main><h1>Run 42 · Jane Doe</h1>{}</main></body></html>"""

POST = '<form method="post" action="/x"><input type="hidden" name="csrf_token" value="t">{}</form>'


def _page(body: str = "") -> list[str]:
    return lint_page(GOOD.format(body))[1]


def test_a_good_page_has_no_problems() -> None:
    assert _page('<h2>A</h2><h3>B</h3><p><a href="/">Home</a></p>') == []


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("<h1>Two</h1>", "2 h1 elements"),
        ("<h3>Deep</h3>", "heading h3 'Deep' follows h1"),
        ("<h2></h2>", "empty h2"),
        ('<p id="a"></p><p id="a"></p>', "id 'a' occurs 2 times"),
        ('<p id="a b"></p>', "is empty or has a space"),
        (POST.format('<input name="q">'), "<input name='q'> has no label"),
        (POST.format('<label for="q"></label><input id="q" name="q">'), "has no label"),
        (POST.format('<select name="s"><option>A</option></select>'), "<select name='s'> has no label"),
        (POST.format('<input type="password" aria-label="P" name="p" value="x">'), "is filled in"),
        ('<form method="get"></form>', "has no action"),
        ('<form method="dialog" action="/x"></form>', "has the method 'dialog'"),
        ('<form method="post" action="/x"></form>', "has no CSRF field"),
        (POST.format("").replace('value="t"', 'value=""'), "has no CSRF field"),
        (POST.format("").replace("post", "get"), "puts the CSRF token into the address"),
        ("<script>go()</script>", "inline <script>"),
        ("<style>p{}</style>", "inline <style>"),
        ('<p style="color:red">x</p>', "inline style on <p>"),
        ('<button onclick="go()">Go</button>', "inline handler onclick"),
        ('<p hx-on:click="go()">x</p>', "hx-on:click is not an allowed htmx attribute"),
        ('<p hx-gett="/x">x</p>', "hx-gett is not an allowed htmx attribute"),
        ('<p hx-confirm="Sure">x</p>', "hx-confirm is not an allowed htmx attribute"),
        ("<p hx-vals='js:{a: 1}'>x</p>", "hx-vals runs script"),
        ('<a href="javascript:go()">x</a>', "href runs script"),
        ('<p hx-trigger="every 2s [visible]">x</p>', "hx-trigger has a filter"),
        ('<p hx-swap="morph:{ignoreActive:true}">x</p>', "configures morph inline"),
        ('<p hx-target="#gone">x</p>', "hx-target names #gone"),
        ('<p hx-include="#gone, this">x</p>', "hx-include names #gone"),
        ('<p hx-trigger="input from:#gone">x</p>', "hx-trigger names #gone"),
        ('<p aria-describedby="gone">x</p>', "aria-describedby names #gone"),
        ('<p aria-labelledby="gone too">x</p>', "aria-labelledby names #too"),
        ('<label for="gone">x</label>', "for names #gone"),
        ('<button type="button" commandfor="gone">x</button>', "commandfor names #gone"),
        ('<a href="#gone">x</a>', "href names #gone"),
        ('<svg viewBox="0 0 1 1"></svg>', "<svg> is not aria-hidden"),
        ('<img src="/x.png">', "has no alt"),
        ('<img src="https://elsewhere.test/x.png" alt="">', "leaves this host"),
        ('<a href="/x"></a>', "<a> has no words"),
        ('<button type="button"><svg aria-hidden="true"></svg></button>', "<button> has no words"),
        ("<table><tbody><tr><td>1</td></tr></tbody></table>", "has no caption"),
        ("<table><caption>C</caption><tbody><tr><th>1</th></tr></tbody></table>", "th '1' has no scope"),
        ('<span class="chip"></span>', "a chip has no words"),
        ("<p><div>x</div></p>", "HTML does not parse"),
        ('<p class="a" class="b">x</p>', "duplicate-attribute"),
        ("<b><p>x</b></p>", "HTML does not parse"),
        ("<main></main>", "not exactly one <main>"),
        ("x" * 61_500, "more than 61440"),
    ],
)
def test_a_broken_rule_is_named(body: str, words: str) -> None:
    assert [problem for problem in _page(body) if words in problem], _page(body)


@pytest.mark.parametrize(
    "title",
    ["Runs", "Runs · Access Automation", "Run 42 · Runs", "Error: Runs · Access Automation", ""],
)
def test_a_title_begins_with_the_object_of_the_heading(title: str) -> None:
    html = GOOD.format("").replace("Run 42 · Runs · Access Automation", title)
    assert [problem for problem in lint_page(html)[1] if problem.startswith("title")]


def test_the_title_of_a_refused_form_begins_with_error() -> None:
    assert lint_page(GOOD.format("").replace("<title>", "<title>Error: "))[1] == []


def test_a_page_says_its_language() -> None:
    assert lint_page(GOOD.format("").replace(' lang="en"', ""))[1] == ["<html> has no lang"]


def test_a_page_without_doctype_does_not_parse() -> None:
    assert "HTML does not parse" in lint_page(GOOD.format("").replace("<!DOCTYPE html>\n", ""))[1][0]


def test_a_fragment_needs_no_heading_but_keeps_the_other_rules() -> None:
    assert lint_fragment('<section id="a"><h3>A</h3></section>')[1] == []
    assert lint_fragment('<tr id="r"><td>1</td></tr>')[1] == []
    assert "inline style on <p>" in lint_fragment('<p style="a">x</p>')[1]
    assert "a fragment holds a whole page" in lint_fragment("<main><p>x</p></main>")[1]


def test_headers_must_be_the_promised_ones() -> None:
    good = {**security.SECURITY_HEADERS, "Cache-Control": "no-store", "Vary": "HX-Request"}
    assert header_problems(good) == []
    for name in good:
        assert header_problems({**good, name: "other"}), name
    assert any("unsafe" in p for p in header_problems({**good, "Content-Security-Policy": "unsafe-inline"}))


def test_words_are_separated_by_blocks_and_not_by_inline_elements() -> None:
    soup, _ = lint_fragment("<ul><li>One</li><li>T<b>wo</b>.</li></ul><template>unseen</template>")
    assert text_of(soup) == "One Two."


@pytest.fixture
def client() -> PageClient:
    return PageClient(create_gallery())


@pytest.mark.parametrize("url", ["/", "/?flash=1", "/run", "/form", "/bare?anonymous=1", "/replay"])
def test_every_page_of_the_gallery_keeps_the_rules(client: PageClient, url: str) -> None:
    assert client.get(url).h1


@pytest.mark.parametrize("status", [400, 403, 404, 405, 409, 413, 422, 429, 500, 503])
def test_an_error_says_what_why_and_what_to_do_with_its_reference(client: PageClient, status: int) -> None:
    url = f"/error/{status}"
    for page in (client.get(url, expect=status), client.fragment(url, expect=status)):
        assert "7f3a9c20b1e84d55" in page.text
        assert page.text.count(".") >= 3


def test_a_form_is_filled_by_name_and_keeps_its_hidden_fields(client: PageClient) -> None:
    form = client.get("/form").form("conn-form")
    assert form["name"] == "Jira Cloud"
    assert form["body"].startswith("{\n")
    form.fill({"steps[0].path": "users"}, name="Jira <b>North</b>", retry=False, rights=[])
    page = form.submit(expect=422)
    assert page.title.startswith("Error: Edit connection")
    assert page.errors() == {
        "base_url": "Start the Base URL with https://",
        "steps[0].path": "Enter a path that begins with a slash",
    }
    again = page.form("conn-form")
    assert again["name"] == "Jira <b>North</b>"
    assert "retry" not in again.fields


def test_a_refused_form_comes_back_as_its_fragment_for_htmx(client: PageClient) -> None:
    form = client.get("/form").form("conn-form").fill(secret="s3cret")
    page = form.submit("Save changes", expect=422, htmx=True)
    assert page.is_fragment
    assert "s3cret" not in page.html
    assert page.one("[role=alert]")["autofocus"] == ""


def test_an_unknown_field_is_a_failure(client: PageClient) -> None:
    with pytest.raises(AssertionError, match="has no field 'nmae'"):
        client.get("/form").form("conn-form").fill(nmae="x")


def test_links_and_buttons_are_followed_by_their_words(client: PageClient) -> None:
    page = client.get("/")
    assert page.follow("1042").h1.startswith("Run 1042")
    assert page.open_dialog_page("Grant access…").h1 == "Start a fresh run"
    assert client.get("/run").press("Dark").follow_redirect().one("html")["data-theme"] == "dark"
    with pytest.raises(AssertionError, match="lead to nowhere"):
        page.follow("No such link")


def test_a_table_reads_as_rows(client: PageClient) -> None:
    rows = client.get("/").table("runs")
    assert rows[0]["Person"] == "Jane Doe"
    assert rows[1]["Status"] == "Running"


def test_a_post_carries_the_last_token(client: PageClient) -> None:
    client.get("/form")
    assert client.post("/preferences", {"theme": "dark", "next": "/run"}).location == "/run"
    client.post("/preferences", {"theme": "dark"}, csrf=False, expect=400)


def test_a_problem_names_the_address() -> None:
    app = Flask(__name__)
    CSRFProtect(app)
    security.init_app(app)

    @app.get("/broken")
    def broken() -> str:
        return GOOD.format('<p style="color:red">x</p>' + request.args.get("more", ""))

    with pytest.raises(PageProblem, match=r"/broken \(200\) breaks 1 rules:\n  inline style on <p>"):
        PageClient(app).get("/broken")


def test_no_template_uses_what_needs_eval_or_switches_escaping_off() -> None:
    root = Path(__file__).resolve().parents[1] / "app" / "templates"
    banned = ("|safe", "| safe", "hx-on", "js:", "morph:{", "autoescape false", "style=", "<style", "onclick")
    for template in root.rglob("*.html"):
        text = template.read_text(encoding="utf-8")
        for words in banned:
            assert words not in text, f"{template.relative_to(root)} has {words!r}"
