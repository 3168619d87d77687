"""Finding runs: by application, person and cause, one after the other through the list, and as a file."""

from __future__ import annotations

import csv
import io

import pytest
from sqlalchemy.orm import Session

from app.domain.states import FailureClass
from app.services import recovery
from tests.support.factories import make_user
from tests.support.page import Page, PageClient
from tests.support.queries.stories import ALICE, Story, failed, ok, refused, with_person
from tests.support.web.readers import SignIn


def numbers(page: Page) -> list[str]:
    return [row["Run"] for row in page.table("runs")] if page.select("#runs") else []


def told(page: Page) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(page.html)))


def test_runs_are_found_by_application_person_cause_and_day(
    alice: PageClient, story_session: Session
) -> None:
    first, second = Story(story_session).answer(ok(200), refused(401)), Story(story_session)
    second.person.first_name = "Grace"
    story_session.commit()
    assert first.application.name in alice.get("/runs").one("#application").text
    for query in (
        f"application={first.application.id}",
        "person=jane",
        "class=http_4xx",
        "class=http_4xx&code=401&step=create",
        f"connection={first.connection.id}",
    ):
        assert numbers(alice.get(f"/runs?{query}")) == [str(first.run.id)], query
    for query in ("person=nobody", "code=403", "step=lookup", "connection=999", "to=2020-01-01"):
        assert numbers(alice.get(f"/runs?{query}")) == [], query
    assert numbers(alice.get(f"/runs?from={first.at:%Y-%m-%d}&person=grace")) == [str(second.run.id)]


def test_a_group_s_filters_from_a_link_are_named_and_can_be_removed(
    alice: PageClient, story_session: Session
) -> None:
    story = Story(story_session).answer(ok(200), refused(401))
    page = alice.get(f"/runs?connection={story.connection.id}&step=create&code=401")
    for words in (f"Connection: {story.connection.name}", "Failed at step: create", "Answered HTTP 401"):
        assert numbers(page.follow(f"{words}, remove this filter")) == [str(story.run.id)]
    assert page.form("filters")["code"] == "401"


def test_needs_attention_leaves_out_what_was_replaced(alice: PageClient, story_session: Session) -> None:
    replaced = Story(story_session).answer(ok(200), refused(401))
    recovery.replay(story_session, ALICE, replaced.run)
    story_session.commit()
    open_one = Story(story_session).answer(ok(200), refused(401))
    assert numbers(alice.get("/runs?status=attention")) == [str(open_one.run.id)]
    assert numbers(alice.get("/runs?status=failed")) == [str(open_one.run.id), str(replaced.run.id)]


def test_a_run_that_a_person_failed_is_found_by_that_cause(alice: PageClient, story_session: Session) -> None:
    mine = Story(story_session, with_person).take().fail("She left")
    Story(story_session).answer(ok(200), failed(FailureClass.NETWORK))
    assert numbers(alice.get("/runs?class=person")) == [str(mine.run.id)]


@pytest.mark.parametrize("query", ["code=99", "code=abc", "connection=x", "application=x"])
def test_what_names_no_record_and_no_status_is_refused(alice: PageClient, query: str) -> None:
    assert "These filters cannot be used" in alice.get(f"/runs?{query}", expect=422).text


def test_previous_and_next_follow_the_order_of_the_list(alice: PageClient, story_session: Session) -> None:
    runs = [Story(story_session).answer(ok(200), refused(401)).run for _ in range(3)]
    Story(story_session)
    oldest, middle, newest = (str(one.id) for one in runs)
    page = alice.get("/runs?status=failed").follow(middle)
    assert page.url == f"/runs/{middle}?from=status%3Dfailed"
    assert page.follow("Next run").h1.startswith(f"Run {oldest} ")
    up = page.follow("Previous run")
    assert up.h1.startswith(f"Run {newest} ")
    assert not up.select('a[rel="prev"]')
    assert up.follow("Next run").h1.startswith(f"Run {middle} ")
    assert up.one(".crumbs a")["href"] == "/runs?status=failed"


def test_a_run_that_has_left_the_list_still_leads_on(alice: PageClient, story_session: Session) -> None:
    stories = [Story(story_session).answer(ok(200), refused(401)) for _ in range(3)]
    stories[1].retry()
    page = alice.get(f"/runs/{stories[1].run.id}?from=status%3Dfailed")
    assert page.follow("Next run").h1.startswith(f"Run {stories[0].run.id} ")


@pytest.mark.parametrize("query", ["", "?from=status%3Dnonsense", "?from=%00%ff"])
def test_without_a_list_to_go_through_there_is_no_way_through_one(
    alice: PageClient, story_session: Session, query: str
) -> None:
    run = Story(story_session).run
    assert not alice.get(f"/runs/{run.id}{query}").select('a[rel="next"], a[rel="prev"]')


def test_the_list_is_had_as_a_file_with_its_filters(alice: PageClient, story_session: Session) -> None:
    story = Story(story_session).answer(ok(200), refused(404))
    run, name = story.run, story.application.name
    Story(story_session)
    page = alice.get("/runs?status=failed")
    file = alice.get(str(page.one('a[href^="/runs/export"]')["href"]))
    assert file.headers["Content-Disposition"].startswith('attachment; filename="runs-')
    [row] = told(file)
    assert (row["Run"], row["Person"], row["Status"]) == (str(run.id), "Jane Doe", "Failed")
    assert (row["Failed at"], row["With"]) == ("Create the account", "HTTP 404 Not Found")
    assert row["Application"] == name


def test_a_long_list_is_had_whole_and_in_order(
    alice: PageClient, story_session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.queries.runs.EXPORTED_AT_ONCE", 2)
    ids = [str(Story(story_session).run.id) for _ in range(5)]
    assert [row["Run"] for row in told(alice.get("/runs/export"))] == ids[::-1]


@pytest.mark.parametrize("nasty", ["=1+1", "+cmd", "-2", "@SUM(A1)", "\t=1"])
def test_no_cell_of_the_file_is_a_formula(alice: PageClient, story_session: Session, nasty: str) -> None:
    story = Story(story_session)
    story.person.first_name, story.person.last_name = nasty, ""
    story.application.name = nasty
    story_session.commit()
    [row] = told(alice.get("/runs/export"))
    assert row["Person"].startswith("'")
    assert row["Application"].startswith("'")


def test_the_file_asks_for_the_same_permission_and_refuses_the_same_filters(
    sign_in: SignIn, story_session: Session
) -> None:
    make_user(story_session)
    sign_in("Charlie").get("/runs/export", expect=403)
    sign_in("Bob").get("/runs/export?status=nonsense", expect=422)
