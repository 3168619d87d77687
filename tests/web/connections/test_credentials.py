"""Credentials: entered, replaced, removed, tested, and never seen again."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from app.connectors.egress import EgressPolicy
from app.connectors.http import HttpClient
from app.models import Connection, Credential
from tests.support.target import Answer, Target, running_target
from tests.support.web.places import Place
from tests.support.web.readers import Reader

CANARY = "canary-7f3a-secret"


@pytest.fixture
def target(only_sqlite: Flask) -> Iterator[Target]:
    """An outside system that the console may reach."""
    before = only_sqlite.extensions["egress"]
    client = HttpClient(EgressPolicy("127.0.0.1"))
    only_sqlite.extensions["egress"] = client
    with running_target() as running:
        yield running
    client.close()
    only_sqlite.extensions["egress"] = before


@pytest.fixture
def connection(web: Session, place: Place, target: Target) -> int:
    """A bearer connection to the target, without its credential."""
    found = web.get_one(Connection, place.http)
    found.config = {"base_url": target.url, "auth": "bearer", "timeout_seconds": 5, "health_path": "/health"}
    web.commit()
    return found.id


def enter(reader: Reader, connection: int, value: str = CANARY) -> None:
    page = reader.client.get(f"/connections/{connection}")
    page.form("credential-form").fill(value=value).submit()


def test_it_is_added_and_only_its_state_is_shown(alice: Reader, connection: int) -> None:
    page = alice.client.get(f"/connections/{connection}")
    assert "Steps that use this connection fail until the token is entered." in page.text
    done = page.form("credential-form").fill(value=CANARY).submit()
    page = done.follow_redirect()
    assert "Credential added. Test the connection now." in page.text
    assert "by Alice Example. The value cannot be shown." in page.text
    assert "Not used yet." in page.text


def test_no_answer_ever_holds_it(
    alice: Reader, connection: int, place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    enter(alice, connection)
    answers = [
        alice.client.get(url).response
        for url in (
            f"/connections/{connection}",
            f"/connections/{connection}/edit",
            f"/connections/{connection}/delete",
            f"/connections/{connection}/credential/remove",
            f"/applications/{place.application}/connections",
        )
    ]
    too_long = CANARY + "x" * 20_000
    for htmx in (False, True):
        refused = alice.client.post(
            f"/connections/{connection}/credential", {"value": too_long}, expect=422, htmx=htmx
        )
        answers.append(refused.response)
    answers.append(alice.client.post(f"/connections/{connection}/test", expect=200, htmx=True).response)
    for answer in answers:
        assert CANARY not in answer.get_data(as_text=True)
        assert CANARY not in str(answer.headers)
    assert CANARY not in caplog.text


def test_a_refused_value_is_not_kept_and_says_so(alice: Reader, connection: int) -> None:
    page = alice.client.get(f"/connections/{connection}")
    refused = page.form("credential-form").fill(value="  ").submit(expect=422)
    assert refused.errors() == {"value": "Enter the value."}
    assert "Type the token again: it is not kept." in refused.text
    part = page.form("credential-form").fill(value="").submit(expect=422, htmx=True)
    assert part.is_fragment
    assert part.one("section")["id"] == "credential"


def test_it_is_removed_after_naming_what_will_fail(
    alice: Reader, connection: int, workflow: int, web: Session
) -> None:
    enter(alice, connection)
    page = alice.client.get(f"/connections/{connection}").follow("Remove…")
    assert "Steps of these workflows fail until another is added: Provision Jira" in page.text
    assert "Credential removed." in page.press("Remove").follow_redirect().text
    assert web.query(Credential).count() == 0


def test_entering_one_needs_its_own_permission(bob: Reader, alice: Reader, connection: int) -> None:
    page = bob.client.get(f"/connections/{connection}")
    assert "Entering a credential needs workflow:secrets." in page.text
    assert not page.select('input[type="password"]')
    bob.client.post(f"/connections/{connection}/credential", {"value": CANARY}, expect=403)
    bob.client.post(f"/connections/{connection}/credential/remove", expect=403)
    bob.client.get(f"/connections/{connection}/credential/remove", expect=403)


def test_a_stored_credential_does_not_follow_another_address(
    bob: Reader, alice: Reader, connection: int, web: Session, target: Target
) -> None:
    enter(alice, connection)
    page = bob.client.get(f"/connections/{connection}/edit")
    assert page.one("#base_url").get("readonly") is not None
    assert "Changing it needs workflow:secrets" in page.text
    form = page.form("connection-form").fill(base_url="https://elsewhere.example")
    refused = form.submit("Save changes", expect=403)
    assert "workflow:secrets" in refused.text
    web.rollback()
    assert web.get_one(Connection, connection).config["base_url"] == target.url
    allowed = alice.client.get(f"/connections/{connection}/edit").form("connection-form")
    allowed.fill(base_url="https://elsewhere.example").submit("Save changes")


def test_reachable_is_shown_in_place_with_what_was_seen(
    alice: Reader, connection: int, target: Target, web: Session
) -> None:
    target.answer = lambda _call: Answer(200, {})
    enter(alice, connection)
    part = alice.client.post(f"/connections/{connection}/test", expect=200, htmx=True)
    assert part.one("#test")["role"] == "status"
    assert "Reachable. HTTP 200 at /health in " in part.text
    assert target.calls[0].headers["authorization"] == f"Bearer {CANARY}"
    page = alice.client.get(f"/connections/{connection}")
    assert "Worked when it was last used" in page.text
    assert web.query(Connection).filter(Connection.test_outcome == "reachable").count() == 1


def test_failed_is_shown_with_cause_and_remedy(alice: Reader, connection: int, target: Target) -> None:
    target.answer = lambda _call: Answer(401, {})
    enter(alice, connection)
    page = alice.client.post(f"/connections/{connection}/test").follow_redirect()
    assert "Failed." in page.one("#test").get_text(" ")
    assert "HTTP 401 at /health" in page.text
    assert page.one("#test a")["href"] == f"/connections/{connection}#credential"
    assert "Refused when it was last used" in page.text


def test_testing_without_its_credential_sends_nothing(alice: Reader, connection: int, target: Target) -> None:
    alice.client.get("/account")
    part = alice.client.post(f"/connections/{connection}/test", expect=200, htmx=True)
    assert "Failed." in part.text
    assert target.calls == []


def test_a_webhook_has_nothing_to_probe(alice: Reader, place: Place) -> None:
    page = alice.client.get(f"/connections/{place.webhook}")
    assert "Nothing to probe" in page.text
    done = alice.client.post(f"/connections/{place.webhook}/test").follow_redirect()
    assert "so nothing was sent" in done.text


def test_a_signing_secret_must_be_one(alice: Reader, place: Place) -> None:
    page = alice.client.get(f"/connections/{place.webhook}")
    refused = page.form("credential-form").fill(value="hunter2").submit(expect=422)
    assert "whsec_" in refused.errors()["value"]
    good = "whsec_" + base64.b64encode(b"k" * 32).decode()
    enter(alice, place.webhook, good)


def test_no_transaction_is_open_while_the_other_system_answers(
    alice: Reader, connection: int, target: Target, only_sqlite: Flask
) -> None:
    from app.extensions import db

    seen: list[int] = []

    def look(_call: object) -> Answer:
        with only_sqlite.app_context():
            seen.append(db.engine.pool.checkedout())  # type: ignore[attr-defined]
        return Answer(200, {})

    enter(alice, connection)
    target.answer = look
    alice.client.post(f"/connections/{connection}/test", expect=200, htmx=True)
    assert seen == [0]
