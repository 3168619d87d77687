"""Export and import against the records: names to ids and back, the difference first, and a guarded save."""

from __future__ import annotations

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.errors import Conflict, NotFound
from app.models import Application, Workflow, WorkflowVersion
from app.permissions import Actor
from app.schemas.workflow_file import BadFile
from app.schemas.workflows import VersionIn
from app.services.workflow_files import export_workflow, import_workflow, plan_import
from app.services.workflows import save_version
from tests.support.audit import audited
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


class Place:
    """Jira with a connection, a workflow of three steps, and those whom it asks."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.jira = make_application(session, name="Jira")
        self.api = make_connection(session, self.jira, name="Jira API")
        self.group = make_group(session, name="IT desk")
        self.ann = make_user(session, email="ann@example.org")
        self.steps = [
            http_step(connection_id=self.api.id, capture={"id": "$.id"}),
            human_step(assignee={"group_id": str(self.group.id)}),
            human_step("check", assignee={"user_id": str(self.ann.id)}),
        ]
        self.workflow = make_workflow(
            session, self.jira, *self.steps, name="Provision", description="Two\nlines", is_enabled=False
        )
        self.text = export_workflow(session, self.workflow)

    def versions(self) -> list[int]:
        wanted = select(WorkflowVersion.number).where(WorkflowVersion.workflow_id == self.workflow.id)
        return list(self.session.scalars(wanted.order_by(WorkflowVersion.number)))


@pytest.fixture
def place(session: Session) -> Place:
    return Place(session)


def test_a_round_trip_changes_nothing(session: Session, admin: Actor, place: Place) -> None:
    plan = plan_import(session, place.text)
    assert (plan.application.id, plan.workflow) == (place.jira.id, place.workflow)
    assert not plan.changes_anything
    saved = import_workflow(session, admin, place.text, now=NOW)
    assert (saved.is_new, place.versions()) == (False, [1])
    assert export_workflow(session, place.workflow) == place.text
    assert audited(session) == []


def test_names_stand_for_ids_whatever_their_case(session: Session, place: Place) -> None:
    assert "connection: Jira API" in place.text
    assert "group: IT desk" in place.text
    assert "user: ann@example.org" in place.text
    loud = place.text.replace("Jira API", "JIRA API").replace("IT desk", "it DESK").replace("ann@", "ANN@")
    assert not plan_import(session, loud.replace("application: Jira", "application: JIRA")).changes_anything


def test_the_difference_is_shown_and_then_saved(session: Session, admin: Actor, place: Place) -> None:
    text = (
        place.text.replace("path: /Users", "path: /People")
        .replace("name: Provision", "name: Provide")
        .replace("policy: each_grant", "policy: first_active_grant")
    )
    plan = plan_import(session, text)
    assert [one.words for one in plan.changes] == ["“Create”: path changed from /Users to /People."]
    assert [(one.name, one.old, one.new) for one in plan.settings] == [
        ("name", "Provision", "Provide"),
        ("grant_policy", "each_grant", "first_active_grant"),
    ]
    saved = import_workflow(session, admin, text, now=NOW, token=plan.token)
    assert saved.version is not None
    assert (saved.version.number, saved.version.note) == (2, "Imported from a file.")
    assert (place.workflow.name, place.workflow.policy) == ("Provide", "first_active_grant")
    assert not place.workflow.is_enabled
    assert audited(session) == ["workflow.change", "workflow.save"]
    assert not plan_import(session, export_workflow(session, place.workflow)).changes_anything


def test_a_workflow_that_is_not_there_is_added_disabled(session: Session, admin: Actor, place: Place) -> None:
    other = make_application(session, name="Jira staging")
    make_connection(session, other, name="jira api")
    plan = plan_import(session, place.text, other)
    assert (plan.workflow, plan.other_application, plan.changes_anything) == (None, "Jira", True)
    saved = import_workflow(session, admin, place.text, other, now=NOW, token=plan.token)
    assert (saved.workflow.application_id, saved.workflow.is_enabled) == (other.id, False)
    assert saved.workflow.description == "Two\nlines"
    copied = export_workflow(session, saved.workflow)
    assert copied == place.text.replace("application: Jira\n", "application: Jira staging\n").replace(
        "connection: Jira API", "connection: jira api"
    )


def test_an_older_version_is_exported(session: Session, place: Place) -> None:
    add_version(session, place.workflow, http_step("later", place.api.id))
    assert export_workflow(session, place.workflow, 1) == place.text
    assert "key: later" in export_workflow(session, place.workflow)
    with pytest.raises(NotFound):
        export_workflow(session, place.workflow, 3)


def test_what_cannot_be_saved_names_its_line(session: Session, place: Place) -> None:
    lines = place.text.splitlines()

    def line_of(words: str) -> int:
        return next(at for at, line in enumerate(lines, 1) if words in line)

    for old, new, words in (
        ("path: /Users", "path: /{{ grantee.emial }}", "grantee.email"),
        ("path: /Users", "path: Users", "A path begins with one /"),
        ("method: POST", "method: PSOT", "Did you mean POST?"),
        ("connection: Jira API", "connection: Jira", "There is no connection “Jira” in this application."),
        ("group: IT desk", "group: IT", "There is no group “IT”."),
        ("user: ann@example.org", "user: nobody@example.org", "There is no person “nobody@example.org”."),
        ("trigger: access_granted", "trigger: granted", "Choose one of"),
        ("policy: each_grant", "policy: last_active_grant", "Choose one of"),
        ("name: Provision", "name: ''", "Enter a name."),
        ("application: Jira", "application: Jura", "There is no application “Jura”."),
    ):
        with pytest.raises(BadFile) as refusal:
            plan_import(session, place.text.replace(old, new, 1))
        found = [(one.line, one.message) for one in refusal.value.problems]
        assert [line for line, message in found if words in message] == [line_of(old)], (old, found)


def test_an_inactive_person_is_refused(session: Session, place: Place) -> None:
    place.ann.is_active = False
    session.flush()
    with pytest.raises(BadFile, match="cannot be imported") as refusal:
        plan_import(session, place.text)
    assert "is not active" in refusal.value.problems[0].message


def test_a_save_in_between_is_not_overwritten(session: Session, admin: Actor, place: Place) -> None:
    text = place.text.replace("/Users", "/People")
    plan = plan_import(session, text)
    add_version(session, place.workflow, http_step("theirs", place.api.id))
    with pytest.raises(Conflict, match="has changed since this was shown"):
        import_workflow(session, admin, text, now=NOW, token=plan.token)
    assert place.versions() == [1, 2]
    # What a browser does to the ends of lines is no change.
    again = plan_import(session, text.replace("\n", "\r\n"))
    assert again.token == plan_import(session, text).token


def test_an_archived_application_takes_nothing(session: Session, place: Place) -> None:
    session.get_one(Application, place.jira.id).archived_at = NOW
    session.flush()
    with pytest.raises(Conflict, match="Jira is archived"):
        plan_import(session, place.text)


def test_a_step_whose_connection_is_gone_cannot_be_exported(session: Session, place: Place) -> None:
    add_version(session, place.workflow, http_step("lost", 9999))
    with pytest.raises(Conflict, match="The connection of “Lost” does not exist any more"):
        export_workflow(session, place.workflow)


def test_a_workflow_without_steps_makes_the_trip_too(session: Session, admin: Actor, place: Place) -> None:
    bare = make_workflow(session, place.jira, trigger="access_revoked", name="Bare", is_enabled=False)
    text = export_workflow(session, bare)
    assert "steps: []" in text
    assert not import_workflow(session, admin, text, now=NOW).is_new
    session.delete(session.get_one(Workflow, bare.id))
    session.flush()
    assert import_workflow(session, admin, text, now=NOW).version is None


def test_a_file_from_before_is_read_as_it_was_written_and_marked(
    session: Session, admin: Actor, place: Place
) -> None:
    twice = [
        http_step("users", place.api.id, capture={"id": "$.id"}),
        http_step("mail", place.api.id, capture={"id": "$.id"}),
    ]
    add_version(session, place.workflow, *twice)
    text = export_workflow(session, place.workflow)
    with pytest.raises(BadFile) as refused:
        plan_import(session, text.replace("key: users", "key: people"))
    assert "whose account.id is" in refused.value.problems[0].message
    before = text.replace("key: users", "key: people").replace("format: 2", "format: 1")
    assert any("whose account.id is" in one for one in plan_import(session, before).warnings)
    saved = import_workflow(session, admin, before, now=NOW)
    assert (saved.is_new, saved.workflow.to_review) == (True, True)
    mended = [twice[0], {**twice[1], "capture": {"mailbox_id": "$.id"}}]
    data = VersionIn(steps=mended)
    assert not save_version(session, admin, saved.workflow, data, now=NOW).workflow.to_review
