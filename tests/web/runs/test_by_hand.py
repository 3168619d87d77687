"""It was done, as a page: what to fill in, what is refused, and that two people never do it twice."""

from __future__ import annotations

import pytest
from sqlalchemy.orm import Session

from app.domain.runs.calls import Outcome
from app.domain.states import FailureClass
from app.services import recovery
from tests.support.factories import add_version, http_step
from tests.support.page import PageClient
from tests.support.queries.stories import ALICE, Story

RULES = {"id": "$.id", "mail": "$.mail", "groups": {"path": "$.groups", "list": True, "optional": True}}


@pytest.fixture
def half(story_session: Session) -> Story:
    """A create that was answered with 201, without the mail, and a step that tells of it."""
    found = Outcome.failed(FailureClass.MAPPING, http_status=201, captured={"id": "acc7"})
    steps = lambda c: [http_step("create", c, capture=RULES), http_step("tell", c, name="Tell")]  # noqa: E731
    return Story(story_session, steps).answer(found)


def test_only_what_is_not_known_is_asked_for_and_the_run_goes_on(alice: PageClient, half: Story) -> None:
    page = alice.get(f"/runs/{half.run.id}").follow("It was done…")
    assert 'id = "acc7"' in page.one("#done-form dl").text
    assert [" ".join(one.split()) for one in page.texts("#plan ol li")] == [
        "Not repeated Create",
        "Sent Tell",
    ]
    form = page.form("done-form")
    assert {one for one in form.fields if one.startswith("captured.")} == {"captured.mail", "captured.groups"}
    refused = form.fill({"captured.groups": "a\nb"}).submit(expect=422)
    assert refused.errors() == {"reason": "Enter a reason."}
    refused = refused.form("done-form").fill(reason="Made by hand").submit(expect=422)
    assert refused.errors() == {"captured.mail": "Enter mail."}
    assert refused.form("done-form")["captured.groups"].split() == ["a", "b"]
    told = refused.form("done-form").fill({"captured.mail": "a@example.com"}).submit().follow_redirect()
    assert "Alice said that it was done." in told.text
    assert "Made by hand" in told.text
    half.session.rollback()
    half.session.refresh(half.run)
    assert half.run.captured["create"] == {"id": "acc7", "mail": "a@example.com", "groups": ["a", "b"]}


def test_the_second_click_is_told_who_was_first_and_a_changed_plan_is_shown_anew(
    alice: PageClient, half: Story
) -> None:
    form = alice.get(f"/runs/{half.run.id}/done").form("done-form")
    form = form.fill({"captured.mail": "a", "reason": "Made by hand"})
    add_version(half.session, half.workflow, http_step("create", half.connection.id))
    half.session.commit()
    late = form.submit(expect=409)
    assert "Something changed since this plan was shown." in late.text
    recovery.done(half.session, ALICE, half.run, reason="Made by hand", captured={"mail": "b"})
    half.told()
    assert "Alice Admin said that it was done, at" in late.form("done-form").submit(expect=409).text
