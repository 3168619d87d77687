"""The Workflows tab, new workflows, switching, describing and deleting one."""

from __future__ import annotations

import pytest
from sqlalchemy.orm import Session

from app.models import Application, Connection, Workflow
from tests.support.factories import add_version, http_step, make_workflow
from tests.support.web.places import Place
from tests.support.web.readers import Reader


def test_it_shows_a_card_for_each_trigger(bob: Reader, workflow: int, place: Place) -> None:
    page = bob.client.get(f"/applications/{place.application}/workflows")
    card = page.one(f"#workflow-{workflow}")
    for words in (
        "Provision Jira",
        "Disabled",
        "Access granted",
        "Every grant",
        "2 steps, version 1",
        "None yet",
    ):
        assert words in card.get_text(" ", strip=True)
    assert page.one(f"#workflow-{workflow}-switch")["aria-pressed"] == "false"
    assert "Access revoked starts nothing: no workflow answers it." in page.text


def test_what_a_disabled_workflow_may_do_is_said_before_it_is_enabled(
    bob: Reader, workflow: int, place: Place, web: Session
) -> None:
    risky = http_step("create", place.http, name="Create", retry={"attempts": 3})
    add_version(web, web.get_one(Workflow, workflow), risky)
    web.commit()
    page = bob.client.get(f"/applications/{place.application}/workflows")
    told = page.texts(f"#workflow-{workflow} .hint.wait li")
    assert any(one.startswith("1. Create: This step is not marked idempotent.") for one in told)
    assert any("no workflow of this application removes it" in one for one in told)
    page = page.press("Enabled for Provision Jira").follow_redirect()
    assert "Before you enable it" not in page.text


def test_without_workflows_it_says_what_that_means(bob: Reader, place: Place) -> None:
    page = bob.client.get(f"/applications/{place.application}/workflows")
    assert "No automation Grants are recorded and nothing else happens." in page.text


def test_it_rejects_the_other_method(bob: Reader, workflow: int) -> None:
    bob.client.get(f"/workflows/{workflow}/enabled", expect=405)


def test_it_needs_the_read_permission(charlie: Reader, place: Place) -> None:
    charlie.client.get(f"/applications/{place.application}/workflows", expect=403)


def test_a_reader_sees_what_may_not_be_pressed(
    bob: Reader, workflow: int, place: Place, web: Session
) -> None:
    from app.models import Role

    web.query(Role).filter(Role.kind == "member").one().permissions = ["grant:read", "workflow:read"]
    web.commit()
    page = bob.client.get(f"/applications/{place.application}/workflows")
    assert page.one(f"#workflow-{workflow}-switch")["aria-disabled"] == "true"
    assert "Switching needs workflow:manage." in page.text
    bob.client.post(f"/workflows/{workflow}/enabled", {"enabled": "1"}, expect=403)


def test_the_switch_enables_and_disables(bob: Reader, workflow: int, place: Place, web: Session) -> None:
    page = bob.client.get(f"/applications/{place.application}/workflows")
    page = page.press("Enabled for Provision Jira").follow_redirect()
    assert "It runs from the next grant on." in page.text
    assert page.one(f"#workflow-{workflow}-switch")["aria-pressed"] == "true"
    page = page.press("Enabled for Provision Jira").follow_redirect()
    assert "is disabled. Runs under way go on." in page.text
    web.rollback()
    assert not web.get_one(Workflow, workflow).is_enabled


def test_one_without_steps_is_not_enabled_and_says_why(bob: Reader, place: Place, web: Session) -> None:
    empty = make_workflow(web, web.get_one(Application, place.application), is_enabled=False, name="Empty")
    web.commit()
    page = bob.client.get(f"/applications/{place.application}/workflows")
    assert page.one(f"#workflow-{empty.id}-switch")["aria-disabled"] == "true"
    assert "It has no steps. Add steps, then enable it." in page.text
    assert page.follow("Add a step").h1 == "Empty"
    forced = bob.client.post(f"/workflows/{empty.id}/enabled", {"enabled": "1"}).follow_redirect()
    assert "Empty was not enabled. It has no steps yet." in forced.text


def test_what_makes_its_runs_fail_is_listed_with_the_way_to_mend_it(
    bob: Reader, workflow: int, place: Place, web: Session
) -> None:
    web.get_one(Connection, place.http).config = {"base_url": "https://jira.example", "auth": "bearer"}
    web.commit()
    page = bob.client.get(f"/applications/{place.application}/workflows")
    assert "The connection Jira API has no credential." in page.text
    assert page.one(f"#workflow-{workflow} .hint a")["href"] == f"/connections/{place.http}#credential"


def test_a_new_workflow_opens_its_editor(bob: Reader, place: Place, web: Session) -> None:
    page = bob.client.get(f"/applications/{place.application}/workflows/new?trigger=access_revoked")
    form = page.form("workflow-form")
    assert form["trigger"] == "access_revoked"
    done = form.fill(name="Deprovision", revoke_policy="each_grant", description="Cuts off").submit()
    assert done.follow_redirect().h1 == "Deprovision"
    made = web.query(Workflow).one()
    assert (made.trigger, made.policy, made.is_enabled) == ("access_revoked", "each_grant", False)


@pytest.mark.parametrize(
    ("typed", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"trigger": "sometimes"}, "trigger"),
        ({"grant_policy": "last_active_grant"}, "grant_policy"),
        ({"description": "x" * 2001}, "description"),
    ],
)
def test_a_refused_form_keeps_what_was_typed(
    bob: Reader, place: Place, typed: dict[str, str], field: str
) -> None:
    bob.client.get(f"/applications/{place.application}/workflows/new")
    data = {"name": "Kept", "trigger": "access_granted", "description": "Kept too", **typed}
    page = bob.client.post(f"/applications/{place.application}/workflows", data, expect=422)
    assert page.title.startswith("Error: ")
    assert page.select_one(f'#errors a[href="#{field}"]') is not None
    assert page.form("workflow-form")["description"] == data["description"]


def test_a_second_workflow_for_a_trigger_is_refused_by_name(bob: Reader, workflow: int, place: Place) -> None:
    bob.client.get("/account")
    data = {"name": "Again", "trigger": "access_granted"}
    part = bob.client.post(f"/applications/{place.application}/workflows", data, expect=422, htmx=True)
    assert part.is_fragment
    assert "“Provision Jira” answers Access granted already" in part.text


def test_name_and_policy_change(bob: Reader, workflow: int, web: Session) -> None:
    page = bob.client.get(f"/workflows/{workflow}/settings")
    page.form("workflow-form").fill(name="Renamed", grant_policy="first_active_grant").submit()
    web.rollback()
    changed = web.get_one(Workflow, workflow)
    assert (changed.name, changed.policy) == ("Renamed", "first_active_grant")
    bob.client.post(f"/workflows/{workflow}/settings", {"name": ""}, expect=422)


def test_deleting_asks_and_says_what_follows(bob: Reader, workflow: int, place: Place, web: Session) -> None:
    page = bob.client.get(f"/workflows/{workflow}/delete")
    assert "Access granted then starts nothing in Jira" in page.text
    assert "Provision Jira is deleted." in page.press("Delete").follow_redirect().text
    web.rollback()
    assert web.get_one(Workflow, workflow).deleted_at is not None
    bob.client.get(f"/workflows/{workflow}/delete", expect=404)


def test_the_last_run_is_a_link(alice: Reader, place: Place, web: Session) -> None:
    from app.clock import now
    from app.permissions import ALL_PERMISSIONS, Actor
    from app.services import grants
    from tests.support.factories import make_user

    application = web.get_one(Application, place.application)
    make_workflow(web, application, http_step(connection_id=place.http))
    actor = Actor("user", "Alice", ALL_PERMISSIONS, source="test")
    grants.grant(web, actor, application=application, user=make_user(web), now=now())
    web.commit()
    page = alice.client.get(f"/applications/{place.application}/workflows")
    assert page.one("a.chip")["href"] == "/runs/1"
