"""Dry-run: exactly what would be sent, the way that is taken, and nothing done (SPEC §8)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, func, select
from sqlalchemy.orm import Session

from app.connectors.egress import EgressPolicy
from app.connectors.http import HttpClient
from app.connectors.perform import bound_to, perform
from app.crypto import KeyRing
from app.engine import messages as m
from app.engine.states import RunStatus, Trigger
from app.errors import Invalid
from app.models import Base, Credential, ExternalAccount, Grant, Run, Workflow
from app.permissions import Actor
from app.services import grants
from app.services.advance import Move, advance, claim
from app.services.advance.moving import Holder
from app.services.dryrun import DryRun, dry_run
from app.services.runs import run_now
from tests.make import (
    NOW,
    add_version,
    http_step,
    human_step,
    make_application,
    make_connection,
    make_user,
    make_workflow,
)
from tests.target import Target, running_target

HOLDER = Holder("worker-1", timedelta(seconds=15))
SECRET = "s3cret-t0ken-9c1"


@pytest.fixture
def target() -> Iterator[Target]:
    with running_target() as target:
        yield target


class Bench:
    """An application with one connection and one grant, on which workflows are tried."""

    def __init__(self, session: Session, admin: Actor, url: str = "https://target.example") -> None:
        self.session, self.admin = session, admin
        self.application = make_application(session, name="Demo")
        self.connection = make_connection(session, self.application, config={"base_url": url, "auth": "none"})
        self.person = make_user(session, email="ada@example.org", first_name="Ada", last_name="Løvelace")
        self.workflow: Workflow | None = None
        self.grant: Grant | None = None

    def set_up(self, *steps: dict[str, Any], trigger: str = "access_granted", **grant: Any) -> Bench:
        self.workflow = make_workflow(self.session, self.application, trigger=trigger, is_enabled=False)
        if steps:
            add_version(self.session, self.workflow, *steps)
        values = {"application": self.application, "user": self.person, "now": NOW, "access_level": "Editor"}
        self.grant = grants.grant(self.session, self.admin, **values | grant)
        return self

    def step(self, key: str = "create", **changed: Any) -> dict[str, Any]:
        return http_step(key, self.connection.id, **changed)

    def dry(self, **options: Any) -> DryRun:
        assert self.workflow is not None
        assert self.grant is not None
        return dry_run(self.session, self.workflow, self.grant, now=NOW, **options)


@pytest.fixture
def bench(session: Session, admin: Actor) -> Bench:
    return Bench(session, admin)


def way(found: DryRun) -> list[tuple[str, bool]]:
    return [(one.step.key, one.visit.ok) for one in found.steps]


# The request


AUTHS = {
    "none": {"auth": "none"},
    "bearer": {"auth": "bearer"},
    "basic": {"auth": "basic", "username": "ada"},
    "api_key": {"auth": "api_key", "api_key_header": "X-Api-Key"},
}


@pytest.mark.parametrize("auth", AUTHS)
def test_every_request_is_byte_for_byte_what_a_worker_sends(
    session: Session, admin: Actor, keyring: KeyRing, target: Target, auth: str
) -> None:
    bench = Bench(session, admin, target.url)
    bench.connection.config = {"base_url": target.url, "headers": {"X-Team": "IT"}, **AUTHS[auth]}
    sealed = keyring.seal(SECRET, bound_to(bench.connection.id))
    if auth != "none":
        session.add(
            Credential(
                connection_id=bench.connection.id,
                sealed=sealed.token,
                key_id=sealed.key_id,
                set_at=NOW,
                set_by="Alice",
            )
        )
    bench.set_up(
        bench.step(
            path="/Users/{{ grantee.email }}/é",
            query={
                "filter": 'name eq "{{ grantee.last_name }}"',
                "team": ["a b", "{{ grant.access_level }}"],
            },
            headers={"X-Who": "{{ grantee.first_name }}", "Content-Type": "application/scim+json"},
            body={
                "userName": "{{ grantee.email }}",
                "at": "{{ event.occurred_at }}",
                "n": 1.0,
                "ø": [True, None],
            },
        ),
        bench.step(
            "form", body={"a": "x y", "b": "{{ grantee.last_name }}"}, body_format="form", method="PUT"
        ),
    )
    assert bench.workflow is not None
    assert bench.grant is not None
    shown = bench.dry().steps
    bench.workflow.is_enabled = True
    run = run_now(session, admin, bench.grant, Trigger.ACCESS_GRANTED)
    client = HttpClient(EgressPolicy(target.url.removeprefix("http://")))
    [moved] = claim(session.connection(), HOLDER, now=run.due_at or NOW, ids=[run.id], limit=1)
    while moved.order is not None:
        outcome = perform(moved.order, client, keyring).outcome
        answered = m.Answered(moved.order.step.key, moved.order.attempt, outcome)
        [moved] = advance(session.connection(), [Move(run.id, answered)], now=NOW, holder=HOLDER)
    client.close()
    assert len(target.calls) == len(shown) == 2
    for dry, call in zip(shown, target.calls, strict=True):
        assert dry.request is not None
        assert (call.method, target.url + call.path) == (dry.request.method, dry.request.url)
        assert call.raw == (dry.request.body or b"")
        promised = {name.lower(): text for name, text in dry.request.headers.items()}
        sent = {name: text for name, text in call.headers.items() if name in promised}
        for name in ("idempotency-key", "authorization", "x-api-key"):
            if promised.pop(name, None):
                assert sent.pop(name)
        assert sent == promised
        # What is not shown is what any HTTP/1.1 client adds to frame the message.
        rest = set(call.headers) - set(sent) - {"idempotency-key", "authorization", "x-api-key"}
        assert rest <= {"host", "content-length", "accept-encoding", "connection"}


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
    found = bench.dry(fail_step="one")
    assert (way(found), found.end.value) == (steps, end)
    assert [one.visit.compensation for one in found.steps] == [one.step.key == "undo" for one in found.steps]


def test_a_failing_compensation_ends_failed(bench: Bench) -> None:
    bench.set_up(
        bench.step("one", path="/{{ account.none }}", on_failure={"compensate": "undo"}), bench.step("undo")
    )
    found = bench.dry(fail_step="undo")
    assert (way(found), found.end.value) == ([("one", False), ("undo", False)], "failed")


def test_a_person_s_turn_shows_its_prompt_and_feeds_later_steps(bench: Bench) -> None:
    bench.set_up(human_step("team"), bench.step(body={"team": "{{ steps.team.team }}"}))
    asked, create = bench.dry().steps
    assert (asked.request, asked.prompt) == (None, "Which team for Ada?")
    assert create.request is not None
    assert create.request.body == '{"team":"‹steps.team.team›"}'.encode()
    assert way(bench.dry(fail_step="team")) == [("team", False)]


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
        ({"fail_step": "nothing"}, "fail_step"),
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
        bench.dry(fail_step="last")
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
