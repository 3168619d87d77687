"""OAuth 2.0 client credentials (RFC 6749 §4.4)."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote_plus

from app.connectors.auth.method import ConfigField
from app.connectors.auth.token_endpoint import ask_for_token, host_of
from app.connectors.auth.tokens import Token, TokenMethod
from app.connectors.http import HttpClient
from app.connectors.messages import ConfigurationError
from app.crypto import Secret
from app.domain.runs.calls import ConnectionData
from app.net.target import checked_url
from app.schemas.kinds import MAX_TEXT, MAX_URL

_PARAM = re.compile(r"[A-Za-z0-9_.-]{1,100}")
_RESERVED = frozenset(
    {"grant_type", "client_id", "client_secret", "scope", "audience", "resource"}
    | {"client_assertion", "client_assertion_type"}
)
# RFC 6749 §3.3: words of visible ASCII but for quotation mark and backslash, one space between.
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+( [\x21\x23-\x5b\x5d-\x7e]+)*")


def _scope(text: str) -> str:
    words = " ".join(text.split())
    if not _SCOPE.fullmatch(words):
        raise ValueError("A scope is words of plain characters with spaces between, without quotes.")
    return words


def _param_name(name: str) -> str:
    if not _PARAM.fullmatch(name):
        raise ValueError("A parameter's name is made of letters, digits, _ - and . only.")
    if name.lower() in _RESERVED:
        raise ValueError(f"{name} is set by Access Automation itself, from the other fields.")
    return name


@dataclass(frozen=True, slots=True)
class _Key:
    """Whose token it is. A credential that is replaced, or sealed anew, has another ciphertext."""

    connection_id: int
    sealed: str | None = field(repr=False)
    token_url: str
    client_id: str
    client_auth: str
    form: tuple[tuple[str, str], ...]


class ClientCredentials(TokenMethod):
    name = "oauth2_client_credentials"
    label = "OAuth 2.0 client credentials"
    short = "OAuth 2.0"
    noun = "client secret"
    fields = (
        ConfigField(
            "token_url",
            "Token URL",
            kind="url",
            limit=MAX_URL,
            hint="Where tokens are asked for. The client secret goes there and nowhere else.",
            required="Enter the address that gives out tokens.",
            check=checked_url,
            chooses_receiver=True,
        ),
        ConfigField(
            "client_id",
            "Client id",
            hint="The client secret is the credential.",
            required="Enter the client id.",
        ),
        ConfigField(
            "client_auth",
            "Client id and secret are sent",
            kind="select",
            # RFC 6749 §2.3.1 knows both.
            choices=(("basic", "In the Authorization header"), ("post", "In the body")),
            default="basic",
            on_page=False,
        ),
        ConfigField(
            "scope",
            "Scope",
            limit=MAX_TEXT,
            hint="Words with spaces between; may stay empty.",
            check=_scope,
            absent="none",
        ),
        ConfigField(
            "audience",
            "Audience",
            limit=MAX_URL,
            hint="The API that the token is for, where the system asks for it, as Auth0 does.",
        ),
        ConfigField(
            "resource",
            "Resource",
            limit=MAX_URL,
            # RFC 8707.
            hint="The address of the API that the token is for, where the system asks for it so.",
        ),
        ConfigField(
            "token_params",
            "Further parameters of the token request",
            kind="pairs",
            limit=MAX_TEXT,
            hint="One a line, name=value. Not for secrets: these are shown.",
            check=_param_name,
        ),
    )

    def keep(self, config: Mapping[str, Any], value: str) -> str:
        """A client secret as RFC 6749, appendix A.2, has it."""
        text = value.strip()
        if not text or not text.isprintable():
            raise ConfigurationError("The client secret may not hold control characters.")
        return text

    def key(self, connection: ConnectionData) -> _Key:
        config = connection.config
        for name, words in (("token_url", "token URL"), ("client_id", "client id")):
            if not config.get(name):
                raise ConfigurationError(f"The connection has no {words}.")
        given = {name: str(config[name]) for name in ("scope", "audience", "resource") if config.get(name)}
        return _Key(
            connection.id,
            connection.sealed,
            str(config["token_url"]),
            str(config["client_id"]),
            str(config.get("client_auth") or "basic"),
            tuple((given | (config.get("token_params") or {})).items()),
        )

    def fetch(self, connection: ConnectionData, secret: Secret, client: HttpClient, deadline: float) -> Token:
        key = self.key(connection)
        form = {"grant_type": "client_credentials", **dict(key.form)}
        headers: dict[str, str] = {}
        if key.client_auth == "post":
            form |= {"client_id": key.client_id, "client_secret": secret.reveal()}
        else:
            # RFC 6749 §2.3.1: both are form-encoded before they are joined.
            pair = f"{quote_plus(key.client_id)}:{quote_plus(secret.reveal())}"
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode('ascii')).decode('ascii')}"
        return ask_for_token(
            key.token_url,
            form,
            headers,
            client,
            deadline=deadline,
            ca_bundle=connection.config.get("ca_bundle") or None,
            owner=connection.id,
        )

    def giver(self, connection: ConnectionData) -> str:
        return host_of(str(connection.config.get("token_url") or ""))

    def why_unusable(self, status: int | None) -> str:
        status_words = f" (HTTP {status})" if status else ""
        return f"The token URL gave no access token for this client and credential{status_words}."


METHOD = ClientCredentials()
