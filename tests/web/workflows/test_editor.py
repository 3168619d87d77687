"""Editing steps: the draft travels in the form, and nothing typed is ever lost."""

from __future__ import annotations

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.models import Workflow, WorkflowVersion
from tests.support.factories import add_version, http_step, make_group
from tests.support.web.editor import apart, editor, names_of, press, preview, steps_of
from tests.support.web.places import Place
from tests.support.web.readers import Reader


def newest(web: Session, workflow: int) -> WorkflowVersion:
    web.rollback()
    found = web.scalars(
        select(WorkflowVersion)
        .where(WorkflowVersion.workflow_id == workflow)
        .order_by(WorkflowVersion.number.desc())
    ).first()
    assert found is not None
    return found


def test_it_saves_a_changed_step_as_the_next_version(bob: Reader, workflow: int, web: Session) -> None:
    page = editor(bob, workflow, "create")
    page = press(page, "save", expect=303, path="/Accounts", note="New path")
    assert page.follow_redirect().text.count("Version 2 is saved.") == 1
    version = newest(web, workflow)
    assert (version.number, version.note, version.created_by) == (2, "New path", "Bob Example")
    assert version.steps[0]["path"] == "/Accounts"
    assert version.steps[0]["capture"] == {"id": "$.id"}


def test_it_shows_each_step_in_words(bob: Reader, workflow: int) -> None:
    page = editor(bob, workflow)
    assert names_of(page) == ["1. Create", "2. ask"]
    assert "POST /Users → 2xx · keeps id" in page.text
    assert "On failure: alert and stop" in page.text
    assert "Saving creates version 2. Open runs stay on version 1." in page.text
    assert page.texts('#editor [aria-disabled="true"]')[-2:] == [
        "Vendor SDK, Coming soon",
        "MCP, Coming soon",
    ]


def test_it_rejects_the_other_methods(bob: Reader, workflow: int) -> None:
    assert bob.client.get(f"/workflows/{workflow}/versions/1/restore", expect=405).status == 405


def test_it_needs_the_manage_permission(charlie: Reader, workflow: int) -> None:
    charlie.client.get(f"/workflows/{workflow}/edit", expect=403)
    charlie.client.get("/account")
    charlie.client.post(f"/workflows/{workflow}/edit", {"do": "save"}, expect=403)


def test_a_two_step_workflow_is_built_from_nothing(alice: Reader, place: Place, web: Session) -> None:
    new = alice.client.get(f"/applications/{place.application}/workflows").follow("New workflow")
    page = new.form("workflow-form").fill(name="Provision").submit().follow_redirect()
    page = press(page, "add:http")
    page = press(
        page,
        "add:human",
        name="Create the account",
        path="/users",
        body_name="email",
        body_value="{{ grantee.email }}",
    )
    assert names_of(page) == ["1. Create the account", "2. New step"]
    page = press(page, "save", expect=303, name="Welcome", prompt="Say hello to {{ grantee.first_name }}.")
    version = newest(web, 1)
    assert [step["key"] for step in version.steps] == ["create_the_account", "welcome"]
    assert version.steps[0]["body"] == {"email": "{{ grantee.email }}"}
    assert version.steps[0]["connection_id"] == str(place.http)


def test_moving_duplicating_removing_and_undoing(bob: Reader, workflow: int) -> None:
    page = press(editor(bob, workflow), "down:create")
    assert names_of(page) == ["1. ask", "2. Create"]
    assert page.one("#step-create-down").get("autofocus") is not None
    page = press(page, "up:create")
    assert names_of(page) == ["1. Create", "2. ask"]
    page = press(page, "copy:create")
    assert names_of(page) == ["1. Create", "2. Create (copy)", "3. ask"]
    assert [one["key"] for one in steps_of(page)] == ["create", "create_2", "ask"]
    page = press(page, "remove:create")
    assert "“Create” was removed." in page.text
    page = press(page, "undo")
    assert names_of(page) == ["1. Create", "2. Create (copy)", "3. ask"]


def test_moving_past_the_end_changes_nothing(bob: Reader, workflow: int) -> None:
    assert names_of(press(editor(bob, workflow), "up:create")) == ["1. Create", "2. ask"]


def test_what_is_typed_survives_every_button(bob: Reader, workflow: int) -> None:
    page = press(editor(bob, workflow, "create"), "down:ask", path="/typed", attempts="many", retry_on=True)
    assert page.form("editor")["path"] == "/typed"
    page = press(page, "open:ask")
    page = press(page, "open:create")
    assert page.form("editor")["path"] == "/typed"
    assert page.form("editor")["attempts"] == "many"


def test_rows_and_json_show_each_other(bob: Reader, workflow: int) -> None:
    page = editor(bob, workflow, "create")
    assert '"userName": "{{ grantee.email }}"' in page.one("#step-create-other pre").text
    page = press(page, "body:json")
    assert '"userName"' in page.form("editor")["body_json"]
    page = press(page, "body:rows", body_json='{"name": {"given": "x"}, "n": 1, "list": [1]}')
    form = page.form("editor")
    assert form.fields["body_name"] == ["name.given", "n", "list", ""]
    assert form.fields["body_kind"] == ["text", "number", "json", "text"]


def test_json_that_cannot_be_read_keeps_the_step_open_with_its_text(bob: Reader, workflow: int) -> None:
    page = press(editor(bob, workflow, "create"), "body:json")
    for do in ("body:rows", "open:ask", "close", "save", "copy:ask"):
        refused = press(page, do, expect=422, body_json='{"a": ')
        assert refused.form("editor")["body_json"] == '{"a": '
        assert refused.errors()["body_json"].startswith("This is not JSON: line 1")
        assert refused.title.startswith("Error: ")
    assert names_of(press(page, "down:create", body_json='{"a": ')) == ["1. ask", "2. Create"]


def test_a_row_without_a_name_is_refused_at_its_row(bob: Reader, workflow: int) -> None:
    page = editor(bob, workflow, "create")
    refused = press(page, "close", expect=422, header_value="text/plain")
    assert "This value has no name." in refused.one("#step-create-header_name-1-error").text
    assert refused.form("editor").fields["header_value"] == ["text/plain", ""]


def test_no_body_and_back_finds_the_rows_again(bob: Reader, workflow: int) -> None:
    page = press(editor(bob, workflow, "create"), "body:none")
    assert press(page, "body:rows").form("editor")["body_name"] == "userName"
    assert '"userName"' in press(page, "body:json").form("editor")["body_json"]


def test_rows_are_added_and_dropped(bob: Reader, workflow: int) -> None:
    page = press(editor(bob, workflow, "create"), "row:capture")
    assert page.form("editor").fields["capture_name"] == ["id", "", ""]
    page = press(page, "drop:capture:0")
    assert page.form("editor").fields["capture_name"][0] == ""


def test_saving_unchanged_makes_no_version_and_says_so(bob: Reader, workflow: int, web: Session) -> None:
    page = press(editor(bob, workflow, "create"), "save", expect=303)
    assert "Nothing had changed, so no version was made." in page.follow_redirect().text
    assert newest(web, workflow).number == 1


def test_a_concurrent_save_is_told_and_the_draft_is_kept(
    bob: Reader, workflow: int, place: Place, web: Session
) -> None:
    page = editor(bob, workflow, "create")
    add_version(web, web.get_one(Workflow, workflow), http_step(connection_id=place.http, path="/Other"))
    web.commit()
    told = press(page, "save", expect=409, path="/Mine")
    assert "Test saved version 2 while you were editing." in told.text
    assert told.form("editor")["path"] == "/Mine"
    press(told, "save", expect=303)
    assert (newest(web, workflow).number, newest(web, workflow).steps[0]["path"]) == (3, "/Mine")


def test_a_concurrent_save_by_htmx_replaces_the_editor(
    bob: Reader, workflow: int, web: Session, place: Place
) -> None:
    page = editor(bob, workflow, "create")
    add_version(web, web.get_one(Workflow, workflow), http_step(connection_id=place.http))
    web.commit()
    told = press(page, "save", expect=409, htmx=True, path="/Mine")
    assert told.headers["HX-Retarget"] == "#editor"


def test_htmx_gets_the_form_alone(bob: Reader, workflow: int) -> None:
    part = press(editor(bob, workflow), "open:create", htmx=True)
    assert part.is_fragment
    assert part.one("form")["id"] == "editor"


def test_the_schedule_is_computed(bob: Reader, workflow: int) -> None:
    page = editor(bob, workflow, "create")
    typed = {"retry_on": True, "attempts": "3", "delay_seconds": "2", "backoff": "exponential"}
    assert "Tries at 0 s, 2 s and 6 s" in apart(preview(page, **typed), "schedule")
    assert "Enter 1 to 10" in apart(preview(page, retry_on=True, attempts="x"), "schedule")
    assert "One try" in apart(preview(page, retry_on=False), "schedule")
    assert "Tries at 0 s, 2 s and 6 s" in press(editor(bob, workflow, "create"), "apply", **typed).text


def test_a_person_is_found_by_email(bob: Reader, workflow: int, web: Session) -> None:
    page = editor(bob, workflow, "ask")
    refused = press(page, "save", expect=422, assignee="person", person="nobody@example.org")
    assert refused.form("editor")["person"] == "nobody@example.org"
    press(refused, "save", expect=303, person="BOB@example.org")
    assert newest(web, workflow).steps[1]["assignee"] == {"user_id": str(bob.id)}
    assert editor(bob, workflow, "ask").form("editor")["person"] == "bob@example.org"


def test_a_task_asks_a_group_for_typed_fields(bob: Reader, workflow: int, web: Session) -> None:
    group = make_group(web, name="IT desk")
    web.commit()
    typed = {
        "name": "Assign",
        "assignee": f"group:{group.id}",
        "due_hours": "24",
        "other_than_granter": True,
        "field_label": ["Seats", "Team"],
        "field_name": ["", "team"],
        "field_type": ["number", "choice"],
        "field_required": ["1", ""],
        "field_options": ["", "Red\r\nBlue"],
    }
    press(editor(bob, workflow, "ask"), "save", expect=303, **typed)
    step = newest(web, workflow).steps[1]
    assert (step["assignee"], step["due_hours"]) == ({"group_id": str(group.id)}, 24)
    assert step["granter_may_act"] is False
    assert step["fields"] == [
        {"name": "seats", "label": "Seats", "type": "number", "required": True},
        {"name": "team", "label": "Team", "type": "choice", "required": False, "options": ["Red", "Blue"]},
    ]
    card = editor(bob, workflow).one("#step-ask").text
    assert "Ask a group" in card
    assert "2 fields · due in 24 h · not by who granted" in card


@pytest.mark.parametrize(
    "odd",
    [
        {"do": "explode"},
        {"do": "open:nothing"},
        {"do": "up:"},
        {"uid": "a", "step": "{"},
        {"uid": "a", "step": "[1]"},
        {"uid": "a", "step": '{"name": "\\ud800"}'},
        {"uid": ["a", "a"], "step": ["{}", "{}"]},
        {"uid": "<b>", "step": "{}"},
        {"uid": "a"},
        {"open": "a"},
        {"do": "row:body"},
        {"removed": "[]", "removed_uid": "a"},
        {"uid": "a", "step": "{}", "open": "a", "do": "drop:body:x"},
        {"uid": "a", "step": '{"type": 3}', "open": "a", "type": "magic", "do": "apply"},
        {"do": "save", "based_on": "99999999999"},
        {"uid": "a", "step": '{"type": "http"}', "do": "save", "note": "x" * 3000},
    ],
)
def test_odd_input_is_refused_or_shown_but_never_breaks(
    bob: Reader, workflow: int, odd: dict[str, object]
) -> None:
    editor(bob, workflow)
    data = {"csrf_token": bob.client.token, **odd}
    answer = bob.client.flask.post(f"/workflows/{workflow}/edit", data=data)
    assert answer.status_code in (200, 409, 422)


def test_names_are_text_whatever_they_hold(bob: Reader, workflow: int) -> None:
    name = "<img hx-get=/x onerror=1> {{7*7}}"
    page = press(editor(bob, workflow, "create"), "close", name=name)
    assert name in page.text
    assert not page.select("#editor img")


def test_fifty_steps_stay_editable_and_no_more_are_added(
    bob: Reader, workflow: int, web: Session, place: Place
) -> None:
    many = [http_step(f"step{at}", place.http) for at in range(50)]
    add_version(web, web.get_one(Workflow, workflow), *many)
    web.commit()
    answer = bob.client.flask.get(f"/workflows/{workflow}/edit?step=step7")
    assert answer.status_code == 200
    assert len(answer.get_data()) < 250_000
    packed = {"uid": [f"s{at}" for at in range(50)], "step": ["{}"] * 50, "do": "add:http"}
    refused = bob.client.flask.post(f"/workflows/{workflow}/edit", data={"csrf_token": token(bob), **packed})
    assert refused.status_code == 422
    assert "A workflow can have 50 steps." in refused.get_data(as_text=True)


def test_each_further_step_adds_the_same_to_the_page(
    bob: Reader, workflow: int, web: Session, place: Place
) -> None:
    def size(count: int) -> int:
        steps = [http_step(f"step{at:02}", place.http, capture={"id": "$.id"}) for at in range(count)]
        add_version(web, web.get_one(Workflow, workflow), *steps)
        web.commit()
        return len(bob.client.flask.get(f"/workflows/{workflow}/edit?step=step00").get_data())

    few, some, many = size(10), size(30), size(50)
    assert many - some == pytest.approx(some - few, rel=0.05)


def token(reader: Reader) -> str:
    return str(reader.client.get("/account").select('input[name="csrf_token"]')[0]["value"])


def test_a_deleted_workflow_is_not_found(bob: Reader, workflow: int, web: Session) -> None:
    web.get_one(Workflow, workflow).deleted_at = web.get_one(Workflow, workflow).created_at
    web.commit()
    bob.client.get(f"/workflows/{workflow}/edit", expect=404)
