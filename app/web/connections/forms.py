"""The form of a connection: its fields, and the configuration that they make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flask import request

from app.connectors.auth.methods import DEFAULT, FIELDS, METHODS
from app.connectors.types.http import DEFAULT_TIMEOUT_SECONDS
from app.errors import FieldError, Invalid
from app.models import Connection
from app.schemas.connections import CONFIGS, HttpConfig
from app.web.forms import FormState

AUTH_CHOICES = [(one.name, one.label) for one in METHODS.values()]
# Each field with the places of the choices that need it, counted from 1: by these the style sheet hides the others.
AUTH_FIELDS = [
    (field, " ".join(str(place) for place, one in enumerate(METHODS.values(), 1) if field in one.fields))
    for field in FIELDS.values()
]
_MAX_ROWS = 60


def blank() -> FormState:
    """A new connection's form."""
    return FormState.of(
        {
            "auth": DEFAULT.name,
            "timeout_seconds": DEFAULT_TIMEOUT_SECONDS,
            "header_name": [""],
            "header_value": [""],
        }
    )


def filled(connection: Connection) -> FormState:
    """The form with what is stored."""
    config: Mapping[str, Any] = connection.config
    headers: Mapping[str, str] = config.get("headers") or {}
    rows = {"header_name": [*headers, ""], "header_value": [*headers.values(), ""]}
    plain = {name: _lines(value) for name, value in config.items() if name != "headers"}
    return FormState.of({"auth": DEFAULT.name} | plain | rows | {"name": connection.name})


def typed(errors: Sequence[FieldError] = ()) -> FormState:
    """The form as it was sent, errors named by its inputs."""
    form = request.form.to_dict(flat=False)
    rows = _header_rows()
    form["header_name"] = [name for name, _ in [*rows, ("", "")]]
    form["header_value"] = [value for _, value in [*rows, ("", "")]]
    return FormState(form, [_by_input(error) for error in errors])


def sent(connection_type: str) -> dict[str, Any]:
    """Name and configuration as the schema reads them; raises Invalid for a header that is there twice."""
    fields = CONFIGS.get(connection_type, HttpConfig).model_fields
    config: dict[str, Any] = {name: request.form.get(name, "") for name in fields}
    if "headers" in config:
        config |= {"auth": config["auth"] or DEFAULT.name, "headers": _headers()}
        config |= {one.name: _pairs(one.name) for one in FIELDS.values() if one.kind == "pairs"}
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


def _lines(value: object) -> object:
    """Names and values one a line, as they are typed; any other value as it is."""
    return "\n".join(f"{one}={value[one]}" for one in value) if isinstance(value, Mapping) else value


def _pairs(field: str) -> dict[str, str]:
    """The names and values that were typed, one a line; raises Invalid for a line that is none."""
    pairs: dict[str, str] = {}
    for line in filter(None, map(str.strip, request.form.get(field, "").splitlines())):
        name, equals, value = line.partition("=")
        if not equals or not name.strip():
            raise Invalid.field(f"config.{field}", f"Write name=value on each line; “{line[:60]}” is not so.")
        if name.strip() in pairs:
            raise Invalid.field(f"config.{field}", f"{name.strip()[:60]} is there twice.")
        pairs[name.strip()] = value.strip()
    return pairs


def _by_input(error: FieldError) -> FieldError:
    name = error.field.removeprefix("config.").partition(".")[0]
    return FieldError("" if name in ("config", "type") else name, error.message)
