"""One try of a step against a real server: what is sent, and what each answer means."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from standardwebhooks import Webhook

from app.config.checks import new_fernet_key
from app.connectors.egress import EgressPolicy
from app.connectors.http import HttpClient
from app.connectors.perform import Performed, perform, prepare
from app.crypto import KeyRing, bound_to
from app.domain.runs.calls import MAX_DETAIL, ConnectionData, Order
from app.domain.states import FailureClass
from app.domain.steps.calls import opening_headers
from app.domain.workflows.definition import parse_definition
from app.errors import Invalid
from app.schemas.connections import parse_config
from tests.support.connectors.servers import ScriptServer, dies_on_its_second, going_on
from tests.support.connectors.token_endpoint import CLIENT_SECRET, identity
from tests.support.domain.findings import errors, http
from tests.support.factories import http_step
from tests.support.target import Answer, Target, running_target

CONTEXT = {
    "event": {"id": "7-access_granted", "trigger": "access_granted", "occurred_at": "2026-03-01T12:00:00Z"},
    "grantee": {"id": "3", "email": "ada@example.org", "first_name": "Ada", "last_name": "Løvelace"},
    "application": {"id": "1", "name": "Demo"},
    "grant": {"id": "7", "access_level": "Editor"},
    "steps": {"lookup": {"id": 42}},
    "account": {},
}
KEYRING = KeyRing([new_fernet_key()])


@pytest.fixture
def target() -> Iterator[Target]:
    with running_target() as target:
        yield target


class Caller:
    """Performs steps against the target."""

    def __init__(self, target: Any, client: HttpClient | None = None) -> None:
        self.target = target
        self.client = client or HttpClient(EgressPolicy(target.url.removeprefix("http://")))

    def order(self, *, config: dict[str, Any] | None = None, secret: str | None = None, **step: Any) -> Order:
        definition, problems = parse_definition([http_step("create", 1, **step)])
        assert definition is not None, problems
        sealed = KEYRING.seal(secret, bound_to(1)).token if secret else None
        settings = {"base_url": self.target.url, "auth": "none", "timeout_seconds": 5} | (config or {})
        connection = ConnectionData(
            1, 1, "http", "Target", settings, sealed, datetime(2026, 1, 1, tzinfo=UTC)
        )
        return Order(1, 1, 1, definition.step("create"), "uid-create", CONTEXT, connection)

    def __call__(self, **options: Any) -> Performed:
        return perform(self.order(**options), self.client, KEYRING)


@pytest.fixture
def call(target: Target) -> Iterator[Caller]:
    caller = Caller(target)
    yield caller
    caller.client.close()


def test_the_request_is_filled_from_the_run(call: Caller) -> None:
    done = call(
        method="PUT",
        path="/Users/{{ steps.lookup.id }}",
        query={"team": "{{ grant.access_level | lower }}"},
        headers={"X-Who": "{{ grantee.first_name }}"},
        body={"id": "{{ steps.lookup.id }}", "name": "{{ grantee.first_name }} {{ grantee.last_name }}"},
    )
    assert done.outcome.ok
    [sent] = call.target.calls
    assert (sent.method, sent.path) == ("PUT", "/Users/42?team=editor")
    assert sent.body == {"id": 42, "name": "Ada Løvelace"}
    assert (sent.headers["x-who"], sent.headers["content-type"]) == ("Ada", "application/json")
    assert sent.key == "uid-create"


def test_the_step_s_own_content_type_wins_over_the_connection_s_and_the_default(call: Caller) -> None:
    call(
        config={"headers": {"content-type": "text/plain", "X-Team": "IT"}},
        headers={"Content-Type": "application/scim+json"},
    )
    [sent] = call.target.calls
    assert (sent.headers["content-type"], sent.headers["x-team"]) == ("application/scim+json", "IT")


@pytest.mark.parametrize(
    ("config", "secret", "header", "value"),
    [
        ({"auth": "bearer"}, "t0ken", "authorization", "Bearer t0ken"),
        ({"auth": "basic", "username": "ada"}, "pa:ss", "authorization", "Basic YWRhOnBhOnNz"),
        ({"auth": "api_key", "api_key_header": "X-Api-Key"}, "k3y", "x-api-key", "k3y"),
    ],
    ids=["bearer", "basic", "api key"],
)
def test_each_way_of_signing_in_reaches_the_server(
    call: Caller, config: dict[str, Any], secret: str, header: str, value: str
) -> None:
    done = call(config=config, secret=secret)
    assert call.target.calls[0].headers[header] == value
    assert done.accepted is True


@pytest.mark.parametrize(
    ("step", "times"),
    [
        ({"method": "POST"}, 1),
        ({"method": "POST", "idempotent": True}, 2),
        ({"method": "DELETE"}, 2),
        ({"method": "GET", "idempotent": False}, 1),
    ],
)
def test_what_the_author_calls_idempotent_goes_out_anew_when_a_kept_connection_was_closed(
    step: dict[str, Any], times: int
) -> None:
    client = HttpClient(EgressPolicy("127.0.0.1"), clock=going_on())
    with ScriptServer(dies_on_its_second("close")) as server:
        caller = Caller(server, client)
        assert caller(method="GET").outcome.ok
        outcome = caller(**step).outcome
    client.close()
    assert (outcome.ok, outcome.lost, len(server.requests)) == (times == 2, times == 1, 1 + times)


STATUSES = [
    (200, {}, None),
    (204, {}, None),
    (404, {"success_statuses": ["200-299", 404]}, None),
    (200, {"success_statuses": [201]}, FailureClass.UNEXPECTED_STATUS),
    (302, {}, FailureClass.REDIRECT),
    (400, {}, FailureClass.HTTP_4XX),
    (401, {}, FailureClass.HTTP_4XX),
    (409, {}, FailureClass.HTTP_4XX),
    (429, {}, FailureClass.HTTP_4XX),
    (429, {"retry": {"attempts": 2, "wait_statuses": [429]}}, FailureClass.WAIT),
    (500, {}, FailureClass.HTTP_5XX),
    (503, {}, FailureClass.HTTP_5XX),
]


@pytest.mark.parametrize(("status", "step", "failure"), STATUSES, ids=lambda value: str(value)[:40])
def test_each_status_has_its_class(
    call: Caller, status: int, step: dict[str, Any], failure: FailureClass | None
) -> None:
    call.target.answer = lambda _call: Answer(status, headers={"Location": "https://elsewhere.example/x"})
    outcome = call(**step).outcome
    assert (outcome.failure, outcome.http_status, outcome.lost) == (failure, status, False)


@pytest.mark.parametrize(
    ("location", "told"),
    [
        ("https://elsewhere.example/steal", "It points to elsewhere.example."),
        ("/v2/users", "It points to another path on the same host."),
        ("http://[", "It points to something that is no address."),
        (None, "It does not say where to."),
    ],
)
def test_a_redirect_is_not_followed_and_the_host_it_names_is_told(
    call: Caller, location: str | None, told: str
) -> None:
    headers = {} if location is None else {"Location": location}
    call.target.answer = lambda _call: Answer(307, headers=headers)
    outcome = call().outcome
    assert (outcome.failure, outcome.detail) == (FailureClass.REDIRECT, told)
    assert len(call.target.calls) == 1


def test_a_refused_credential_is_told_from_an_accepted_one(call: Caller) -> None:
    call.target.answer = lambda _call: Answer(401)
    assert call(config={"auth": "bearer"}, secret="old").accepted is False


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (503, {"Retry-After": "120"}),
        (429, {"X-RateLimit-Reset": "120"}),
        (403, {"X-RateLimit-Reset": "120", "X-RateLimit-Remaining": "0"}),
    ],
)
def test_what_an_answer_asks_to_wait_comes_with_the_outcome(
    call: Caller, status: int, headers: dict[str, str]
) -> None:
    call.target.answer = lambda _call: Answer(status, headers=headers)
    assert call().outcome.retry_after == 120


def test_values_are_captured_from_the_answer_and_its_headers(call: Caller) -> None:
    call.target.answer = lambda _call: Answer(201, {"id": "u-7"}, {"Location": "/Users/u%2D7"})
    outcome = call(capture={"id": "$.id", "place": "header:Location"}).outcome
    assert outcome.captured == {"id": "u-7", "place": "u-7"}


def test_a_capture_that_finds_nothing_fails_the_step_after_the_call(call: Caller) -> None:
    call.target.answer = lambda _call: Answer(201, {})
    outcome = call(capture={"id": "$.id"}).outcome
    assert (outcome.failure, outcome.http_status) == (FailureClass.MAPPING, 201)
    assert outcome.detail.startswith("capture id:")


def test_an_optional_capture_may_find_nothing(call: Caller) -> None:
    call.target.answer = lambda _call: Answer(201, {})
    assert call(capture={"id": {"path": "$.id", "optional": True}}).outcome.ok


def test_an_empty_value_in_the_path_fails_before_anything_is_sent(call: Caller) -> None:
    outcome = call(path="/Users/{{ account.id }}").outcome
    assert (outcome.failure, outcome.lost, call.target.calls) == (FailureClass.MAPPING, False, [])


def test_a_missing_credential_is_a_matter_of_configuration(call: Caller) -> None:
    outcome = call(config={"auth": "bearer"}).outcome
    assert (outcome.failure, call.target.calls) == (FailureClass.CONFIGURATION, [])


def test_a_credential_that_no_key_opens_is_a_matter_of_configuration(call: Caller) -> None:
    order = call.order(config={"auth": "bearer"}, secret="t0ken")
    outcome = perform(order, call.client, KeyRing([new_fernet_key()])).outcome
    assert outcome.failure is FailureClass.CONFIGURATION
    assert "cannot be read" in outcome.detail


def test_a_connection_that_is_gone_is_a_matter_of_configuration(call: Caller) -> None:
    order = call.order()
    gone = Order(1, 1, 1, order.step, order.idempotency_key, CONTEXT, None)
    assert perform(gone, call.client, KEYRING).outcome.failure is FailureClass.CONFIGURATION


def test_a_target_that_is_not_allowed_is_blocked(call: Caller) -> None:
    outcome = call(config={"base_url": "https://169.254.169.254"}).outcome
    assert (outcome.failure, outcome.lost) == (FailureClass.EGRESS_BLOCKED, False)


def test_an_answer_that_never_comes_is_a_timeout_and_lost(call: Caller) -> None:
    call.target.answer = lambda _call: Answer(gate=threading.Event())
    outcome = call(config={"timeout_seconds": 0.3}).outcome
    assert (outcome.failure, outcome.lost) == (FailureClass.TIMEOUT, True)


def test_a_connection_closed_after_the_request_is_lost(call: Caller) -> None:
    call.target.answer = lambda _call: Answer(lost=True)
    outcome = call().outcome
    assert (outcome.failure, outcome.lost) == (FailureClass.NETWORK, True)


def test_a_refused_connection_was_certainly_not_sent() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = Target()
        nobody.url = f"http://127.0.0.1:{free.getsockname()[1]}"
    outcome = Caller(nobody)().outcome
    assert (outcome.failure, outcome.lost) == (FailureClass.NETWORK, False)


def test_what_is_prepared_holds_no_credential(call: Caller) -> None:
    prepared = prepare(call.order(config={"auth": "bearer"}, secret="t0ken"))
    assert "t0ken" not in repr(prepared) + repr(prepared.headers) + prepared.url


def test_tokens_that_came_to_nothing_are_named(call: Caller) -> None:
    prepared = prepare(call.order(body={"nick": "{{ grantee.username }}"}))
    assert prepared.empty_tokens == ("grantee.username",)


def test_a_webhook_is_signed_so_that_the_public_library_verifies_it(call: Caller) -> None:
    secret = "whsec_" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVoxMjM0NTY="
    raw = [{"key": "tell", "type": "webhook", "connection_id": "1", "body": {"who": "{{ grantee.email }}"}}]
    definition, problems = parse_definition(raw)
    assert definition is not None, problems
    connection = ConnectionData(
        1, 1, "webhook", "Hook", {"url": call.target.url + "/hook"}, KEYRING.seal(secret, bound_to(1)).token
    )
    order = Order(1, 1, 1, definition.step("tell"), "uid-tell", CONTEXT, connection)
    assert perform(order, call.client, KEYRING).outcome.ok
    [sent] = call.target.calls
    assert Webhook(secret).verify(prepare(order).body or b"", sent.headers) == {"who": "ada@example.org"}
    assert sent.headers["webhook-id"] == "uid-tell"


@pytest.mark.parametrize(
    "name",
    [
        "Host", "Content-Length", "Connection", "TE", "Upgrade", "HTTP2-Settings", "Proxy-Anything", "Sec-Fetch-Site",
        "Authorization", "Cookie", "Cookie2", "Idempotency-Key", "webhook-id", "Accept", "Prefer", "X-Api-Version",
    ],
)  # fmt: skip
def test_what_may_not_be_saved_is_not_sent_either(name: str) -> None:
    """One rule: in a step, in a connection's own headers, and in what was stored before the rule knew a name."""
    step_errors = errors(http("a", headers={name: "1"}))
    try:
        parse_config("http", {"base_url": "https://api.example.org", "headers": {name: "1"}})
        may_be_saved = True
    except Invalid:
        may_be_saved = False
    is_sent = opening_headers({"headers": {name: "1"}}).get(name) == "1"
    assert may_be_saved == is_sent == (not step_errors)
    assert is_sent == (name in ("Accept", "Prefer", "X-Api-Version"))


def test_a_token_endpoint_that_asks_to_wait_is_waited_for(call: Caller) -> None:
    with identity() as world:
        world.give, world.says = lambda _: (429, b""), ("Retry-After: 12",)
        call.client = HttpClient(EgressPolicy("127.0.0.1"))
        outcome = call(config=world.config(), secret=CLIENT_SECRET).outcome
        call.client.close()
    assert (outcome.failure, outcome.retry_after, outcome.http_status) == (FailureClass.WAIT, 12, 429)
    assert world.calls == []


def test_a_call_that_may_not_be_made_any_more_is_not_sent_and_costs_no_try(call: Caller) -> None:
    call()
    done = perform(call.order(), call.client, KEYRING, may_go=lambda: False)
    assert (done.outcome.ours, done.outcome.lost, done.outcome.failure) == (True, False, FailureClass.TIMEOUT)
    assert len(call.target.calls) == 1, "the first, whose connection was kept"


@pytest.mark.parametrize("location", ["http://a\x00b.example/", "http://a\x0b.example/", "//" + "x" * 5000])
def test_what_a_redirect_says_can_be_stored(call: Caller, location: str) -> None:
    call.target.answer = lambda _call: Answer(302, headers={"Location": location})
    detail = call().outcome.detail
    assert detail and detail.isprintable() and len(detail) <= MAX_DETAIL
