"""What the timeline says of a system that is not ready, of another way taken, and of a step that is passed over."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from app.domain.runs.calls import Outcome
from app.domain.states import FailureClass
from tests.support.factories import http_step
from tests.support.page import PageClient
from tests.support.queries.stories import Story, failed, ok

NOT_YET = failed(FailureClass.WAIT, http_status=202)


def polling(c: int) -> list[dict[str, Any]]:
    return [http_step("create", c, retry={"wait_statuses": [202], "poll": {"every_seconds": 600}})]


def test_many_answers_of_not_yet_are_one_line_that_says_for_how_long(
    alice: PageClient, story_session: Session
) -> None:
    story = Story(story_session, polling).answer(*[NOT_YET] * 4)
    page = alice.get(f"/runs/{story.run.id}")
    assert "Waiting for" in page.one("#run-notes").text
    assert "It has said “not yet” since" in page.one("#run-notes").text
    assert "Asked 4 times since" in page.one("#timeline").text
    assert "last HTTP 202 Accepted; asked again at" in page.one("#timeline").text
    assert "4 times in a row" in page.one("#timeline").text
    assert page.texts("#run-chip")[0].startswith("Not ready, asked again at")
    assert len(page.select("#timeline details li")) == 1
    assert not page.select("#timeline .hint")


def test_another_way_and_a_step_that_is_passed_over_are_neither_good_nor_bad(
    alice: PageClient, story_session: Session
) -> None:
    def steps(c: int) -> list[dict[str, Any]]:
        find = http_step("find", c, method="PUT", on_status={"404": {"step": "create"}})
        unless = [{"value": "{{ account.id }}", "is": "not_empty"}]
        return [find, http_step("tell", c, only_if=unless), http_step("create", c, name="Create")]

    gone = Outcome.failed(FailureClass.HTTP_4XX, http_status=404, branches=True)
    story = Story(story_session, steps).answer(gone, ok())
    text = alice.get(f"/runs/{story.run.id}").one("#timeline").text
    assert "HTTP 404 Not Found: goes on to “Create”." in text
    assert (story.run.status, "Failed" in text) == ("succeeded", False)
    passed = Story(story_session, steps).answer(ok())
    text = alice.get(f"/runs/{passed.run.id}").one("#timeline").text
    assert "Skipped: condition not met: “account.id is not empty”." in text


def test_a_web_page_for_an_answer_and_what_is_kept_with_the_grant_are_told(
    alice: PageClient, story_session: Session
) -> None:
    rules = {"member": {"path": "$.id", "keep": "grant"}, "id": "$.user"}
    answer = Outcome.success(200, {"member": "m-1", "id": "u-1"}, "It answered with a web page.")
    story = Story(story_session, lambda c: [http_step("join", c, capture=rules)]).answer(answer)
    text = alice.get(f"/runs/{story.run.id}").one("#timeline").text
    assert "It answered with a web page." in text
    assert 'member = "m-1" (with this grant)' in text
    assert 'id = "u-1" (with' not in text
