"""The OpenID provider as one may not be: what it says is believed only when it is proven."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from app.connectors import oidc
from app.connectors.egress import EgressPolicy
from app.connectors.http import HttpClient
from app.connectors.oidc import Provider, SignOnFailed
from tests.support.connectors.openid_provider import (
    CLIENT_ID,
    CLIENT_SECRET,
    CODE,
    KEY,
    STRANGERS_KEY,
    OpenId,
    openid,
    signed_by,
    signed_by_public_key,
    unsigned,
)
from tests.support.connectors.servers import answer, closed_port

BACK = "http://localhost/sign-in/sso/callback"


@pytest.fixture
def client() -> Iterator[HttpClient]:
    made = HttpClient(EgressPolicy("127.0.0.1"))
    yield made
    made.close()


@pytest.fixture
def world() -> Iterator[OpenId]:
    with openid() as found:
        yield found


def provider(world: OpenId, client: HttpClient) -> Provider:
    return Provider(world.url, CLIENT_ID, CLIENT_SECRET, client)


def sign_in(world: OpenId, there: Provider, *, code: str = CODE) -> dict[str, Any]:
    begun = there.begin(BACK)
    world.visit(begun.url)
    return there.finish(begun, code, BACK, wanted=())


def refused(world: OpenId, client: HttpClient) -> str:
    with pytest.raises(SignOnFailed) as caught:
        sign_in(world, provider(world, client))
    return caught.value.message


def test_the_person_is_sent_with_a_state_a_nonce_and_a_hashed_verifier(
    world: OpenId, client: HttpClient
) -> None:
    begun = provider(world, client).begin(BACK, scopes=("groups", "unheard-of"))
    brought = world.visit(begun.url)
    assert begun.url.startswith(f"{world.url}/authorize?")
    assert (brought["state"], brought["nonce"]) == (begun.state, begun.nonce)
    assert (brought["response_type"], brought["code_challenge_method"]) == ("code", "S256")
    assert (brought["client_id"], brought["redirect_uri"]) == (CLIENT_ID, BACK)
    assert brought["scope"] == "openid email profile groups"
    assert begun.verifier not in begun.url
    assert len(begun.verifier) >= 43
    assert begun.nonce not in repr(begun) and begun.verifier not in repr(begun)


def test_two_sign_ins_share_nothing(world: OpenId, client: HttpClient) -> None:
    there = provider(world, client)
    one, two = there.begin(BACK), there.begin(BACK)
    assert len({one.state, two.state, one.nonce, two.nonce, one.verifier, two.verifier}) == 6


def test_a_proven_answer_gives_the_claims(world: OpenId, client: HttpClient) -> None:
    world.claims = {"email": "ana@example.org"}
    claims = sign_in(world, provider(world, client))
    assert (claims["sub"], claims["email"]) == ("ana-1", "ana@example.org")
    path, head, form = world.asked[-1]
    assert path == "/token"
    assert head["authorization"].startswith("Basic ")
    assert (form["code"], form["redirect_uri"]) == (CODE, BACK)


def test_the_secret_goes_into_the_form_where_the_provider_wants_it(world: OpenId, client: HttpClient) -> None:
    world.about = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
    sign_in(world, provider(world, client))
    assert world.asked[-1][2]["client_secret"] == CLIENT_SECRET
    assert "authorization" not in world.asked[-1][1]


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "of another sign-in"},
        {"nonce": None},
        {"aud": "another client"},
        {"aud": None},
        {"aud": [CLIENT_ID, "another"], "azp": "another"},
        {"iss": "https://elsewhere.example"},
        {"iss": None},
        {"exp": 1},
        {"exp": None},
        {"sub": None},
        {"sub": ""},
        {"sub": 7},
        {"sub": "x" * 256},
        {"nbf": 9_999_999_999},
        {"at_hash": "bm90IGl0"},
    ],
    ids=repr,
)
def test_an_id_token_that_is_not_for_this_sign_in_is_refused(
    world: OpenId, client: HttpClient, claims: dict[str, Any]
) -> None:
    world.claims = claims
    assert "127.0.0.1" in refused(world, client)


@pytest.mark.parametrize(
    "sign", [signed_by(STRANGERS_KEY), unsigned, signed_by_public_key, lambda _: "x.y.z"]
)
def test_an_id_token_that_the_provider_has_not_signed_is_refused(
    world: OpenId, client: HttpClient, sign: Any
) -> None:
    world.sign = sign
    assert "127.0.0.1" in refused(world, client)


def test_a_key_that_is_new_is_fetched(world: OpenId, client: HttpClient) -> None:
    there = provider(world, client)
    sign_in(world, there)
    world.keys, world.sign = [STRANGERS_KEY], signed_by(STRANGERS_KEY)
    assert sign_in(world, there)["sub"] == "ana-1"
    world.sign = signed_by(KEY)
    with pytest.raises(SignOnFailed):
        sign_in(world, there)


@pytest.mark.parametrize("token", [{"id_token": None}, {"id_token": 7}, {"error": "invalid_grant"}])
def test_an_answer_without_an_id_token_is_refused(
    world: OpenId, client: HttpClient, token: dict[str, Any]
) -> None:
    world.token = token
    assert "127.0.0.1" in refused(world, client)


def test_a_code_that_the_provider_does_not_know_is_refused_in_our_words(
    world: OpenId, client: HttpClient
) -> None:
    with pytest.raises(SignOnFailed) as caught:
        sign_in(world, provider(world, client), code="made up")
    assert "(invalid_grant)" in caught.value.message
    assert "s3cret" not in caught.value.message


def test_what_the_id_token_lacks_is_asked_for(world: OpenId, client: HttpClient) -> None:
    there = provider(world, client)
    begun = there.begin(BACK)
    world.visit(begun.url)
    claims = there.finish(begun, CODE, BACK, wanted=("email",))
    assert claims["email"] == "ana@example.org"
    assert world.asked[-1][0] == "/me"
    assert world.asked[-1][1]["authorization"] == "Bearer at-1"


@pytest.mark.parametrize("told", [{"sub": "bob-1", "email": "bob@example.org"}, {"email": "bob@example.org"}])
def test_what_is_told_of_somebody_else_is_not_used(
    world: OpenId, client: HttpClient, told: dict[str, Any]
) -> None:
    world.told = told
    there = provider(world, client)
    begun = there.begin(BACK)
    world.visit(begun.url)
    assert "email" not in there.finish(begun, CODE, BACK, wanted=("email",))


@pytest.mark.parametrize("name", ["authorization_endpoint", "token_endpoint", "jwks_uri"])
@pytest.mark.parametrize(
    "elsewhere", ["http://127.0.0.1:1/x", "http://localhost/x", "file:///etc/passwd", "http://a@b/", 7, None]
)
def test_an_endpoint_on_another_host_is_refused(
    world: OpenId, client: HttpClient, name: str, elsewhere: object
) -> None:
    world.about = {name: elsewhere}
    with pytest.raises(SignOnFailed, match="does not describe itself"):
        provider(world, client).begin(BACK)
    assert {path for path, _, _ in world.asked} <= {"/.well-known/openid-configuration", "/keys"}


def test_userinfo_on_another_host_gets_no_token(world: OpenId, client: HttpClient) -> None:
    world.about = {"userinfo_endpoint": "http://localhost:1/me"}
    there = provider(world, client)
    begun = there.begin(BACK)
    world.visit(begun.url)
    with pytest.raises(SignOnFailed, match="could not be read"):
        there.finish(begun, CODE, BACK, wanted=("email",))


def test_a_provider_that_goes_by_another_name_is_refused(world: OpenId, client: HttpClient) -> None:
    world.about = {"issuer": "https://elsewhere.example"}
    with pytest.raises(SignOnFailed, match="another name"):
        provider(world, client).begin(BACK)


@pytest.mark.parametrize(
    "raw",
    [
        answer(500, b"oops"),
        answer(302, b"", ("Location: http://127.0.0.1:1/",)),
        answer(200, b"<html>"),
        answer(200, b"[]"),
        answer(200, b"{}"),
        answer(200, b"{" + b" " * 70_000 + b"}"),
        b"",
    ],
    ids=["500", "redirect", "html", "list", "empty", "huge", "hung up"],
)
@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/keys", "/token"])
def test_what_is_no_answer_is_told_as_a_failure(
    world: OpenId, client: HttpClient, path: str, raw: bytes
) -> None:
    world.raw = {path: raw}
    assert refused(world, client)


def test_a_provider_that_is_down_is_told_as_a_failure(client: HttpClient) -> None:
    with closed_port() as port, pytest.raises(SignOnFailed):
        Provider(f"http://127.0.0.1:{port}", CLIENT_ID, CLIENT_SECRET, client).begin(BACK)


def test_a_provider_that_keeps_silent_is_given_up(
    world: OpenId, client: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(oidc, "CALL_SECONDS", 0.2)
    there = provider(world, client)
    begun = there.begin(BACK)
    world.visit(begun.url)
    world.raw = {"/token": b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"}
    with pytest.raises(SignOnFailed):
        there.finish(begun, CODE, BACK, wanted=())


def test_discovery_is_read_once_an_hour(
    world: OpenId, client: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = provider(world, client)
    for _ in range(3):
        there.begin(BACK)
    assert len(world.asked) == 2
    monkeypatch.setattr(oidc, "KEPT_SECONDS", -1.0)
    there.begin(BACK)
    assert len(world.asked) == 4


def test_that_it_did_not_answer_is_remembered_for_a_moment(
    world: OpenId, client: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.raw["/.well-known/openid-configuration"] = b""
    there = provider(world, client)
    said = set()
    for _ in range(3):
        with pytest.raises(SignOnFailed) as caught:
            there.begin(BACK)
        said.add(caught.value.message)
    assert len(world.asked) == len(said) == 1
    monkeypatch.setattr(oidc, "FAILED_SECONDS", 0.0)
    again = provider(world, client)
    for _ in range(2):
        with pytest.raises(SignOnFailed):
            again.begin(BACK)
    world.raw.clear()
    assert again.begin(BACK).url.startswith(world.url)


def test_a_failure_to_read_it_anew_leaves_what_is_known(world: OpenId, client: HttpClient) -> None:
    there = provider(world, client)
    begun = there.begin(BACK)
    world.visit(begun.url)
    world.raw["/keys"] = b""
    world.sign = signed_by(STRANGERS_KEY)
    with pytest.raises(SignOnFailed):
        there.finish(begun, CODE, BACK, wanted=())
    assert there.begin(BACK).url.startswith(world.url)
