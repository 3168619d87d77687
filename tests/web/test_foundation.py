"""What every page stands on: headers and caching, times, counts, paging, answers to htmx, theme, assets."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from flask import Flask, Response, json

from app.clock import now
from app.errors import FieldError
from app.web import htmx, page_context, preferences, security, template_filters
from app.web.forms import FormState
from app.web.paging import Cursor, PageLinks, links, page_of, read_cursor
from tests.support.browser.gallery import create_gallery
from tests.support.page import PageClient

AT = datetime(2026, 11, 22, 10, 4, 12, tzinfo=UTC)
HTMX = {"HX-Request": "true"}


@pytest.fixture
def app() -> Flask:
    return create_gallery()


@pytest.fixture
def client(app: Flask) -> PageClient:
    return PageClient(app)


def test_the_policy_is_the_decided_one() -> None:
    assert security.SECURITY_HEADERS["Content-Security-Policy"] == (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
    assert security.SECURITY_HEADERS["Referrer-Policy"] == "same-origin"


def test_a_hashed_file_is_kept_for_ever_and_any_other_is_asked_for_again(
    client: PageClient, app: Flask
) -> None:
    with app.test_request_context():
        address = page_context.asset("app.css")
    kept = {}
    for url in (address, "/static/app.css", "/static/gone.css?v=1"):
        with client.flask.get(url) as answer:
            kept[url] = answer.headers["Cache-Control"]
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert list(kept.values()) == ["public, max-age=31536000, immutable", "no-cache", "no-cache"]


def test_an_asset_that_is_not_there_is_an_error(app: Flask) -> None:
    with app.test_request_context(), pytest.raises(FileNotFoundError):
        page_context.asset("gone.css")


def test_static_files_keep_within_their_budget() -> None:
    static = Path(page_context.__file__).parents[1] / "static"
    assert (static / "app.css").stat().st_size <= 32 * 1024
    assert (static / "ui.js").stat().st_size <= 8 * 1024
    assert (static / "editor.js").stat().st_size <= 4 * 1024
    assert (static / "keys.js").stat().st_size <= 6 * 1024
    assert "data:" not in (static / "app.css").read_text().replace("no data: addresses", "")


@pytest.mark.parametrize(
    ("milliseconds", "words"),
    [
        (None, "–"),
        (0, "0 ms"),
        (184, "184 ms"),
        (999.4, "999 ms"),
        (999.6, "1.0 s"),
        (1400, "1.4 s"),
        (59_949, "59.9 s"),
        (59_950, "1 min"),
        (64_000, "1 min 4 s"),
        (3_600_000, "1 h"),
        (11_100_000, "3 h 5 min"),
        (86_400_000, "1 day"),
        (187_200_000, "2 days 4 h"),
        (-5, "0 ms"),
    ],
)
def test_a_duration_reads_in_its_two_largest_units(milliseconds: float | None, words: str) -> None:
    assert template_filters.duration(milliseconds) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "just now"),
        (8, "8 s ago"),
        (-8, "in 8 s"),
        (59, "59 s ago"),
        (60, "1 min ago"),
        (7199, "1 h ago"),
        (86_400, "1 day ago"),
        (-200_000, "in 2 days"),
    ],
)
def test_a_distance_reads_in_its_largest_unit(seconds: int, words: str) -> None:
    assert template_filters.distance(AT - timedelta(seconds=seconds), AT) == words


def test_a_time_is_shown_in_utc_with_its_zone() -> None:
    elsewhere = AT.astimezone(timezone(timedelta(hours=5)))
    assert template_filters.when(elsewhere, relative=False) == (
        '<time datetime="2026-11-22T10:04:12Z">22 Nov 2026, 10:04 UTC</time>'
    )
    assert "22 Nov 2026, 10:04:12 UTC" in template_filters.when(AT, seconds=True)
    assert template_filters.clock_time(elsewhere).endswith(">10:04:12 UTC</time>")
    assert "3 min ago" in template_filters.when(now() - timedelta(minutes=3))
    assert "3 min ago" in template_filters.ago(now() - timedelta(minutes=3))


def test_no_time_is_a_dash_and_a_time_without_zone_is_refused() -> None:
    assert {template_filters.when(None), template_filters.ago(None), template_filters.clock_time(None)} == {
        "–"
    }
    with pytest.raises(ValueError, match="without a zone"):
        template_filters.when(AT.replace(tzinfo=None))


def test_counts_agree_with_their_noun() -> None:
    assert [template_filters.plural(count, "run") for count in (0, 1, 2)] == ["0 runs", "1 run", "2 runs"]
    assert template_filters.plural(12_345, "person", "people") == "12\u202f345 people"


def test_an_input_name_becomes_an_id() -> None:
    assert template_filters.field_id("steps[1].path") == "steps-1-path"
    assert template_filters.field_id("reason", "ask") == "ask-reason"


def test_paging_neither_skips_nor_repeats_rows() -> None:
    everything = list(range(10, 0, -1))

    def read(cursor: Cursor) -> list[int]:
        if cursor.is_forward:
            return sorted(row for row in everything if row > int(cursor.after))[:5]
        return [row for row in everything if not cursor.before or row < int(cursor.before)][:5]

    def show(cursor: Cursor) -> tuple[list[int], PageLinks]:
        page = page_of(read(cursor), cursor, size=4, key=lambda row: row)
        return list(page.rows), links("/runs", [("status", "failed"), ("q", ""), ("before", "99")], page)

    first, ways = show(Cursor())
    assert first == [10, 9, 8, 7]
    assert ways == PageLinks(newer="", older="/runs?status=failed&before=7")
    second, ways = show(Cursor(before="7"))
    assert second == [6, 5, 4, 3]
    assert ways == PageLinks(newer="/runs?status=failed&after=6", older="/runs?status=failed&before=3")
    last, ways = show(Cursor(before="3"))
    assert last == [2, 1]
    assert ways.older == ""
    back, ways = show(Cursor(after="6"))
    assert back == [10, 9, 8, 7]
    assert ways.newer == ""


def test_a_cursor_past_the_end_leads_back_to_the_newest() -> None:
    page = page_of([], Cursor(before="1"), size=4, key=str)
    assert links("/runs", [], page) == PageLinks(newer="/runs")


def test_a_cursor_is_read_from_the_address() -> None:
    assert read_cursor({"before": " 7 ", "after": "9"}) == Cursor(before="7")
    assert read_cursor({"after": "9"}) == Cursor(after="9")
    assert read_cursor({}) == Cursor()


def test_a_form_shows_what_was_typed_with_its_message() -> None:
    form = FormState({"name": ["A", "B"]}, [FieldError("name", "Shorter"), FieldError("name", "Second")])
    assert (form.value("name"), list(form.chosen("name")), form.error("name")) == ("A", ["A", "B"], "Shorter")
    assert (form.value("other"), form.error("other")) == ("", "")
    stored = FormState.of({"on": True, "off": False, "none": None, "many": ["a", "b"], "number": 3})
    assert [stored.value(name) for name in ("on", "off", "none", "many", "number")] == ["1", "", "", "a", "3"]


@pytest.mark.parametrize(
    ("headers", "fragment"),
    [
        ({}, False),
        (HTMX, True),
        ({**HTMX, "HX-History-Restore-Request": "true"}, False),
        ({**HTMX, "HX-Boosted": "true"}, False),
    ],
)
def test_a_fragment_is_only_for_htmx_and_never_for_restoring_history(
    app: Flask, headers: dict[str, str], fragment: bool
) -> None:
    with app.test_request_context(headers=headers):
        assert htmx.is_fragment() is fragment


def test_after_a_post_the_reader_is_sent_on_with_or_without_script(app: Flask) -> None:
    with app.test_request_context():
        assert (htmx.see_other("/runs/7").status_code, htmx.see_other("/runs/7").location) == (303, "/runs/7")
    with app.test_request_context(headers={**HTMX, "HX-Current-URL": "http://host/runs/7?a=1"}):
        assert htmx.see_other("/runs/8#step").headers["HX-Redirect"] == "/runs/8#step"
        assert htmx.see_other("/runs/7?a=1#step").headers["HX-Redirect"] == "/runs/7?a=1"


def test_an_answer_carries_toast_announcement_and_events_together(app: Flask) -> None:
    with app.test_request_context(headers=HTMX):
        answer = htmx.toast(htmx.no_change(), "Šaved <b>", href="/runs/7", link="Run 7")
        htmx.announce(answer, "Step 2 is done.")
        htmx.close_dialog(answer, "#ask")
        htmx.trigger(answer, "saved", {"name": "Š"})
        htmx.retarget(answer, "#timeline")
    body = answer.get_data(as_text=True)
    assert answer.status_code == 200
    assert "Šaved &lt;b&gt;" in body
    assert 'id="announce"' in body
    assert json.loads(answer.headers["HX-Trigger"]) == {
        "dialog:close": {"dialog": "#ask"},
        "saved": {"name": "Š"},
    }
    assert answer.headers["HX-Trigger"].isascii()
    assert (answer.headers["HX-Retarget"], answer.headers["HX-Reswap"]) == ("#timeline", "morph:outerHTML")


def test_a_bad_toast_stays_until_it_is_dismissed(app: Flask) -> None:
    with app.test_request_context(headers=HTMX):
        assert b"data-leave" in htmx.toast(Response("x"), "Saved").data
        assert b"data-leave" not in htmx.toast(Response("x"), "Not saved", tone="bad").data


def test_navigation_shows_what_the_reader_may_open_and_marks_where_they_are() -> None:
    items = page_context.nav_items(lambda permission: permission == "workflow:read", {"runs": 3})
    assert [(item.id, item.count) for item in items] == [
        ("home", None),
        ("runs", 3),
        ("tasks", None),
        ("help", None),
    ]
    assert page_context.active_item("/runs/42", items) == "runs"
    assert page_context.active_item("/runsomething", items) == ""
    assert page_context.active_item("/", items) == "home"


def test_a_theme_that_does_not_exist_is_the_systems(client: PageClient) -> None:
    client.flask.set_cookie("theme", "neon")
    assert client.get("/run").one("html")["data-theme"] == "system"


def test_a_preference_that_does_not_exist_changes_nothing(client: PageClient) -> None:
    client.get("/form")
    assert "Set-Cookie" not in client.post("/preferences", {"theme": "neon", "next": "/"}).headers


@pytest.mark.parametrize(
    "target",
    [
        "//evil.test",
        "https://evil.test",
        "/\\evil.test",
        "/a\\b",
        "/\t/evil.test",
        "evil",
        "",
        "javascript:x",
    ],
)
def test_coming_back_stays_on_this_host(target: str) -> None:
    assert preferences.local_path(target) == "/"


def test_coming_back_keeps_the_filter() -> None:
    assert preferences.local_path("/runs?q=ana&status=failed#r") == "/runs?q=ana&status=failed#r"


def test_a_page_for_broken_storage_asks_nobody_who_is_reading(client: PageClient) -> None:
    assert client.get("/error/500", expect=500).select("nav") == []
    assert client.get("/error/404", expect=404).select("nav") != []
