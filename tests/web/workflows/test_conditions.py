"""Conditions, ways by status, waiting and what is kept: written in the editor, refused at their input."""

from __future__ import annotations

import pytest
from sqlalchemy.orm import Session

from app.models import Application, Workflow
from tests.support.factories import add_version, http_step, make_workflow
from tests.support.web.editor import apart, editor, press, preview, steps_of
from tests.support.web.places import Place
from tests.support.web.readers import Reader


def test_a_plain_step_shows_a_button_for_each_and_nothing_more(bob: Reader, workflow: int) -> None:
    page = editor(bob, workflow, "create")
    for name in ("only_if", "expect", "wait_when", "on_status"):
        assert page.one(f'button[value="row:{name}"]')
        assert not page.select(f"#step-create-{name}")
    assert page.one("#step-create-kept-1 .said").text == ": With the account, exactly one"


def test_conditions_are_added_by_their_buttons_and_saved(bob: Reader, workflow: int) -> None:
    page = editor(bob, workflow, "create")
    page = press(page, "row:only_if")
    assert page.one("#step-create-when").has_attr("open")
    page = press(page, "row:expect", only_if_of="{{ grantee.username }}", only_if_is="not_empty")
    assert page.one("#step-create-when .said").text == ": only if grantee.username is not empty"
    assert not page.one("#step-create-when").has_attr("open")
    press(page, "save", expect=303, expect_of="$.ok", expect_kind="boolean", expect_than="true")
    step = steps_of(editor(bob, workflow))[0]
    assert step["only_if"] == [{"value": "{{ grantee.username }}", "is": "not_empty"}]
    assert step["expect"] == [{"path": "$.ok", "is": "equal", "than": True}]


def test_ways_by_status_and_waiting_are_added_by_their_buttons_and_saved(bob: Reader, workflow: int) -> None:
    page = press(editor(bob, workflow, "create"), "row:on_status")
    page = press(page, "row:wait_when", on_status_code="404", on_status_step="ask")
    typed = {"wait_when_of": "$.status", "wait_when_than": "pending", "poll_every": "10"}
    page = press(page, "apply", **typed)
    assert page.one("#step-create-ways .said").text == ": 404 → 2. ask"
    waiting = ": while $.status is pending; asks every 10 s for up to 1 h"
    assert page.one("#step-create-waiting .said").text == waiting
    press(page, "save", expect=303)
    step = steps_of(editor(bob, workflow))[0]
    assert step["on_status"] == {"404": {"step": "ask"}}
    assert step["retry"]["wait_when"] == [{"path": "$.status", "is": "equal", "than": "pending"}]
    assert step["retry"]["poll"] == {"every_seconds": 10, "for_seconds": 3600}


@pytest.mark.parametrize(
    ("unfolds", "typed", "at"),
    [
        ("only_if", {"only_if_of": "{{ grantee.emial }}"}, "only_if_of-1"),
        ("only_if", {"only_if_of": "{{ steps.ask.team }}"}, "only_if_of-1"),
        ("expect", {"expect_of": "$.[", "expect_is": "empty"}, "expect_of-1"),
        ("expect", {"expect_of": "$.a", "expect_is": "equal"}, "expect_than-1"),
        ("wait_when", {"wait_when_of": "ok", "wait_when_is": "empty"}, "wait_when_of-1"),
        ("wait_when", {"poll_every": "0", "wait_statuses": "429"}, "poll_every"),
        ("wait_when", {"poll_for": "x"}, "poll_for"),
        ("on_status", {"on_status_code": "404", "on_status_step": "ask"}, ""),
        ("on_status", {"on_status_code": "204", "on_status_step": "ask"}, "on_status_step-1"),
        ("on_status", {"on_status_code": "9", "on_status_step": "ask"}, "on_status_code-1"),
    ],
)  # fmt: skip
def test_a_problem_stands_at_its_input_and_its_fold_is_open(
    bob: Reader, workflow: int, unfolds: str, typed: dict[str, str], at: str
) -> None:
    page = press(editor(bob, workflow, "create"), f"row:{unfolds}")
    if not at:
        press(page, "save", expect=303, **typed)
        return
    refused = press(page, "save", expect=422, **typed)
    assert {str(a["href"]) for a in refused.select("#errors a")} == {f"#step-create-{at}"}
    wrong = refused.one(f"#step-create-{at}")
    assert wrong["aria-invalid"] == "true"
    assert refused.one(f"#{str(wrong['aria-describedby']).split()[-1]}").text
    assert wrong.find_parent("details").has_attr("open")


def test_two_steps_that_keep_one_name_are_the_same_account_by_one_click(
    bob: Reader, workflow: int, place: Place, web: Session
) -> None:
    steps = [http_step(key, place.http, capture={"id": "$.id"}) for key in ("create", "look")]
    add_version(web, web.get_one(Workflow, workflow), *steps)
    web.commit()
    refused = press(editor(bob, workflow, "look"), "save", expect=422, path="/x")
    assert "keeps id too" in refused.one("#step-look-capture_keep-1-error").text
    page = press(refused, "same:0")
    assert not page.select("#step-look-capture_keep-1-error")
    press(page, "save", expect=303)
    assert steps_of(editor(bob, workflow))[1]["capture"] == {"id": {"path": "$.id", "same": True}}


def test_the_shapes_of_well_known_systems_are_added_by_one_click_and_once(bob: Reader, workflow: int) -> None:
    page = press(editor(bob, workflow, "create"), "expect:errors")
    page = press(press(page, "expect:ok"), "expect:ok")
    step = steps_of(press(page, "close"))[0]
    assert step["expect"] == [
        {"path": "$.errors", "is": "empty"},
        {"path": "$.ok", "is": "equal", "than": True},
    ]
    assert step["failure_reason"] == "$.errors[*].message"


def test_a_pasted_answer_that_says_no_is_asked_about(bob: Reader, workflow: int) -> None:
    page = editor(bob, workflow, "create")
    answer = '{"ok": false, "id": 7}'
    told = preview(page, sample_answer=answer)
    assert "This one says ok: false. Shall it count as a success? Expect $.ok is true" in apart(told, "tried")
    page = press(page, "apply", sample_answer=answer)
    page = press(page, "expect:ok")
    assert page.form("editor")["sample_answer"] == answer
    assert "This one says ok" not in page.text
    assert "This is a web page, not JSON" in apart(preview(page, sample_answer="<!doctype html><p>"), "tried")


def test_a_webhook_and_a_person_s_task_have_the_conditions_that_they_can_have(
    bob: Reader, place: Place, web: Session
) -> None:
    hook = {"key": "tell", "type": "webhook", "connection_id": str(place.webhook), "body": {}}
    made = make_workflow(web, web.get_one(Application, place.application), hook, name="Tell")
    web.commit()
    page = editor(bob, made.id, "tell")
    has = [str(one["value"]) for one in page.select('button[value^="row:"]')]
    assert [one for one in has if "body" not in one] == ["row:only_if", "row:wait_when", "row:on_status"]
    press(press(page, "row:only_if"), "save", expect=303, only_if_of="{{ grantee.email }}")


def test_a_listed_step_says_its_conditions_and_where_each_status_leads(
    bob: Reader, workflow: int, place: Place, web: Session
) -> None:
    find = http_step(
        "find",
        place.http,
        name="Find",
        method="GET",
        body=None,
        only_if=[{"value": "{{ account.id }}", "is": "empty"}],
        on_status={"404": {"step": "create"}},
        on_success="end",
    )
    create = http_step("create", place.http, name="Create", expect=[{"path": "$.id", "is": "not_empty"}])
    add_version(web, web.get_one(Workflow, workflow), find, create)
    web.commit()
    for page in (editor(bob, workflow), bob.client.get(f"/workflows/{workflow}/versions/2")):
        first, second = page.select("li[id^=step-]")
        assert "Only if account.id is empty" in first.text
        assert [one.text for one in first.select(f'a[href="#{second["id"]}"]')] == ["HTTP 404 → “Create”"]
        assert "From “Find” on HTTP 404" in second.text
        assert "Expects $.id is not empty" in second.text


def test_each_way_is_previewed_for_a_version_and_for_the_draft(
    bob: Reader, workflow: int, place: Place, web: Session
) -> None:
    lookup = {"id": {"path": "$.id", "optional": True}}
    ways = {"404": {"step": "create"}}
    unknown = [{"value": "{{ account.id }}", "is": "empty"}]
    add_version(
        web,
        web.get_one(Workflow, workflow),
        http_step("find", place.http, name="Find", method="GET", body=None, capture=lookup, on_status=ways),
        http_step("create", place.http, name="Create", only_if=unknown),
    )
    web.commit()
    url = f"/workflows/{workflow}/dry-run?grant=sample&person="
    page = bob.client.get(url)
    asked = [(str(one["name"]), str(one["value"])) for one in page.select("input[id^=suppose-]")]
    assert asked == [("answers", "find:404"), ("absent", "steps.find.id"), ("absent", "account.id")]
    assert "Skipped" in page.one("#dry-create").text
    assert "Condition not met: “account.id is empty”." in page.one("#dry-create").text
    page = bob.client.get(f"{url}&answers=find:404&answers=gone:1&absent=nothing&absent=account.id")
    assert "Answers HTTP 404" in page.one("#dry-find").text
    assert "Succeeds" in page.one("#dry-create").text
    chosen = [str(one["value"]) for one in page.select("input[id^=suppose-][checked]")]
    assert chosen == ["find:404", "account.id"]
    form = editor(bob, workflow).form("editor")
    sent = {**form.fields, "do": "dry-run", "try_grant": "sample", "try_absent": "steps.find.id"}
    tried = bob.client.post(f"/workflows/{workflow}/dry-run", sent, expect=200, csrf=False)
    assert [str(one["value"]) for one in tried.select("#trial input[checked]")] == ["steps.find.id"]
