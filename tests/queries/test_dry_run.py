"""Dry-run: exactly what would be sent, the way that is taken, and nothing done."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import event, func, select
from sqlalchemy.orm import Session

from app.connectors.http import HttpClient
from app.crypto import KeyRing
from app.domain.runs.simulate import Supposing
from app.domain.states import RunStatus, Trigger
from app.domain.steps.scope import ScopeInfo
from app.errors import Invalid, NotFound
from app.models import Base, Credential, ExternalAccount, Run
from app.permissions import Actor
from app.queries.dry_run import DryRun, dry_run
from app.queries.samples import sample_person
from app.services import grants
from tests.support.factories import NOW, add_version, http_step, human_step, make_application, make_connection
from tests.support.services.dry_runs import Bench

pytestmark = pytest.mark.sqlite_only


@pytest.fixture
def bench(session: Session, admin: Actor) -> Bench:
    return Bench(session, admin)


def way(found: DryRun) -> list[tuple[str, bool]]:
    return [(one.step.key, one.visit.ok) for one in found.steps]


@pytest.mark.parametrize(
    ("config", "header", "text"),
    [
        ({"auth": "bearer"}, "Authorization", "Bearer ‹credential›"),
        ({"auth": "basic", "username": "ada"}, "Authorization", "Basic ‹credential›"),
        ({"auth": "api_key", "api_key_header": "X-Key"}, "X-Key", "‹credential›"),
        ({"auth": "oauth2_client_credentials"}, "Authorization", "Bearer ‹credential›"),
    ],
)
def test_credentials_are_shown_as_such(bench: Bench, config: dict[str, Any], header: str, text: str) -> None:
    bench.connection.config = {"base_url": "https://target.example"} | config
    [step] = bench.set_up(bench.step()).dry().steps
    assert step.request is not None
    assert step.request.headers[header] == text


def test_a_webhook_shows_where_its_signature_goes(bench: Bench, session: Session) -> None:
    hook = make_connection(
        session, bench.application, type="webhook", config={"url": "https://hook.example/in"}
    )
    tell = {
        "key": "tell",
        "type": "webhook",
        "connection_id": str(hook.id),
        "body": {"who": "{{ grantee.email }}"},
    }
    [step] = bench.set_up(tell).dry().steps
    assert step.request is not None
    assert (step.request.method, step.request.url) == ("POST", "https://hook.example/in")
    assert step.request.body == b'{"who":"ada@example.org"}'
    assert step.request.headers["webhook-signature"] == "v1,‹credential›"


def test_captured_values_of_earlier_steps_are_named_wherever_they_go(bench: Bench) -> None:
    bench.set_up(
        bench.step(capture={"id": "$.id"}),
        bench.step(
            "add",
            method="PUT",
            path="/Users/{{ steps.create.id }}",
            query={"id": "{{ steps.create.id }}"},
            headers={"X-Id": "u-{{ steps.create.id }}"},
            body={"id": "{{ steps.create.id }}", "text": "{{ account.id }} {{ steps.create.id | upper }}"},
        ),
        bench.step("form", body={"id": "{{ steps.create.id }}"}, body_format="form"),
    )
    _, add, form = (one.request for one in bench.dry().steps)
    assert add is not None
    assert form is not None
    mark = "‹steps.create.id›"
    assert add.url == f"https://target.example/Users/{mark}?id={mark}"
    assert add.headers["X-Id"] == f"u-{mark}"
    assert json.loads(add.body or b"") == {"id": mark, "text": f"{mark} {mark}"}
    assert form.body == f"id={mark}".encode()


def test_a_revoke_names_the_account_that_the_grant_made(bench: Bench, session: Session) -> None:
    bench.set_up(
        bench.step("remove", method="DELETE", path="/Users/{{ account.id }}"), trigger="access_revoked"
    )
    account = session.scalars(select(ExternalAccount)).one()
    account.captured = {"id": "u-7"}
    [step] = bench.dry().steps
    assert step.request is not None
    assert step.request.url == "https://target.example/Users/u-7"


# The way


def test_it_follows_the_success_edges_to_the_end(bench: Bench) -> None:
    bench.set_up(
        bench.step("one", on_success={"step": "three"}),
        bench.step("two", on_success="end"),
        bench.step("three"),
    )
    found = bench.dry()
    assert (way(found), found.end) == ([("one", True), ("three", True)], RunStatus.SUCCEEDED)
    assert [one.visit.edge for one in found.steps] == ["goes on to “Three”", "ends the run"]


@pytest.mark.parametrize(
    ("edge", "steps", "end"),
    [
        ("stop", [("one", False)], "failed"),
        ("escalate", [("one", False)], "waiting_manual"),
        ("continue", [("one", False), ("two", True)], "succeeded"),
        ({"compensate": "undo"}, [("one", False), ("undo", True)], "compensated"),
        ({"step": "two"}, [("one", False), ("two", True)], "succeeded"),
    ],
)
def test_a_failing_step_takes_its_failure_edge(bench: Bench, edge: Any, steps: Any, end: str) -> None:
    undo = [bench.step("undo")] if edge == {"compensate": "undo"} else []
    bench.set_up(bench.step("one", on_failure=edge), bench.step("two"), *undo)
    found = bench.dry(supposing=Supposing(failing={"one"}))
    assert (way(found), found.end.value) == (steps, end)
    assert [one.visit.compensation for one in found.steps] == [one.step.key == "undo" for one in found.steps]


def test_a_failing_compensation_ends_failed(bench: Bench) -> None:
    bench.set_up(
        bench.step("one", path="/{{ account.none }}", on_failure={"compensate": "undo"}), bench.step("undo")
    )
    found = bench.dry(supposing=Supposing(failing={"undo"}))
    assert (way(found), found.end.value) == ([("one", False), ("undo", False)], "failed")


def test_a_person_s_turn_shows_its_prompt_and_feeds_later_steps(bench: Bench) -> None:
    bench.set_up(human_step("team"), bench.step(body={"team": "{{ steps.team.team }}"}))
    asked, create = bench.dry().steps
    assert (asked.request, asked.prompt) == (None, "Which team for Ada?")
    assert create.request is not None
    assert create.request.body == '{"team":"‹steps.team.team›"}'.encode()
    assert way(bench.dry(supposing=Supposing(failing={"team"}))) == [("team", False)]


def test_a_draft_is_tried_without_being_saved(bench: Bench) -> None:
    bench.set_up()
    found = bench.dry(steps=[bench.step(path="/People")])
    assert found.steps[0].request is not None
    assert found.steps[0].request.url == "https://target.example/People"
    assert bench.workflow is not None
    assert bench.workflow.version_id is None


# What is wrong


def test_an_empty_token_is_warned_about(bench: Bench) -> None:
    bench.person.employee_id = None
    bench.set_up(bench.step(body={"number": "{{ grantee.employee_id }}"}))
    assert bench.dry().steps[0].warnings == ["grantee.employee_id is empty."]


def test_an_empty_value_in_the_path_fails_the_step_as_it_would(bench: Bench) -> None:
    bench.set_up(
        bench.step("remove", method="DELETE", path="/Users/{{ account.id }}"), trigger="access_revoked"
    )
    found = bench.dry()
    assert (way(found), found.end.value) == ([("remove", False)], "failed")
    assert found.steps[0].request is None
    assert found.steps[0].warnings[0].startswith("path: account.id is empty")


def test_a_missing_credential_is_said(bench: Bench) -> None:
    bench.connection.config = {"base_url": "https://target.example", "auth": "bearer"}
    [warning] = bench.set_up(bench.step(), bench.step("tell")).dry().warnings
    assert "has no credential: until one is added, the run fails at “Create”." in warning


def test_a_connection_of_another_application_is_none(bench: Bench, session: Session) -> None:
    other = make_connection(session, make_application(session))
    found = bench.set_up(http_step("create", other.id)).dry()
    assert way(found) == [("create", False)]
    assert "no longer exists" in found.steps[0].warnings[0]


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"supposing": Supposing(failing={"nothing"})}, "fail_step"),
        ({"steps": "no"}, "steps"),
        ({"steps": []}, "steps"),
        ({"steps": [{"key": "a", "type": "http"}]}, "steps[0].connection_id"),
    ],
)
def test_what_cannot_be_tried_is_named(bench: Bench, options: dict[str, Any], field: str) -> None:
    bench.set_up(bench.step())
    with pytest.raises(Invalid) as refusal:
        bench.dry(**options)
    assert field in [one.field for one in refusal.value.errors]


def test_an_unknown_token_of_a_draft_is_named_by_step_and_field(bench: Bench) -> None:
    bench.set_up(bench.step())
    with pytest.raises(Invalid) as refusal:
        bench.dry(steps=[bench.step(path="/{{ grantee.emial }}")])
    assert [one.field for one in refusal.value.errors] == ["steps[0].path"]


def test_a_grant_of_another_application_is_refused(bench: Bench, session: Session, admin: Actor) -> None:
    bench.set_up(bench.step())
    bench.grant = grants.grant(
        session, admin, application=make_application(session), user=bench.person, now=NOW
    )
    with pytest.raises(Invalid, match="another application"):
        bench.dry()


# Any version, any steps failing


def test_any_version_is_tried(bench: Bench, session: Session) -> None:
    bench.set_up(bench.step(path="/Old"))
    assert bench.workflow is not None
    add_version(session, bench.workflow, bench.step(path="/New"))
    for version, path in ((1, "/Old"), (2, "/New"), (None, "/New")):
        [step] = bench.dry(version=version).steps
        assert step.request is not None
        assert step.request.url == f"https://target.example{path}"
    with pytest.raises(NotFound):
        bench.dry(version=3)


def test_several_steps_fail_at_once(bench: Bench) -> None:
    bench.set_up(
        bench.step("one", on_failure="continue"),
        bench.step("two", on_failure={"compensate": "undo"}),
        bench.step("undo"),
    )
    found = bench.dry(supposing=Supposing(failing={"one", "two", "undo"}))
    assert way(found) == [("one", False), ("two", False), ("undo", False)]
    assert found.end is RunStatus.FAILED


def test_a_made_up_person_is_tried_where_nobody_has_access(bench: Bench, session: Session) -> None:
    bench.set_up(bench.step(body={"who": "{{ grantee.email }}", "level": "{{ grant.access_level }}"}))
    assert bench.workflow is not None
    sample = sample_person(
        bench.application, Trigger.ACCESS_GRANTED, ScopeInfo(account_names=frozenset({"id"})), now=NOW
    )
    [step] = dry_run(session, bench.workflow, sample, now=NOW).steps
    assert step.request is not None
    assert json.loads(step.request.body or b"") == {"who": "sam.sample@example.com", "level": "Standard"}


# Nothing is done


def test_nothing_is_sent_written_or_decrypted(
    bench: Bench, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(*_: Any, **__: Any) -> None:
        raise AssertionError("a dry-run touched the outside world or a secret")

    bench.connection.config = {"base_url": "https://target.example", "auth": "bearer"}
    session.add(
        Credential(connection_id=bench.connection.id, sealed="x", key_id="k", set_at=NOW, set_by="Alice")
    )
    bench.set_up(human_step("team"), bench.step(capture={"id": "$.id"}), bench.step("last"))
    session.commit()
    monkeypatch.setattr("socket.socket.connect", forbidden)
    monkeypatch.setattr(HttpClient, "send", forbidden)
    monkeypatch.setattr(KeyRing, "open", forbidden)
    before = {table.name: session.scalar(select(func.count()).select_from(table)) for table in tables()}
    sent: list[str] = []

    def note(_c: object, _cur: object, statement: str, *_rest: object) -> None:
        sent.append(statement.split(maxsplit=1)[0].upper())

    engine = session.get_bind()
    event.listen(engine, "before_cursor_execute", note)
    try:
        bench.dry(supposing=Supposing(failing={"last"}))
    finally:
        event.remove(engine, "before_cursor_execute", note)
    assert set(sent) == {"SELECT"}
    assert not session.new
    assert not session.dirty
    after = {table.name: session.scalar(select(func.count()).select_from(table)) for table in tables()}
    assert before == after
    assert session.scalars(select(Run)).all() == []


def tables() -> list[Any]:
    return list(Base.metadata.sorted_tables)


FIND = {"method": "GET", "body": None, "capture": {"id": {"path": "$.id", "optional": True}}}
UNKNOWN = [{"value": "{{ account.id }}", "is": "empty"}]


def find_or_create(bench: Bench) -> Bench:
    """Look the account up, create it where it is not found, change it where it is."""
    return bench.set_up(
        bench.step("find", **FIND, only_if=UNKNOWN, on_status={"404": {"step": "create"}}),
        bench.step("create", only_if=UNKNOWN, capture={"id": {"path": "$.id", "same": True}}),
        bench.step("change", method="PUT", path="/Users/{{ account.id }}"),
    )


def outcomes(found: DryRun) -> list[str]:
    return [f"{one.step.key} {one.visit.outcome}" for one in found.steps]


def test_a_value_known_only_when_it_runs_is_taken_to_be_there_and_said_so(bench: Bench) -> None:
    found = find_or_create(bench).dry()
    assert outcomes(found) == ["find succeeded", "create skipped", "change succeeded"]
    assert found.steps[1].visit.skipped == "Condition not met: “account.id is empty”."
    assert found.steps[1].warnings == [
        "“account.id is empty” is decided when it runs; here the value is taken to be there."
    ]
    assert found.steps[1].request is None
    assert found.steps[2].request is not None
    assert found.steps[2].request.url.endswith("/Users/‹steps.find.id›")


def test_a_step_done_for_a_value_that_is_taken_to_be_there_says_so(bench: Bench) -> None:
    there = [{"value": "{{ steps.find.id }}", "is": "not_empty"}]
    bench.set_up(bench.step("find", **FIND), bench.step("change", only_if=there))
    told = bench.dry().steps[1].warnings
    assert told == [
        "“steps.find.id is not empty” is decided when it runs; here the value is taken to be there."
    ]


@pytest.mark.parametrize(
    ("supposing", "taken"),
    [
        (Supposing(statuses={"find": 404}), ["find branched", "create succeeded", "change succeeded"]),
        (Supposing(absent=["steps.find.id"]), ["find succeeded", "create succeeded", "change succeeded"]),
        (Supposing(absent=["steps.find.id", "steps.create.id"]), ["find succeeded", "create failed"]),
        (Supposing(failing={"find"}), ["find failed"]),
        (Supposing(statuses={"find": 500}), ["find failed"]),
        (Supposing(statuses={"find": 204}), ["find succeeded", "create skipped", "change succeeded"]),
    ],
)
def test_each_way_can_be_looked_at(bench: Bench, supposing: Supposing, taken: list[str]) -> None:
    assert outcomes(find_or_create(bench).dry(supposing=supposing)) == taken


def test_what_is_known_before_decides_which_steps_are_skipped(bench: Bench) -> None:
    find_or_create(bench)
    account = bench.session.scalars(select(ExternalAccount)).one()
    account.captured = {"id": "u-7"}
    bench.session.flush()
    assert outcomes(bench.dry()) == ["find skipped", "create skipped", "change succeeded"]
    assert outcomes(bench.dry(supposing=Supposing(absent=["account.id"])))[0] == "find succeeded"


def test_a_value_kept_with_the_grant_is_known_after_its_step_and_from_earlier_runs(bench: Bench) -> None:
    join = {"membership": {"path": "$.m", "keep": "grant"}}
    use = bench.step("use", path="/{{ grant.kept.membership }}", capture={})
    bench.set_up(
        bench.step("join", capture=join, only_if=[{"value": "{{ grant.kept.membership }}", "is": "empty"}]),
        use,
    )
    assert bench.grant is not None
    for kept, url in ({}, "/‹steps.join.membership›"), ({"membership": "m-7"}, "/m-7"):
        bench.grant.kept = kept
        request = bench.dry().steps[1].request
        assert request is not None
        assert request.url.endswith(url)


@pytest.mark.parametrize(
    ("supposing", "field"),
    [
        (Supposing(statuses={"gone": 404}), "statuses"),
        (Supposing(absent=["steps.find.name"]), "absent"),
        (Supposing(failing=["gone"]), "fail_step"),
    ],
)
def test_what_no_step_can_come_to_is_refused(bench: Bench, supposing: Supposing, field: str) -> None:
    with pytest.raises(Invalid) as refused:
        find_or_create(bench).dry(supposing=supposing)
    assert [one.field for one in refused.value.errors] == [field]
