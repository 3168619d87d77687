"""Basic authentication: a user name and a password (RFC 7617)."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from app.connectors.auth.method import AuthMethod, ConfigField, with_headers
from app.connectors.messages import ConfigurationError, Request
from app.domain.headers import header_problem


def _user_name(text: str) -> str:
    if ":" in text:
        # RFC 7617 §2: the first colon ends the user name.
        raise ValueError("The user name may not hold a colon.")
    return text


class Basic(AuthMethod):
    name = "basic"
    label = "Basic (user name and password)"
    short = "Basic"
    noun = "password"
    fields = (
        ConfigField(
            "username",
            "User name",
            hint="For Basic; the password is the credential.",
            required="Enter the user name.",
            check=_user_name,
        ),
    )

    def keep(self, config: Mapping[str, Any], value: str) -> str:
        self.sign(Request("GET", ""), config, value)
        return value  # a password may begin or end with a space

    def sign(self, request: Request, config: Mapping[str, Any], credential: str) -> Request:
        user = str(config.get("username") or "")
        if not user:
            raise ConfigurationError("The connection has no user name.")
        if ":" in user or not _is_clean(user):
            raise ConfigurationError("The connection's user name may not hold a colon or control characters.")
        if not _is_clean(credential):
            raise ConfigurationError("The connection's password may not hold control characters.")
        # RFC 7617 §2.1: UTF-8 is the one encoding that servers can announce.
        pair = base64.b64encode(f"{user}:{credential}".encode()).decode("ascii")
        return with_headers(request, self.shown(config, pair))

    def shown(self, config: Mapping[str, Any], credential: str) -> Mapping[str, str]:
        return {"Authorization": f"Basic {credential}"}


def _is_clean(text: str) -> bool:
    return header_problem("Authorization", text) is None and "\t" not in text


METHOD = Basic()
