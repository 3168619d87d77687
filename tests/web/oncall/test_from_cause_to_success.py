"""Each cause of failure, made for real, found on the page, and mended by the action offered until a run succeeds."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from app.connectors.egress import EgressPolicy
from app.connectors.http import HttpClient
from app.models import Connection
from app.web.system.queue_watch import KEY, Watch
from tests.support.factories import human_step
from tests.support.target import Answer, running_target
from tests.support.web.editor import press
from tests.support.web.oncall import SECRET, Desk, enter, make_desk
from tests.support.web.readers import Reader, actor


@pytest.fixture
def desk(only_sqlite: Flask, web: Session, alice: Reader, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    outside = HttpClient(EgressPolicy("127.0.0.1"))
    monkeypatch.setitem(only_sqlite.extensions, "egress", outside)
    monkeypatch.setitem(only_sqlite.extensions, KEY, Watch())
    with running_target() as target:
        yield make_desk(only_sqlite, web, alice.client, actor(web, alice), target)
    outside.close()


def refused_unless(desk: Desk, secret: str) -> None:
    """The system lets in only who brings this credential."""
    desk.answers(401, when=lambda call: call.headers.get("authorization") != f"Bearer {secret}")


# A grant or a revoke with no run


def no_workflow(desk: Desk) -> None:
    grant = desk.grant()
    page = desk.fix(grant, "Create workflow")
    made = page.form("workflow-form").fill(name="Provision Jira").submit().follow_redirect()
    build(desk, made.url)
    enable(desk)
    desk.run_now(grant)


def trigger_mismatch(desk: Desk) -> None:
    desk.workflow(desk.step(), trigger="access_revoked")
    grant = desk.grant()
    assert "only the other trigger has one" in desk.explained(grant).text
    form = desk.fix(grant, "Create workflow").form("workflow-form")
    assert form["trigger"] == "access_granted"
    build(desk, form.fill(name="Provision Jira").submit().location)
    enable(desk)
    desk.run_now(grant)


def workflow_disabled(desk: Desk) -> None:
    desk.workflow(desk.step(), is_enabled=False)
    grant = desk.grant()
    tab = desk.fix(grant, "Enable it")
    tab.form_with(next(one for one in tab.texts("button.toggle"))).submit(tab.texts("button.toggle")[0])
    desk.run_now(grant)


def no_steps(desk: Desk) -> None:
    desk.workflow()
    grant = desk.grant()
    editor = desk.fix(grant, "Add steps")
    build(desk, editor.url)
    desk.run_now(grant)


def other_active_grant(desk: Desk) -> None:
    desk.workflow(desk.step(), policy="first_active_grant", is_enabled=False)
    keeper, grant = desk.grant(), desk.grant()
    enable(desk)
    page = desk.fix(grant, f"See grant {keeper.id}")
    page.open_dialog_page("Revoke…").form("revoke-form").submit()
    desk.run_now(grant)


def recorded_only(desk: Desk) -> None:
    desk.workflow(desk.step())
    grant = desk.grant(record_only=True)
    assert "recorded only, by choice" in desk.explained(grant).text.lower()
    desk.run_now(grant)


def a_revoke_with_no_run(desk: Desk) -> None:
    desk.workflow(desk.step(), trigger="access_revoked", is_enabled=False)
    grant = desk.grant()
    desk.revoke(grant)
    listed = desk.client.get("/").follow("Jane Doe")
    assert "is disabled" in listed.text
    enable(desk)
    desk.run_now(grant, "Access revoked")


def build(desk: Desk, address: str) -> None:
    """Add one call in the editor and save it."""
    editor = press(desk.client.get(address), "add:http")
    typed = {"name": "Create", "connection_id": str(desk.connection), "method": "POST", "path": "/Users"}
    assert "is saved" in press(editor, "save", expect=303, **typed).follow_redirect().text


def enable(desk: Desk) -> None:
    tab = desk.client.get(f"/applications/{desk.application.id}/workflows")
    off = next(one for one in tab.select("button.toggle") if one["aria-pressed"] == "false")
    words = " ".join(off.get_text(" ").split())
    tab.form_with(words).submit(words)


# A step that was refused


def rejected_credential(desk: Desk) -> None:
    refused_unless(desk, "another-secret")
    page = desk.failed()
    assert "Jira rejected the credential (HTTP 401)." in page.text
    connection = enter(page.follow("Replace credential"), "another-secret")
    assert "The value cannot be shown." in connection.text
    tested = connection.press("Test connection").follow_redirect()
    assert "Reachable." in tested.text
    page = desk.page()
    assert page.texts("#run-actions .btn-primary") == ["Retry"]
    assert "The credential was changed after this run failed" in page.text
    desk.retry()


def missing_credential(desk: Desk) -> None:
    page = desk.client.get(f"/connections/{desk.connection}").follow("Remove…")
    page.press("Remove")
    refused_unless(desk, SECRET)
    enter(desk.failed().follow("Add credential"))
    desk.retry()


def missing_right(desk: Desk) -> None:
    desk.answers(403)
    page = desk.failed()
    assert "does not allow this (HTTP 403)" in page.text
    desk.answers(201)  # somebody gives the right over there
    connection = page.follow("Test connection")
    assert "Reachable." in connection.press("Test connection").follow_redirect().text
    desk.retry()


def refused_data(status: int) -> Callable[[Desk], None]:
    def tell(desk: Desk) -> None:
        desk.answers(status, when=lambda call: call.method == "POST" and "team" not in (call.body or {}))
        page = desk.failed()
        assert f"Jira did not accept the data (HTTP {status})." in page.text
        assert "dry-run" in page.follow("Dry-run").url
        editor = page.follow("Open data mapping")
        names = editor.form("editor").fields["body_name"]
        kinds, values = (editor.form("editor").fields[f"body_{one}"] for one in ("kind", "value"))
        row = {
            "body_name": [*names[:-1], "team"],
            "body_kind": [*kinds[:-1], "text"],
            "body_value": [*values[:-1], "Red"],
        }
        assert "is saved" in press(editor, "save", expect=303, **row).follow_redirect().text
        desk.replay()

    return tell


def wrong_path(desk: Desk) -> None:
    desk.answers(404, when=lambda call: call.path == "/Users")
    desk.mend(desk.failed(), "Open path", path="/People")
    desk.replay()


def gone_already(desk: Desk) -> None:
    desk.answers(404)
    remove = desk.step(method="DELETE", path="/Users/1")
    remove.pop("body")
    page = desk.failed(remove, trigger="access_revoked")
    assert "No account was ever captured" in page.text
    desk.mend(page, "Open success statuses", success_statuses="200-299, 404")
    desk.replay()


def there_already(desk: Desk) -> None:
    desk.answers(409)
    desk.mend(desk.failed(), "Open success statuses", success_statuses="200-299, 409")
    desk.replay()


# A system that is away


def server_error(desk: Desk) -> None:
    desk.answers(503)
    page = desk.failed()
    assert "Retry on failure is off for this step." in page.text
    connection = page.follow("Test connection")
    assert "Failed. Jira API failed (HTTP 503)." in connection.press("Test connection").follow_redirect().text
    assert "Test connection has failed since as well." in desk.page().text
    desk.answers(201)
    connection.press("Test connection")
    page = desk.page()
    assert "Test connection has reached Jira since." in page.text
    desk.retry(page)


def tries_used_up(desk: Desk) -> None:
    desk.answers(503)
    desk.workflow(desk.step(retry={"attempts": 2, "backoff": "fixed", "delay_seconds": 0}))
    desk.grant()
    while desk.newest().status != "failed":
        desk.work()
    page = desk.page()
    assert "Jira failed 2 times (HTTP 503)." in page.text
    desk.answers(201)
    desk.retry(page)


def no_answer_in_time(desk: Desk) -> None:
    desk.target.answer = lambda _call: Answer(after=1.2)
    page = desk.failed(desk.step(method="PUT"))
    assert "Jira did not answer in time." in page.text
    desk.answers(200)
    desk.retry(page)


def unreachable(desk: Desk) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{free.getsockname()[1]}"
    connection = desk.web.get_one(Connection, desk.connection)
    right = connection.config
    connection.config = right | {"base_url": nobody}
    desk.web.commit()
    page = desk.failed()
    assert "Jira could not be reached." in page.text
    connection = desk.web.get_one(Connection, desk.connection)
    connection.config = right  # the system is back
    desk.web.commit()
    desk.retry(page)


# Waiting, refused, queued


def waiting_for_a_person(desk: Desk) -> None:
    desk.workflow(human_step("team", name="Assign a team"), desk.step())
    desk.grant()
    desk.work()
    page = desk.page()
    assert "Waiting for a person: Assign a team." in page.text
    task = page.follow("Open the task")
    task.form("task-form").fill({"input.team": "Red"}).submit()


def replay_refused(desk: Desk) -> None:
    second = desk.step(path="/groups") | {"key": "join", "name": "Join"}
    desk.answers(422, when=lambda call: call.path == "/groups")
    page = desk.failed(desk.step(capture={"id": "$.id"}), second)
    assert "“Create” already ran at" in page.text
    assert "and captured id u-1" in page.text
    desk.answers(201)
    question = page.follow("Re-grant access: revoke first…")
    question.form("revoke-form").submit()
    grant = desk.client.get(f"/grants/{desk.newest().grant_id}")
    grant.follow("Grant again…").form("grant-form").submit("Grant access")


def no_worker(desk: Desk) -> None:
    desk.workflow(desk.step())
    desk.grant()
    page = desk.page()
    assert "No worker is online." in page.text
    desk.app.extensions[KEY].forget()  # what it noticed a moment ago, before the grant
    assert "no worker is online" in desk.client.get("/applications").one("#system-notice").text
    health = page.follow("System health") if page.select("#run-notes a") else desk.client.get("/system")
    assert "python -m app.workers" in health.texts("#part-workers code")
    desk.start_worker()


def lane_busy(desk: Desk) -> None:
    desk.workflow(desk.step(method="PUT", retry={"attempts": 2, "delay_seconds": 3600}))
    desk.answers(503, 201)
    desk.grant()
    desk.work()
    first = desk.newest().id
    desk.grant()
    desk.work()
    ahead = desk.page().follow(f"Run {first} comes first")
    question = ahead.open_dialog_page("Cancel run…")
    question.form_with("Cancel run").fill(reason="The second will do").submit("Cancel run")


CASES: dict[str, Callable[[Desk], None]] = {
    "no workflow": no_workflow,
    "the other trigger's workflow": trigger_mismatch,
    "a disabled workflow": workflow_disabled,
    "a workflow without steps": no_steps,
    "another active grant": other_active_grant,
    "recorded only": recorded_only,
    "a revoke with no run": a_revoke_with_no_run,
    "401": rejected_credential,
    "no credential": missing_credential,
    "403": missing_right,
    "400": refused_data(400),
    "422": refused_data(422),
    "404": wrong_path,
    "404 on a revoke": gone_already,
    "409": there_already,
    "5xx": server_error,
    "5xx after every try": tries_used_up,
    "timeout": no_answer_in_time,
    "network": unreachable,
    "waiting for a person": waiting_for_a_person,
    "replay refused": replay_refused,
    "queued without a worker": no_worker,
    "queued behind another run": lane_busy,
}


@pytest.mark.parametrize("mend", CASES.values(), ids=CASES.keys())
def test_the_action_offered_leads_to_a_run_that_succeeds(desk: Desk, mend: Callable[[Desk], None]) -> None:
    mend(desk)
    desk.work()
    run = desk.newest()
    assert run.status == "succeeded"
    assert desk.page().texts("#run-chip") == ["Succeeded"]
    assert len(desk.target.calls) >= 1
