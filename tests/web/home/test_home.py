"""Home: what needs the reader now, and nothing that they may not see."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from app.clock import now
from app.domain.states import FailureClass
from app.models import Grant, Role, Worker
from app.queries.left_behind import PATIENCE
from app.services import grants
from app.web import home as home_page
from app.web.system.queue_watch import KEY, Watch
from tests.support.factories import make_application, make_user, make_workflow
from tests.support.page import Page, PageClient
from tests.support.queries.stories import ALICE, Story, edge, failed, ok, refused, two_steps, with_person
from tests.support.web.readers import Reader, person, sign_in


@pytest.fixture(autouse=True)
def fresh_watch(only_sqlite: Flask) -> Iterator[None]:
    only_sqlite.extensions[KEY] = Watch()
    yield
    only_sqlite.extensions[KEY] = Watch()


def home(reader: Reader) -> Page:
    return reader.client.get("/")


def revoked(web: Session, **workflow: object) -> Story:
    """A story of a revoke, made `ago` minutes before now."""
    return Story(web, two_steps, trigger="access_revoked", **workflow)


def long_ago(web: Session, grant: Grant, **ago: float) -> None:
    """As if the grant had been revoked then; the trigger that forbids it is for people."""
    connection = web.connection().connection.driver_connection
    connection.execute("DROP TRIGGER IF EXISTS grants_revoked_once")
    grant.revoked_at = now() - timedelta(**ago)
    web.commit()


# Failures by cause


def test_failures_are_grouped_with_since_when_how_many_and_what_mends_them(
    alice: Reader, web: Session
) -> None:
    story = Story(web).answer(ok(200), refused(401))
    person_id = make_user(web)
    grants.grant(web, ALICE, application=story.application, user=person_id, now=story.at)
    web.commit()
    story.run = story.newest()
    story.answer(ok(200), refused(401))
    page = home(alice)
    [row] = page.table("failures")
    assert row["Cause"] == f"{story.application.name} · HTTP 401 Unauthorized"
    assert row["Step"] == f"Create the account {story.connection.name}"
    assert "ago" in row["Since"]
    assert (row["Runs"], row["People"]) == ("2", "2")
    mend, retry, runs = page.select("#failures td a.btn")
    assert mend["href"] == f"/connections/{story.connection.id}#credential"
    assert mend.text.startswith("Add credential")
    assert "2" in alice.client.get(str(retry["href"])).h1
    listed = alice.client.get(str(runs["href"]))
    assert len(listed.table("runs")) == 2


def test_every_group_leads_to_its_own_runs_and_no_others(alice: Reader, web: Session) -> None:
    Story(web).answer(ok(200), refused(401))
    Story(web).answer(ok(200), refused(404))
    Story(web).answer(refused(404))
    Story(web).answer(ok(200), failed(FailureClass.NETWORK))
    Story(web, with_person).take().fail("She left")
    Story(web, edge({"compensate": "undo"})).answer(refused(400), ok(204))
    page = home(alice)
    found = [str(link["href"]) for link in page.select("#failures th a")]
    assert len(set(found)) == 6
    seen = [alice.client.get(href).table("runs")[0]["Run"] for href in found]
    assert all(len(alice.client.get(href).table("runs")) == 1 for href in found)
    assert len(set(seen)) == 6


def test_a_mend_that_is_not_the_reader_s_says_what_it_needs(only_sqlite: Flask, web: Session) -> None:
    Story(web).answer(ok(200), refused(401))
    page = reader_who(only_sqlite, web, "workflow:read").get("/")
    assert "Needs workflow:secrets. Ask an administrator." in page.text
    assert page.select('#failures a[href^="/connections"]') == []


def test_more_causes_than_are_shown_are_counted(
    alice: Reader, web: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(home_page, "SHOWN_GROUPS", 1)
    Story(web).answer(refused(401))
    Story(web).answer(refused(401))
    page = home(alice)
    assert len(page.table("failures")) == 1
    assert "1 more cause" in page.text


# Access that should be gone


def test_a_revoke_that_failed_stands_above_everything_else(alice: Reader, web: Session) -> None:
    Story(web).answer(ok(200), refused(401))
    story = revoked(web).answer(refused(403))
    page = home(alice)
    assert page.texts("#home h2")[:2] == ["Access that should be gone", "Needs attention"]
    [row] = page.table("left")
    assert row["Person"] == story.person.name
    assert row["What became of it"] == f"Failed: run {story.run.id}"
    assert "ago" in row["Revoked"] or "just now" in row["Revoked"]


def test_a_revoke_that_waits_for_a_person_or_takes_too_long_is_told_and_a_fresh_one_is_not(
    alice: Reader, web: Session
) -> None:
    waits = Story(web, with_person, trigger="access_revoked").take()
    queued = revoked(web)
    told = {row["What became of it"] for row in home(alice).table("left")}
    assert told == {f"Waits for a person: run {waits.run.id}"}
    long_ago(web, queued.grant, seconds=PATIENCE.total_seconds() + 60)
    told = {row["What became of it"] for row in home(alice).table("left")}
    assert told == {f"Waits for a person: run {waits.run.id}", f"Still queued: run {queued.run.id}"}


def test_a_revoke_without_a_run_is_told_while_there_is_a_workflow_for_it(alice: Reader, web: Session) -> None:
    plain, disabled, chosen = (make_application(web) for _ in range(3))
    for application in (disabled, chosen):
        make_workflow(web, application, trigger="access_revoked", is_enabled=application is chosen)
    for application in (plain, disabled, chosen):
        grant = grants.grant(web, ALICE, application=application, user=make_user(web), now=now())
        grants.revoke(web, ALICE, grant, now=now(), record_only=application is chosen)
    web.commit()
    told = [(row["Application"], row["What became of it"]) for row in home(alice).table("left")]
    assert (disabled.name, "No run: the workflow is disabled") in told
    assert plain.name not in dict(told)


def test_who_holds_another_grant_is_rightly_still_in(alice: Reader, web: Session) -> None:
    application, user = make_application(web), make_user(web)
    make_workflow(web, application, trigger="access_revoked", is_enabled=False)
    grant = grants.grant(web, ALICE, application=application, user=user, now=now())
    grants.revoke(web, ALICE, grant, now=now())
    web.commit()
    assert len(home(alice).table("left")) == 1
    grants.grant(web, ALICE, application=application, user=user, now=now())
    web.commit()
    assert not home(alice).select("#left")


def test_a_revoke_that_succeeded_or_was_superseded_is_not_told(alice: Reader, web: Session) -> None:
    revoked(web).answer(ok(200), ok(204))
    assert not home(alice).select("#left")


def test_the_longest_waiting_comes_first_and_many_are_counted(
    alice: Reader, web: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(home_page, "SHOWN_LEFT_BEHIND", 2)
    stories = [revoked(web).answer(refused(403)) for _ in range(3)]
    long_ago(web, stories[2].grant, days=3)
    page = home(alice)
    told = [row["What became of it"] for row in page.table("left")]
    assert told == [f"Failed: run {stories[one].run.id}" for one in (2, 0)]
    assert "3 revoked grants have not been carried out" in page.text


# Tasks, what is under way, and the console itself


def test_tasks_for_the_reader_are_listed_oldest_first(alice: Reader, web: Session) -> None:
    stories = [Story(web, with_person).take() for _ in range(2)]
    page = home(alice)
    assert [link["href"] for link in page.select("#my-tasks th a")] == [
        f"/tasks/{one.task().id}" for one in stories
    ]


def test_what_is_under_way_is_told_with_the_oldest_age_and_the_workers(alice: Reader, web: Session) -> None:
    Story(web)
    Story(web).take()
    page = home(alice)
    assert "1 queued, the oldest for 3 min; 1 running." in page.text
    assert page.texts("#strip .chip") == ["No worker is online"]
    web.add(Worker(name="w1", started_at=now(), seen_at=now(), concurrency=32))
    web.commit()
    assert "1 worker online · 1 queued · oldest 3 min" in home(alice).texts("#strip")[0]


def test_when_nothing_needs_attention_it_says_how_much_went_well(alice: Reader, web: Session) -> None:
    Story(web).answer(ok(200), ok())
    old = Story(web).answer(ok(200), ok())
    old.run.created_at -= timedelta(days=2)
    web.commit()
    page = home(alice)
    assert "Nothing needs attention" in page.text
    assert "1 run succeeded in the last 24 hours." in page.text
    assert "No task waits for you." in page.text


def test_on_the_first_day_it_says_where_to_begin(alice: Reader) -> None:
    assert home(alice).follow("Add the first application").h1 == "Add application"


# Who sees what, and the poll


def reader_who(app: Flask, web: Session, *permissions: str) -> PageClient:
    member = web.query(Role).where(Role.kind == "member").one()
    member.permissions = list(permissions)
    return sign_in(app, person(app, web, "erin", "member")).client


def test_a_reader_sees_the_parts_that_are_theirs(only_sqlite: Flask, web: Session) -> None:
    revoked(web).answer(refused(403))
    client = reader_who(only_sqlite, web, "grant:read")
    page = client.get("/")
    assert page.texts("#home h2") == ["Access that should be gone", "Needs attention"]
    assert page.select("#troubled")
    assert page.select('a[href^="/runs/"]') == []
    web.query(Role).where(Role.kind == "member").one().permissions = ["workflow:task"]
    web.commit()
    assert client.get("/").texts("#home h2") == ["Waiting for you"]


def test_who_may_see_nothing_is_told_whom_to_ask(charlie: Reader) -> None:
    assert "your role gives you nothing to see yet" in home(charlie).text


def test_the_poll_answers_nothing_until_something_changes(alice: Reader, web: Session) -> None:
    story = Story(web).moved(now())
    address = str(home(alice).one("#home")["hx-get"])
    assert "every 15s" in str(home(alice).one("#home")["hx-trigger"])
    assert alice.client.fragment(address, expect=204).html == ""
    story.answer(ok(200), refused(401))
    part = alice.client.fragment(address)
    assert part.table("failures")
    assert part.one("#home")["hx-get"] != address


def test_it_takes_the_same_statements_whatever_there_is(
    alice: Reader, web: Session, statements: Callable[[Callable[[], object]], int]
) -> None:
    def tell() -> None:
        Story(web).answer(ok(200), refused(401))
        Story(web, with_person).take()
        revoked(web).answer(refused(403))
        Story(web)

    tell()
    home(alice)
    few = statements(lambda: alice.client.fragment("/home/live?v=0"))
    for _ in range(3):
        tell()
    assert statements(lambda: alice.client.fragment("/home/live?v=0")) == few <= 24
