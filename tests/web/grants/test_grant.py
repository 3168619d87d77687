"""One grant's page: its decisions then and now, running what did not run, changing and revoking it."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.models import Application, Grant, Role, Run, User, Workflow
from app.services import grants
from tests.support.factories import (
    NOW,
    http_step,
    make_application,
    make_connection,
    make_user,
    make_workflow,
)
from tests.support.web.readers import Reader, actor, fresh


@pytest.fixture
def jane(web: Session) -> User:
    user = make_user(web, first_name="Jane", last_name="Doe")
    web.commit()
    return user


@pytest.fixture
def jira(web: Session) -> Application:
    application = make_application(web, name="Jira")
    web.commit()
    return application


def workflow(web: Session, application: Application, **details: object) -> Workflow:
    step = http_step(connection_id=make_connection(web, application).id)
    made = make_workflow(web, application, step, **details)  # type: ignore[arg-type]
    web.commit()
    return made


def give(web: Session, reader: Reader, application: Application, user: User, **details: object) -> Grant:
    fresh(web)
    record = grants.grant(web, actor(web, reader), application=application, user=user, now=NOW, **details)  # type: ignore[arg-type]
    web.commit()
    return record


def checks_of(page, heading: str) -> list[str]:  # type: ignore[no-untyped-def]
    [column] = [one for one in page.select(".halves > div") if one.h4.get_text() == heading]
    return [" ".join(line.get_text(" ").split()) for line in column.select("li")]


def test_it_shows_the_facts(bob: Reader, web: Session, jira: Application, jane: User, alice: Reader) -> None:
    record = give(web, alice, jira, jane, access_level="Member", notes="Ticket 42")
    page = bob.client.get(f"/grants/{record.id}")
    assert page.h1 == f"Grant {record.id}"
    for words in ("Jane Doe", "Jira", "Member", "by Alice Example", "No end", "Ticket 42"):
        assert words in page.text


def test_a_decision_without_a_run_shows_then_and_now_with_one_fix(
    alice: Reader, web: Session, jira: Application, jane: User
) -> None:
    record = give(web, alice, jira, jane)
    made = workflow(web, jira, name="Provision Jira", is_enabled=False)
    page = alice.client.get(f"/grants/{record.id}")
    assert checks_of(page, "Checked then") == ["In the way: This application has no workflow."]
    assert "In the way: “Provision Jira” is disabled. Enable it" in checks_of(page, "Checked now")
    assert page.one(".halves a")["href"] == f"/applications/{jira.id}/workflows#workflow-{made.id}"
    assert "It would still start no run: the workflow is disabled." in page.text


def test_every_check_that_stands_in_the_way_now_has_its_own_fix(
    alice: Reader, web: Session, jira: Application, jane: User
) -> None:
    keeper, record = give(web, alice, jira, jane), give(web, alice, jira, jane)
    made = make_workflow(web, jira, name="Provision Jira", is_enabled=False, policy="first_active_grant")
    web.commit()
    page = alice.client.get(f"/grants/{record.id}")
    assert [str(link["href"]) for link in page.select(".halves a")] == [
        f"/applications/{jira.id}/workflows#workflow-{made.id}",
        f"/workflows/{made.id}/edit",
        f"/grants/{keeper.id}",
    ]


def test_a_workflow_of_another_application_is_said_not_to_apply(
    alice: Reader, web: Session, jira: Application, jane: User
) -> None:
    record = give(web, alice, jira, jane)
    assert "one of another application does not apply" in alice.client.get(f"/grants/{record.id}").text
    cloud = make_application(web, name="Jira Cloud")
    make_workflow(web, cloud, name="Provision Jira Cloud")
    web.commit()
    give(web, alice, cloud, jane)
    page = alice.client.get(f"/grants/{record.id}")
    assert "“Provision Jira Cloud” belongs to Jira Cloud and does not apply" in page.text
    assert page.follow("Open Jira Cloud").url == f"/applications/{cloud.id}/workflows"


def test_run_now_starts_the_missing_run_once(
    alice: Reader, web: Session, jira: Application, jane: User
) -> None:
    record = give(web, alice, jira, jane)
    workflow(web, jira)
    page = alice.client.get(f"/grants/{record.id}")
    button = page.form_with("Run now Access granted")
    assert "Run 1 started." in alice.client.get(button.submit().location).text
    assert "This event has its run: run 1." in button.submit(expect=409).text
    assert web.scalar(select(func.count(Run.id))) == 1


def test_run_now_needs_its_permission(
    alice: Reader, bob: Reader, web: Session, jira: Application, jane: User
) -> None:
    record = give(web, alice, jira, jane)
    workflow(web, jira)
    page = bob.client.get(f"/grants/{record.id}")
    assert "Needs workflow:run. Ask an administrator." in page.text
    data = {"trigger": "access_granted"}
    bob.client.post(f"/grants/{record.id}/run-now", data, expect=403)


@pytest.mark.parametrize("trigger", ["", "odd", "access_revoked"])
def test_run_now_of_what_did_not_happen_is_refused(
    alice: Reader, web: Session, jira: Application, jane: User, trigger: str
) -> None:
    record = give(web, alice, jira, jane)
    alice.client.get("/")
    expect = 409 if trigger == "access_revoked" else 422
    alice.client.post(f"/grants/{record.id}/run-now", {"trigger": trigger}, expect=expect)


def test_the_grant_that_keeps_access_is_named(
    alice: Reader, web: Session, jira: Application, jane: User
) -> None:
    workflow(web, jira, trigger="access_revoked", name="Deprovision Jira")
    record, keeper = give(web, alice, jira, jane), give(web, alice, jira, jane)
    page = alice.client.get(f"/grants/{record.id}/revoke")
    assert "No automation will run: the person holds another active grant." in page.text
    page.form("revoke-form").submit()
    after = alice.client.get(f"/grants/{record.id}")
    assert after.follow(f"See grant {keeper.id}").h1 == f"Grant {keeper.id}"


def test_revoking_says_what_will_run_and_what_did(
    bob: Reader, alice: Reader, web: Session, jira: Application, jane: User
) -> None:
    workflow(web, jira, trigger="access_revoked", name="Deprovision Jira")
    record = give(web, alice, jira, jane)
    listed = bob.client.get(f"/applications/{jira.id}")
    page = listed.follow(f"Revoke… Jane Doe, grant {record.id}")
    assert "“Deprovision Jira” (version 1, 1 step) will run." in page.text
    done = page.form("revoke-form").fill(notes="Left the team").submit()
    after = bob.client.get(done.location)
    assert "Access revoked from Jane Doe. Deprovisioning started: run 1." in after.text
    fresh(web)
    assert (record.revoked_by, record.notes) == ("Bob Example", "Left the team")


def test_the_dialog_asks_the_same_question(
    alice: Reader, web: Session, jira: Application, jane: User
) -> None:
    record = give(web, alice, jira, jane, notes="first")
    page = alice.client.get(f"/grants/{record.id}")
    assert "No automation will run" in page.texts("dialog#revoke")[0]
    assert page.open_dialog_page("Revoke…").h1 == "Revoke access of Jane Doe"
    page.press("Revoke access")
    fresh(web)
    assert record.revoked_at is not None
    assert record.notes == "first"


def test_record_only_revokes_without_automation(
    alice: Reader, web: Session, jira: Application, jane: User
) -> None:
    workflow(web, jira, trigger="access_revoked")
    record = give(web, alice, jira, jane)
    form = alice.client.get(f"/grants/{record.id}/revoke").form("revoke-form").fill(record_only=True)
    assert "recorded only, by choice" in alice.client.get(form.submit().location).text
    assert web.scalar(select(func.count(Run.id))) == 0


def test_a_second_revocation_is_told_who_was_first_and_when(
    alice: Reader, bob: Reader, web: Session, jira: Application, jane: User
) -> None:
    record = give(web, alice, jira, jane)
    form = alice.client.get(f"/grants/{record.id}/revoke").form("revoke-form")
    bob.client.get(f"/grants/{record.id}/revoke").form("revoke-form").submit()
    refused = form.submit(expect=409)
    assert "Bob Example revoked this grant on " in refused.text
    alice.client.get(f"/grants/{record.id}/revoke", expect=409)


def test_revoking_is_no_link_and_needs_its_permission(
    alice: Reader, bob: Reader, web: Session, jira: Application, jane: User
) -> None:
    record = give(web, alice, jira, jane)
    fresh(web)
    web.scalars(select(Role).where(Role.kind == "member")).one().permissions = ["grant:read"]
    web.commit()
    assert "Needs grant:write. Ask an administrator." in bob.client.get(f"/grants/{record.id}").text
    bob.client.post(f"/grants/{record.id}/revoke", expect=403)
    fresh(web)
    assert record.revoked_at is None


def test_notes_too_long_keep_the_question_open(
    alice: Reader, web: Session, jira: Application, jane: User
) -> None:
    record = give(web, alice, jira, jane)
    form = alice.client.get(f"/grants/{record.id}/revoke").form("revoke-form")
    page = form.fill(notes="x" * 2001, record_only=True).submit(expect=422)
    assert page.errors() == {"notes": "Use at most 2,000 characters."}
    assert page.form("revoke-form")["record_only"] == "1"
    part = form.submit(expect=422, htmx=True)
    assert part.is_fragment


def test_notes_and_expiry_may_change(alice: Reader, web: Session, jira: Application, jane: User) -> None:
    record = give(web, alice, jira, jane)
    form = alice.client.get(f"/grants/{record.id}/edit").form("grant-form")
    form.fill(notes="new", expires_at="2099-01-01T09:00").submit()
    fresh(web)
    assert (record.notes, str(record.expires_at)) == ("new", "2099-01-01 09:00:00+00:00")
    again = alice.client.get(f"/grants/{record.id}/edit").form("grant-form")
    assert again["expires_at"] == "2099-01-01T09:00"
    again.fill(expires_at="").submit()
    fresh(web)
    assert record.expires_at is None


def test_a_revoked_grant_keeps_its_expiry_and_takes_notes(
    alice: Reader, web: Session, jira: Application, jane: User
) -> None:
    record = give(web, alice, jira, jane)
    alice.client.get(f"/grants/{record.id}/revoke").form("revoke-form").submit()
    form = alice.client.get(f"/grants/{record.id}/edit").form("grant-form")
    assert "expires_at" not in form.names()
    form.fill(notes="afterwards").submit()
    data = {"notes": "afterwards", "expires_at": "2099-01-01T09:00"}
    alice.client.post(f"/grants/{record.id}/edit", data, expect=409)


@pytest.mark.parametrize("expiry", ["2020-01-01T00:00", "soon", "2099-13-45T99:99"])
def test_a_refused_expiry_is_named(
    alice: Reader, web: Session, jira: Application, jane: User, expiry: str
) -> None:
    record = give(web, alice, jira, jane)
    form = alice.client.get(f"/grants/{record.id}/edit").form("grant-form")
    page = form.fill(expires_at=expiry, notes="kept").submit(expect=422)
    assert "expires_at" in page.errors()
    assert page.form("grant-form")["notes"].strip("\n") == "kept"


def test_a_failed_grant_says_that_it_is_safe(
    alice: Reader, bob: Reader, web: Session, jira: Application, jane: User
) -> None:
    workflow(web, jira)
    record = give(web, alice, jira, jane)
    record.state = "needs_attention"
    web.commit()
    assert "The grant is safe." in alice.client.get(f"/grants/{record.id}").text
    home = bob.client.get("/")
    assert home.table("troubled")[0]["Person"] == "Jane Doe"
    assert "The grants are safe." in home.text


def test_an_unknown_grant_is_not_found(alice: Reader) -> None:
    for part in ("", "/edit", "/revoke"):
        assert "There is no grant 77." in alice.client.get(f"/grants/77{part}", expect=404).text
