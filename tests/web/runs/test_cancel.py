"""Cancel: with a reason, once, and only while there is something to cancel."""

from __future__ import annotations

import pytest
from sqlalchemy.orm import Session

from tests.support.page import PageClient
from tests.support.queries.stories import Story, refused, with_person
from tests.support.web.readers import SignIn


def test_the_page_asks_for_a_reason_and_ends_the_run(alice: PageClient, story_session: Session) -> None:
    run = Story(story_session).run
    question = alice.get(f"/runs/{run.id}").open_dialog_page("Cancel run…")
    done = question.form("cancel-form").fill(reason="Ordered by mistake").submit()
    page = alice.get(done.location)
    assert page.texts("#run-chip") == ["Cancelled"]
    assert "Cancelled by Alice." in page.text
    assert "Ordered by mistake" in page.text
    assert f"Run {run.id} was cancelled." in page.text


def test_a_call_under_way_is_let_finish(alice: PageClient, story_session: Session) -> None:
    run = Story(story_session).take().run
    alice.get(f"/runs/{run.id}")
    part = alice.post(f"/runs/{run.id}/cancel", {"reason": "No"}, expect=200, htmx=True)
    assert "ends when its call has come back" in part.one(".toast").text
    assert "data-poll" in part.one("#timeline").attrs
    assert '"dialog:close"' in part.headers["HX-Trigger"]
    off = part.one('#run-actions [aria-disabled="true"]')
    assert off.text.strip() == "Cancel run…"


@pytest.mark.parametrize("reason", ["", "   ", "x" * 2001])
def test_a_refused_reason_is_named_and_kept(alice: PageClient, story_session: Session, reason: str) -> None:
    run = Story(story_session, with_person).take().run
    question = alice.get(f"/runs/{run.id}/cancel")
    refused_page = question.form("cancel-form").fill(reason=reason).submit(expect=422)
    assert set(refused_page.errors()) == {"reason"}
    assert refused_page.title.startswith("Error:")
    assert refused_page.form("cancel-form")["reason"].strip() == reason.strip()
    part = alice.post(f"/runs/{run.id}/cancel", {"reason": reason}, expect=422, htmx=True)
    assert part.headers["HX-Retarget"] == "#cancel-run form"


def test_a_run_that_is_over_cannot_be_cancelled(alice: PageClient, story_session: Session) -> None:
    run = Story(story_session).answer(refused()).run
    assert "Cancel run…" not in alice.get(f"/runs/{run.id}").texts("#run-actions button")
    answer = alice.post(f"/runs/{run.id}/cancel", {"reason": "No"}, expect=409)
    assert "there is nothing left to cancel" in answer.text


def test_it_needs_the_permission(sign_in: SignIn, story_session: Session) -> None:
    run = Story(story_session).run
    bob = sign_in("Bob")
    bob.get(f"/runs/{run.id}")
    assert "workflow:run" in bob.post(f"/runs/{run.id}/cancel", {"reason": "No"}, expect=403).text
