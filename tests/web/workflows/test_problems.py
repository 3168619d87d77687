"""What is wrong with a draft, and what it may do: named by step, section and field, with the way to mend it."""

from __future__ import annotations

from sqlalchemy.orm import Session

from app.models import Application
from tests.support.factories import http_step, make_workflow
from tests.support.web.editor import editor, press
from tests.support.web.places import Place
from tests.support.web.readers import Reader


def test_problems_are_named_by_step_and_field(bob: Reader, workflow: int) -> None:
    page = editor(bob, workflow, "create")
    refused = press(page, "save", expect=422, path="/users/{{ grantee.emial }}", connection_id="")
    summary = refused.one("#errors")
    links = {str(a["href"]) for a in summary.select("a")}
    assert links == {"#step-create-connection_id"}
    page = press(page, "save", expect=422, path="/users/{{ grantee.emial }}", connection_id="1")
    assert "Did you mean grantee.email?" in page.errors()["path"]
    assert page.form("editor")["path"] == "/users/{{ grantee.emial }}"
    assert "1 problem" in page.text


def test_a_problem_in_a_closed_step_opens_it(bob: Reader, workflow: int) -> None:
    page = press(editor(bob, workflow, "create"), "open:ask", path="users")
    page = press(page, "close")
    refused = press(page, "save", expect=422)
    assert refused.form("editor")["open"] == "create"
    assert "path" in refused.errors()


def test_problems_are_counted_by_section_and_stay_until_they_are_mended(bob: Reader, workflow: int) -> None:
    page = editor(bob, workflow, "create")
    typed = {"path": "users", "body_value": "{{ nobody }}", "retry_on": True, "attempts": "many"}
    refused = press(page, "save", expect=422, **typed)
    parts = refused.texts("#step-create .parts a")
    assert parts == ["General", "Data", "Preview", "Retry (1 problem)", "Flow"]
    page = press(refused, "save", expect=422, attempts="3")
    parts = page.texts("#step-create .parts a")
    assert parts == ["General (1 problem)", "Data (1 problem)", "Preview", "Retry", "Flow"]
    page = press(page, "open:ask")
    assert "2 problems" in page.one("#step-create").text
    assert not page.title.startswith("Error")
    page = press(page, "open:create")
    assert page.errors()["path"].startswith("A path begins with one /")
    page = press(page, "apply", path="/users")
    assert "path" not in page.errors()


def test_every_problem_of_the_rows_stands_beside_them(bob: Reader, workflow: int) -> None:
    page = editor(bob, workflow, "create")
    rows = {"body_name": ["a", "b.c"], "body_kind": ["text", "text"], "body_value": ["{{ x }}", "{{ y"]}
    refused = press(page, "save", expect=422, **rows)
    words = refused.texts("#step-create-body-error p")
    assert [one.split(": ")[1] for one in words] == ["a", "b.c"]
    assert refused.one("#step-create-body")["aria-describedby"].split()[-1] == "step-create-body-error"


def test_a_problem_of_a_body_as_json_stands_beside_the_json(bob: Reader, workflow: int) -> None:
    page = press(editor(bob, workflow, "create"), "body:json")
    refused = press(page, "save", expect=422, body_json='{"a": "{{ grantee.emial }}"}')
    assert "Did you mean grantee.email?" in refused.errors()["body_json"]
    assert refused.one("#errors a")["href"] == "#step-create-body_json"


def test_what_creates_and_is_never_removed_is_said_with_the_way_to_mend_it(
    bob: Reader, workflow: int, web: Session, place: Place
) -> None:
    page = editor(bob, workflow)
    assert "“Create” may create something, and no workflow of this application removes it" in page.text
    new = page.follow("New workflow for Access revoked")
    assert new.form("workflow-form")["trigger"] == "access_revoked"
    remove = http_step("remove", place.http, method="DELETE", path="/U/{{ account.id }}", body=None)
    make_workflow(web, web.get_one(Application, place.application), remove, trigger="access_revoked")
    web.commit()
    assert "no workflow of this application removes it" not in editor(bob, workflow).text


def test_warnings_are_shown_with_their_meaning(bob: Reader, workflow: int) -> None:
    page = editor(bob, workflow, "create")
    press(page, "save", expect=303, retry_on=True, attempts="3")
    page = editor(bob, workflow)
    assert "1 warning" in page.text
    assert "A call whose answer was lost may have taken effect" in page.text


def test_a_warning_of_the_open_step_leads_to_its_input(bob: Reader, workflow: int) -> None:
    page = press(
        editor(bob, workflow, "create"),
        "apply",
        query_name="filter",
        query_value='email eq "{{ grantee.last_name }}"',
    )
    places = [str(a["href"]) for a in page.select("#step-create .warned a")]
    assert "#step-create-query" in places
