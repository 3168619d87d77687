"""The audit page: what it shows, its filters in the address, its pages, and the export."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.orm import Session

from app.permissions import ALL_PERMISSIONS, Actor
from app.services import audit
from app.web import audit as audit_page
from tests.support.factories import make_application
from tests.support.web.readers import Reader

ADA = Actor("user", "Ada Lovelace", ALL_PERMISSIONS, source="192.0.2.7")
SCRIPT = Actor("token", "nightly", ALL_PERMISSIONS, source="192.0.2.8")
DAY = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def note(web: Session, action: str = "grant.change", subject: str = "Grant 5", **more: Any) -> None:
    """An entry of Ada's, unless another actor is given."""
    actor = more.pop("actor", ADA)
    kind, number = more.pop("type", "grant"), more.pop("id", 5)
    audit.record(web, actor, action, audit.Subject(kind, number, subject), now=more.pop("at", DAY), **more)
    web.commit()


def listed(page) -> list[str]:  # type: ignore[no-untyped-def]
    return [row["Record"] for row in page.table("audit")]


def test_an_entry_shows_who_what_when_and_what_changed(alice: Reader, web: Session) -> None:
    note(
        web,
        reason="Ticket 42",
        changes={"expires_at": [None, "2026-04-01"], "is_critical": [False, True], "notes": [None, ""]},
    )
    [row] = alice.client.get("/audit?who=ada").table("audit")
    assert row["When"] == "1 Mar 2026, 12:00:00 UTC"
    assert row["Who"] == "Ada Lovelace"
    assert row["What"] == "Changed the grant"
    assert row["Record"].startswith("Grant 5")
    assert "expires at: – → 2026-04-01" in row["Changes"]
    assert "is critical: no → yes" in row["Changes"]
    assert "notes" not in row["Changes"]
    assert (row["Reason"], row["From"]) == ("Ticket 42", "192.0.2.7")


def test_a_record_with_a_page_is_a_link(alice: Reader, web: Session) -> None:
    application = make_application(web, name="Jira")
    note(web, "application.change", "Jira", type="application", id=application.id)
    page = alice.client.get("/audit?about=jira")
    assert page.one(f'#audit a[href="/applications/{application.id}"]')


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("who=lovelace", 2),
        ("who=alice@example.org", 1),
        ("who=nightly", 1),
        ("action=grant.create", 1),
        ("type=grant&id=6", 1),
        ("about=grant+6", 1),
        ("from=2026-03-02&to=2026-03-02", 1),
        ("to=2026-03-01", 2),
        ("who=%25", 0),
        ("action=none.such", 0),
    ],
)
def test_filters_are_in_the_address(alice: Reader, web: Session, query: str, count: int) -> None:
    note(web)
    note(web, "grant.create", "Grant 6", id=6)
    note(web, actor=SCRIPT, at=DAY + timedelta(days=1))
    page = alice.client.get(f"/audit?{query}")
    assert len(page.table("audit")) == count
    assert ("No entry matches these filters" in page.text) is (count == 0)


@pytest.mark.parametrize("query", ["from=yesterday", "to=2026-13-01", "from=9999-12-31"])
def test_a_day_that_is_none_is_named(alice: Reader, query: str) -> None:
    page = alice.client.get(f"/audit?{query}", expect=422)
    assert list(page.errors().values()) == ["Enter a day as 2026-11-22."]
    alice.client.get(f"/audit/export?{query}", expect=422)


def test_pages_neither_skip_nor_repeat(alice: Reader, web: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_page, "PAGE", 2)
    for number in range(5):
        note(web, subject=f"Grant {number}", id=number)
    page = alice.client.get("/audit?type=grant")
    seen = listed(page)
    for _ in range(2):
        page = page.follow("Older")
        seen += listed(page)
    assert [one.split("Grant ")[1][0] for one in seen] == ["4", "3", "2", "1", "0"]
    assert not page.select('a[rel="next"]')
    assert len(listed(page.follow("Newer"))) == 2


def test_the_actions_to_choose_from_are_those_that_were_recorded(alice: Reader, web: Session) -> None:
    note(web)
    note(web, "other.act")
    page = alice.client.get("/audit")
    assert [str(one["value"]) for one in page.select('select[name="action"] option')] == [
        "",
        "grant.change",
        "other.act",
        "session.start",
    ]


def test_the_export_has_the_columns_of_the_page_and_keeps_the_filters(alice: Reader, web: Session) -> None:
    note(web, reason="Ticket 42", changes={"notes": ["", "x"]})
    note(web, actor=SCRIPT)
    page = alice.client.get("/audit?who=ada")
    link = page.one('a[href^="/audit/export"]')
    answer = alice.client.get(str(link["href"]))
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert "attachment" in answer.headers["Content-Disposition"]
    rows = list(csv.reader(io.StringIO(answer.html)))
    assert rows == [
        ["When (UTC)", "Who", "What", "Record", "Changes", "Reason", "From"],
        [
            "2026-03-01 12:00:00",
            "Ada Lovelace",
            "Changed the grant",
            "Grant 5",
            "notes: – → x",
            "Ticket 42",
            "192.0.2.7",
        ],
    ]


@pytest.mark.parametrize("nasty", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "  =1", "＝1"])
def test_no_cell_of_the_export_is_a_formula(alice: Reader, web: Session, nasty: str) -> None:
    note(web, subject=nasty, reason=nasty, actor=Actor("user", nasty, ALL_PERMISSIONS))
    body = alice.client.get("/audit/export?type=grant").html
    [_heading, row] = csv.reader(io.StringIO(body, newline=""))
    for cell in (row[1], row[3], row[5]):
        assert cell == f"'{nasty}"


def test_a_long_trail_is_exported_whole(alice: Reader, web: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.queries.audit._EXPORTED_AT_ONCE", 3)
    for number in range(9):
        note(web, subject=f"Grant {number}")
    body = alice.client.get("/audit/export?type=grant").html
    assert [row[3] for row in csv.reader(io.StringIO(body))][1:] == [f"Grant {n}" for n in range(8, -1, -1)]


def test_names_stay_text(alice: Reader, web: Session) -> None:
    note(web, subject="<img hx-get=/x onerror=1>", changes={"<b>": ["{{7*7}}", "<script>"]})
    page = alice.client.get("/audit")
    assert "<img hx-get=/x onerror=1>" in page.text
    assert "{{7*7}} → <script>" in page.text


def test_only_readers_of_the_trail_see_it(bob: Reader, charlie: Reader) -> None:
    for reader in (bob, charlie):
        for path in ("/audit", "/audit/export"):
            assert "audit:read" in reader.client.get(path, expect=403).text
