"""On call: from Home to the field that mends a cause, and through the list by keys."""

from __future__ import annotations

from playwright.sync_api import Page, expect
from sqlalchemy.orm import Session

from app.domain.remedies.failure import Action, Remedy
from app.domain.remedies.links import Where, places
from app.models import Credential
from tests.support.browser.console import Open
from tests.support.browser.watched_page import assert_good_everywhere
from tests.support.factories import NOW
from tests.support.queries.stories import Story, ok, refused, retried, two_steps, with_person

FIELDS = {
    Action.ADD_CREDENTIAL: "#credential-value",
    Action.TEST_CONNECTION: "#test-button",
    Action.EDIT_MAPPING: "#step-create-body_name-1",
    Action.EDIT_PATH: "#step-create-path",
    Action.EDIT_SUCCESS: "#step-create-success_statuses",
    Action.EDIT_RETRY: "#step-create-retry_on",
}


def test_every_mend_lands_on_its_very_field(visit: Open, story_session: Session) -> None:
    told = Story(story_session).answer(ok(200), refused(401))
    run = told.run
    watched = visit(f"/runs/{run.id}")
    page = watched.page
    page.get_by_role("link", name="Add credential").click()
    assert_landed(page, FIELDS[Action.ADD_CREDENTIAL])
    where = Where(workflow_id=run.workflow_id, step="create", connection_id=told.connection.id)
    for action, field in FIELDS.items():
        [place] = places(Remedy("t", "w", "d", action), where)
        watched.goto("/account")  # an address that is on show already is not gone to again
        watched.goto(place.href)
        assert_landed(page, field)


def assert_landed(page: Page, field: str) -> None:
    expect(page.locator(field)).to_be_focused()
    expect(page.locator(field)).to_be_in_viewport()


def test_a_folded_credential_opens_for_who_comes_to_replace_it(visit: Open, story_session: Session) -> None:
    told = Story(story_session).answer(ok(200), refused(401))
    story_session.add(
        Credential(connection_id=told.connection.id, sealed="x", key_id="k", set_at=NOW, set_by="Bo")
    )
    story_session.commit()
    page = visit("/").page
    page.get_by_role("link", name="Replace credential for").click()
    assert_landed(page, "#credential-value")


def test_keys_walk_the_list_and_go_from_run_to_run(visit: Open, story_session: Session) -> None:
    ids = [Story(story_session).answer(ok(200), refused(401)).run.id for _ in range(3)]
    page = visit("/runs?status=failed").page
    expect(page.locator("#runs")).to_be_visible()
    for key in ("j", "j", "k", "j"):
        page.keyboard.press(key)
    expect(page.locator(f'#runs th a[href^="/runs/{ids[1]}?"]')).to_be_focused()
    page.keyboard.press("o")
    expect(page.get_by_role("heading", level=1)).to_contain_text(f"Run {ids[1]} ")
    page.keyboard.press("j")
    expect(page.get_by_role("heading", level=1)).to_contain_text(f"Run {ids[0]} ")
    for number in ids[1:]:
        page.keyboard.press("k")
        expect(page.get_by_role("heading", level=1)).to_contain_text(f"Run {number} ")
    page.keyboard.press("f")
    expect(page.locator("#failed-step")).to_be_in_viewport()
    page.keyboard.press("e")
    assert page.locator("#timeline details:not([open])").count() == 0
    page.keyboard.press("r")
    expect(page.locator("#run-chip")).to_have_text("Running")


def test_keys_do_nothing_while_typing_or_when_they_are_off(visit: Open, story_session: Session) -> None:
    run = Story(story_session).answer(ok(200), refused(401)).run
    Story(story_session).answer(ok(200), refused(401))
    watched = visit("/runs?status=failed")
    page = watched.page
    page.locator("#q").focus()
    page.keyboard.type("jkor")
    expect(page.locator("#q")).to_have_value("jkor")
    watched.goto(f"/runs/{run.id}?from=status%3Dfailed")
    page.keyboard.press("?")
    page.get_by_role("button", name="Switch shortcuts off").click()
    expect(page.locator("body")).to_have_attribute("data-keys", "off")
    for key in ("k", "r", "?"):
        page.keyboard.press(key)
    expect(page.locator("#run-chip")).to_have_text("Failed")
    expect(page.get_by_role("heading", level=1)).to_contain_text(f"Run {run.id} ")


def test_a_task_is_submitted_from_the_keyboard(visit: Open, story_session: Session) -> None:
    told = Story(story_session, with_person).take()
    page = visit(f"/tasks/{told.task().id}").page
    page.get_by_label("Team").fill("Red")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_role("heading", level=1)).not_to_contain_text("team")
    story_session.refresh(told.task())
    assert told.task().status == "done"


def test_home_is_accessible_and_stays_on_the_screen(visit: Open, story_session: Session) -> None:
    Story(story_session).answer(ok(200), refused(401))
    Story(story_session, with_person).take()
    Story(story_session, two_steps, trigger="access_revoked").answer(refused(403))
    Story(story_session, retried)
    watched = visit("/")
    expect(watched.page.get_by_role("heading", name="Access that should be gone")).to_be_visible()
    assert_good_everywhere(watched)
