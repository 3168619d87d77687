"""How a connection's credential becomes request headers."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Protocol

from app.domain.headers import header_problem, reserved_header
from app.errors import AppError

MISSING = "The connection has no credential. Add one on the connection's page."


class Revealable(Protocol):
    """A sealed value that gives itself away only when asked (`app.crypto.Secret`)."""

    def reveal(self) -> str: ...


class ConfigurationError(AppError):
    """The connection lacks something that this call needs; the message says what and never holds a secret."""


def auth_headers(config: Mapping[str, object], secret: Revealable | None) -> dict[str, str]:
    """The headers that prove who is calling.

    `config` is the connection's configuration: `auth` is none, bearer, basic or api_key; basic reads
    `username`, api_key reads `api_key_header`.  Raises ConfigurationError when the credential is missing or
    cannot be carried by a header.
    """
    kind = config.get("auth") or "none"
    build = _SCHEMES.get(str(kind))
    if build is None:
        raise ConfigurationError(
            f"The connection's authentication {str(kind)[:40]!r} is not one that can be used."
        )
    if build is _none:
        return {}
    value = "" if secret is None else secret.reveal()
    if not value:
        raise ConfigurationError(MISSING)
    return build(config, value)


def api_key_header_problem(name: str) -> str | None:
    """What is wrong with the header name of an API key, as a sentence; None when it can be used."""
    if name.strip().lower() != "authorization" and reserved_header(name):
        return f"The header {name.strip()} is set by Access Automation and cannot carry the API key."
    return header_problem(name, "")


def _none(_config: Mapping[str, object], _value: str) -> dict[str, str]:
    return {}


def _bearer(_config: Mapping[str, object], value: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {_carried(value)}"}


def _basic(config: Mapping[str, object], value: str) -> dict[str, str]:
    user = str(config.get("username") or "")
    if not user:
        raise ConfigurationError("The connection has no user name.")
    if ":" in user or not _is_clean(user):
        raise ConfigurationError("The connection's user name may not hold a colon or control characters.")
    if not _is_clean(value):
        raise ConfigurationError("The connection's password may not hold control characters.")
    # RFC 7617 §2.1: UTF-8 is the one encoding that servers can announce.
    pair = base64.b64encode(f"{user}:{value}".encode()).decode("ascii")
    return {"Authorization": f"Basic {pair}"}


def _api_key(config: Mapping[str, object], value: str) -> dict[str, str]:
    name = str(config.get("api_key_header") or "")
    if not name:
        raise ConfigurationError("The connection does not say which header carries its API key.")
    problem = api_key_header_problem(name)
    if problem is not None:
        raise ConfigurationError(problem)
    return {name: _carried(value)}


def _carried(value: str) -> str:
    """The credential as it stands in a header: visible ASCII, which every scheme in use keeps to."""
    if not (value.isascii() and value.isprintable()) or value != value.strip():
        raise ConfigurationError("The credential holds characters that a header cannot carry. Replace it.")
    return value


def _is_clean(text: str) -> bool:
    return header_problem("Authorization", text) is None and "\t" not in text


# Each builds headers from the connection's configuration and its revealed credential.  OAuth, which fetches a
# token first, is in `app.connectors.oauth`.
_SCHEMES: dict[str, Callable[[Mapping[str, object], str], dict[str, str]]] = {
    "none": _none,
    "bearer": _bearer,
    "basic": _basic,
    "api_key": _api_key,
}
