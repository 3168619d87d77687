"""The preview of one step: what the dry-run shows for it, before the steps around it are finished."""

from __future__ import annotations

import json

from sqlalchemy.orm import Session

from app.domain.states import Trigger
from app.domain.steps.scope import ScopeInfo
from app.domain.workflows.definition import parse_definition
from app.permissions import Actor
from app.queries.dry_run import dry_run, preview_step
from app.queries.samples import sample_of, sample_person
from app.services import grants
from tests.support.factories import (
    NOW,
    http_step,
    human_step,
    make_application,
    make_connection,
    make_user,
    make_workflow,
)


def test_each_step_previews_as_the_dry_run_shows_it(session: Session, admin: Actor) -> None:
    application = make_application(session, name="Demo")
    connection = make_connection(session, application)
    steps = [
        http_step("create", connection.id, capture={"id": "$.id"}, query={"team": "{{ grantee.email }}"}),
        human_step("team"),
        http_step(
            "add",
            connection.id,
            method="PUT",
            path="/Users/{{ steps.create.id }}",
            query={"of": "{{ account.id }}"},
            body={"team": "{{ steps.team.team }}", "number": "{{ grantee.employee_id }}"},
        ),
    ]
    workflow = make_workflow(session, application, *steps)
    grant = grants.grant(session, admin, application=application, user=make_user(session), now=NOW)
    sample = sample_of(session, workflow, grant, now=NOW)
    definition, _ = parse_definition(steps)
    assert definition is not None
    for at, dry in enumerate(dry_run(session, workflow, grant, now=NOW).steps):
        alone = preview_step(session, definition.steps[at], definition.steps[:at], sample)
        assert (alone.request, alone.prompt, list(alone.warnings)) == (
            dry.request,
            dry.prompt,
            list(dry.warnings),
        )


def test_without_a_grant_there_is_a_sample_person_with_an_account(session: Session) -> None:
    application = make_application(session, name="Demo")
    connection = make_connection(session, application)
    path = "/U/{{ account.id }}{{ grant.kept.seat }}"
    definition, _ = parse_definition(
        [
            http_step(
                "remove",
                connection.id,
                method="DELETE",
                path=path,
                query={"q": "{{ account.id }}{{ grant.kept.seat }}"},
            )
        ]
    )
    assert definition is not None
    info = ScopeInfo(account_names=frozenset({"id"}), kept_names=frozenset({"seat"}))
    sample = sample_person(application, Trigger.ACCESS_REVOKED, info, now=NOW)
    shown = preview_step(session, definition.steps[0], (), sample)
    assert shown.request is not None
    assert (
        shown.request.url
        == "https://target.example/U/‹account.id›‹grant.kept.seat›?q=‹account.id›‹grant.kept.seat›"
    )
    assert json.loads(shown.request.body or b"") == {"userName": "sam.sample@example.com"}


def test_what_cannot_be_sent_says_why(session: Session) -> None:
    application = make_application(session)
    definition, _ = parse_definition([http_step("create", 999_999)])
    assert definition is not None
    sample = sample_person(application, Trigger.ACCESS_GRANTED, ScopeInfo(), now=NOW)
    shown = preview_step(session, definition.steps[0], (), sample)
    assert shown.request is None
    assert "no longer exists" in shown.warnings[0]
