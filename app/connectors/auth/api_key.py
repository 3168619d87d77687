"""An API key in a header that the connection names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.connectors.auth.method import AuthMethod, ConfigField, carried, with_headers
from app.connectors.messages import ConfigurationError, Request
from app.domain.headers import header_problem, reserved_header


def header_name_problem(name: str) -> str | None:
    """What is wrong with the header name of an API key, as a sentence; None when it can be used."""
    if name.strip().lower() != "authorization" and reserved_header(name):
        return f"The header {name.strip()} is set by Access Automation and cannot carry the API key."
    return header_problem(name, "")


def _header_name(text: str) -> str:
    problem = header_name_problem(text)
    if problem is not None:
        raise ValueError(problem)
    return text


class ApiKey(AuthMethod):
    name = "api_key"
    label = "API key in a header"
    short = "API key"
    noun = "API key"
    fields = (
        ConfigField(
            "api_key_header",
            "Header name",
            hint="For an API key; X-API-Key when left empty.",
            default="X-API-Key",
            check=_header_name,
        ),
    )

    def sign(self, request: Request, config: Mapping[str, Any], credential: str) -> Request:
        name = str(config.get("api_key_header") or "")
        if not name:
            raise ConfigurationError("The connection does not say which header carries its API key.")
        problem = header_name_problem(name)
        if problem is not None:
            raise ConfigurationError(problem)
        return with_headers(request, self.shown(config, carried(credential)))

    def shown(self, config: Mapping[str, Any], credential: str) -> Mapping[str, str]:
        return {str(config.get("api_key_header")): credential}


METHOD = ApiKey()
