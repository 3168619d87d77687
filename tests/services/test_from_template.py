"""Templates: each makes a connection and two workflows that could be enabled as they are."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.catalogue import TEMPLATES, template_called
from app.catalogue.kinds import SystemTemplate
from app.domain.workflows.definition import parse_definition
from app.errors import Conflict, Invalid
from app.models import Connection, Workflow, WorkflowVersion
from app.permissions import Actor
from app.queries.workflow_scope import check
from app.services.from_template import apply_template
from tests.support.factories import NOW, make_application, make_workflow

pytestmark = pytest.mark.sqlite_only

ANSWERS = {
    "base_url": "https://system.example/api",
    "username": "admin@example.org",
    "token_url": "https://login.example/token",
    "client_id": "console",
    "organisation": "acme",
}
every_template = pytest.mark.parametrize("template", TEMPLATES, ids=lambda one: one.key)


@every_template
def test_a_template_fills_connection_and_both_workflows_and_enables_nothing(
    session: Session, builder: Actor, template: SystemTemplate
) -> None:
    application = make_application(session)
    made = apply_template(session, builder, application, template, ANSWERS, now=NOW)
    assert made.connection.config["base_url"] == ANSWERS["base_url"]
    assert made.connection.config["auth"] == template.config["auth"]
    assert made.connection.credential is None
    assert [one.trigger for one in made.workflows] == ["access_granted", "access_revoked"]
    assert not any(one.is_enabled for one in made.workflows)
    for workflow in made.workflows:
        version = session.get_one(WorkflowVersion, workflow.version_id)
        definition, problems = parse_definition(version.steps)
        assert definition is not None
        assert problems == []
        # A warning is a thing to think about; what we hand out has been thought about.
        warned = {one.field for one in check(session, workflow, definition)}
        assert all(field.endswith(".on_failure") for field in warned), warned


@every_template
def test_no_step_of_a_template_may_be_done_twice_by_a_repeat(template: SystemTemplate) -> None:
    for steps in (template.grant("1"), template.revoke("1")):
        definition, _ = parse_definition(steps)
        assert definition is not None
        assert [step.key for step in definition.steps if not step.idempotent] == []  # type: ignore[union-attr]


@every_template
def test_a_template_asks_for_what_the_form_lacks(
    session: Session, builder: Actor, template: SystemTemplate
) -> None:
    asked = [one.field for one in template.questions]
    assert asked[0] == "base_url"
    with pytest.raises(Invalid) as caught:
        apply_template(session, builder, make_application(session), template, {}, now=NOW)
    assert {error.field for error in caught.value.errors} <= {f"config.{field}" for field in asked}


def test_an_application_with_a_workflow_keeps_it_and_nothing_is_made(
    session: Session, builder: Actor
) -> None:
    application = make_application(session)
    make_workflow(session, application, name="By hand")
    with pytest.raises(Conflict, match="By hand"):
        apply_template(session, builder, application, TEMPLATES[0], ANSWERS, now=NOW)
    assert session.scalar(select(func.count(Connection.id))) == 0
    assert session.scalar(select(func.count(Workflow.id))) == 1


@every_template
def test_a_template_asks_for_json_and_says_what_was_read_and_when(template: SystemTemplate) -> None:
    headers = [template.config.get("headers", {}), *(step.get("headers", {}) for step in template.grant("1"))]
    assert any("json" in one.get("Accept", "") for one in headers)
    assert "read 20" in template.documented_at


def test_an_answer_that_stands_in_the_steps_is_one_segment_of_their_paths(
    session: Session, builder: Actor
) -> None:
    github = template_called("github")
    assert github is not None
    made = apply_template(
        session, builder, make_application(session), github, ANSWERS | {"organisation": " a/b "}, now=NOW
    )
    version = session.get_one(WorkflowVersion, made.workflows[0].version_id)
    paths = [step["path"] for step in version.steps]
    assert "/orgs/a%2Fb/memberships/{{ grantee.username }}" in paths
    assert made.connection.config["health_path"] == "/orgs/a%2Fb"
    assert "organisation" not in made.connection.config
    with pytest.raises(Invalid, match="Enter the organisation"):
        apply_template(
            session, builder, make_application(session), github, ANSWERS | {"organisation": " "}, now=NOW
        )


def test_what_a_grant_alone_gave_is_taken_away_with_it(session: Session, builder: Actor) -> None:
    policies = {}
    for template in TEMPLATES:
        made = apply_template(session, builder, make_application(session), template, ANSWERS, now=NOW)
        policies[template.key] = made.workflows[1].policy
    assert [key for key, policy in policies.items() if policy == "each_grant"] == ["mailman"]


def test_templates_are_found_by_key_and_differ() -> None:
    assert len({one.key for one in TEMPLATES}) == len({one.name for one in TEMPLATES}) == len(TEMPLATES)
    assert template_called("scim") is TEMPLATES[0]
    assert template_called("nobody") is None


@pytest.mark.parametrize(
    "template",
    [one for one in TEMPLATES if any("your-" in asked.given for asked in one.questions)],
    ids=lambda one: one.key,
)
def test_an_example_left_in_an_address_is_refused(
    session: Session, builder: Actor, template: SystemTemplate
) -> None:
    given = ANSWERS | {one.field: one.given for one in template.questions if one.given}
    with pytest.raises(Invalid) as caught:
        apply_template(session, builder, make_application(session), template, given, now=NOW)
    examples = {f"config.{field}" for field, value in given.items() if "your-" in value}
    assert {error.field for error in caught.value.errors} == examples
