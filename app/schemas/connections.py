"""Connections and their credentials."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from app.connectors.auth import api_key_header_problem
from app.connectors.oauth import OAUTH
from app.connectors.trust import ca_bundle_problem
from app.domain.headers import author_header_problem
from app.errors import FieldError, Invalid
from app.net.target import BadTarget, parse_target
from app.schemas.base import Input, inner_fields, inside, parse
from app.schemas.kinds import MAX_TEXT, MAX_URL, NameText, Number, ReasonText, ShortText, Text, Time

ConnectionType = Literal["http", "webhook"]
# The ways of signing in that `connectors.auth` and `connectors.oauth` can carry out.
AUTH_METHODS = ("none", "bearer", "basic", "api_key", OAUTH)
# How the client id and secret are told to the token URL (RFC 6749 §2.3.1).
CLIENT_AUTH_METHODS = ("basic", "post")
DEFAULT_API_KEY_HEADER = "X-API-Key"
DEFAULT_TIMEOUT_SECONDS = 30
MAX_HEADERS = 50
MAX_HEADER_VALUE = 4_096
MAX_CA_BUNDLE = 64 * 1024
MAX_CREDENTIAL = 16_384

# Which fields belong to which way of signing in; the others are dropped, so that none lies about unseen.
_BELONGS = {
    "username": "basic",
    "api_key_header": "api_key",
    "token_url": OAUTH,
    "client_id": OAUTH,
    "client_auth": OAUTH,
    "scope": OAUTH,
}
# RFC 6749 §3.3: words of visible ASCII but for quotation mark and backslash, one space between.
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+( [\x21\x23-\x5b\x5d-\x7e]+)*")
_REQUIRED = (
    ("username", "basic", "Enter the user name."),
    ("token_url", OAUTH, "Enter the address that gives out tokens."),
    ("client_id", OAUTH, "Enter the client id."),
)

_Address = Annotated[str, Text(MAX_URL, ask="Enter an address that begins with https://.")]
_Seconds = Annotated[int, Number(1, 120, blank=DEFAULT_TIMEOUT_SECONDS)]
_Rate = Annotated[float | None, Number(0.1, 1000, whole=False)]
# So many runs that failed one after the other, within so many seconds, park the connection; 0 for never.
_Failures = Annotated[int | None, Number(0, 1000)]
_Window = Annotated[int | None, Number(10, 86_400)]


def _target(text: str) -> str:
    try:
        parse_target(text)
    except BadTarget as problem:
        raise ValueError(str(problem)) from None
    return text


class WebhookConfig(Input):
    """Where signed events go."""

    url: _Address
    park_after_failures: _Failures = None
    park_window_seconds: _Window = None

    _check_url = field_validator("url")(_target)


class HttpConfig(Input):
    """How an application's API is reached. Blank fields and those of another `auth` are dropped."""

    base_url: _Address
    auth: Annotated[str, Text(40)] = "none"
    api_key_header: ShortText = ""
    username: ShortText = ""
    token_url: Annotated[str, Text(MAX_URL)] = ""
    client_id: ShortText = ""
    client_auth: Annotated[str, Text(40)] = ""
    scope: Annotated[str, Text(MAX_TEXT)] = ""
    headers: dict[str, Any] = Field(default_factory=dict)
    timeout_seconds: _Seconds = DEFAULT_TIMEOUT_SECONDS
    health_path: Annotated[str, Text(MAX_URL)] = ""
    ca_bundle: Annotated[str, Text(MAX_CA_BUNDLE, lines=True)] = ""
    requests_per_second: _Rate = None
    park_after_failures: _Failures = None
    park_window_seconds: _Window = None

    @field_validator("base_url")
    @classmethod
    def _check_base_url(cls, text: str) -> str:
        _target(text)
        if "?" in text:
            raise ValueError("The base URL ends before the question mark: put queries into the steps.")
        return text

    @field_validator("auth")
    @classmethod
    def _check_auth(cls, word: str) -> str:
        if word not in AUTH_METHODS:
            raise ValueError(f"Choose one of: {', '.join(AUTH_METHODS)}.")
        return word

    @field_validator("headers", mode="before")
    @classmethod
    def _check_headers(cls, given: object) -> dict[str, str]:
        if given is None or given == "":
            return {}
        if not isinstance(given, Mapping):
            raise ValueError("This must be an object of header names and values.")
        if len(given) > MAX_HEADERS:
            raise ValueError(f"Use at most {MAX_HEADERS} headers.")
        headers: dict[str, str] = {}
        for name, value in given.items():
            if not isinstance(name, str) or not isinstance(value, str):
                raise ValueError("A header's name and value must be text.")
            problem = author_header_problem(name.strip(), value.strip())
            if problem is None and len(value) > MAX_HEADER_VALUE:
                problem = f"The value of header {name.strip()} can have {MAX_HEADER_VALUE:,} characters."
            if problem is None and name.strip().lower() in {one.lower() for one in headers}:
                problem = f"The header {name.strip()} is there twice."
            if problem is not None:
                raise ValueError(problem)
            headers[name.strip()] = value.strip()
        return headers

    @field_validator("health_path")
    @classmethod
    def _check_health_path(cls, path: str) -> str:
        if path and not path.startswith("/"):
            raise ValueError("A path begins with /. The host comes from the base URL.")
        if path:
            _target(f"https://host.example{path}")
        return path

    @field_validator("ca_bundle")
    @classmethod
    def _check_ca_bundle(cls, text: str) -> str:
        problem = ca_bundle_problem(text) if text else None
        if problem is not None:
            raise ValueError(problem)
        return text

    @field_validator("api_key_header")
    @classmethod
    def _check_api_key_header(cls, name: str) -> str:
        problem = api_key_header_problem(name) if name else None
        if problem is not None:
            raise ValueError(problem)
        return name

    @field_validator("username")
    @classmethod
    def _check_username(cls, name: str) -> str:
        if ":" in name:
            # RFC 7617 §2: the first colon ends the user name.
            raise ValueError("The user name may not hold a colon.")
        return name

    @field_validator("token_url")
    @classmethod
    def _check_token_url(cls, text: str) -> str:
        return _target(text) if text else text

    @field_validator("client_auth")
    @classmethod
    def _check_client_auth(cls, word: str) -> str:
        if word and word not in CLIENT_AUTH_METHODS:
            raise ValueError(f"Choose one of: {', '.join(CLIENT_AUTH_METHODS)}.")
        return word

    @field_validator("scope")
    @classmethod
    def _check_scope(cls, text: str) -> str:
        words = " ".join(text.split())
        if words and not _SCOPE.fullmatch(words):
            raise ValueError("A scope is words of plain characters with spaces between, without quotes.")
        return words

    @model_validator(mode="after")
    def _together(self) -> HttpConfig:
        errors = [
            FieldError(name, message)
            for name, method, message in _REQUIRED
            if method == self.auth and not getattr(self, name)
        ]
        if errors:
            raise inner_fields(errors)
        return self

    def stored(self) -> dict[str, Any]:
        """The configuration as it is kept: what is blank or belongs to another `auth` is left out."""
        values = {
            name: value
            for name, value in self.model_dump().items()
            if value not in ("", None, {}) and _BELONGS.get(name, self.auth) == self.auth
        }
        if self.auth == "api_key":
            values.setdefault("api_key_header", DEFAULT_API_KEY_HEADER)
        if self.auth == OAUTH:
            values.setdefault("client_auth", CLIENT_AUTH_METHODS[0])
        return values


def parse_config(connection_type: str, config: object) -> dict[str, Any]:
    """A configuration of this type as it is kept; raises Invalid with fields named inside it."""
    if connection_type == "webhook":
        return parse(WebhookConfig, config).model_dump(exclude_none=True)
    return parse(HttpConfig, config).stored()


class ConnectionIn(Input):
    """A new connection. `type` never changes afterwards."""

    type: ConnectionType
    name: NameText
    config: dict[str, Any]

    @field_validator("config", mode="before")
    @classmethod
    def _check_config(cls, config: object, info: ValidationInfo) -> dict[str, Any]:
        if "type" not in info.data:
            # Which fields a configuration has is not known: the type's own error says so.
            return {}
        try:
            return parse_config(info.data["type"], config)
        except Invalid as refused:
            raise inner_fields(refused.errors) from None


class ConnectionPatch(Input):
    """Changes to a connection. Within `config` fields not sent stay, null removes one (RFC 7396)."""

    name: NameText = ""
    config: dict[str, Any] = Field(default_factory=dict)

    def config_on(self, connection_type: str, stored: Mapping[str, Any]) -> dict[str, Any]:
        """The new configuration, checked as a whole; raises Invalid with fields such as `config.base_url`."""
        merged = {name: one for name, one in {**stored, **self.config}.items() if one is not None}
        try:
            return parse_config(connection_type, merged)
        except Invalid as refused:
            raise inside(refused, "config") from None


class ParkIn(Input):
    """A parking by hand: nothing goes out on the connection until that time, or until somebody ends it."""

    until: Time = None
    reason: ReasonText


class CredentialIn(Input):
    """A secret on its way to being sealed; it never shows itself."""

    value: str = Field(repr=False)

    @field_validator("value", mode="before")
    @classmethod
    def _check_value(cls, value: object) -> str:
        if not isinstance(value, str) or not value.strip():
            raise ValueError("Enter the value.")
        if len(value) > MAX_CREDENTIAL:
            raise ValueError(f"Use at most {MAX_CREDENTIAL:,} characters.")
        if "\0" in value or any("\ud800" <= one <= "\udfff" for one in value):
            raise ValueError("The value holds characters that cannot be stored.")
        # Pasting brings line ends along; no scheme has them in a secret.
        return value.strip("\r\n")
