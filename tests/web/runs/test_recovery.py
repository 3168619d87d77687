"""The ways back from a failed run as pages: the plan before the click, one-off values, Replay with latest."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain.states import FailureClass
from app.models import Run, RunEvent, RunOverride
from tests.support.factories import add_version, http_step
from tests.support.page import Page, PageClient
from tests.support.queries.stories import Story, failed, ok, refused, with_person
from tests.support.web.readers import SignIn

CANARY = "Canary-90b1"


def created_then_failed(session: Session) -> Story:
    def steps(c: int) -> list[dict[str, Any]]:
        create = http_step("create", c, name="Create the account", capture={"id": "$.id"})
        return [create, http_step("tell", c, name="Tell the team", method="PUT", path="/teams")]

    return Story(session, steps).answer(ok(201, id="u-7"), refused(422))


@pytest.fixture
def broken(story_session: Session) -> Story:
    return Story(story_session).answer(ok(200), refused(422))


def newer(story: Story) -> None:
    look = http_step("lookup", story.connection.id, name="Look up the account", method="GET", path="/People")
    look.pop("body")
    create = http_step("create", story.connection.id, name="Create the account")
    add_version(story.session, story.workflow, look, create)
    story.session.commit()


def overrides(page: Page, **typed: str) -> Page:
    return page.form("overrides-form").fill(**{name.replace("_", "-"): text for name, text in typed.items()})


# Retry


def test_the_plan_stands_on_the_page_before_the_click(alice: PageClient, broken: Story) -> None:
    page = alice.get(f"/runs/{broken.run.id}")
    rows = [" ".join(one.split()) for one in page.texts("#run-plan li")]
    assert rows == ["Not repeated Look up the account", "Sent again Create the account"]


def test_a_4xx_that_would_be_repeated_unchanged_is_said(
    alice: PageClient, broken: Story, story_session: Session
) -> None:
    broken.connection.config = broken.connection.config | {"auth": "none"}
    story_session.commit()
    page = alice.get(f"/runs/{broken.run.id}")
    assert "the same request would be sent again" in page.one("#run-plan").text


def test_an_edited_workflow_is_told_beside_retry(alice: PageClient, broken: Story) -> None:
    newer(broken)
    page = alice.get(f"/runs/{broken.run.id}")
    assert "Retry stays on version 1. Replay with latest would use version 2." in page.one("#run-plan").text


def test_a_retry_of_an_outdated_page_is_refused_and_shows_the_run_anew(
    alice: PageClient, broken: Story
) -> None:
    page = alice.get(f"/runs/{broken.run.id}")
    newer(broken)
    late = page.press("Retry", expect=409)
    assert "Something changed since this plan was shown." in late.text
    assert late.press("Retry").location == f"/runs/{broken.run.id}"


def test_in_the_question_about_an_unknown_outcome_the_plan_is_shown(
    alice: PageClient, story_session: Session
) -> None:
    story = Story(story_session).answer(ok(200), failed(FailureClass.TIMEOUT, lost=True))
    page = alice.get(f"/runs/{story.run.id}/retry")
    assert "Sent again" in page.text


# One-off values


def test_one_off_values_are_typed_once_and_leave_their_names(
    alice: PageClient, broken: Story, story_session: Session
) -> None:
    form = alice.get(f"/runs/{broken.run.id}").follow("Retry with overrides…")
    assert "Used once for this attempt. Not saved. Does not change the workflow." in form.text
    done = overrides(form, field_0="userName", kind_0="text", value_0=CANARY).submit()
    page = alice.get(done.location)
    assert "With one-off values for userName." in page.text
    assert CANARY not in page.html
    assert "No worker is online" in page.text
    story_session.rollback()
    kept = story_session.scalars(select(RunOverride)).one()
    assert kept.fields == ["userName"]
    assert CANARY not in (kept.sealed or "")


@pytest.mark.parametrize(
    ("row", "field", "says"),
    [
        ({"value_0": "x"}, "field-0", "Choose the field that this value is for."),
        ({}, "field-0", "Choose a field and type its value, or use Retry."),
        ({"field_0": "userName", "kind_0": "number", "value_0": "x"}, "value-0", "Type a number."),
        ({"field_0": "userName", "kind_0": "boolean", "value_0": "x"}, "value-0", "Type yes or no."),
        ({"field_0": "userName", "kind_0": "nothing", "value_0": "x"}, "value-0", "Leave this empty"),
        ({"field_0": "userName", "value_0": "x" * 2001}, "value-0", "2,000 characters"),
    ],
)
def test_a_refused_value_is_named_at_its_row_and_stays_typed(
    alice: PageClient, broken: Story, row: dict[str, str], field: str, says: str
) -> None:
    form = alice.get(f"/runs/{broken.run.id}/overrides").form("overrides-form")
    refused_page = form.fill(**{name.replace("_", "-"): text for name, text in row.items()}).submit(
        expect=422
    )
    assert says in refused_page.errors()[field]
    assert refused_page.title.startswith("Error: ")
    if "value_0" in row:
        assert refused_page.one("#value-0")["value"] == row["value_0"]


def test_a_row_is_added_without_losing_what_was_typed(alice: PageClient, story_session: Session) -> None:
    body = {"userName": "{{ grantee.email }}", "active": True}
    story = Story(story_session, lambda c: [http_step("create", c, body=body)]).answer(refused(422))
    form = alice.get(f"/runs/{story.run.id}/overrides").form("overrides-form")
    more = form.fill(**{"field-0": "active", "value-0": "no"}).submit("Add another value", expect=200)
    assert more.one("#value-0")["value"] == "no"
    last = more.form("overrides-form").fill(**{"kind-0": "boolean", "field-1": "userName", "value-1": "x"})
    last.submit()
    story_session.rollback()
    told = story_session.scalars(select(RunEvent.message).where(RunEvent.kind == "overrides")).one()
    assert told == "With one-off values for active, userName."


def test_a_field_given_twice_is_refused(alice: PageClient, broken: Story) -> None:
    alice.get(f"/runs/{broken.run.id}/overrides")
    sent = {"rows": "2", "field-0": "userName", "value-0": "a", "field-1": "userName", "value-1": "b"}
    page = alice.post(f"/runs/{broken.run.id}/overrides", sent, expect=422)
    assert page.errors()["field-1"] == "This field is given twice."


def test_a_step_that_asks_a_person_offers_no_overrides(alice: PageClient, story_session: Session) -> None:
    story = Story(story_session, with_person).take().fail("She left")
    assert "Retry with overrides" not in alice.get(f"/runs/{story.run.id}").text
    assert "has no mapped fields" in alice.get(f"/runs/{story.run.id}/overrides").text


# Replay with latest


def test_the_plan_of_a_replay_names_what_changed(alice: PageClient, broken: Story) -> None:
    newer(broken)
    page = alice.get(f"/runs/{broken.run.id}").follow("Replay with latest…")
    rows = [" ".join(one.split()) for one in page.texts("#plan li")]
    assert rows == ["Sent Look up the account", "Sent again Create the account"]
    assert page.texts("#changes li") == ["“Look up the account”: path changed from /Users to /People."]


def test_without_a_newer_version_it_says_to_use_retry(alice: PageClient, story_session: Session) -> None:
    down = failed(FailureClass.HTTP_5XX, http_status=503)
    story = Story(story_session).answer(ok(200), down)
    page = alice.get(f"/runs/{story.run.id}/replay")
    assert "Version 1 is the newest, so a fresh run sends the same requests. Retry" in page.text


def test_a_replay_leads_to_the_new_run_and_links_both(alice: PageClient, broken: Story) -> None:
    old = broken.run.id
    done = alice.get(f"/runs/{old}/replay").form("replay-form").submit()
    broken.session.rollback()
    new = broken.newest()
    assert done.location == f"/runs/{new.id}"
    page = alice.get(done.location)
    assert f"Run {new.id} replaces run {old}." in page.text
    assert page.follow(f"Replaces run {old}").url.endswith(f"/runs/{old}")
    back = alice.get(f"/runs/{old}")
    assert f"Run {new.id} has replaced this one" in back.one("#run-actions").text
    assert back.follow(f"Replaced by run {new.id}").h1.startswith(f"Run {new.id}")


def test_a_refused_replay_is_said_before_the_click_with_what_to_do_instead(
    alice: PageClient, story_session: Session
) -> None:
    story = created_then_failed(story_session)
    page = alice.get(f"/runs/{story.run.id}")
    off = page.one("#replay")
    assert off["aria-disabled"] == "true"
    why = page.one("#replay-why").text
    assert why.startswith("“Create the account” already ran at ")
    assert "captured id u-7" in why
    assert page.follow("Re-grant access: revoke first…").url.endswith(f"/grants/{story.grant.id}/revoke")
    shown = alice.get(f"/runs/{story.run.id}/replay")
    assert why in " ".join(shown.text.split())
    assert not shown.select("#replay-form")
    forced = alice.post(f"/runs/{story.run.id}/replay", expect=422)
    assert why in " ".join(forced.text.split())


def test_an_outdated_plan_is_refused_and_the_new_one_shown(alice: PageClient, broken: Story) -> None:
    form = alice.get(f"/runs/{broken.run.id}/replay").form("replay-form")
    newer(broken)
    page = form.submit(expect=409)
    assert "Something changed since this plan was shown." in page.text
    assert page.texts("#changes li")
    assert page.form("replay-form").submit().location.startswith("/runs/")


def test_a_double_click_makes_one_new_run(alice: PageClient, broken: Story, story_session: Session) -> None:
    form = alice.get(f"/runs/{broken.run.id}/replay").form("replay-form")
    form.submit()
    late = form.submit(expect=409)
    story_session.rollback()
    ids = story_session.scalars(select(Run.id).order_by(Run.id)).all()
    assert len(ids) == 2
    assert f"Run {ids[1]} has replaced this one already." in late.text


def test_all_of_it_needs_the_permission(sign_in: SignIn, broken: Story) -> None:
    bob = sign_in("Bob")
    page = bob.get(f"/runs/{broken.run.id}")
    assert "workflow:run" in page.one("#replay-why").text
    for path in ("replay", "overrides"):
        assert "workflow:run" in bob.get(f"/runs/{broken.run.id}/{path}", expect=403).text
        assert "workflow:run" in bob.post(f"/runs/{broken.run.id}/{path}", expect=403).text
