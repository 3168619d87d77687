"""Applications: named once, archived rather than lost."""

from __future__ import annotations

import pytest
from sqlalchemy.orm import Session

from app.errors import Conflict, Invalid
from app.permissions import Actor
from app.schemas.applications import ApplicationIn, ApplicationPatch
from app.schemas.base import parse
from app.services import applications, grants
from tests.support.audit import audited
from tests.support.factories import NOW, make_application, make_user


def test_an_application_is_added_with_what_was_sent(session: Session, admin: Actor) -> None:
    data = parse(ApplicationIn, {"name": "Jira", "critical": True, "notes": "Ask Bo.\nTwice."})
    made = applications.create_application(session, admin, data, now=NOW)
    assert (made.name, made.is_critical, made.notes, made.vendor) == ("Jira", True, "Ask Bo.\nTwice.", "")


def test_a_name_is_taken_once_among_those_in_use(session: Session, admin: Actor) -> None:
    old = make_application(session, name="Jira")
    jira = parse(ApplicationIn, {"name": "JIRA"})
    with pytest.raises(Invalid) as caught:
        applications.create_application(session, admin, jira, now=NOW)
    assert [error.field for error in caught.value.errors] == ["name"]
    applications.archive_application(session, admin, old, now=NOW)
    assert applications.create_application(session, admin, jira, now=NOW).id != old.id
    with pytest.raises(Conflict, match="Rename"):
        applications.restore_application(session, admin, old, now=NOW)


def test_only_what_was_sent_changes(session: Session, admin: Actor) -> None:
    application = make_application(session, vendor="Atlassian")
    patch = parse(ApplicationPatch, {"critical": True})
    applications.change_application(session, admin, application, patch, now=NOW)
    applications.change_application(session, admin, application, patch, now=NOW)
    assert (application.vendor, application.is_critical) == ("Atlassian", True)
    assert audited(session) == ["application.change"]


def test_an_application_that_people_have_access_to_is_not_put_away(session: Session, admin: Actor) -> None:
    application = make_application(session)
    grant = grants.grant(session, admin, application=application, user=make_user(session), now=NOW)
    with pytest.raises(Conflict):
        applications.archive_application(session, admin, application, now=NOW)
    grants.revoke(session, admin, grant, now=NOW)
    applications.archive_application(session, admin, application, now=NOW)
    applications.archive_application(session, admin, application, now=NOW)
    assert application.archived_at == NOW
    applications.restore_application(session, admin, application, now=NOW)
    assert application.archived_at is None
