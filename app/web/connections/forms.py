"""The form of a connection: its fields, and the configuration that they make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flask import request

from app.connectors.oauth import OAUTH
from app.errors import FieldError, Invalid
from app.models import Connection
from app.web.forms import FormState

AUTH_CHOICES = (
    ("none", "None"),
    ("bearer", "Bearer token"),
    ("basic", "Basic (user name and password)"),
    ("api_key", "API key in a header"),
    (OAUTH, "OAuth 2.0 client credentials"),
)
CLIENT_AUTH_CHOICES = (("basic", "In the Authorization header"), ("post", "In the body"))
AUTH_WORDS = {**dict(AUTH_CHOICES), "basic": "Basic", "api_key": "API key", OAUTH: "OAuth 2.0"}
TYPE_WORDS = {"http": "API / HTTP", "webhook": "Webhook"}
_HTTP_FIELDS = (
    "base_url",
    "auth",
    "api_key_header",
    "username",
    "token_url",
    "client_id",
    "client_auth",
    "scope",
    "timeout_seconds",
    "health_path",
    "ca_bundle",
    "requests_per_second",
    "park_after_failures",
    "park_window_seconds",
)
_PARKING = ("park_after_failures", "park_window_seconds")
_MAX_ROWS = 60


def blank() -> FormState:
    """A new connection's form."""
    return FormState.of({"auth": "none", "timeout_seconds": 30, "header_name": [""], "header_value": [""]})


def filled(connection: Connection) -> FormState:
    """The form with what is stored."""
    config: Mapping[str, Any] = connection.config
    headers: Mapping[str, str] = config.get("headers") or {}
    names = [*_HTTP_FIELDS, "url"]
    values = {name: config.get(name) for name in names} | {"name": connection.name}
    values |= {"header_name": [*headers, ""], "header_value": [*headers.values(), ""]}
    return FormState.of({"auth": "none"} | {name: one for name, one in values.items() if one is not None})


def typed(errors: Sequence[FieldError] = ()) -> FormState:
    """The form as it was sent, errors named by its inputs."""
    form = request.form.to_dict(flat=False)
    rows = _header_rows()
    form["header_name"] = [name for name, _ in [*rows, ("", "")]]
    form["header_value"] = [value for _, value in [*rows, ("", "")]]
    return FormState(form, [_by_input(error) for error in errors])


def sent(connection_type: str) -> dict[str, Any]:
    """Name and configuration as the schema reads them; raises Invalid for a header that is there twice."""
    config: dict[str, Any]
    if connection_type == "webhook":
        config = {name: request.form.get(name, "") for name in ("url", *_PARKING)}
        return {"name": request.form.get("name", ""), "config": config}
    config = {name: request.form.get(name, "") for name in _HTTP_FIELDS}
    config["auth"] = config["auth"] or "none"
    config["headers"] = _headers()
    return {"name": request.form.get("name", ""), "config": config}


def _header_rows() -> list[tuple[str, str]]:
    names, values = request.form.getlist("header_name"), request.form.getlist("header_value")
    pairs = list(zip(names, values, strict=False))[:_MAX_ROWS]
    return [(name, value) for name, value in pairs if name.strip() or value.strip()]


def _headers() -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in _header_rows():
        if not name.strip():
            raise Invalid.field("config.headers", "A header has a value but no name.")
        if name.strip().lower() in {one.lower() for one in headers}:
            raise Invalid.field("config.headers", f"The header {name.strip()[:60]} is there twice.")
        headers[name.strip()] = value
    return headers


def _by_input(error: FieldError) -> FieldError:
    name = error.field.removeprefix("config.").partition(".")[0]
    return FieldError("" if name in ("config", "type") else name, error.message)
