"""The unsaved draft tried below the editor: dry-run and backtest, nothing typed lost, nothing kept."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.models import Application, Grant, Role, Run, WorkflowVersion
from app.services import grants
from tests.support.factories import NOW, make_user
from tests.support.page import Page
from tests.support.queries.stories import ALICE
from tests.support.web.editor import press, steps_of
from tests.support.web.places import Place
from tests.support.web.readers import Reader


@pytest.fixture
def granted(web: Session, place: Place) -> int:
    """Jane has access to Jira."""
    jane = make_user(web, first_name="Jane", last_name="Doe", email="jane@example.org")
    application = web.get_one(Application, place.application)
    number = grants.grant(web, ALICE, application=application, user=jane, now=NOW).id
    web.commit()
    return number


def attempt(page: Page, do: str, *, expect: int = 200, htmx: bool = False, **typed: object) -> Page:
    """Press a button below the editor, which sends the editor's form and what stands beside the button."""
    button = page.one(f'#trial button[value="{do}"]')
    assert button["form"] == "editor"
    beside = {name: typed.pop(name) for name in ("try_grant", "try_fail", "try_person") if name in typed}
    data: dict[str, object] = {**page.form("editor").fill(**typed).fields, **beside, "do": do}
    return page.client.post(str(button["formaction"]), data, expect=expect, htmx=htmx, csrf=False)


def test_the_draft_is_tried_and_everything_typed_stays(bob: Reader, workflow: int, granted: int) -> None:
    page = bob.client.get(f"/workflows/{workflow}/edit?step=create")
    tried = attempt(page, "dry-run", path="/People", note="Why")
    assert "Dry-run. Nothing was sent." in tried.one("#dry-run-banner").text
    assert "POST https://target.example/People" in tried.one("#dry-create").text
    assert "jane@example.org" in tried.one("#dry-create").text
    assert (tried.form("editor")["path"], tried.form("editor")["note"]) == ("/People", "Why")
    assert [one["path"] for one in steps_of(tried)[:1]] == ["/People"]
    press(tried, "save", expect=303)


def test_the_bar_with_save_has_the_button_too(bob: Reader, workflow: int, granted: int) -> None:
    page = bob.client.get(f"/workflows/{workflow}/edit?step=create")
    tried = page.form("editor").fill(path="/People").submit("Dry-run", expect=200)
    assert "POST https://target.example/People" in tried.one("#dry-create").text


def test_nothing_is_stored(bob: Reader, workflow: int, granted: int, web: Session) -> None:
    page = bob.client.get(f"/workflows/{workflow}/edit?step=create")
    attempt(page, "dry-run", path="/People")
    attempt(page, "backtest", path="/People")
    web.rollback()
    assert web.scalar(select(func.count()).select_from(WorkflowVersion)) == 1
    assert web.scalar(select(func.count()).select_from(Run)) == 0


def test_by_htmx_only_the_part_below_is_replaced(bob: Reader, workflow: int, granted: int) -> None:
    part = attempt(bob.client.get(f"/workflows/{workflow}/edit"), "dry-run", htmx=True)
    assert (part.headers["HX-Retarget"], part.one("section#trial")["id"]) == ("#trial", "trial")
    assert not part.select("form#editor")


def test_steps_fail_and_another_grant_is_taken(bob: Reader, workflow: int, granted: int) -> None:
    page = bob.client.get(f"/workflows/{workflow}/edit")
    tried = attempt(page, "dry-run", try_grant="sample", try_fail=["create", "gone"])
    assert "sam.sample@example.com" in tried.one("#dry-create").text
    assert "Ends: Failed" in tried.text
    assert [one["value"] for one in tried.select("input[name=try_fail][checked]")] == ["create"]
    assert tried.one("#try-grant option[selected]")["value"] == "sample"


def test_the_grants_are_narrowed_to_a_person(bob: Reader, workflow: int, granted: int, web: Session) -> None:
    application = web.get_one(Application, web.get_one(Grant, granted).application_id)
    bo = make_user(web, first_name="Bo", last_name="Li", email="bo@example.org")
    grants.grant(web, ALICE, application=application, user=bo, now=NOW)
    web.commit()
    page = bob.client.get(f"/workflows/{workflow}/edit")
    assert "bo@example.org" in attempt(page, "dry-run").one("#dry-create").text
    found = attempt(page, "dry-run", try_person="jane")
    assert "jane@example.org" in found.one("#dry-create").text
    assert found.one("#try-person")["value"] == "jane"
    assert (
        "No active grant of this application is for “zz”." in attempt(page, "dry-run", try_person="zz").text
    )


def test_a_draft_that_is_not_whole_says_what_is_missing(bob: Reader, workflow: int, granted: int) -> None:
    page = press(bob.client.get(f"/workflows/{workflow}/edit"), "add:http")
    tried = attempt(page, "dry-run", expect=422)
    assert "The draft cannot be tried yet." in tried.text
    assert "3. New step: " in tried.one("#trial").get_text(" ")
    refused = attempt(page, "dry-run", expect=422, attempts="x", retry_on=True)
    assert "It must be a whole number from 1 to 10." in refused.text
    assert refused.form("editor")["attempts"] == "x"


def test_a_body_that_is_no_json_is_kept_and_said(bob: Reader, workflow: int, granted: int) -> None:
    page = press(bob.client.get(f"/workflows/{workflow}/edit?step=create"), "body:json")
    refused = attempt(page, "dry-run", expect=422, body_json='{"a": ')
    assert "The open step cannot be read yet." in refused.text
    assert refused.form("editor")["body_json"] == '{"a": '


def test_the_draft_is_backtested(bob: Reader, workflow: int, granted: int) -> None:
    page = bob.client.get(f"/workflows/{workflow}/edit?step=create")
    tried = attempt(page, "backtest", path="/{{ grantee.employee_id }}/x")
    assert "Backtest. Nothing was sent." in tried.text
    [row] = tried.table("tried")
    assert (row["Person"], row["Result"]) == ("Jane Doe", "Changed")
    assert "https://target.example/Users → https://target.example/E-" in row["What differs"]


def test_without_grants_it_says_what_to_do(bob: Reader, workflow: int) -> None:
    page = bob.client.get(f"/workflows/{workflow}/edit")
    for do in ("dry-run", "backtest"):
        assert "Grant someone access first" in attempt(page, do).text


def test_trying_costs_the_same_for_one_grant_and_for_fifty(
    bob: Reader, workflow: int, granted: int, web: Session, statements: Callable[[Callable[[], object]], int]
) -> None:
    page = bob.client.get(f"/workflows/{workflow}/edit?step=create")
    few = statements(lambda: attempt(page, "backtest", path="/People"))
    application = web.get_one(Application, web.get_one(Grant, granted).application_id)
    for _ in range(55):
        grants.grant(web, ALICE, application=application, user=make_user(web), now=NOW)
    web.commit()
    assert statements(lambda: attempt(page, "backtest", path="/People")) <= few
    told = attempt(page, "backtest", path="/People")
    assert "50 grants tried" in told.text
    assert [row["Grants"] for row in told.table("findings")] == ["50"]


def test_it_needs_the_right_to_read_grants(
    only_sqlite: Flask, bob: Reader, workflow: int, granted: int, web: Session
) -> None:
    web.scalars(select(Role).where(Role.kind == "member")).one().permissions = [
        "workflow:read",
        "workflow:manage",
    ]
    web.commit()
    page = bob.client.get(f"/workflows/{workflow}/edit")
    assert not page.select("#trial")
    data = {**page.form("editor").fields, "do": "dry-run"}
    told = bob.client.post(f"/workflows/{workflow}/dry-run", data, expect=403, csrf=False)
    assert "grant:read" in told.text


@pytest.mark.parametrize("sent", [{}, {"uid": "a"}, {"uid": "a", "step": "{"}, {"try_grant": "\0"}])
def test_a_form_that_is_no_draft_is_refused(bob: Reader, workflow: int, sent: dict[str, str]) -> None:
    bob.client.get("/account")
    answer = bob.client.flask.post(
        f"/workflows/{workflow}/dry-run", data={**sent, "csrf_token": bob.client.token}
    )
    assert answer.status_code in (200, 422)
