"""Retry: one click, one new attempt, whoever and however many press it."""

from __future__ import annotations

import threading

import pytest
from flask import Flask
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.domain.states import FailureClass
from app.models import RunEvent
from tests.support.factories import http_step
from tests.support.page import PageClient
from tests.support.queries.stories import Story, failed, ok, refused
from tests.support.web.readers import SignIn


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def pages(request: pytest.FixtureRequest) -> Flask:
    """Races are decided differently by each database, so these run on both.

    Not by the fixture `app`: while that is in use, one context lies under all requests and keeps who signed in.
    """
    app, database = request.getfixturevalue(f"{request.param}_app")
    database.reset(app)
    return app


@pytest.fixture
def broken(story_session: Session) -> Story:
    return Story(story_session).answer(ok(200), refused())


@pytest.fixture
def unknown(story_session: Session) -> Story:
    return Story(story_session).answer(ok(200), failed(FailureClass.TIMEOUT, lost=True))


def test_retry_continues_the_run_and_says_so(alice: PageClient, broken: Story) -> None:
    page = alice.get(f"/runs/{broken.run.id}")
    after = page.press("Retry").client.get(f"/runs/{broken.run.id}")
    assert after.texts("#run-chip") == ["Running"]
    assert f"Run {broken.run.id} continues at the failed step." in after.text
    assert "Retried by Alice." in after.text
    assert "No worker is online" in after.text


def test_by_htmx_the_timeline_comes_back_polling(alice: PageClient, broken: Story) -> None:
    part = alice.get(f"/runs/{broken.run.id}").press("Retry", expect=200, htmx=True)
    assert "data-poll" in part.one("#timeline").attrs
    assert part.one("#run-chip").text.strip() == "Running"
    assert "continues at the failed step" in part.one(".toast").text


def test_the_second_click_is_told_who_was_first(alice: PageClient, sign_in: SignIn, broken: Story) -> None:
    mine, theirs = alice.get(f"/runs/{broken.run.id}"), sign_in("Alice").get(f"/runs/{broken.run.id}")
    mine.press("Retry", expect=200, htmx=True)
    late = theirs.press("Retry", expect=409, htmx=True)
    assert late.headers["HX-Retarget"] == "#timeline"
    assert late.headers["HX-Reswap"] == "morph:outerHTML"
    assert "Alice retried this run" in late.one(".toast").text
    assert "data-poll" in late.one("#timeline").attrs
    plain = theirs.press("Retry", expect=409)
    assert "Alice retried this run" in plain.text
    assert plain.h1.startswith(f"Run {broken.run.id}")


def test_of_two_people_at_once_one_retries_and_the_other_is_told(
    sign_in: SignIn, broken: Story, story_session: Session
) -> None:
    pages = [sign_in("Alice").get(f"/runs/{broken.run.id}") for _ in range(2)]
    start, answers = threading.Barrier(2), []

    def press(page) -> None:
        form = page.form_with("Retry")
        start.wait()
        sent = page.client.flask.post(str(form.element["action"]), data=form.fields)
        answers.append(sent.status_code)

    threads = [threading.Thread(target=press, args=(page,)) for page in pages]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [303, 409]
    story_session.rollback()
    retried = select(func.count()).select_from(RunEvent).where(RunEvent.kind == "retried")
    assert story_session.scalar(retried) == 1


def test_an_unknown_outcome_asks_first(alice: PageClient, unknown: Story) -> None:
    page = alice.get(f"/runs/{unknown.run.id}")
    assert page.select('#run-actions button[commandfor="retry-run"]')
    question = page.open_dialog_page("Retry…")
    assert "may have taken effect" in question.text
    refused_page = question.form("retry-form").submit(expect=422)
    assert "confirm_unknown" in refused_page.errors()
    assert refused_page.title.startswith("Error: Retry run")
    done = refused_page.form("retry-form").fill(confirm_unknown=True).submit()
    assert done.location == f"/runs/{unknown.run.id}"


def test_a_create_that_was_answered_asks_first_and_advises_no_dead_end(
    alice: PageClient, story_session: Session
) -> None:
    create = Story(story_session, lambda c: [http_step("create", c)])
    create.answer(failed(FailureClass.MAPPING, http_status=201))
    page = alice.get(f"/runs/{create.run.id}")
    assert "type what is missing as It was done" in page.one("#failed-step").text
    assert "use Replay" not in page.text
    question = page.open_dialog_page("Retry…")
    assert "was carried out" in question.text
    assert "may have taken effect" not in question.text
    refused_page = question.form("retry-form").submit(expect=422)
    assert "confirm_unknown" in refused_page.errors()
    done = refused_page.form("retry-form").fill(confirm_unknown=True).submit()
    assert done.location == f"/runs/{create.run.id}"


def test_the_page_of_a_known_failure_doubts_nothing_and_retries(alice: PageClient, broken: Story) -> None:
    """The API's remedies link there."""
    page = alice.get(f"/runs/{broken.run.id}/retry")
    assert "may have taken effect" not in page.text
    assert not page.select("[name=confirm_unknown]")
    after = page.form("retry-form").submit("Retry").follow_redirect()
    assert after.texts("#run-chip") == ["Running"]


def test_in_the_dialog_a_missing_confirmation_keeps_the_dialog_open(
    alice: PageClient, unknown: Story
) -> None:
    alice.get(f"/runs/{unknown.run.id}")
    part = alice.post(f"/runs/{unknown.run.id}/retry", {}, expect=422, htmx=True)
    assert part.headers["HX-Retarget"] == part.headers["HX-Reselect"] == "#retry-run form"
    assert part.select("#retry-run form [role=alert]")


def test_a_stale_run_offers_no_retry_and_refuses_a_forced_one(
    alice: PageClient, broken: Story, story_session: Session
) -> None:
    alice.get(f"/runs/{broken.run.id}")
    broken.revoke()
    assert alice.get(f"/runs/{broken.run.id}").texts("#run-chip") == ["Superseded"]
    answer = alice.post(f"/runs/{broken.run.id}/retry", expect=409)
    assert "only a failed run can be retried" in answer.text


def test_it_needs_the_permission(sign_in: SignIn, broken: Story) -> None:
    bob = sign_in("Bob")
    bob.get(f"/runs/{broken.run.id}")
    assert "workflow:run" in bob.post(f"/runs/{broken.run.id}/retry", expect=403).text
    assert "workflow:run" in bob.get(f"/runs/{broken.run.id}/retry", expect=403).text


def test_it_needs_the_token_of_the_form(alice: PageClient, broken: Story) -> None:
    alice.post(f"/runs/{broken.run.id}/retry", {}, csrf=False, expect=400)
    alice.get(f"/runs/{broken.run.id}/retry")
