"""What the tests of workflow pages look at: applications, workflows and grants of every kind, and their pages."""

from __future__ import annotations

from sqlalchemy.orm import Session

from app.permissions import SYSTEM
from app.services import grants
from tests.support.browser.console import add_person
from tests.support.factories import (
    NOW,
    add_version,
    http_step,
    human_step,
    make_application,
    make_connection,
    make_group,
    make_user,
    make_workflow,
)

NASTY = "<img hx-get=/x onerror=1> {{7*7}} \u202eevil"
PAGES = (
    "/applications/1/workflows",
    "/applications/2/workflows",
    "/applications/3/workflows",
    "/applications/1/workflows/new",
    "/workflows/1/settings",
    "/workflows/1/delete",
    "/workflows/1/versions",
    "/workflows/1/versions/1",
    "/workflows/4/versions",
    "/workflows/4/versions/1",
    "/workflows/4/compare?from=1&to=2",
    "/workflows/4/dry-run?fail=create",
    "/workflows/4/backtest?version=1",
    "/workflows/4/start-runs",
    "/workflows/1/dry-run",
    "/workflows/2/dry-run",
    "/applications/1/workflows/import",
    "/workflows/1/edit",
    "/workflows/1/edit?step=create",
    "/workflows/1/edit?step=ask",
    "/workflows/1/edit?step=tell",
    "/workflows/2/edit",
    "/applications/1/connections",
    "/applications/2/connections",
    "/applications/1/connections/new",
    "/applications/1/connections/new?type=webhook",
    "/connections/1",
    "/connections/2",
    "/connections/1/edit",
    "/connections/1/delete",
    "/connections/1/credential/remove",
)


def fill(session: Session) -> None:
    """Make them all."""
    for name, role in (("alice", "admin"), ("bob", "member")):
        add_person(session, name, role)
    jira = make_application(session, name="Jira Cloud")
    make_application(session, name="Empty")
    nasty = make_application(session, name=NASTY)
    api = make_connection(
        session, jira, name="Jira API", config={"base_url": "https://jira.example", "auth": "bearer"}
    )
    chat = make_connection(
        session, jira, type="webhook", name="Chat", config={"url": "https://chat.example/hook"}
    )
    group = make_group(session, name="IT desk")
    make_workflow(
        session,
        jira,
        http_step(
            connection_id=api.id,
            query={"notify": False},
            headers={"Content-Type": "application/scim+json"},
            capture={"id": "$.id"},
            retry={"attempts": 3, "delay_seconds": 2},
            on_failure={"compensate": "undo"},
        ),
        human_step(assignee={"group_id": str(group.id)}, due_hours=24),
        {"key": "tell", "name": "Tell", "type": "webhook", "connection_id": str(chat.id), "body": {}},
        http_step("undo", api.id, method="DELETE", path="/Users/{{ account.id }}", body=None),
        name="Provision Jira",
    )
    make_workflow(session, nasty, name=NASTY, description=NASTY, is_enabled=False)
    make_application(session, name="Newcomer")
    large = make_application(session, name="Large")
    one = make_connection(session, large)
    make_workflow(session, large, *[http_step(f"step{at}", one.id) for at in range(50)], name="Large")
    _fill_history(session)


def _fill_history(session: Session) -> None:
    """A workflow of two versions that differ in every way, and somebody who has access."""
    history = make_application(session, name="History")
    api = make_connection(session, history, name="API")
    ask = human_step(prompt=f"Which team?\n{NASTY}")
    old = http_step("create", api.id, body={"userName": "{{ grantee.email }}", "note": NASTY})
    workflow = make_workflow(session, history, old, ask, http_step("gone", api.id), name="Provision")
    new = http_step(
        "create", api.id, path="/People/{{ grantee.employee_id }}", name=NASTY, headers={"X-A": "b"}
    )
    add_version(session, workflow, human_step(prompt="Which team?\nReally?"), new, http_step("fresh", api.id))
    for number in range(3):
        person = make_user(session, first_name=f"Jane{number}", employee_id=None if number else "E-1")
        grants.grant(session, SYSTEM, application=history, user=person, now=NOW)
