"""Every way of signing in, against real servers: Test connection and a step come to the same."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy.orm import Session

from app.config.checks import new_fernet_key
from app.connectors.auth import methods
from app.connectors.egress import EgressPolicy
from app.connectors.http import HttpClient
from app.connectors.perform import perform
from app.crypto import KeyRing
from app.domain.remedies.failure import Action
from app.domain.runs.calls import Order
from app.domain.steps.http.step import HttpStep
from app.domain.workflows.definition import parse_definition
from app.models import Connection
from app.permissions import Actor
from app.schemas.connections import CredentialIn, parse_config
from app.services import connection_test, credentials
from app.services.connection_test import TestResult
from tests.support.connectors.certificates import authority
from tests.support.connectors.servers import ScriptServer, keep_answering, once
from tests.support.connectors.token_endpoint import CLIENT_ID, Identity, identity
from tests.support.factories import NOW, http_step, make_application, make_connection

pytestmark = pytest.mark.sqlite_only

SECRET = "s3cr3t-t0k3n"
PAIR = base64.b64encode(f"svc:{SECRET}".encode()).decode()

# Configuration of each method, and the header by which the system knows the caller.
METHODS: dict[str, tuple[dict[str, Any], tuple[str, str] | None]] = {
    "none": ({"auth": "none"}, None),
    "bearer": ({"auth": "bearer"}, ("authorization", f"Bearer {SECRET}")),
    "basic": ({"auth": "basic", "username": "svc"}, ("authorization", f"Basic {PAIR}")),
    "api_key": ({"auth": "api_key"}, ("x-api-key", SECRET)),
    "api_key named": ({"auth": "api_key", "api_key_header": "X-Key"}, ("x-key", SECRET)),
    "oauth basic": ({"auth": "oauth2_client_credentials"}, ("authorization", "Bearer token-1")),
    "oauth post": (
        {"auth": "oauth2_client_credentials", "client_auth": "post"},
        ("authorization", "Bearer token-1"),
    ),
}
every_method = pytest.mark.parametrize("method", METHODS)
with_credential = pytest.mark.parametrize("method", [name for name in METHODS if name != "none"])


@pytest.fixture
def world() -> Iterator[Identity]:
    with identity() as found:
        found.takes = lambda _token: True
        yield found


@pytest.fixture
def client() -> Iterator[HttpClient]:
    made = HttpClient(EgressPolicy("127.0.0.1"))
    yield made
    made.close()


@dataclass
class Desk:
    """What every test here works with."""

    session: Session
    admin: Actor
    keyring: KeyRing
    client: HttpClient
    world: Identity

    def connected(self, method: str, **more: Any) -> Connection:
        """A connection to the world that signs in by this method, its credential not entered yet."""
        config = {"base_url": self.world.base_url, "timeout_seconds": 5, "health_path": "/health"}
        if method.startswith("oauth"):
            config |= {"token_url": self.world.token_url, "client_id": CLIENT_ID}
        return self.made(config | METHODS[method][0] | more)

    def made(self, config: dict[str, Any]) -> Connection:
        application = make_application(self.session)
        return make_connection(self.session, application, name="System", config=parse_config("http", config))

    def enter(self, connection: Connection) -> None:
        value = CredentialIn(value=SECRET)
        credentials.set_credential(self.session, self.admin, connection, value, self.keyring, now=NOW)

    def both(self, connection: Connection) -> TestResult:
        """What Test connection says, once it is sure that a step on this connection comes to the same."""
        plan = connection_test.prepare(connection)
        result = connection_test.probe(plan, self.client, self.keyring)
        raw = http_step("read", connection.id, method="GET", path="/health", body=None)
        definition, _ = parse_definition([raw])
        assert definition is not None
        step = definition.steps[0]
        assert isinstance(step, HttpStep)
        order = Order(1, 1, 1, step, "key-1", {}, plan.connection)
        outcome = perform(order, self.client, self.keyring).outcome
        assert (outcome.failure, outcome.http_status) == (result.failure, result.status)
        connection_test.keep(self.session, connection.id, result, now=NOW)
        self.session.refresh(connection)
        assert (connection.test_class, connection.test_status) == (result.failure, result.status)
        return result


@pytest.fixture
def desk(session: Session, admin: Actor, keyring: KeyRing, client: HttpClient, world: Identity) -> Desk:
    return Desk(session, admin, keyring, client, world)


def test_no_way_of_signing_in_is_left_out_here() -> None:
    assert {config["auth"] for config, _ in METHODS.values()} == set(methods.METHODS)


@every_method
def test_a_system_that_lets_the_caller_in_is_reachable(desk: Desk, method: str) -> None:
    connection = desk.connected(method, headers={"X-Tenant": "seven"})
    if method != "none":
        desk.enter(connection)
    result = desk.both(connection)
    assert (result.outcome, result.status, result.path) == ("reachable", 200, "/v1/health")
    for line, head in desk.world.calls:
        assert line.startswith("GET /v1/health ")
        assert head["x-tenant"] == "seven"
        if METHODS[method][1] is not None:
            name, value = METHODS[method][1]
            assert head[name] == value
        else:
            assert "authorization" not in head
    if method != "none":
        assert connection.credential is not None
        assert connection.credential.last_ok is True


@with_credential
@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_credential_is_to_be_replaced(desk: Desk, method: str, status: int) -> None:
    desk.world.status = status
    connection = desk.connected(method)
    desk.enter(connection)
    result = desk.both(connection)
    assert (result.failure, result.status) == ("http_4xx", status)
    assert result.remedy is not None
    assert result.remedy.action is Action.REPLACE_CREDENTIAL
    assert connection.credential is not None
    assert connection.credential.last_ok is False


@with_credential
def test_without_its_credential_nothing_is_sent(desk: Desk, method: str) -> None:
    result = desk.both(desk.connected(method))
    assert result.failure == "configuration"
    assert result.remedy is not None
    assert result.remedy.action is Action.ADD_CREDENTIAL
    assert desk.world.calls == []
    assert desk.world.forms == []


@with_credential
def test_with_the_key_lost_nothing_is_sent_and_it_says_so(desk: Desk, method: str) -> None:
    connection = desk.connected(method)
    desk.enter(connection)
    result = Desk(desk.session, desk.admin, KeyRing([new_fernet_key()]), desk.client, desk.world).both(
        connection
    )
    assert result.failure == "configuration"
    assert result.remedy is not None
    assert "cannot be read" in result.remedy.title
    assert result.remedy.action is Action.REPLACE_CREDENTIAL
    assert desk.world.calls == []
    assert desk.world.forms == []


@pytest.mark.parametrize("method", ["oauth basic", "oauth post"])
def test_a_client_secret_that_the_token_url_refuses_is_to_be_replaced(desk: Desk, method: str) -> None:
    desk.world.give = lambda _: (401, {"error": "invalid_client"})
    connection = desk.connected(method)
    desk.enter(connection)
    result = desk.both(connection)
    assert (result.failure, result.status) == ("configuration", 401)
    assert result.remedy is not None
    assert result.remedy.action is Action.REPLACE_CREDENTIAL
    assert "invalid_client" in result.remedy.title
    assert connection.credential is not None
    assert connection.credential.last_ok is False
    assert desk.world.calls == []


@every_method
@pytest.mark.parametrize("status", [302, 404, 500])
def test_other_answers_leave_the_credential_in_peace(desk: Desk, method: str, status: int) -> None:
    desk.world.status = status
    connection = desk.connected(method)
    if method != "none":
        desk.enter(connection)
    result = desk.both(connection)
    assert (result.outcome, result.status) == ("failed", status)
    assert connection.credential is None or connection.credential.last_ok is None


def test_a_connection_s_own_certificates_and_timeout_hold_for_steps_and_tests(desk: Desk) -> None:
    with ScriptServer(keep_answering(), tls=authority().server_context) as server:
        config = {"base_url": server.url, "timeout_seconds": 5}
        assert desk.both(desk.made(config)).failure == "tls"
        assert desk.both(desk.made(config | {"ca_bundle": authority().pem})).outcome == "reachable"
    with ScriptServer(once(then="hang")) as silent:
        assert desk.both(desk.made({"base_url": silent.url, "timeout_seconds": 1})).failure == "timeout"


def test_steps_tests_and_token_requests_say_the_same_of_their_sender(desk: Desk) -> None:
    connection = desk.connected("oauth basic")
    desk.enter(connection)
    desk.both(connection)
    assert len(desk.world.forms) == 1
    assert desk.world.agents == ["AccessAutomation/1"] * 3
