"""The runs list: its rows, its filters in the address, its pages and its three kinds of nothing."""

from __future__ import annotations

import pytest
from sqlalchemy.orm import Session

from app.web.runs import views
from tests.support.page import PageClient
from tests.support.queries.stories import STATES, Story, ok, refused, with_person


def rows(page) -> list[str]:
    return [row["Run"] for row in page.table("runs")]


def test_every_state_has_its_row(alice: PageClient, story_session: Session) -> None:
    labels = [(str(state.tell(story_session).run.id), state.label) for state in STATES.values()]
    page = alice.get("/runs")
    shown = {row["Run"]: row["Status"] for row in page.table("runs")}
    assert list(shown) == [number for number, _ in reversed(labels)]
    for number, label in labels:
        assert shown[number].startswith(label)


def test_a_failed_run_names_step_and_status_and_leads_there(
    alice: PageClient, story_session: Session
) -> None:
    run = Story(story_session).answer(ok(200), refused(404)).run
    [row] = alice.get("/runs").table("runs")
    assert row["Status"] == f"Failed Create the account: HTTP 404 Not Found, run {run.id}"
    assert alice.get("/runs").one(f'a[href="/runs/{run.id}?from=#failed-step"]')


def test_filters_stand_in_the_address_and_in_the_form(alice: PageClient, story_session: Session) -> None:
    failed, waiting = Story(story_session).answer(refused()), Story(story_session, with_person).take()
    page = alice.get("/runs?status=attention&q=jane")
    assert rows(page) == [str(failed.run.id)]
    assert page.form("filters")["q"] == "jane"
    assert page.form("filters")["status"] == "attention"
    waits = page.form("filters").fill(status="waiting_manual").submit()
    assert rows(waits) == [str(waiting.run.id)]
    assert rows(alice.get(f"/runs?q=run-{waiting.run.id}&status=waiting_manual")) == [str(waiting.run.id)]


def test_htmx_is_given_the_tidied_address(alice: PageClient, story_session: Session) -> None:
    Story(story_session)
    typed = alice.get("/runs?status=&q=jane&from=", htmx=True, headers={"HX-Trigger-Name": "q"})
    assert typed.headers["HX-Replace-Url"] == "/runs?q=jane"
    chosen = alice.get("/runs?status=queued&q=", htmx=True, headers={"HX-Trigger-Name": "status"})
    assert chosen.headers["HX-Push-Url"] == "/runs?status=queued"
    assert chosen.one("#rows")


def test_a_filter_that_came_by_a_link_can_be_removed(alice: PageClient, story_session: Session) -> None:
    first, second = Story(story_session), Story(story_session)
    page = alice.get(f"/runs?workflow={first.workflow.id}&status=queued")
    assert rows(page) == [str(first.run.id)]
    label = f"Workflow: {first.workflow.name}, remove this filter"
    assert rows(page.follow(label)) == [str(second.run.id), str(first.run.id)]
    assert rows(alice.get(f"/runs?workflow={second.workflow.id}&grant={second.grant.id}")) == [
        str(second.run.id)
    ]


def test_pages_follow_each_other_and_keep_the_filter(
    alice: PageClient, story_session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "PAGE_SIZE", 2)
    ids = [str(Story(story_session).run.id) for _ in range(5)][::-1]
    newest = alice.get("/runs?status=queued")
    older = newest.follow("Older")
    oldest = older.follow("Older")
    assert [rows(page) for page in (newest, older, oldest)] == [ids[:2], ids[2:4], ids[4:]]
    assert rows(oldest.follow("Newer")) == ids[2:4]
    assert "status=queued" in older.url
    assert not oldest.select('a[rel="next"]')


def test_three_kinds_of_nothing(alice: PageClient, story_session: Session) -> None:
    assert "No run yet" in alice.get("/runs").text
    Story(story_session)
    assert "No run matches these filters" in alice.get("/runs?status=failed").text
    assert "These filters cannot be used" in alice.get("/runs?status=nonsense", expect=422).text


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("status=nonsense", "status"),
        ("trigger=x", "trigger"),
        ("class=x", "class"),
        ("from=yesterday", "from"),
        ("to=2026-13-01", "to"),
    ],
)
def test_a_filter_that_cannot_be_read_is_named_and_kept(alice: PageClient, query: str, field: str) -> None:
    page = alice.get(f"/runs?{query}", expect=422)
    assert set(page.errors()) == {field}
    assert page.title.startswith("Error:")


@pytest.mark.parametrize(
    "query",
    [
        "q=%00%ff%27%22",
        "q=" + "9" * 400,
        "q=%25_%5C",
        "before=abc",
        "after=-1",
        "before=" + "9" * 30,
        "to=9998-12-31",
        "from=0001-01-01",
        "unknown=1",
    ],
)
def test_odd_input_is_answered_with_a_page(alice: PageClient, story_session: Session, query: str) -> None:
    Story(story_session)
    assert alice.get(f"/runs?{query}").h1 == "Runs"


@pytest.mark.parametrize("name", ["application", "grant", "workflow"])
@pytest.mark.parametrize("value", ["abc", "-1", "9" * 30, "٣"])
def test_a_record_that_no_number_names_is_refused(alice: PageClient, name: str, value: str) -> None:
    page = alice.get(f"/runs?{name}={value}", expect=422)
    assert "Enter a number." in page.text


def test_a_record_that_does_not_exist_has_no_runs(alice: PageClient, story_session: Session) -> None:
    Story(story_session)
    page = alice.get("/runs?application=9999")
    assert "Application 9999, which does not exist" in page.text
    assert "No run matches these filters" in page.text
