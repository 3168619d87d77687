"""The dry-run page: requests as they would be sent, for a chosen grant, with a chosen failure."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.models import Role, Run, Workflow
from app.services import grants
from tests.support.factories import (
    NOW,
    add_version,
    http_step,
    human_step,
    make_application,
    make_connection,
    make_user,
    make_workflow,
)
from tests.support.queries.stories import ALICE
from tests.support.web.readers import Reader, fresh


class Set:
    """A disabled workflow of three steps, and one person's grant."""

    def __init__(self, web: Session) -> None:
        self.application = make_application(web, name="Demo")
        self.connection = make_connection(web, self.application)
        self.person = make_user(web, first_name="Jane", last_name="Doe", email="jane@example.org")
        steps: list[dict[str, Any]] = [
            http_step("create", self.connection.id, name="Create the account", capture={"id": "$.id"}),
            human_step("team", name="Assign a team"),
            http_step(
                "add", self.connection.id, name="Add to the team", method="PUT", path="/{{ steps.create.id }}"
            ),
        ]
        self.workflow: Workflow = make_workflow(web, self.application, *steps, is_enabled=False)
        self.grant = grants.grant(web, ALICE, application=self.application, user=self.person, now=NOW)
        web.commit()
        self.path = f"/workflows/{self.workflow.id}/dry-run"


@pytest.fixture
def made(web: Session) -> Set:
    return Set(web)


def test_the_requests_stand_on_the_page_for_the_newest_active_grant(alice: Reader, made: Set) -> None:
    page = alice.client.get(f"/applications/{made.application.id}/workflows").follow(
        f"Dry-run: {made.workflow.name}"
    )
    assert "Dry-run. Nothing was sent." in page.one("#dry-run-banner").text
    assert "POST https://target.example/Users" in page.one("#dry-create").text
    assert '{"userName":"jane@example.org"}' in page.one("#dry-create").text
    assert "Which team for Jane?" in page.one("#dry-team").text
    assert "PUT https://target.example/‹steps.create.id›" in page.one("#dry-add").text
    assert "Ends: Succeeded" in page.text


def test_a_failure_is_simulated_and_the_choice_stays(alice: Reader, made: Set) -> None:
    page = alice.client.get(f"{made.path}?grant={made.grant.id}&fail=create")
    assert "Failure → ends the run as failed" in page.one("#dry-create").text
    assert not page.select("#dry-team")
    assert "Ends: Failed" in page.text
    assert [one["value"] for one in page.select("input[name=fail][checked]")] == ["create"]


def test_a_revoked_grant_can_be_tried_by_its_address(alice: Reader, made: Set, web: Session) -> None:
    grants.revoke(web, ALICE, made.grant, now=NOW)
    web.commit()
    assert "Grant someone access first" in alice.client.get(made.path).text
    page = alice.client.get(f"{made.path}?grant={made.grant.id}")
    assert "jane@example.org" in page.text


@pytest.mark.parametrize("query", ["grant=0", "grant=abc", "grant=999999", "fail=%00", "grant=%F0"])
def test_an_address_that_was_edited_is_no_error_of_ours(alice: Reader, made: Set, query: str) -> None:
    assert alice.client.get(f"{made.path}?{query}").status == 200


def test_it_needs_both_permissions(only_sqlite: Flask, bob: Reader, made: Set, web: Session) -> None:
    member = web.scalars(select(Role).where(Role.kind == "member")).one()
    for held, lacking in (("grant:read", "workflow:read"), ("workflow:read", "grant:read")):
        member.permissions = [held]
        web.commit()
        assert lacking in bob.client.get(made.path, expect=403).text


def test_looking_starts_nothing(alice: Reader, made: Set, web: Session) -> None:
    alice.client.get(made.path)
    fresh(web)
    assert web.scalar(select(func.count()).select_from(Run)) == 0


def test_any_version_and_several_failures_can_be_chosen(alice: Reader, made: Set, web: Session) -> None:
    one = http_step("one", made.connection.id, on_failure="continue")
    add_version(web, made.workflow, one, http_step("two", made.connection.id))
    web.commit()
    page = alice.client.get(made.path)
    assert page.one("#version option[selected]")["value"] == "2"
    page = alice.client.get(f"{made.path}?version=2&fail=one&fail=two&fail=gone")
    assert ("Fails" in page.one("#dry-one").text, "Fails" in page.one("#dry-two").text) == (True, True)
    page = alice.client.get(f"{made.path}?version=1")
    assert "Version 1" in page.text
    assert page.select("#dry-create")
    for wrong in ("3", "0", "x", "99999999999999999999"):
        alice.client.get(f"{made.path}?version={wrong}", expect=404)


def test_the_grants_are_narrowed_to_a_person(alice: Reader, made: Set, web: Session) -> None:
    bo = make_user(web, first_name="Bo", last_name="Li", email="bo@example.org")
    grants.grant(web, ALICE, application=made.application, user=bo, now=NOW)
    web.commit()
    assert "bo@example.org" in alice.client.get(made.path).one("#dry-create").text
    page = alice.client.get(f"{made.path}?person=jane&grant=2")
    assert "jane@example.org" in page.one("#dry-create").text
    assert len(page.select("#grant option")) == 2
    assert (
        "No active grant of this application is for “zz”." in alice.client.get(f"{made.path}?person=zz").text
    )


def test_without_a_grant_it_says_what_to_do_and_offers_a_made_up_person(
    alice: Reader, made: Set, web: Session
) -> None:
    grants.revoke(web, ALICE, made.grant, now=NOW)
    web.commit()
    page = alice.client.get(made.path)
    assert page.follow("Grant access").h1.startswith("Grant access")
    sample = page.follow("Use the sample person")
    assert '{"userName":"sam.sample@example.com"}' in sample.one("#dry-create").text
    assert sample.one("#grant option[selected]")["value"] == "sample"


def test_a_backtest_shows_what_a_version_changes(alice: Reader, made: Set, web: Session) -> None:
    add_version(web, made.workflow, http_step("create", made.connection.id, path="/People"))
    web.commit()
    page = alice.client.get(made.path).follow("Backtest")
    assert "Backtest. Nothing was sent." in page.one("#backtest-banner").text
    assert "1 grant tried, compared with version 2" in page.text
    assert "Every request of these grants stays as it is." in page.text
    page = page.form("backtest-form").fill(version="1").submit()
    findings = {row["Difference"]: row for row in page.table("findings")}
    url = findings["“Create the account”, URL"]
    assert url["For example"] == (
        "− was https://target.example/People + is https://target.example/Users Jane Doe"
    )
    assert "“Assign a team” is asked as well" in findings
    [row] = page.table("tried")
    assert (row["Person"], row["Result"]) == ("Jane Doe", "Changed")
    assert page.follow("Dry-run for Jane Doe, grant 1").select("#dry-create")


def test_a_backtest_without_grants_says_what_to_do(alice: Reader, web: Session) -> None:
    application = make_application(web)
    connection = make_connection(web, application)
    workflow = make_workflow(web, application, http_step("create", connection.id))
    web.commit()
    page = alice.client.get(f"/workflows/{workflow.id}/backtest")
    assert page.follow("Grant access").h1.startswith("Grant access")
    alice.client.get(f"/workflows/{workflow.id}/backtest?version=9", expect=404)


def test_a_backtest_needs_both_permissions(only_sqlite: Flask, bob: Reader, made: Set, web: Session) -> None:
    member = web.scalars(select(Role).where(Role.kind == "member")).one()
    for held, lacking in (("grant:read", "workflow:read"), ("workflow:read", "grant:read")):
        member.permissions = [held]
        web.commit()
        path = f"/workflows/{made.workflow.id}/backtest"
        assert lacking in bob.client.get(path, expect=403).text
