"""Many failed runs retried together, as pages: the choice, the question, the progress, and Stop."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from app.clock import now
from app.domain.runs.breaker import REFUSALS
from app.domain.states import FailureClass
from app.extensions import db
from app.models import BulkRetry, BulkRetryItem, ConnectionBreaker
from app.services import bulk_retries
from app.web.bulk_retries import job_page
from app.web.polling import watched
from tests.support.failed_runs import Outage
from tests.support.page import Page, PageClient
from tests.support.queries.stories import ALICE, Story, failed, ok, refused
from tests.support.web.readers import SignIn


@pytest.fixture
def outage(story_session: Session) -> Outage:
    return Outage(story_session, 3)


def asked(client: PageClient, outage: Outage) -> Page:
    return client.get(f"/bulk-retries/new?application={outage.application.id}")


def started(client: PageClient, outage: Outage) -> Page:
    return asked(client, outage).form("bulk-form").submit().follow_redirect()


def jobs(session: Session) -> list[BulkRetry]:
    session.rollback()
    return list(session.scalars(select(BulkRetry).order_by(BulkRetry.id)))


def outcomes(page: Page) -> list[str]:
    return [row["Outcome"] for row in page.table("items")]


# Choosing


def test_failed_runs_can_be_ticked_and_others_cannot(
    alice: PageClient, outage: Outage, story_session: Session
) -> None:
    Story(story_session).answer(ok(200), ok())
    page = alice.get("/runs")
    boxes = page.select('input[name="run"][form="selection"]')
    assert [one["value"] for one in boxes] == [str(one) for one in reversed(outage.ids)]
    assert page.form("selection").element["method"] == "get"
    question = alice.get(f"/bulk-retries/new?run={outage.ids[0]}&run={outage.ids[2]}")
    assert question.h1 == "Retry 2 failed runs"


def test_a_filtered_list_offers_all_that_match(alice: PageClient, outage: Outage) -> None:
    Outage(outage.session, 1)
    assert "Retry all" not in alice.get("/runs").text
    page = alice.get(f"/runs?application={outage.application.id}")
    question = page.follow("Retry all 3 failed runs that match…")
    assert question.h1 == "Retry 3 failed runs"
    assert question.form("bulk-form")["query"] == f"application={outage.application.id}"


def test_who_may_not_retry_is_offered_nothing(sign_in: SignIn, outage: Outage) -> None:
    bob = sign_in("Bob")
    assert not bob.get("/runs?status=failed").select("#selection")
    bob.get(f"/bulk-retries/new?run={outage.ids[0]}", expect=403)


@pytest.mark.parametrize("query", ["", "run=", "run=abc", "q=&status=", "page=2"])
def test_an_empty_choice_is_refused(alice: PageClient, outage: Outage, query: str) -> None:
    page = alice.get(f"/bulk-retries/new?{query}", expect=422)
    assert "Tick runs in the list, or narrow it by a filter first." in page.text
    assert not page.select("#bulk-form")
    alice.post("/bulk-retries", {"query": query, "name": "n", "reason": "r"}, expect=422)
    assert jobs(outage.session) == []


@pytest.mark.parametrize(
    ("query", "expect", "says"),
    [
        ("status=succeeded", 200, "No failed run matches"),
        ("q=nobody", 200, "No failed run matches"),
        ("run=99999999", 200, "No failed run matches"),
        ("class=nonsense", 422, "Choose one of the list."),
        ("run=" + "&run=".join(str(n) for n in range(1, 502)), 422, "At most 500 runs"),
    ],
)
def test_a_choice_that_leaves_nothing_says_so(
    alice: PageClient, outage: Outage, query: str, expect: int, says: str
) -> None:
    assert says in alice.get(f"/bulk-retries/new?{query}", expect=expect).text


# The question


def test_the_question_counts_by_cause_and_says_what_cannot_be_retried_and_why(
    alice: PageClient, outage: Outage
) -> None:
    other = Outage(outage.session, 2, refused(403))
    outage.session.execute(text("UPDATE runs SET outcome_unknown = 1 WHERE id = :id"), {"id": outage.ids[1]})
    outage.session.commit()
    page = alice.get("/bulk-retries/new?class=http_4xx")
    assert page.table("by-cause") == [
        {
            "Cause": f"HTTP {status}",
            "Step": "Create the account",
            "Application": name,
            "Runs": "2",
        }
        for status, name in (
            ("401 Unauthorized", outage.application.name),
            ("403 Forbidden", other.application.name),
        )
    ]
    assert "1: Needs confirmation. It is unknown whether" in page.text
    assert f"Run {outage.ids[0]} (Person 1), the oldest, goes first as a probe, and so does " in page.text
    assert page.form("bulk-form")["name"] == "4 failed runs"
    assert page.form("bulk-form")["reason"].startswith("Retry from console by person")
    page.form("bulk-form").submit()
    [bulk] = jobs(outage.session)
    assert (bulk.total, bulk.scope) == (5, "/runs?class=http_4xx")


def test_a_run_in_a_live_job_is_left_to_it(alice: PageClient, outage: Outage) -> None:
    outage.start()
    page = asked(alice, outage)
    assert "3: In another bulk retry. It is in bulk retry 1." in page.text
    assert not page.select("#bulk-form")


def test_the_question_warns_when_the_same_request_would_be_sent_again(
    alice: PageClient, outage: Outage
) -> None:
    assert "most likely fail again" not in asked(alice, outage).text
    outage.connection.config = outage.connection.config | {"auth": "none"}
    outage.session.commit()
    assert "Nothing has changed since the system refused this with HTTP 401" in asked(alice, outage).text


def test_name_and_reason_are_asked_for_and_what_was_typed_is_kept(alice: PageClient, outage: Outage) -> None:
    form = asked(alice, outage).form("bulk-form")
    token = form["token"]
    refused_page = form.fill(name="", reason="Key replaced").submit(expect=422)
    assert refused_page.title.startswith("Error:")
    assert refused_page.errors() == {"name": "Enter a name."}
    again = refused_page.form("bulk-form")
    assert (again["reason"], again["token"]) == ("Key replaced", token)
    again.fill(name="Outage").submit()
    assert [one.name for one in jobs(outage.session)] == ["Outage"]


def test_a_double_click_makes_one_job(alice: PageClient, outage: Outage) -> None:
    form = asked(alice, outage).form("bulk-form")
    first, second = form.submit(), form.submit()
    assert first.location == second.location
    assert len(jobs(outage.session)) == 1
    assert outage.session.scalar(select(func.count()).select_from(BulkRetryItem)) == 3


# Progress


def test_the_page_follows_the_job_to_its_end_and_then_rests(alice: PageClient, outage: Outage) -> None:
    page = started(alice, outage)
    [bulk] = jobs(outage.session)
    assert outcomes(page) == ["Waiting"] * 3
    assert "0 of 3 done: 3 waiting." in page.text
    poll = str(page.one("#progress")["hx-get"])
    assert alice.fragment(poll, expect=204).html == ""
    outage.go_on(bulk)
    part = alice.fragment(poll)
    assert outcomes(part) == ["Under way Probe", "Waiting", "Waiting"]
    assert part.one("#bulk-chip").get_text(strip=True) == "Probing"
    outage.until_over(bulk)
    over = alice.fragment(poll)
    assert "3 of 3 done: 3 succeeded." in over.text
    assert "hx-get" not in over.one("#progress").attrs
    assert not over.select("#stop")


def test_a_failed_probe_says_with_what_and_leads_to_its_run(alice: PageClient, outage: Outage) -> None:
    bulk = outage.until_over(outage.start(), refused())
    page = alice.get(f"/bulk-retries/{bulk.id}")
    assert "HTTP 401 Unauthorized again: nothing else was touched." in page.text
    assert outcomes(page) == [
        "Failed again Probe HTTP 401 Unauthorized.",
        f"Skipped The probe failed. Run {outage.ids[0]}, which had failed alike, failed again.",
        f"Skipped The probe failed. Run {outage.ids[0]}, which had failed alike, failed again.",
    ]
    assert page.one(f'a[href="/runs/{outage.ids[0]}#failed-step"]')
    page.follow("Retry what still fails…", expect=200)


def test_a_probe_whose_connection_is_parked_waits_and_says_so(
    alice: PageClient, story_session: Session
) -> None:
    outage = Outage(story_session, REFUSALS, parks_after=3)
    page = asked(alice, outage)
    assert "has refused the credential. Replace that first" in page.text
    assert not page.select("[name=unpark]"), "it would refuse it once more"
    bulk = outage.start()
    outage.go_on(bulk)
    assert outage.answer(ok()) == []
    assert outage.go_on(bulk) == 0
    first, *others = outcomes(alice.get(f"/bulk-retries/{bulk.id}"))
    assert first.startswith("Under way Probe Waits for its connection, which is parked.")
    assert others == ["Waiting"] * (REFUSALS - 1)


def test_a_parked_connection_can_be_let_go_on_from_the_question(
    alice: PageClient, story_session: Session
) -> None:
    down = failed(FailureClass.HTTP_5XX, http_status=503)
    outage = Outage(story_session, 5, down, parks_after=3)
    page = asked(alice, outage)
    assert f"No call goes to {outage.connection.name} until it is back" in page.text
    assert f"Let {outage.connection.name} go on now" in page.text
    page.form("bulk-form").fill(unpark=True).submit()
    story_session.rollback()
    breaker = story_session.get_one(ConnectionBreaker, outage.connection.id, populate_existing=True)
    assert breaker.state == "trial"


def test_runs_are_shown_a_page_at_a_time_and_by_outcome(
    alice: PageClient, outage: Outage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_page, "PAGE_SIZE", 2)
    bulk = outage.until_over(outage.start(), refused())
    page = alice.get(f"/bulk-retries/{bulk.id}")
    assert [row["Run"] for row in page.table("items")] == [str(one) for one in outage.ids[:2]]
    assert [row["Run"] for row in page.follow("Next").table("items")] == [str(outage.ids[2])]
    assert len(page.follow("Skipped 2").table("items")) == 2
    odd = alice.get(f"/bulk-retries/{bulk.id}?outcome=nonsense&page=abc")
    assert len(odd.table("items")) == 2


def test_a_live_job_without_a_sweeper_says_so(alice: PageClient, outage: Outage) -> None:
    assert "No sweeper is running." in started(alice, outage).text


def test_the_list_shows_every_job_with_its_outcome(alice: PageClient, outage: Outage) -> None:
    assert "No bulk retry yet" in alice.get("/bulk-retries").text
    bulk = outage.until_over(outage.start(), refused())
    [row] = alice.get("/runs").follow("Bulk retries").table("jobs")
    assert (row["Bulk retry"], row["Status"], row["What became of them"]) == (
        str(bulk.id),
        "Probe failed",
        "1 failed again, 2 skipped",
    )


# Stopping


def test_somebody_else_stops_the_job_and_both_are_told(sign_in: SignIn, outage: Outage) -> None:
    alice, other = sign_in("Alice"), sign_in("Alice")
    page = started(alice, outage)
    [bulk] = jobs(outage.session)
    outage.go_on(bulk)
    elsewhere = other.get(f"/bulk-retries/{bulk.id}")
    stopped = elsewhere.press("Stop").follow_redirect()
    assert outcomes(stopped) == [
        "Under way Probe",
        *["Skipped Stopped before its turn. Stopped by Alice."] * 2,
    ]
    late = page.press("Stop", expect=409)
    assert "Alice has stopped bulk retry" in late.text
    outage.until_over(bulk)
    assert bulk.status == "stopped"
    assert outage.statuses() == ["succeeded", "failed", "failed"]


def test_stop_answers_htmx_with_the_progress(alice: PageClient, outage: Outage) -> None:
    page = started(alice, outage)
    part = page.press("Stop", expect=200, htmx=True)
    assert part.headers["HX-Retarget"] == "#progress"
    assert "3 of 3 done: 3 skipped." in part.text


def test_bob_may_look_and_not_stop_and_charlie_sees_nothing(sign_in: SignIn, outage: Outage) -> None:
    bulk = outage.start()
    bob = sign_in("Bob")
    page = bob.get(f"/bulk-retries/{bulk.id}")
    assert page.one("#stop")["aria-disabled"] == "true"
    bob.post(f"/bulk-retries/{bulk.id}/stop", expect=403)
    for address in ("", f"/{bulk.id}", f"/{bulk.id}/progress"):
        sign_in("Charlie").get(f"/bulk-retries{address}", expect=403)


@pytest.mark.parametrize("address", ["9", "9/progress", "9999999999999999999"])
def test_a_job_that_does_not_exist_is_not_found(alice: PageClient, address: str) -> None:
    alice.get(f"/bulk-retries/{address}", expect=404)


def test_stopping_what_does_not_exist_is_not_found(alice: PageClient, outage: Outage) -> None:
    alice.get("/runs")
    alice.post("/bulk-retries/9/stop", expect=404)


# Bounded


def test_pages_take_as_many_statements_for_many_runs_as_for_few(
    alice: PageClient, story_session: Session, statements: Callable[[Callable[[], object]], int]
) -> None:
    def taken(outage: Outage) -> list[int]:
        bulk = outage.start()
        question = f"/bulk-retries/new?application={outage.application.id}"
        first = statements(lambda: alice.get(question))
        bulk_retries.stop(story_session, ALICE, bulk.id)
        story_session.commit()
        others = (
            question,
            f"/bulk-retries/{bulk.id}",
            "/bulk-retries",
            f"/runs?application={outage.application.id}",
        )
        return [first, *(statements(lambda address=address: alice.get(address)) for address in others)]

    few = taken(Outage(story_session, 2))
    assert taken(Outage(story_session, 12)) == few
    poll = f"/bulk-retries/2/progress?v={_version(alice)}"
    assert statements(lambda: alice.fragment(poll, expect=204)) <= 2  # who asks, and the job


def _version(client: PageClient) -> str:
    """What the page of job 2 would send if it still polled."""
    with client.flask.application.app_context():
        return job_page.job_poll(watched(db.session(), BulkRetry, 2), now()).version


def test_the_run_says_which_job_retried_it_and_leads_there(alice: PageClient, outage: Outage) -> None:
    bulk = outage.start()
    page = alice.get(f"/runs/{outage.ids[0]}")
    outage.go_on(bulk)
    late = page.press("Retry", expect=409)
    assert f"The bulk retry {bulk.id} retried this run" in late.text
    assert f"Retried by the bulk retry {bulk.id}." in late.text
    assert late.follow(f"Bulk retry {bulk.id}").h1.startswith(f"Bulk retry {bulk.id} ·")


def test_the_audit_page_names_the_job_and_leads_to_it(alice: PageClient, outage: Outage) -> None:
    started(alice, outage)
    page = alice.get("/audit?action=bulk_retry.start")
    assert "Started the bulk retry" in page.text
    assert page.select('a[href="/bulk-retries/1"]')
