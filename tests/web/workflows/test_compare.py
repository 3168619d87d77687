"""The difference of two versions in words and by field, and what the second of two savers is told."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy.orm import Session

from app.models import Application, Workflow
from tests.support.factories import add_version, http_step, human_step, make_connection, make_group
from tests.support.page import Page
from tests.support.web.editor import press, steps_of
from tests.support.web.places import Place
from tests.support.web.readers import Reader


@pytest.fixture
def versions(web: Session, workflow: int, place: Place) -> int:
    """Three versions: the second changes fields, the third adds, removes and moves steps."""
    row = web.get_one(Workflow, workflow)
    group = make_group(web, name="IT desk")
    other = make_connection(web, web.get_one(Application, place.application), name="Jira staging")
    create = http_step(connection_id=other.id, path="/People", capture={"id": "$.id"}, body={"a": "x"})
    ask = human_step(prompt="Which team?\nSee the wiki.", assignee={"group_id": str(group.id)})
    add_version(web, row, create, ask)
    add_version(web, row, http_step("notify", place.http), ask, create)
    web.commit()
    return workflow


def fields_of(page: Page, step: str) -> dict[str, str]:
    names = page.texts(f"#{step} dt")
    return dict(zip(names, page.texts(f"#{step} dd"), strict=True))


def test_fields_show_what_was_and_what_is_with_signs(bob: Reader, versions: int) -> None:
    page = bob.client.get(f"/workflows/{versions}/compare?from=1&to=2")
    assert "2 steps differ." in page.text
    create = fields_of(page, "diff-create")
    assert create["path"] == "− was /Users + is /People"
    assert create["connection_id"] == "− was Jira API + is Jira staging"
    assert create["body.userName"] == "− was {{ grantee.email }}"
    assert create["body.a"] == "+ is x"
    ask = fields_of(page, "diff-ask")
    assert ask["assignee"] == "− was anyone + is the group IT desk"
    assert (
        ask["prompt"] == "− was Which team for {{ grantee.first_name }}? + is Which team? + is See the wiki."
    )


def test_conditions_ways_and_waiting_are_compared_by_field(
    bob: Reader, workflow: int, web: Session, place: Place
) -> None:
    create = http_step(
        "create",
        place.http,
        only_if=[{"value": "{{ account.id }}", "is": "empty"}],
        expect=[{"path": "$.ok", "is": "equal", "than": True}],
        on_status={"409": {"step": "ask"}},
        failure_reason="$.detail",
        capture={"id": {"path": "$.id", "same": True}, "m": {"path": "$.m", "keep": "grant"}},
        retry={
            "wait_when": [{"path": "$.s", "is": "in", "than": ["new", "busy"]}],
            "poll": {"every_seconds": 5},
        },
    )
    add_version(web, web.get_one(Workflow, workflow), create, human_step())
    web.commit()
    changed = fields_of(bob.client.get(f"/workflows/{workflow}/compare?from=1&to=2"), "diff-create")
    wanted = {
        "only_if[0].value": "+ is {{ account.id }}",
        "expect[0].path": "+ is $.ok",
        "expect[0].than": "+ is true",
        "on_status.409": "+ is go to ask",
        "failure_reason": "+ is $.detail",
        "capture.m.keep": "+ is grant",
        "retry.wait_when[0].than[1]": "+ is busy",
        "retry.poll.every_seconds": "+ is 5",
    }
    assert {name: changed.get(name) for name in wanted} == wanted


def test_added_removed_and_moved_steps_are_told_in_words(bob: Reader, versions: int) -> None:
    page = bob.client.get(f"/workflows/{versions}/compare?from=2&to=3")
    assert "Added" in page.one("#diff-notify").text
    assert "“Notify” was added." in page.text
    assert "moved from place" in page.text
    back = page.follow("Swap")
    assert "“Notify” was removed." in back.text


def test_a_line_that_stayed_has_no_sign(bob: Reader, versions: int, web: Session) -> None:
    row = web.get_one(Workflow, versions)
    for prompt in ("First\nsecond\nthird", "First\nother\nthird"):
        add_version(web, row, human_step(prompt=prompt))
    web.commit()
    page = bob.client.get(f"/workflows/{versions}/compare")
    assert fields_of(page, "diff-ask") == {"prompt": "First − was second + is other third"}


def test_what_would_not_be_seen_is_written_out(bob: Reader, versions: int, web: Session) -> None:
    row = web.get_one(Workflow, versions)
    for prompt in ("Delete\u200b it", "Delete\u202e it"):
        add_version(web, row, human_step(prompt=prompt))
    web.commit()
    page = bob.client.get(f"/workflows/{versions}/compare")
    assert fields_of(page, "diff-ask") == {"prompt": r"− was Delete\u200b it + is Delete\u202e it"}


def test_any_two_can_be_chosen_and_the_list_leads_to_each_step(bob: Reader, versions: int) -> None:
    listed = bob.client.get(f"/workflows/{versions}/versions")
    page = listed.follow("Compare with 1: version 2")
    assert page.h1 == "From version 1 to version 2"
    assert [one["value"] for one in page.select("#from option")] == ["3", "2", "1"]
    assert listed.follow("Compare two versions").h1 == "From version 2 to version 3"
    old = bob.client.get(f"/workflows/{versions}/versions/1")
    assert old.follow("Compare with the newest").h1 == "From version 1 to version 3"


def test_the_same_version_has_no_difference(bob: Reader, versions: int) -> None:
    assert "No difference" in bob.client.get(f"/workflows/{versions}/compare?from=2&to=2").text


@pytest.mark.parametrize("query", ["from=9", "to=0", "from=x", "to=99999999999999999999", "from=%00"])
def test_versions_that_are_not_there_are_not_found(bob: Reader, versions: int, query: str) -> None:
    bob.client.get(f"/workflows/{versions}/compare?{query}", expect=404)


def test_a_workflow_without_versions_has_nothing_to_compare(bob: Reader, web: Session, workflow: int) -> None:
    row = web.get_one(Workflow, workflow)
    row.version_id, row.version_number = None, 0
    web.commit()
    bob.client.get(f"/workflows/{workflow}/compare", expect=404)


def test_comparing_costs_the_same_whatever_the_size(
    bob: Reader,
    versions: int,
    web: Session,
    place: Place,
    statements: Callable[[Callable[[], object]], int],
) -> None:
    few = statements(lambda: bob.client.get(f"/workflows/{versions}/compare?from=1&to=2"))
    row = web.get_one(Workflow, versions)
    many = [http_step(f"s{at}", place.http) for at in range(25)]
    add_version(web, row, *many, *[human_step(f"h{at}") for at in range(25)])
    web.commit()
    assert statements(lambda: bob.client.get(f"/workflows/{versions}/compare?from=1&to=4")) <= few


def test_it_needs_permission_and_has_no_other_method(bob: Reader, charlie: Reader, versions: int) -> None:
    charlie.client.get(f"/workflows/{versions}/compare", expect=403)
    bob.client.get("/account")
    bob.client.post(f"/workflows/{versions}/compare", expect=405)


def test_the_second_saver_gets_both_differences_and_keeps_the_draft(
    bob: Reader, workflow: int, web: Session, place: Place
) -> None:
    mine = bob.client.get(f"/workflows/{workflow}/edit?step=create")
    first = http_step(connection_id=place.http, capture={"id": "$.id"}, path="/Theirs")
    add_version(web, web.get_one(Workflow, workflow), first, human_step())
    web.commit()
    told = press(mine, "save", expect=409, path="/Mine", note="My reason")
    assert fields_of(told, "theirs-step-create") == {"path": "− was /Users + is /Theirs"}
    assert fields_of(told, "mine-step-create") == {"path": "− was /Theirs + is /Mine"}
    assert (told.form("editor")["path"], told.form("editor")["note"]) == ("/Mine", "My reason")
    assert [one["key"] for one in steps_of(told)] == ["create", "ask"]
    assert "Save as version 3" in told.text
    press(told, "save", expect=303)
    web.rollback()
    assert web.get_one(Workflow, workflow).version_number == 3


def test_a_draft_that_cannot_be_read_is_told_the_other_difference_alone(
    bob: Reader, workflow: int, web: Session, place: Place
) -> None:
    mine = press(bob.client.get(f"/workflows/{workflow}/edit"), "add:http")
    add_version(web, web.get_one(Workflow, workflow), http_step(connection_id=place.http))
    web.commit()
    told = press(mine, "save", expect=409)
    assert "cannot be read yet" in told.one("#mine").text
    assert told.select("#theirs li")


def test_restoring_what_somebody_has_saved_over_meanwhile_asks_again(
    bob: Reader, versions: int, web: Session, place: Place
) -> None:
    page = bob.client.get(f"/workflows/{versions}/versions/1")
    add_version(web, web.get_one(Workflow, versions), http_step("late", place.http))
    web.commit()
    told = page.press("Save as version 4", expect=409)
    assert "saved version 4 while you were" in told.text
    assert told.press("Save as version 5").status == 303
