"""OAuth 2.0 client credentials: one token for many calls, fetched anew when it is over or refused."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from app.connectors.auth import token_endpoint, tokens
from app.connectors.auth.method import SignedReply
from app.connectors.auth.oauth2_client_credentials import ClientCredentials
from app.connectors.auth.tokens import TokenFailed
from app.connectors.egress import EgressPolicy
from app.connectors.http import HttpClient
from app.connectors.messages import CallFailed, ConfigurationError, NoLongerWanted, Request
from app.crypto import Secret
from app.domain.runs.calls import ConnectionData
from app.domain.states import FailureClass
from tests.support.connectors.servers import closed_port
from tests.support.connectors.token_endpoint import CLIENT_ID, CLIENT_SECRET, Identity, identity


@pytest.fixture
def client() -> Iterator[HttpClient]:
    made = HttpClient(EgressPolicy("127.0.0.1"))
    yield made
    made.close()


@pytest.fixture
def world() -> Iterator[Identity]:
    with identity() as found:
        yield found


class Caller:
    """Calls one connection's API with a cache of its own."""

    def __init__(self, world: Identity, client: HttpClient, **config: Any) -> None:
        self.world, self.client = world, client
        self.method = ClientCredentials()
        self.tokens = self.method.tokens
        self.data = ConnectionData(7, 1, "http", "API", world.config(**config), sealed="sealed-1")

    def call(self, **request: Any) -> SignedReply:
        sent = Request("POST", f"{self.world.base_url}/users", {"Idempotency-Key": "k-1"}, b"{}", 5.0)
        return self.send(sent)

    def send(self, request: Request) -> SignedReply:
        return self.method.send(request, self.data, Secret(CLIENT_SECRET), self.client)


def test_one_token_serves_many_calls(world: Identity, client: HttpClient) -> None:
    caller = Caller(world, client, scope="users.write users.read")
    assert [caller.call().reply.status for _ in range(3)] == [200, 200, 200]
    assert world.forms == [{"grant_type": "client_credentials", "scope": "users.write users.read"}]
    assert world.asked_by == [(CLIENT_ID, CLIENT_SECRET)]
    assert {head["authorization"] for _, head in world.calls} == {"Bearer token-1"}


@pytest.mark.parametrize("name", ["audience", "resource"])
def test_a_token_is_asked_for_the_api_that_it_is_for(world: Identity, client: HttpClient, name: str) -> None:
    caller = Caller(world, client, **{name: "https://api.example.com/?a=1&b"})
    caller.call()
    assert world.forms == [{"grant_type": "client_credentials", name: "https://api.example.com/?a=1&b"}]
    # The token of one API is not given to another.
    caller.data = replace(caller.data, config=dict(caller.data.config) | {name: "https://other.example.com"})
    caller.call()
    assert [form[name] for form in world.forms][1:] == ["https://other.example.com"]


def test_a_token_request_says_for_whom_and_whatever_else_the_connection_names(
    world: Identity, client: HttpClient
) -> None:
    more = {
        "audience": "https://api.example/",
        "resource": "urn:api",
        "token_params": {"organization": "a&b=c"},
    }
    Caller(world, client, **more).call()
    assert world.forms == [
        {
            "grant_type": "client_credentials",
            "audience": "https://api.example/",
            "resource": "urn:api",
            "organization": "a&b=c",
        }
    ]


def test_the_client_secret_goes_into_the_form_where_the_connection_says_so(
    world: Identity, client: HttpClient
) -> None:
    Caller(world, client, client_auth="post").call()
    assert world.asked_by == [None]
    assert world.forms[0]["client_id"] == CLIENT_ID
    assert world.forms[0]["client_secret"] == CLIENT_SECRET


def test_a_refused_token_is_fetched_anew_and_the_call_repeated_once(
    world: Identity, client: HttpClient
) -> None:
    caller = Caller(world, client)
    caller.call()
    world.takes = lambda token: token == "token-2"
    assert caller.call().reply.status == 200
    assert [head["authorization"] for _, head in world.calls[1:]] == ["Bearer token-1", "Bearer token-2"]
    assert {head["idempotency-key"] for _, head in world.calls} == {"k-1"}


def test_an_api_that_refuses_every_token_is_called_twice_and_no_more(
    world: Identity, client: HttpClient
) -> None:
    world.takes = lambda _token: False
    assert Caller(world, client).call().reply.status == 401
    assert len(world.calls) == len(world.given) == 2


@pytest.mark.parametrize("status", [403, 404, 409, 429, 500, 503])
def test_no_other_answer_than_401_repeats_a_call(world: Identity, client: HttpClient, status: int) -> None:
    world.status = status
    assert Caller(world, client).call().reply.status == status
    assert len(world.calls) == len(world.given) == 1


@pytest.mark.parametrize(
    ("life", "seconds"),
    [
        (None, token_endpoint.UNSAID_SECONDS),
        ("300", 300),
        ("soon", token_endpoint.UNSAID_SECONDS),
        (True, token_endpoint.UNSAID_SECONDS),
        (-5, token_endpoint.UNSAID_SECONDS),
        (10**9, token_endpoint.LONGEST_SECONDS),
        (3600, 3600),
        (0, 0),
    ],
)
def test_a_token_is_kept_until_shortly_before_it_ends(
    world: Identity, client: HttpClient, monkeypatch: pytest.MonkeyPatch, life: object, seconds: float
) -> None:
    world.life = life
    caller = Caller(world, client)
    caller.call()
    kept = next(iter(caller.tokens._kept.values()))
    left = kept.good_until - tokens.time.monotonic()
    margin = min(tokens.MARGIN_SECONDS, seconds * tokens.MARGIN_PART)
    assert left <= seconds - margin
    offset = tokens.time.monotonic() + seconds
    monkeypatch.setattr(tokens, "time", _Clock(offset))
    caller.method._token(caller.data, Secret(CLIENT_SECRET), client, offset + 5)
    assert world.given == ["token-1", "token-2"]


class _Clock:
    def __init__(self, now: float) -> None:
        self._now = now

    def monotonic(self) -> float:
        return self._now


def test_callers_at_the_same_moment_share_one_fetch(world: Identity, client: HttpClient) -> None:
    world.gate = threading.Event()
    caller = Caller(world, client)
    with ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(caller.call) for _ in range(8)]
        world.gate.set()
        assert {call.result().reply.status for call in calls} == {200}
    assert world.given == ["token-1"]


def test_another_credential_or_client_has_another_token(world: Identity, client: HttpClient) -> None:
    caller = Caller(world, client)
    caller.call()
    first = caller.data
    for other in (
        {"sealed": "sealed-2"},
        {"id": 8},
        {"config": world.config(scope="more")},
        {"config": world.config(audience="more")},
        {"config": world.config(token_params={"scope_of": "more"})},
        {"config": world.config(client_id="other")},
    ):
        values = {"id": 7, "sealed": "sealed-1", "config": world.config()} | other
        caller.data = ConnectionData(
            values["id"], 1, "http", "API", values["config"], sealed=values["sealed"]
        )
        caller.call()
    caller.data = first
    caller.call()
    assert len(world.given) == 7


REFUSALS = [
    (401, {"error": "invalid_client"}, FailureClass.CONFIGURATION, "invalid_client", True),
    (400, {"error": "invalid_client"}, FailureClass.CONFIGURATION, "invalid_client", True),
    (400, {"error": "unauthorized_client"}, FailureClass.CONFIGURATION, "unauthorized_client", True),
    (401, b"no", FailureClass.CONFIGURATION, "HTTP 401", True),
    (403, {}, FailureClass.CONFIGURATION, "HTTP 403", True),
    (400, {"error": "invalid_scope"}, FailureClass.CONFIGURATION, "scope", False),
    (400, {"error": "<script>"}, FailureClass.CONFIGURATION, "HTTP 400", False),
    (404, b"", FailureClass.CONFIGURATION, "HTTP 404", False),
    (302, b"", FailureClass.CONFIGURATION, "not followed", False),
    (429, {}, FailureClass.WAIT, "fewer requests", False),
    (500, b"", FailureClass.HTTP_5XX, "HTTP 500", False),
    (503, {"error": "invalid_client"}, FailureClass.HTTP_5XX, "HTTP 503", False),
    (204, b"", FailureClass.CONFIGURATION, "without an access token", False),
    (200, b"not json", FailureClass.CONFIGURATION, "without an access token", False),
    (200, [], FailureClass.CONFIGURATION, "without an access token", False),
    (200, {"access_token": 5}, FailureClass.CONFIGURATION, "without an access token", False),
    (200, {"access_token": "a b"}, FailureClass.CONFIGURATION, "without an access token", False),
    (200, {"access_token": "a\r\nX: y"}, FailureClass.CONFIGURATION, "without an access token", False),
    (200, {"access_token": "a", "token_type": "mac"}, FailureClass.CONFIGURATION, "Bearer", False),
    (200, {"access_token": "a", "token_type": " DPoP"}, FailureClass.CONFIGURATION, "Bearer", False),
    (200, b"x" * 70_000, FailureClass.CONFIGURATION, "without an access token", False),
]


@pytest.mark.parametrize(
    "kind",
    [
        {},
        *(
            {"token_type": one}
            for one in ("bearer", "BEARER", "BearerToken", "Bearer ", "JWT", "", None, 5, [])
        ),
    ],
    ids=str,
)
@pytest.mark.parametrize("status", [200, 201])
def test_a_token_of_whatever_kind_that_can_be_borne_is_borne(
    world: Identity, client: HttpClient, status: int, kind: dict[str, Any]
) -> None:
    world.give = lambda _: (status, {"access_token": "token-9", **kind})
    assert Caller(world, client).call().reply.status == 200
    assert world.calls[0][1]["authorization"] == "Bearer token-9"


@pytest.mark.parametrize(
    "case",
    [
        (429, FailureClass.WAIT, "Retry-After: 7", 7),
        (429, FailureClass.WAIT, "X-RateLimit-Reset: 9", 9),
        (429, FailureClass.WAIT, "Retry-After: 4000", None),
        (503, FailureClass.HTTP_5XX, "Retry-After: 30", 30),
        (502, FailureClass.HTTP_5XX, "X-RateLimit-Reset: 9", None),
    ],
)
def test_every_caller_of_a_token_endpoint_that_asks_to_wait_is_told_for_how_long(
    world: Identity, client: HttpClient, case: tuple[int, FailureClass, str, float | None]
) -> None:
    status, kind, said, seconds = case
    world.give, world.says = lambda _: (status, b""), (said,)
    caller = Caller(world, client)
    with ThreadPoolExecutor(2) as pool:
        problems = [call.exception() for call in [pool.submit(caller.call) for _ in range(2)]]
    told = {(one.kind, one.retry_after, one.lost) for one in problems if isinstance(one, TokenFailed)}
    assert told == {(kind, seconds, False)}


@pytest.mark.parametrize("case", REFUSALS, ids=lambda case: f"{case[0]} {case[3]}")
def test_a_token_endpoint_that_gives_none_is_told_in_safe_words(
    world: Identity, client: HttpClient, case: tuple[int, Any, FailureClass, str, bool]
) -> None:
    status, body, kind, words, refused = case
    world.give = lambda _: (status, body)
    with pytest.raises(TokenFailed) as caught:
        Caller(world, client).call()
    failed = caught.value
    assert (failed.kind, failed.lost, failed.credential_refused) == (kind, False, refused)
    assert words in failed.detail
    assert "<script>" not in failed.detail
    assert CLIENT_SECRET not in failed.detail
    assert world.calls == []


def test_a_token_endpoint_that_is_away_blocked_or_silent_is_told_apart(world: Identity) -> None:
    client = HttpClient(EgressPolicy("127.0.0.1"))
    with closed_port() as port:
        away = Caller(world, client, token_url=f"http://127.0.0.1:{port}/token")
        with pytest.raises(TokenFailed) as caught:
            away.call()
    assert (caught.value.kind, caught.value.lost) == (FailureClass.NETWORK, False)
    blocked = Caller(world, client, token_url="http://169.254.169.254/token")
    with pytest.raises(TokenFailed) as caught:
        blocked.call()
    assert caught.value.kind is FailureClass.EGRESS_BLOCKED
    world.gate = threading.Event()
    sent = Request("GET", f"{world.base_url}/users", timeout_seconds=0.3)
    silent = Caller(world, client)
    with pytest.raises(TokenFailed) as caught:
        silent.send(sent)
    world.gate.set()
    assert (caught.value.kind, caught.value.lost) == (FailureClass.TIMEOUT, False)
    client.close()
    assert world.calls == []


def test_a_failed_fetch_is_not_remembered(world: Identity, client: HttpClient) -> None:
    caller = Caller(world, client)
    world.give = lambda _: (503, b"")
    with pytest.raises(TokenFailed):
        caller.call()
    world.give = None
    assert caller.call().reply.status == 200


def test_a_call_that_is_lost_after_its_token_was_fetched_is_lost(world: Identity, client: HttpClient) -> None:
    with closed_port() as port:
        sent = Request("POST", f"http://127.0.0.1:{port}/users", timeout_seconds=5)
        caller = Caller(world, client)
        with pytest.raises(CallFailed) as caught:
            caller.send(sent)
    assert not isinstance(caught.value, TokenFailed)
    assert caught.value.kind is FailureClass.NETWORK


@pytest.mark.parametrize("missing", ["token_url", "client_id"])
def test_a_connection_that_lacks_a_field_sends_nothing(
    world: Identity, client: HttpClient, missing: str
) -> None:
    with pytest.raises(ConfigurationError, match=missing.replace("_", " ").replace("url", "URL")):
        Caller(world, client, **{missing: ""}).call()
    assert world.forms == []


def test_neither_secret_nor_token_shows_itself(world: Identity, client: HttpClient) -> None:
    caller = Caller(world, client)
    sent = caller.call()
    shown = repr(sent) + repr(caller.data) + repr(caller.tokens._kept) + repr(vars(caller.tokens))
    assert CLIENT_SECRET not in shown
    assert "token-1" not in shown
    assert sent.gives_away("token-1")
    assert sent.gives_away(f"it was {CLIENT_SECRET}")
    assert not sent.gives_away("u-1")


def test_a_call_that_may_no_longer_be_made_after_its_token_came_is_not_sent(
    world: Identity, client: HttpClient
) -> None:
    caller = Caller(world, client)

    def may_go() -> bool:
        return not world.forms  # the token took so long that the run is another worker's by now

    request = Request("POST", f"{world.base_url}/users", {}, b"{}", 5.0, may_go=may_go)
    with pytest.raises(NoLongerWanted) as refused:
        caller.send(request)
    assert (refused.value.lost, refused.value.ours) == (False, True)
    assert len(world.forms) == 1
    assert world.calls == []
