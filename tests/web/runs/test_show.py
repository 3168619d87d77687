"""A run's page: what it says in every state, to whom, and that its fragment says the same."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import insert
from sqlalchemy.orm import Session

from app import clock
from app.domain.remedies.failure import HELD_BACK
from app.domain.states import FailureClass
from app.extensions import db
from app.models import Attempt
from tests.support.factories import add_version, http_step
from tests.support.page import Page, PageClient
from tests.support.queries.statements import statements
from tests.support.queries.stories import (
    STATES,
    State,
    Story,
    edge,
    failed,
    ok,
    refused,
    retried,
    with_person,
)
from tests.support.web.readers import SignIn


@pytest.mark.parametrize("state", STATES.values(), ids=STATES.keys())
def test_the_page_says_where_the_run_stands(alice: PageClient, story_session: Session, state: State) -> None:
    run = state.tell(story_session).run
    page = alice.get(f"/runs/{run.id}")
    assert page.h1 == f"Run {run.id} · Jane Doe · Access granted"
    assert page.title.startswith(f"Run {run.id} · {state.label}")
    assert page.texts("#run-chip")[0].startswith(state.label)
    for words in state.says:
        assert words in page.text
    assert ("data-poll" in page.one("#timeline").attrs) is state.polls


@pytest.mark.parametrize("state", STATES.values(), ids=STATES.keys())
def test_page_and_fragment_draw_the_same_timeline(
    alice: PageClient, story_session: Session, state: State
) -> None:
    run = state.tell(story_session).run
    page = alice.get(f"/runs/{run.id}")
    part = alice.fragment(f"/runs/{run.id}/timeline?v=0")
    for element in ("timeline", "run-chip", "run-actions", "run-notes", "run-facts"):
        assert drawn(part, element) == drawn(page, element)
    assert part.one("title").text == page.title
    assert part.one("#announce").text.strip() != ""


def drawn(page: Page, element: str) -> str:
    """The element's markup without what passes with time, or says that it is sent out of band."""
    html = str(page.one(f"#{element}"))
    html = re.sub(r' hx-swap-oob="true"|csrf_token" type="hidden" value="[^"]*"', "", html)
    html = re.sub(r"[0-9.]+ (ms|s|min)( [0-9]+ s)?( ago)?|just now", "", html)
    return " ".join(html.split())


def test_a_failed_run_points_to_the_step_and_opens_it(alice: PageClient, story_session: Session) -> None:
    run = Story(story_session).answer(ok(200), refused(404)).run
    page = alice.get(f"/runs/{run.id}")
    assert page.one('#run-notes a[href="#failed-step"]').text == "See what to do"
    done, broken = page.select("#timeline article")
    assert broken.select_one("#failed-step") is not None
    assert broken.select_one("details").has_attr("open")
    assert not done.select_one("details").has_attr("open")


def test_a_try_whose_worker_died_says_once_that_its_outcome_is_unknown(
    alice: PageClient, story_session: Session
) -> None:
    page = alice.get(f"/runs/{Story(story_session).take().lose_worker().run.id}")
    assert "Outcome unknown" in page.text
    assert "Outcome unknown, outcome unknown" not in page.text


def test_a_remedy_leads_to_the_exact_place(alice: PageClient, story_session: Session) -> None:
    story = Story(story_session).answer(ok(200), refused(401))
    page = alice.get(f"/runs/{story.run.id}")
    button = page.one("#failed-step a.btn-primary")
    assert button["href"] == f"/connections/{story.connection.id}#credential"
    story = Story(story_session).answer(ok(200), refused(404))
    button = alice.get(f"/runs/{story.run.id}").one("#failed-step a.btn-primary")
    assert button["href"] == f"/workflows/{story.workflow.id}/edit?step=create#step-create-path"


def test_a_remedy_that_is_not_the_readers_to_take_says_what_it_needs(
    sign_in: SignIn, story_session: Session
) -> None:
    run = Story(story_session).answer(ok(200), refused(401)).run
    page = sign_in("Bob").get(f"/runs/{run.id}")
    [off] = page.select('#failed-step [aria-disabled="true"]')
    assert off.text.strip() == "Add credential"
    assert "Needs workflow:secrets. Ask an administrator." in page.text


def test_it_says_when_a_newer_version_exists(alice: PageClient, story_session: Session) -> None:
    story = Story(story_session).answer(refused())
    add_version(story_session, story.workflow, http_step("create", story.connection.id))
    story_session.commit()
    assert "version 1 (latest is 2)" in alice.get(f"/runs/{story.run.id}").text


def test_a_run_that_waits_its_turn_says_which_run_comes_first(
    alice: PageClient, story_session: Session
) -> None:
    first = Story(story_session).take()
    first.granted()
    second = first.newest()
    page = alice.get(f"/runs/{second.id}")
    assert page.one(f'#run-notes a[href="/runs/{first.run.id}"]').text == f"Run {first.run.id} comes first"


def test_steps_that_no_try_was_made_of_are_named(alice: PageClient, story_session: Session) -> None:
    story = Story(story_session, edge("stop")).take()
    assert "Still to come: 2. Tell the team" in alice.get(f"/runs/{story.run.id}").text
    story.answer(refused())
    assert "Not reached: 2. Tell the team" in alice.get(f"/runs/{story.run.id}").text


def test_values_from_outside_are_shown_as_text_and_never_as_markup(
    alice: PageClient, story_session: Session
) -> None:
    sharp = "<img src=x hx-get=/x onerror=alert(1)>{{7*7}}"
    run = Story(story_session).answer(ok(200, id=sharp)).run
    page = alice.get(f"/runs/{run.id}")
    assert page.select("#timeline img") == []
    assert "{{7*7}}" in page.text
    assert page.one("#timeline [hx-disable] code:-soup-contains('7*7')")


def test_only_who_may_see_workflows_sees_a_run(sign_in: SignIn, story_session: Session) -> None:
    run = Story(story_session).run
    charlie = sign_in("Charlie")
    for address in (f"/runs/{run.id}", f"/runs/{run.id}/timeline", "/runs"):
        assert "workflow:read" in charlie.get(address, expect=403).text
    assert sign_in("Bob").get(f"/runs/{run.id}").h1.startswith("Run ")


def test_who_may_only_look_sees_the_acts_and_what_they_need(sign_in: SignIn, story_session: Session) -> None:
    bob = sign_in("Bob")
    for story, button in (
        (Story(story_session).answer(refused()), "Retry"),
        (Story(story_session), "Cancel run…"),
    ):
        page = bob.get(f"/runs/{story.run.id}")
        off = page.select('#run-actions [aria-disabled="true"]')[0]
        assert off.text.strip() == button
        assert "This needs the permission workflow:run." in page.text


def test_a_task_for_somebody_else_says_so(alice: PageClient, sign_in: SignIn, story_session: Session) -> None:
    run = Story(story_session, with_person).take().run
    assert alice.get(f"/runs/{run.id}").select("#run-notes a.btn-primary")
    page = sign_in("Bob").get(f"/runs/{run.id}")
    assert "You need the permission workflow:task." in page.text
    assert not page.select("#run-notes a.btn-primary")


@pytest.mark.parametrize("rest", ["", "/timeline", "/retry", "/cancel"])
def test_a_run_that_is_not_there_is_not_found(alice: PageClient, rest: str) -> None:
    alice.get(f"/runs/999999{rest}", expect=404)


@pytest.mark.parametrize("number", ["0", str(2**63 - 1), str(2**63), "abc", "٣"])
def test_what_is_no_run_is_not_found(alice: PageClient, number: str) -> None:
    alice.get(f"/runs/{number}", expect=404)


def test_a_poll_that_knows_the_state_hears_nothing(alice: PageClient, story_session: Session) -> None:
    story = Story(story_session).take()
    address = str(alice.get(f"/runs/{story.run.id}").one("#timeline")["hx-get"])
    with statements(db_engine(alice)) as sent:
        answer = alice.fragment(address, expect=204)
    assert answer.html == ""
    assert len([one for one in sent if "FROM runs" in one]) == 1
    story.answer(ok(200))
    changed = alice.fragment(address)
    assert changed.one("#timeline")["hx-get"] != address


def test_polling_ends_with_the_run_and_begins_again_with_a_retry(
    alice: PageClient, story_session: Session
) -> None:
    story = Story(story_session, edge("stop")).take()
    address = f"/runs/{story.run.id}/timeline?v=0"
    trigger = str(alice.fragment(address).one("#timeline")["hx-trigger"])
    seconds = float(re.match(r"every ([0-9.]+)s, wake from:body$", trigger)[1])
    assert 15 * 0.85 <= seconds <= 15 * 1.15 or 1.7 <= seconds <= 5.75
    story.answer(refused())
    ended = alice.fragment(address).one("#timeline")
    assert not {"hx-get", "hx-trigger", "data-poll"} & set(ended.attrs)
    story.retry()
    assert "data-poll" in alice.fragment(address).one("#timeline").attrs


def test_a_poll_without_a_session_is_401_and_never_a_sign_in_page(
    pages: Flask, story_session: Session
) -> None:
    run = Story(story_session).run
    answer = PageClient(pages).fragment(f"/runs/{run.id}/timeline?v=1", expect=401)
    assert not answer.select("form")


def test_a_long_timeline_takes_no_more_statements_than_a_short_one(
    alice: PageClient, story_session: Session
) -> None:
    story = Story(story_session, edge("escalate")).answer(refused(403))
    address = f"/runs/{story.run.id}/timeline?v=0"
    with statements(db_engine(alice)) as short:
        alice.fragment(address)
    first = story_session.query(Attempt).first()
    copied: dict[str, Any] = {
        column.name: getattr(first, column.name)
        for column in Attempt.__table__.columns
        if column.name != "id"
    }
    story_session.execute(insert(Attempt), [copied | {"number": number} for number in range(3, 61)])
    story_session.commit()
    with statements(db_engine(alice)) as long:
        part = alice.fragment(address)
    assert "59 attempts" in part.text
    assert len(short) == len(long) <= 16


def test_without_script_the_page_reloads_itself_while_the_run_moves(
    alice: PageClient, story_session: Session
) -> None:
    story = Story(story_session, retried).take()
    assert "Reload to see progress" in alice.get(f"/runs/{story.run.id}").html
    story.answer(refused())
    assert "Reload to see progress" not in alice.get(f"/runs/{story.run.id}").html


def db_engine(client: PageClient):
    with client.flask.application.app_context():
        return db.engine


def test_a_run_whose_call_was_held_back_says_when_it_comes_again(
    alice: PageClient, story_session: Session
) -> None:
    held = failed(FailureClass.TIMEOUT, ours=True, detail=HELD_BACK)
    story = Story(story_session, retried)
    story.at = clock.now()
    page = alice.get(f"/runs/{story.answer(held).run.id}")
    assert page.texts("#run-chip")[0].startswith("Next try at")
    assert "More calls wait for" in page.text
    assert "waits for its turn" in page.text
    assert "Retrying" not in page.text
