"""Every action of a remedy has its place: a page that exists, and on it the very part that is meant."""

from __future__ import annotations

import pytest
from sqlalchemy.orm import Session

from app.clock import now
from app.domain.remedies.failure import Action, Remedy
from app.domain.remedies.links import PERMISSION, Where, places
from app.models import Credential
from app.permissions import ALL_PERMISSIONS
from tests.support.factories import add_version, http_step
from tests.support.page import PageClient
from tests.support.queries.stories import Story, ok, refused

FIELDS = {
    Action.EDIT_CONNECTION: ("", "base_url", "auth", "health_path"),
    Action.EDIT_STEP: ("", "query", "header", "capture", "retry"),
}
CASES = [(one, field) for one in Action if one is not Action.NONE for field in FIELDS.get(one, ("",))]


@pytest.mark.parametrize(("action", "field"), CASES, ids=[f"{one}-{field}" for one, field in CASES])
def test_an_action_leads_to_a_page_with_that_part(
    alice: PageClient, story_session: Session, action: Action, field: str
) -> None:
    story = Story(story_session).answer(ok(200), refused(401))
    [place] = places(Remedy("t", "w", "d", action, field=field), where(story))
    address, _, anchor = place.href.partition("#")
    page = alice.get(address)
    assert len(page.select(f"[id='{anchor}']")) == (1 if anchor else 0)
    assert place.permission in ALL_PERMISSIONS


def where(story: Story) -> Where:
    run = story.run
    return Where(
        run_id=run.id,
        user_id=run.user_id,
        grant_id=run.grant_id,
        workflow_id=run.workflow_id,
        step="create",
        connection_id=story.connection.id,
    )


def test_what_an_action_could_not_be_taken_on_is_left_out() -> None:
    for action in PERMISSION:
        told = places(Remedy("t", "w", "d", action), Where())
        assert [one.href for one in told] == (["/system"] if action is Action.SYSTEM_HEALTH else [])


def test_the_way_back_stands_out_once_something_was_mended(alice: PageClient, story_session: Session) -> None:
    story = Story(story_session).answer(ok(200), refused(401))
    address = f"/runs/{story.run.id}"
    assert alice.get(address).select("#run-actions .btn-primary") == []
    credential = {"sealed": "x", "key_id": "k", "set_at": now(), "set_by": "Bo"}
    story_session.add(Credential(connection_id=story.connection.id, **credential))
    story_session.commit()
    page = alice.get(address)
    assert page.texts("#run-actions .btn-primary") == ["Retry"]
    assert "The credential was changed after this run failed" in page.text
    edited = Story(story_session).answer(refused(404))
    add_version(story_session, edited.workflow, http_step("create", edited.connection.id, path="/People"))
    story_session.commit()
    assert alice.get(f"/runs/{edited.run.id}").texts("#run-actions .btn-primary") == ["Replay with latest…"]
