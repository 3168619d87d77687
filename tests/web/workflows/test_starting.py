"""Starting runs for grants that exist already, after a workflow was enabled."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.models import Grant, Role, Run, User
from app.services import grants
from tests.support.factories import (
    NOW,
    add_version,
    http_step,
    make_application,
    make_connection,
    make_user,
    make_workflow,
)
from tests.support.queries.stories import ALICE
from tests.support.web.readers import Reader, fresh


class Set:
    """Three people who were given access while the workflow was disabled; one of them has it no longer."""

    def __init__(self, web: Session, trigger: str = "access_granted") -> None:
        self.web = web
        self.application = make_application(web)
        self.connection = make_connection(web, self.application)
        step = http_step("create", self.connection.id)
        self.workflow = make_workflow(web, self.application, step, trigger=trigger, is_enabled=False)
        self.ada, self.bo, self.cy = (self.granted(name) for name in ("Ada", "Bo", "Cy"))
        grants.revoke(web, ALICE, self.cy, now=NOW)
        web.commit()
        self.tab = f"/applications/{self.application.id}/workflows"
        self.path = f"/workflows/{self.workflow.id}/start-runs"

    def granted(self, name: str) -> Grant:
        user = make_user(self.web, first_name=name, last_name="Example")
        return grants.grant(self.web, ALICE, application=self.application, user=user, now=NOW)

    def runs(self) -> list[int]:
        fresh(self.web)
        return list(self.web.scalars(select(Run.grant_id).order_by(Run.id)))


@pytest.fixture
def made(web: Session) -> Set:
    return Set(web)


def enable(reader: Reader, made: Set) -> None:
    reader.client.get(made.tab)
    reader.client.post(f"/workflows/{made.workflow.id}/enabled", {"enabled": "1"})


def test_enabling_starts_nothing_and_offers_to(alice: Reader, made: Set) -> None:
    assert "Start runs for existing grants" not in alice.client.get(made.tab).text
    enable(alice, made)
    assert made.runs() == []
    page = alice.client.get(made.tab).follow("Start runs for existing grants…")
    assert page.texts("#existing tbody th") == ["Ada Example", "Bo Example"]
    assert not page.select("input[checked]")


def test_a_dry_run_stands_beside_each(alice: Reader, made: Set) -> None:
    made.web.get_one(User, made.ada.user_id).employee_id = None
    path = "/Users/{{ grantee.employee_id }}"
    add_version(made.web, made.workflow, http_step("create", made.connection.id, path=path))
    made.web.commit()
    enable(alice, made)
    ada, bo = alice.client.get(made.path).table("existing")
    assert "Ends: Failed" in ada["Dry-run"]
    assert "Create fails: path: grantee.employee_id is empty" in ada["Dry-run"]
    assert "Ends: Succeeded" in bo["Dry-run"]
    assert "POST https://target.example/Users/E-" in bo["Dry-run"]
    assert made.runs() == []


def test_each_can_be_tried_first(alice: Reader, made: Set) -> None:
    enable(alice, made)
    link = alice.client.get(made.path).select("#existing a[href*='dry-run']")[0]
    assert "Dry-run. Nothing was sent." in alice.client.get(str(link["href"])).text


def test_only_the_chosen_ones_are_run_and_each_outcome_is_told(alice: Reader, made: Set) -> None:
    enable(alice, made)
    alice.client.get(made.path)
    page = alice.client.post(made.path, {"grant": [str(made.ada.id)]}, expect=200)
    assert made.runs() == [made.ada.id]
    [line] = page.texts("#outcomes li")
    assert "Started" in line
    assert page.texts("#existing tbody th") == ["Bo Example"]


def test_a_second_click_is_refused_per_grant_with_the_run_s_number(alice: Reader, made: Set) -> None:
    enable(alice, made)
    alice.client.get(made.path)
    alice.client.post(made.path, {"grant": [str(made.ada.id)]}, expect=200)
    both = {"grant": [str(made.ada.id), str(made.bo.id)]}
    page = alice.client.post(made.path, both, expect=200)
    first, second = page.texts("#outcomes li")
    assert "Not started" in first
    assert "This event has its run: run 1." in first
    assert "Run 2 started." in second
    assert made.runs() == [made.ada.id, made.bo.id]


def test_a_grant_that_was_revoked_meanwhile_holds_up_no_other(alice: Reader, made: Set) -> None:
    enable(alice, made)
    alice.client.get(made.path)
    sent = {"grant": [str(made.cy.id), "999999", "abc", str(made.bo.id)]}
    page = alice.client.post(made.path, sent, expect=200)
    lines = page.texts("#outcomes li")
    assert len(lines) == 3
    assert "has been revoked" in lines[0]
    assert "There is no grant 999999." in lines[1]
    assert made.runs() == [made.bo.id]


def test_a_grant_of_another_application_is_refused(alice: Reader, made: Set) -> None:
    enable(alice, made)
    other = Set(made.web)
    alice.client.get(made.path)
    page = alice.client.post(made.path, {"grant": [str(other.ada.id)]}, expect=200)
    assert "another application" in page.texts("#outcomes li")[0]
    assert made.runs() == []


def test_a_disabled_workflow_refuses_each(alice: Reader, made: Set) -> None:
    alice.client.get(made.path)
    page = alice.client.post(made.path, {"grant": [str(made.ada.id)]}, expect=200)
    assert "the workflow is disabled" in page.texts("#outcomes li")[0]


def test_nothing_chosen_is_said(alice: Reader, made: Set) -> None:
    alice.client.get(made.path)
    assert "Choose at least one grant." in alice.client.post(made.path, {}, expect=422).text


def test_the_list_is_paged_by_key(
    alice: Reader, made: Set, statements: Callable[[Callable[[], object]], int]
) -> None:
    few = statements(lambda: alice.client.get(made.path))
    for number in range(60):
        made.granted(f"N{number}")
    made.web.commit()
    assert statements(lambda: alice.client.get(made.path)) <= few + 1
    page = alice.client.get(made.path)
    assert len(page.select("#existing tbody tr")) == 50
    following = page.follow("Next")
    assert len(following.select("#existing tbody tr")) == 12


def test_a_revoke_workflow_has_no_such_page(alice: Reader, web: Session) -> None:
    made = Set(web, trigger="access_revoked")
    alice.client.get(made.path, expect=404)


def test_it_needs_the_right_to_run(bob: Reader, made: Set, web: Session) -> None:
    member = web.scalars(select(Role).where(Role.kind == "member")).one()
    member.permissions = ["grant:read", "workflow:read"]
    web.commit()
    assert "workflow:run" in bob.client.get(made.path, expect=403).text
