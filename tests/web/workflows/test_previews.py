"""The preview of the open step while it is written: the request, its tokens, captures, and what is wrong."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain.mapping.filters import FILTERS
from app.models import Application, Base, Grant, Role, Workflow
from app.queries.dry_run import dry_run
from app.services import grants
from app.web.workflows.drafts import Draft
from tests.support.factories import (
    NOW,
    add_version,
    http_step,
    human_step,
    make_application,
    make_user,
    make_workflow,
)
from tests.support.queries.stories import ALICE
from tests.support.web.editor import apart, editor, press, preview
from tests.support.web.places import Place
from tests.support.web.readers import Reader

CANARY = "canary-7d1f"
ANSWER = f'{{"id": "u-{CANARY}", "list": [1], "n": 7}}'


@pytest.fixture
def grant(web: Session, place: Place) -> Grant:
    """Jane's access to Jira."""
    application = web.get_one(Application, place.application)
    jane = make_user(web, email="jane@example.org", first_name="Jane", last_name="Doe", employee_id=None)
    made = grants.grant(web, ALICE, application=application, user=jane, now=NOW, access_level="Editor")
    web.commit()
    return made


def test_it_shows_the_request_that_the_dry_run_shows(
    bob: Reader, workflow: int, web: Session, grant: Grant
) -> None:
    page = editor(bob, workflow, "create")
    typed = {"path": "/people/{{ grantee.email }}", "body_value": "{{ grantee.first_name | lower }}"}
    shown = preview(page, **typed)
    steps = [http_step("create", page.form("editor")["connection_id"], path=typed["path"])]
    steps[0]["body"] = {"userName": typed["body_value"]}
    request = dry_run(web, web.get_one(Workflow, workflow), grant, now=NOW, steps=steps).steps[0].request
    assert request is not None
    assert f"POST {request.url}" == "POST https://target.example/people/jane%40example.org"
    assert f"POST {request.url}" in shown.text
    assert [one.get_text() for one in shown.select('pre[aria-label="Body"]')] == [
        (request.body or b"").decode()
    ]
    assert shown.one('pre[aria-label="Headers"]').get_text().splitlines() == [
        f"{name}: {value}" for name, value in request.headers.items()
    ]
    assert apart(shown, "line") == f"POST {request.url}"


def test_values_that_are_not_there_are_named(bob: Reader, workflow: int, grant: Grant) -> None:
    page = editor(bob, workflow, "create")
    assert "grantee.employee_id is empty." in preview(page, body_value="{{ grantee.employee_id }}").text
    shown = preview(page, path="/users/{{ grantee.employee_id }}")
    assert "grantee.employee_id is empty, so the path would name something else." in apart(shown, "line")
    assert not shown.select("pre")


def test_the_filter_that_keeps_a_value_in_is_proposed_while_typing(
    bob: Reader, workflow: int, grant: Grant
) -> None:
    page = editor(bob, workflow, "create")
    text = 'userName eq "{{ grantee.username | lower }}"'
    proposed = "write {{ grantee.username | lower | scim }}"
    assert proposed in preview(page, query_name="filter", query_value=text).text
    assert press(page, "apply", query_name="filter", query_value=text).text.count(proposed) == 1
    kept = text.replace("lower", "scim")
    assert "quotation mark" not in preview(page, query_name="filter", query_value=kept).text


def test_a_misspelt_token_is_answered_with_the_nearest_before_saving(
    bob: Reader, workflow: int, grant: Grant
) -> None:
    page = editor(bob, workflow, "create")
    shown = preview(page, path="/users/{{ grantee.emial }}")
    words = "grantee.emial is not available. Did you mean grantee.email?"
    assert shown.one('a[href="#step-create-path"]').text == words
    assert apart(shown, "line") == words
    shown = preview(page, path="/users", body_value="{{ grantee.emial }}")
    assert shown.one('a[href="#step-create-body"]').text.endswith(words)
    assert "is empty" not in shown.text


def test_tokens_are_checked_while_another_step_is_unfinished(bob: Reader, workflow: int) -> None:
    page = press(press(editor(bob, workflow), "add:http"), "open:create")
    assert "Did you mean grantee.email?" in preview(page, path="/{{ grantee.emial }}").text


def test_what_keeps_the_step_from_being_shown_is_linked(bob: Reader, workflow: int) -> None:
    page = press(editor(bob, workflow), "add:webhook")
    places = {str(a["href"]) for a in page.select("[data-apart] a")}
    assert places == {"#step-new-key"}
    shown = preview(press(editor(bob, workflow, "create"), "body:json"), body_json='{"a": ')
    assert "This is not JSON: line 1" in shown.one('a[href="#step-create-body_json"]').text


def test_rows_and_json_follow_each_other_while_typing(bob: Reader, workflow: int) -> None:
    page = editor(bob, workflow, "create")
    shown = preview(page, body_name="name.given")
    assert apart(shown, "other-body") == '{ "name": { "given": "{{ grantee.email }}" } }'
    shown = preview(press(page, "body:json"), body_json='{"a": {"b": 1}}')
    assert apart(shown, "other-body") == "a.b number 1"


def test_the_sample_is_chosen_and_stays(bob: Reader, workflow: int, web: Session, grant: Grant) -> None:
    application = web.get_one(Application, grant.application_id)
    other = grants.grant(
        web, ALICE, application=application, user=make_user(web, email="zoe@example.org"), now=NOW
    )
    web.commit()
    page = editor(bob, workflow, "create")
    assert page.form("editor")["sample"] == str(other.id)
    assert "zoe@example.org" in page.one('pre[aria-label="Body"]').text
    page = press(page, "apply", sample=grant.id)
    assert "jane@example.org" in page.one('pre[aria-label="Body"]').text
    page = press(press(page, "close"), "open:create")
    assert page.form("editor")["sample"] == str(grant.id)


def test_without_a_grant_or_the_right_to_see_one_a_made_up_person_stands_in(
    bob: Reader, workflow: int, web: Session, place: Place
) -> None:
    assert "sam.sample@example.com" in editor(bob, workflow, "create").text
    application = web.get_one(Application, place.application)
    hidden = grants.grant(
        web, ALICE, application=application, user=make_user(web, email="jane@example.org"), now=NOW
    )
    member = web.scalars(select(Role).where(Role.kind == "member")).one()
    member.permissions = ["workflow:read", "workflow:manage"]
    web.commit()
    page = press(editor(bob, workflow, "create"), "apply", sample=hidden.id)
    assert "jane@example.org" not in page.html
    assert "sam.sample@example.com" in page.text


def test_a_grant_of_another_application_is_no_sample(
    bob: Reader, workflow: int, web: Session, grant: Grant
) -> None:
    far = grants.grant(
        web,
        ALICE,
        application=make_application(web),
        user=make_user(web, email="far@example.org"),
        now=NOW,
    )
    web.commit()
    for odd in (far.id, "x", "9" * 30, "\0"):
        assert "jane@example.org" in preview(editor(bob, workflow, "create"), sample=odd).text


def test_tokens_are_offered_by_group_with_the_sample_s_values(
    bob: Reader, workflow: int, grant: Grant
) -> None:
    page = editor(bob, workflow, "ask")
    groups = page.texts("[data-picker] [data-group] > p")
    assert groups[:4] == ["Trigger event", "Grantee", "Application", "Grant"]
    assert groups[4:] == ["Step: Create", "Account, from earlier runs"]
    values = dict(text.split(" ", 1) for text in page.texts("[data-picker] li"))
    assert values["grantee.first_name"] == "Jane"
    assert values["grantee.employee_id"] == "empty here"
    assert values["steps.create.id"] == "known when it runs"
    assert page.one('[data-insert="{{ grantee.email }}"]')["type"] == "button"
    told = [f"{one.example} {one.does}" for one in FILTERS.values()]
    assert page.texts("[data-picker] details p") == told
    assert ", ".join(FILTERS) in page.one("noscript details").text
    assert "{{ grantee.email }} jane@example.org" in page.one("noscript details").text.replace("\n", " ")


def test_captures_are_tried_on_a_pasted_answer(bob: Reader, workflow: int) -> None:
    page = editor(bob, workflow, "create")
    rows = {
        "capture_name": ["id", "all", "none", "n", "at"],
        "capture_source": ["$.id", "$.list", "$.no", "$.n", "header:Location"],
        "capture_optional": ["", "", "1", "", ""],
    }
    tried = apart(preview(page, sample_answer=ANSWER, **rows), "tried")
    assert f'id: "u-{CANARY}"' in tried
    assert (
        "all: The value is a list or an object, and only single values are kept. The step would fail."
        in tried
    )
    assert "none: The answer holds nothing at this path. It is optional, so the step goes on." in tried
    assert "n: 7" in tried
    assert "at: Paste the answer with its headers" in tried
    whole = f"HTTP/2 201\r\nlocation: https://t.example/Users/9%209\r\n\r\n{ANSWER}"
    tried = apart(preview(page, sample_answer=whole, **rows), "tried")
    assert 'at: "9 9"' in tried
    assert "not JSON" in apart(preview(page, sample_answer="<html>", **rows), "tried")


def test_a_pasted_answer_is_kept_nowhere_but_on_the_page(
    bob: Reader,
    workflow: int,
    web: Session,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    page = preview_page = editor(bob, workflow, "create")
    assert CANARY in preview(preview_page, sample_answer=ANSWER).html
    page = press(page, "apply", sample_answer=ANSWER)
    assert page.form("editor")["sample_answer"] == ANSWER
    press(page, "save", expect=303, path="/changed")
    web.rollback()
    for table in Base.metadata.sorted_tables:
        assert CANARY not in repr(web.execute(select(table)).all()), table.name
    assert CANARY not in caplog.text + "".join(capfd.readouterr())


def test_a_person_s_task_is_previewed_as_they_read_it(bob: Reader, workflow: int, grant: Grant) -> None:
    page = editor(bob, workflow, "ask")
    typed = {"prompt": "Put {{ grantee.first_name }} into a team.", "field_type": "choice"}
    shown = preview(page, **typed, field_options="A\nB")
    assert "Put Jane into a team." in shown.text
    assert "Team: a choice of A, B (required)" in shown.text


def test_a_revoke_is_previewed_with_what_the_grant_workflow_captures(
    bob: Reader, workflow: int, web: Session, place: Place
) -> None:
    application = web.get_one(Application, place.application)
    remove = http_step("remove", place.http, method="DELETE", path="/U/{{ account.id }}", body=None)
    revoke = make_workflow(web, application, remove, trigger="access_revoked")
    web.commit()
    page = editor(bob, revoke.id, "remove")
    assert "DELETE https://target.example/U/‹account.id›" in page.text
    assert [mark.get_text() for mark in page.select("p mark")] == ["‹account.id›"]
    assert "captured by no workflow" in press(page, "apply", path="/U/{{ account.login }}").text


@pytest.mark.parametrize(
    "odd",
    [
        {"connection_id": "2"},  # a webhook's, for an API step
        {"connection_id": "x\0"},
        {"path": "/\0{{ \u202e"},
        {"path": "/" * 3000},
        {"header_name": ["A", "A", ""], "header_value": ["\r\n", "ø€", "{{ grantee.email }}"]},
        {"query_name": ["q"], "query_kind": ["json"], "query_value": ['{"a": {"b": 1}}']},
        {"body_as": "json", "body_json": "[1e999]"},
        {"body_as": "json", "body_json": '"{{ grantee.email }}"', "body_format": "form"},
        {"body_as": "json", "body_json": '{"a": [{"b": {}}]}', "body_format": "form"},
        {"body_value": '{{ grantee.email | date("%Y") }}'},
        {"type": "magic"},
        {"type": "webhook"},
        {"type": "human", "prompt": "{{ x", "assignee": "group:9", "field_name": ["a", "a"]},
        {"name": "<b>", "key": "ask"},
        {"body_as": "json", "body_json": '{"a": "\\ud800", "\\udc00": 1}'},
        {"sample_answer": "HTTP/1.1 200\n\n", "capture_source": ["header:", "$..[", "$[?match(@, 'a')]"]},
        {"sample_answer": "[" * 9000, "capture_source": ["$.a", "$"], "capture_name": ["", "\0"]},
    ],
)
def test_whatever_is_typed_the_preview_answers(
    bob: Reader, workflow: int, place: Place, odd: dict[str, object]
) -> None:
    assert place.webhook == 2
    form = editor(bob, workflow, "create").form("editor")
    url = f"/workflows/{workflow}/edit/preview"
    sent = bob.client.flask.post(url, data={**form.fields, **odd}, headers={"HX-Request": "true"})
    assert sent.status_code == 200
    again = bob.client.flask.post(f"/workflows/{workflow}/edit", data={**form.fields, **odd, "do": "apply"})
    assert again.status_code in (200, 422)


def test_nothing_open_has_no_preview(bob: Reader, workflow: int) -> None:
    form = editor(bob, workflow).form("editor")
    url = f"/workflows/{workflow}/edit/preview"
    assert bob.client.flask.post(url, data=form.fields).status_code == 204
    assert bob.client.get(url, expect=405).status == 405


def test_the_preview_needs_the_manage_permission(charlie: Reader, workflow: int) -> None:
    charlie.client.get("/account")
    charlie.client.post(f"/workflows/{workflow}/edit/preview", {}, expect=403)


@pytest.mark.usefixtures("grant")
def test_fifty_steps_cost_the_statements_of_three(
    bob: Reader,
    workflow: int,
    web: Session,
    place: Place,
    statements: Callable[[Callable[[], object]], int],
) -> None:
    def cost(count: int) -> tuple[int, int, int]:
        steps = [http_step(f"step{at}", place.http, capture={"id": "$.id"}) for at in range(count - 1)]
        add_version(web, web.get_one(Workflow, workflow), *steps, human_step())
        web.commit()
        client, url = bob.client.flask, f"/workflows/{workflow}/edit"
        draft = Draft.of([*steps, human_step()], 1)
        draft.show("step1")
        form = {
            **draft.typed,
            "open": "step1",
            "uid": [one.uid for one in draft.slots],
            "step": [str(one.packed()) for one in draft.slots],
            "csrf_token": bob.client.token,
        }
        return (
            statements(lambda: client.get(f"{url}?step=step1")),
            statements(lambda: client.post(url, data={**form, "do": "up:step1"})),
            statements(lambda: client.post(f"{url}/preview", data=form, headers={"HX-Request": "true"})),
        )

    editor(bob, workflow)
    few = cost(3)
    assert cost(50) == few
    assert max(few) <= 20
