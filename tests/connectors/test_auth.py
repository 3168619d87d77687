"""Credentials as headers."""

from __future__ import annotations

import base64

import pytest

from app.connectors.auth.api_key import header_name_problem
from app.connectors.auth.method import given
from app.connectors.auth.methods import method_of
from app.connectors.messages import ConfigurationError, Request
from app.crypto import Secret

KEY = "k3y-0123456789"


def auth_headers(config: dict[str, object], secret: Secret | None) -> dict[str, str]:
    """The headers that signing adds."""
    method = method_of(config)
    if not method.needs_credential:
        return {}
    return dict(method.sign(Request("GET", "https://x.example"), config, given(secret).reveal()).headers)


def test_no_authentication_adds_no_header() -> None:
    assert auth_headers({"auth": "none"}, None) == {}
    assert auth_headers({"auth": "none"}, Secret("left over")) == {}
    assert auth_headers({}, None) == {}


def test_a_bearer_token_stands_after_its_scheme() -> None:
    assert auth_headers({"auth": "bearer"}, Secret("abc.def")) == {"Authorization": "Bearer abc.def"}


def test_basic_joins_user_and_password_in_utf_8() -> None:
    headers = auth_headers({"auth": "basic", "username": "jürgen"}, Secret("pä:ss"))
    scheme, _, pair = headers["Authorization"].partition(" ")
    assert scheme == "Basic"
    assert base64.b64decode(pair).decode() == "jürgen:pä:ss"


def test_an_api_key_goes_into_the_header_that_the_connection_names() -> None:
    assert auth_headers({"auth": "api_key", "api_key_header": "X-Api-Key"}, Secret(KEY)) == {"X-Api-Key": KEY}
    assert auth_headers({"auth": "api_key", "api_key_header": "Authorization"}, Secret("GenieKey 1")) == {
        "Authorization": "GenieKey 1"
    }


@pytest.mark.parametrize("auth", ["bearer", "basic", "api_key"])
@pytest.mark.parametrize("secret", [None, Secret("")])
def test_a_missing_credential_is_a_configuration_error(auth: str, secret: Secret | None) -> None:
    with pytest.raises(ConfigurationError, match="has no credential"):
        auth_headers({"auth": auth, "username": "u", "api_key_header": "X-Key"}, secret)


@pytest.mark.parametrize(
    ("config", "value", "message"),
    [
        ({"auth": "basic"}, "x", "no user name"),
        ({"auth": "basic", "username": "a:b"}, "x", "colon"),
        ({"auth": "basic", "username": "a\n"}, "x", "control"),
        ({"auth": "basic", "username": "a"}, "x\x00y", "password"),
        ({"auth": "basic", "username": "a"}, "x\ud800", "password"),
        ({"auth": "bearer"}, "a\r\nX: y", "cannot carry"),
        ({"auth": "bearer"}, "a\x00", "cannot carry"),
        ({"auth": "bearer"}, " padded", "cannot carry"),
        ({"auth": "bearer"}, "schlüssel", "cannot carry"),
        ({"auth": "api_key"}, "x", "which header"),
        ({"auth": "api_key", "api_key_header": "Host"}, "x", "set by Access Automation"),
        ({"auth": "api_key", "api_key_header": "Cookie"}, "x", "set by Access Automation"),
        ({"auth": "api_key", "api_key_header": "X Key"}, "x", "letters, digits"),
        ({"auth": "kerberos"}, "x", "kerberos"),
    ],
)
def test_what_cannot_be_sent_is_named_without_the_secret(
    config: dict[str, object], value: str, message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message) as caught:
        auth_headers(config, Secret(value))
    assert value == "x" or value not in str(caught.value)


def test_an_api_key_may_stand_in_authorization_but_in_no_other_header_of_ours() -> None:
    assert header_name_problem("Authorization") is None
    assert header_name_problem("X-Key") is None
    assert header_name_problem("Idempotency-Key") is not None
