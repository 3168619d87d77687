"""Failures after an answer, and for want of a value: the way that is advised first leads to a run that succeeds."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from app.connectors.egress import EgressPolicy
from app.connectors.http import HttpClient
from app.web.system.queue_watch import KEY, Watch
from tests.support.page import Page
from tests.support.target import Answer, running_target
from tests.support.web.oncall import Desk, make_desk
from tests.support.web.readers import Reader, actor


@pytest.fixture
def desk(only_sqlite: Flask, web: Session, alice: Reader, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    outside = HttpClient(EgressPolicy("127.0.0.1"))
    monkeypatch.setitem(only_sqlite.extensions, "egress", outside)
    monkeypatch.setitem(only_sqlite.extensions, KEY, Watch())
    with running_target() as target:
        yield make_desk(only_sqlite, web, alice.client, actor(web, alice), target)
    outside.close()


def first_advised(page: Page) -> str:
    """The button that stands out beside the remedy: there is one, and it may be pressed."""
    [link] = page.select("#failed-step .btn-primary")
    assert link.get("aria-disabled") is None
    return " ".join(link.get_text(" ").split())


def by_hand(page: Page, **typed: str) -> None:
    form = page.follow("It was done…").form("done-form")
    form.fill({"reason": "Looked", **{f"captured.{name}": value for name, value in typed.items()}}).submit()


def a_value_that_is_missing_after_a_create(desk: Desk) -> None:
    desk.target.answer = lambda _call: Answer(201, {"id": "acc7"})
    page = desk.failed(desk.step(capture={"id": "$.id", "mail": "$.mail"}))
    assert first_advised(page) == "It was done…"
    assert "Replay with latest" not in page.one("#failed-step").text
    by_hand(page, mail="a@example.com")


def a_value_that_is_too_long(desk: Desk) -> None:
    desk.target.answer = lambda _call: Answer(201, {"id": "x" * 2500})
    page = desk.failed(desk.step(capture={"id": "$.id"}))
    assert "a value to be captured cannot be kept" in page.text
    assert first_advised(page) == "It was done…"
    by_hand(page, id="x")


def a_success_that_says_no(desk: Desk) -> None:
    desk.target.answer = lambda _call: Answer(200, {"ok": False, "error": "paid_plan_needed"})
    expects = [{"path": "$.ok", "is": "equal", "than": True}]
    page = desk.failed(desk.step(expect=expects, failure_reason="$.error"))
    assert "Expected that $.ok is true; it is false. It said: “paid_plan_needed”" in page.text
    desk.target.answer = lambda _call: Answer(200, {"ok": True})
    question = page.open_dialog_page("Retry…")  # it may double, so that it asks
    question.form("retry-form").fill(confirm_unknown="1").submit()


def an_account_that_was_never_captured(desk: Desk) -> None:
    desk.answers(204)
    remove = desk.step(method="DELETE", path="/Users/{{ account.id }}", body=None)
    page = desk.failed(remove, trigger="access_revoked")
    assert "account.id is not known" in page.text
    buttons = page.texts("#failed-step .btn")
    assert buttons == ["Type the value…", "It was done…", "Open step"]
    assert not desk.target.calls
    form = page.follow("Type the value…").form("values-form")
    form.fill({"account.id": "acc-7", "reason": "Looked it up"}).submit()
    desk.work()
    assert [one.path for one in desk.target.calls] == ["/Users/acc-7"]


def an_account_that_a_person_removed(desk: Desk) -> None:
    remove = desk.step(method="DELETE", path="/Users/{{ account.id }}", body=None)
    look = desk.step(method="GET", body=None, path="/") | {"key": "look"}
    by_hand(desk.failed(look, remove, trigger="access_revoked"))


def a_redirect_to_another_path(desk: Desk) -> None:
    def answer(call: object) -> Answer:
        path = getattr(call, "path", "")
        return Answer(201, {}) if path == "/Users/" else Answer(308, {}, headers={"Location": "/Users/"})

    desk.target.answer = answer
    page = desk.failed()
    assert "the same path with a / at its end" in page.text
    assert first_advised(page) == "Open path"
    desk.mend(page, "Open path", path="/Users/")
    desk.replay()


def no_answer_after_sending(desk: Desk) -> None:
    desk.target.answer = lambda _call: Answer(after=1.2)
    page = desk.failed()
    assert "Outcome unknown: check Jira before retrying." in page.text
    by_hand(page)


def not_offered(desk: Desk) -> None:
    desk.answers(501)
    page = desk.failed()
    assert "does not offer this (HTTP 501)" in page.text
    assert "is back" not in page.one("#failed-step").text
    desk.answers(501, when=lambda call: call.path == "/Users")
    desk.mend(page, "Open path", path="/People")
    desk.replay()


def gone_since_an_earlier_step_was_given_up(desk: Desk) -> None:
    desk.answers(503, when=lambda call: call.method == "PUT")
    desk.target.answer = lambda call: Answer(503 if call.method == "PUT" else 404, {})
    create = desk.step(method="PUT", on_failure="continue")
    page = desk.failed(create, desk.step(method="GET", body=None) | {"key": "look", "name": "Look"})
    assert "“Create” failed before it in this run" in page.one("#failed-step").text
    assert first_advised(page) == "Replay with latest…"
    desk.target.answer = lambda _call: Answer(200, {})
    page.follow("Replay with latest…").form("replay-form").submit()


def a_token_that_has_ended(desk: Desk) -> None:
    login = desk.step(capture={"token": {"path": "$.token", "keep": False}}, idempotent=True)
    tokens = iter(["old", "new"])

    def answer(call: object) -> Answer:
        if getattr(call, "method", "") == "POST":
            return Answer(200, {"token": next(tokens)})
        return Answer(200 if getattr(call, "headers", {}).get("x-token") == "new" else 401, {})

    desk.target.answer = answer
    use = desk.step(method="PUT", headers={"X-Token": "{{ steps.create.token }}"}) | {"key": "use"}
    page = desk.failed(login, use)
    assert first_advised(page) == "Replay with latest…"
    page.follow("Replay with latest…").form("replay-form").submit()


CASES: dict[str, Callable[[Desk], None]] = {
    "a value is missing": a_value_that_is_missing_after_a_create,
    "a value is too long": a_value_that_is_too_long,
    "a success says no": a_success_that_says_no,
    "no account was captured": an_account_that_was_never_captured,
    "a person removed the account": an_account_that_a_person_removed,
    "a redirect to another path": a_redirect_to_another_path,
    "no answer after sending": no_answer_after_sending,
    "501": not_offered,
    "404 after a step that was given up": gone_since_an_earlier_step_was_given_up,
    "a token that has ended": a_token_that_has_ended,
}


@pytest.mark.parametrize("mend", CASES.values(), ids=CASES.keys())
def test_the_way_that_is_advised_leads_to_a_run_that_succeeds(
    desk: Desk, mend: Callable[[Desk], None]
) -> None:
    mend(desk)
    desk.work()
    assert desk.newest().status == "succeeded"
