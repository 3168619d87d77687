"""Using a template: connection and both workflows in one go, nothing enabled."""

from __future__ import annotations

import pytest
from sqlalchemy.orm import Session

from app.catalogue import TEMPLATES
from app.models import Application, Connection, Workflow
from tests.support.factories import make_application, make_workflow
from tests.support.web.places import Place
from tests.support.web.readers import Reader


@pytest.fixture
def empty(web: Session) -> Application:
    """An application without connections and workflows."""
    application = make_application(web, name="Wiki")
    web.commit()
    return application


def test_an_application_without_automation_offers_templates(alice: Reader, empty: Application) -> None:
    for tab in ("connections", "workflows", "connections/new"):
        page = alice.client.get(f"/applications/{empty.id}/{tab}")
        assert page.follow("Use a template").h1 == "Use a template"


def test_choosing_one_makes_connection_and_workflows(alice: Reader, empty: Application, web: Session) -> None:
    page = alice.client.get(f"/applications/{empty.id}/templates").follow("SCIM 2.0")
    assert "Make sure that it is active" in page.text
    form = page.form("template-form").fill(base_url="https://scim.example/v2")
    shown = form.submit("Make connection and workflows").follow_redirect()
    assert "Add the credential, test, then enable the workflows." in shown.text
    made = web.query(Connection).one()
    assert (made.name, made.config["base_url"]) == ("SCIM 2.0", "https://scim.example/v2")
    found = web.query(Workflow).order_by(Workflow.id).all()
    assert [(one.trigger, one.is_enabled) for one in found] == [
        ("access_granted", False),
        ("access_revoked", False),
    ]


@pytest.mark.parametrize("key", [one.key for one in TEMPLATES])
def test_every_template_has_a_page(alice: Reader, empty: Application, key: str) -> None:
    page = alice.client.get(f"/applications/{empty.id}/templates/{key}")
    assert page.form("template-form")["name"] == page.h1


def test_what_is_missing_is_named_and_nothing_is_made(
    alice: Reader, empty: Application, web: Session
) -> None:
    page = alice.client.get(f"/applications/{empty.id}/templates/entra")
    refused = (
        page.form("template-form")
        .fill(token_url="https://login.example/token", client_id="")
        .submit("Make connection and workflows", expect=422)
    )
    assert refused.errors() == {"client_id": "Enter the client id."}
    assert web.query(Connection).count() == web.query(Workflow).count() == 0


def test_what_stands_in_the_steps_is_asked_for_at_its_field(
    alice: Reader, empty: Application, web: Session
) -> None:
    form = alice.client.get(f"/applications/{empty.id}/templates/github").form("template-form")
    refused = form.fill(organisation=" ").submit("Make connection and workflows", expect=422)
    assert refused.errors() == {"organisation": "Enter the organisation."}
    form.fill(organisation="acme").submit("Make connection and workflows").follow_redirect()
    made = web.query(Connection).one()
    assert (made.config["base_url"], made.config["health_path"]) == ("https://api.github.com", "/orgs/acme")


def test_an_application_with_a_workflow_refuses_and_says_why(
    alice: Reader, empty: Application, web: Session
) -> None:
    make_workflow(web, empty, name="By hand")
    web.commit()
    page = alice.client.get(f"/applications/{empty.id}/templates/scim")
    form = page.form("template-form").fill(base_url="https://scim.example/v2")
    refused = form.submit("Make connection and workflows", expect=409)
    assert "Wiki has workflows already: By hand." in refused.text
    assert web.query(Connection).count() == 0


def test_a_template_that_is_not_there_is_not_found(alice: Reader, empty: Application) -> None:
    alice.client.get(f"/applications/{empty.id}/templates/nobody", expect=404)


def test_it_requires_the_right_to_manage_workflows(charlie: Reader, place: Place) -> None:
    charlie.client.get(f"/applications/{place.application}/templates", expect=403)
