"""Test connection: one GET, told in the words of the timeline."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy.orm import Session
from standardwebhooks import Webhook

from app import clock
from app.config.checks import new_fernet_key
from app.connectors.egress import EgressPolicy
from app.connectors.http import HttpClient
from app.crypto import KeyRing
from app.domain.remedies.failure import Action
from app.errors import Invalid
from app.models import Connection
from app.permissions import Actor
from app.schemas.connections import CredentialIn
from app.services import connection_test, credentials
from tests.support.connectors.servers import Peer, ScriptServer
from tests.support.factories import NOW, make_application, make_connection

SECRET = "s3cr3t-t0k3n"


def answering(status: str, extra: str = "") -> ScriptServer:
    def script(peer: Peer) -> None:
        peer.read_request()
        head = f"HTTP/1.1 {status}\r\nContent-Length: 2\r\nConnection: close\r\n{extra}\r\nok"
        peer.send(head.encode())

    return ScriptServer(script)


@pytest.fixture
def client() -> Iterator[HttpClient]:
    made = HttpClient(EgressPolicy("127.0.0.1"))
    yield made
    made.close()


def connected(session: Session, port: int, **config: object) -> Connection:
    base = {"base_url": f"http://127.0.0.1:{port}/api", "auth": "bearer", "timeout_seconds": 5}
    return make_connection(session, make_application(session), name="Jira", config=base | config)


def test_a_reachable_system_is_asked_once_with_the_credential(
    session: Session, admin: Actor, keyring: KeyRing, client: HttpClient
) -> None:
    with answering("200 OK") as server:
        connection = connected(session, server.port, health_path="/health", headers={"X-Org": "42"})
        credentials.set_credential(session, admin, connection, CredentialIn(value=SECRET), keyring, now=NOW)
        plan = connection_test.prepare(connection)
        result = connection_test.probe(plan, client, keyring)
        later = NOW + timedelta(minutes=1)
        connection_test.keep(session, connection.id, result, now=later)
    request = server.requests[0].decode()
    assert len(server.requests) == 1
    assert request.startswith("GET /api/health HTTP/1.1\r\n")
    assert f"Authorization: Bearer {SECRET}" in request
    assert "X-Org: 42" in request
    assert (result.outcome, result.status, result.path) == ("reachable", 200, "/api/health")
    session.refresh(connection)
    assert (connection.test_outcome, connection.test_status) == ("reachable", 200)
    assert connection.tested_at == later
    assert connection.credential is not None
    assert (connection.credential.last_ok, connection.credential.last_used_at) == (True, later)
    assert SECRET not in repr(plan) + repr(result)


@pytest.mark.parametrize(
    ("accept", "kind", "odd"),
    [
        ("application/json", "text/html", True),
        ("application/json", "application/json", False),
        ("text/html", "text/html", False),
    ],
)
def test_a_web_page_where_json_was_asked_is_said(
    session: Session, keyring: KeyRing, *, accept: str, kind: str, odd: bool
) -> None:
    client = HttpClient(EgressPolicy("127.0.0.1"))
    with answering("200 OK", f"Content-Type: {kind}\r\n") as server:
        connection = connected(session, server.port, auth="none", headers={"Accept": accept})
        result = connection_test.probe(connection_test.prepare(connection), client, keyring)
        connection_test.keep(session, connection.id, result, now=NOW)
    client.close()
    session.refresh(connection)
    assert (result.outcome, connection.test_outcome) == ("reachable", "reachable")
    assert ("web page" in result.message, result.remedy is not None) == (odd, odd)
    assert connection.test_class == ("unexpected_answer" if odd else None)


@pytest.mark.parametrize("refusal", [("401 No", "replace_credential"), ("404 No", "edit_connection")])
def test_a_refusal_comes_with_its_remedy(
    session: Session, admin: Actor, keyring: KeyRing, client: HttpClient, refusal: tuple[str, str]
) -> None:
    status, action = refusal
    with answering(status) as server:
        connection = connected(session, server.port)
        credentials.set_credential(session, admin, connection, CredentialIn(value=SECRET), keyring, now=NOW)
        result = connection_test.probe(connection_test.prepare(connection), client, keyring)
        connection_test.keep(session, connection.id, result, now=NOW)
    assert result.outcome == "failed"
    assert result.remedy is not None
    assert result.remedy.action == action
    session.refresh(connection)
    assert connection.test_class == "http_4xx"
    assert connection.credential is not None
    assert connection.credential.last_ok is (False if status.startswith("401") else None)


def test_a_credential_replaced_meanwhile_is_not_marked(
    session: Session, admin: Actor, keyring: KeyRing, client: HttpClient
) -> None:
    with answering("401 No") as server:
        connection = connected(session, server.port)
        old, new = CredentialIn(value=SECRET), CredentialIn(value="fresh")
        credentials.set_credential(session, admin, connection, old, keyring, now=NOW)
        result = connection_test.probe(connection_test.prepare(connection), client, keyring)
    credentials.set_credential(session, admin, connection, new, keyring, now=NOW + timedelta(seconds=1))
    connection_test.keep(session, connection.id, result, now=NOW)
    session.refresh(connection)
    assert connection.credential is not None
    assert connection.credential.last_ok is None


def test_a_redirect_is_not_followed(session: Session, keyring: KeyRing, client: HttpClient) -> None:
    with answering("302 Found", "Location: http://127.0.0.1:1/\r\n") as server:
        connection = connected(session, server.port, auth="none")
        result = connection_test.probe(connection_test.prepare(connection), client, keyring)
    assert (result.outcome, result.failure, result.status) == ("failed", "redirect", 302)


def test_a_missing_or_unreadable_credential_sends_nothing(
    session: Session, admin: Actor, keyring: KeyRing, client: HttpClient
) -> None:
    with answering("200 OK") as server:
        connection = connected(session, server.port)
        bare = connection_test.probe(connection_test.prepare(connection), client, keyring)
        credentials.set_credential(session, admin, connection, CredentialIn(value=SECRET), keyring, now=NOW)
        plan = connection_test.prepare(connection)
        lost = connection_test.probe(plan, client, KeyRing([new_fernet_key()]))
    assert server.requests == []
    assert bare.failure == lost.failure == "configuration"
    assert bare.remedy is not None
    assert bare.remedy.action is Action.ADD_CREDENTIAL
    assert lost.remedy is not None
    assert lost.remedy.action is Action.REPLACE_CREDENTIAL


def test_a_target_that_is_not_allowed_is_blocked(session: Session, keyring: KeyRing) -> None:
    connection = connected(session, 1, auth="none")
    strict = HttpClient(EgressPolicy())
    result = connection_test.probe(connection_test.prepare(connection), strict, keyring)
    strict.close()
    assert (result.outcome, result.failure) == ("failed", "egress_blocked")


def test_nobody_listening_is_a_network_failure(
    session: Session, keyring: KeyRing, client: HttpClient
) -> None:
    with answering("200 OK") as server:
        port = server.port
    connection = connected(session, port, auth="none")
    result = connection_test.probe(connection_test.prepare(connection), client, keyring)
    assert result.failure == "network"


def test_a_webhook_has_nothing_to_probe_and_keeps_no_health(
    session: Session, keyring: KeyRing, client: HttpClient
) -> None:
    hook = make_connection(
        session, make_application(session), type="webhook", config={"url": "https://h.example"}
    )
    result = connection_test.probe(connection_test.prepare(hook), client, keyring)
    connection_test.keep(session, hook.id, result, now=NOW)
    session.refresh(hook)
    assert (result.outcome, hook.tested_at) == ("nothing_to_probe", None)


def test_a_test_event_is_signed_and_says_that_it_is_a_test(
    session: Session, admin: Actor, keyring: KeyRing, client: HttpClient
) -> None:
    now = clock.now()
    secret = "whsec_" + "QUJD" * 8
    with answering("204 No Content") as server:
        url = f"http://127.0.0.1:{server.port}/in"
        hook = make_connection(session, make_application(session), type="webhook", config={"url": url})
        credentials.set_credential(session, admin, hook, CredentialIn(value=secret), keyring, now=now)
        plan = connection_test.prepare(hook)
        result = connection_test.send_test_event(plan, client, keyring, now=now)
    head, _, body = server.requests[0].decode().partition("\r\n\r\n")
    lines = [line.split(": ", 1) for line in head.split("\r\n")[1:]]
    received = Webhook(secret).verify(body, {name: value for name, value in lines})
    assert result.outcome == "reachable"
    assert (received["type"], received["test"]) == ("access_automation.test", True)


def test_a_test_event_needs_a_signing_secret_and_a_webhook(
    session: Session, keyring: KeyRing, client: HttpClient
) -> None:
    hook = make_connection(
        session, make_application(session), type="webhook", config={"url": "https://h.example"}
    )
    plan = connection_test.prepare(hook)
    result = connection_test.send_test_event(plan, client, keyring, now=NOW)
    assert (result.outcome, result.failure) == ("failed", "configuration")
    plain = connection_test.prepare(connected(session, 1))
    with pytest.raises(Invalid, match="webhook"):
        connection_test.send_test_event(plain, client, keyring, now=NOW)
