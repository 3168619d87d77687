"""Connections and their credentials."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    ValidationInfo,
    create_model,
    field_validator,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from app.connectors.auth.method import MAX_PAIRS, ConfigField
from app.connectors.auth.methods import DEFAULT, FIELDS, METHODS
from app.connectors.trust import ca_bundle_problem
from app.connectors.types.http import DEFAULT_TIMEOUT_SECONDS
from app.domain.headers import author_header_problem
from app.errors import FieldError, Invalid
from app.net.target import checked_url
from app.schemas.base import Input, inner_fields, inside, parse
from app.schemas.kinds import MAX_URL, NameText, Number, ReasonText, Text, Time

# Those of app.connectors.types, written out for the type checker and the OpenAPI document.
ConnectionTypeName = Literal["http", "webhook"]
MAX_HEADERS = 50
MAX_HEADER_VALUE = 4_096
MAX_CA_BUNDLE = 64 * 1024
MAX_CREDENTIAL = 16_384

_Address = Annotated[
    str, Text(MAX_URL, ask="Enter an address that begins with https://."), AfterValidator(checked_url)
]
_Seconds = Annotated[int, Number(1, 120, blank=DEFAULT_TIMEOUT_SECONDS)]
_Rate = Annotated[float | None, Number(0.1, 1000, whole=False)]
# So many runs that failed one after the other, within so many seconds, park the connection; 0 for never.
_Failures = Annotated[int | None, Number(0, 1000)]
_Window = Annotated[int | None, Number(10, 86_400)]


class WebhookConfig(Input):
    """Where signed events go."""

    url: _Address
    park_after_failures: _Failures = None
    park_window_seconds: _Window = None

    def stored(self) -> dict[str, Any]:
        """The configuration as it is kept: what is blank is left out."""
        return self.model_dump(exclude_none=True)


# What the OpenAPI document says of `auth`: the words of the table, and what each is.
_AUTH_SHAPE: dict[str, Any] = {
    "enum": list(METHODS),
    "description": "How it signs in. "
    + "; ".join(f"{one.name}: {one.label}" for one in METHODS.values())
    + ".",
}


class _Reached(Input):
    base_url: _Address
    auth: Annotated[str, Text(40)] = Field(DEFAULT.name, json_schema_extra=_AUTH_SHAPE)

    @field_validator("base_url")
    @classmethod
    def _check_base_url(cls, text: str) -> str:
        if "?" in text:
            raise ValueError("The base URL ends before the question mark: put queries into the steps.")
        return text

    @field_validator("auth")
    @classmethod
    def _check_auth(cls, word: str) -> str:
        if word not in METHODS:
            raise ValueError(f"Choose one of: {', '.join(METHODS)}.")
        return word


def _shape(field: ConfigField) -> dict[str, Any]:
    """What the OpenAPI document says of a field besides its length, from the words of the form."""
    methods = ", ".join(name for name, one in METHODS.items() if field in one.fields)
    choices = [f"{word}: {label}" for word, label in field.choices]
    words = [field.hint, f"{'; '.join(choices)}." if choices else "", f"Belongs to: {methods}."]
    shape: dict[str, Any] = {"description": " ".join(one for one in words if one), "default": field.default}
    if field.kind == "pairs":
        value = {"type": "string", "maxLength": field.limit}
        return shape | {"default": {}, "maxProperties": MAX_PAIRS, "additionalProperties": value}
    return shape | ({"enum": [word for word, _ in field.choices]} if choices else {})


def _needs_of_methods(schema: dict[str, Any]) -> None:
    """Say in the OpenAPI document which fields each way of signing in cannot do without."""
    schema["allOf"] = [
        {
            "if": {"properties": {"auth": {"const": name}}, "required": ["auth"]},
            "then": {"required": needed, "properties": {one: {"minLength": 1} for one in needed}},
        }
        for name, method in METHODS.items()
        if (needed := [one.name for one in method.fields if one.required])
    ]


# What the ways of signing in ask for, each field as its method describes it.
_auth_fields: dict[str, Any] = {
    one.name: (
        Annotated[dict[str, str], BeforeValidator(one.read_pairs)]
        if one.kind == "pairs"
        else Annotated[str, Text(one.limit), AfterValidator(one.read)],
        Field({} if one.kind == "pairs" else "", title=one.label, json_schema_extra=_shape(one)),
    )
    for one in FIELDS.values()
}
_SignedIn: Any = create_model("_SignedIn", __base__=_Reached, **_auth_fields)


class HttpConfig(_SignedIn):  # type: ignore[misc]  # a class that is made from the table
    """How an application's API is reached. Blank fields and those of another `auth` are dropped."""

    model_config = ConfigDict(json_schema_extra=_needs_of_methods)

    headers: dict[str, Any] = Field(default_factory=dict)
    timeout_seconds: _Seconds = DEFAULT_TIMEOUT_SECONDS
    health_path: Annotated[str, Text(MAX_URL)] = ""
    ca_bundle: Annotated[str, Text(MAX_CA_BUNDLE, lines=True)] = ""
    requests_per_second: _Rate = None
    park_after_failures: _Failures = None
    park_window_seconds: _Window = None

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
            checked_url(f"https://host.example{path}")
        return path

    @field_validator("ca_bundle")
    @classmethod
    def _check_ca_bundle(cls, text: str) -> str:
        problem = ca_bundle_problem(text) if text else None
        if problem is not None:
            raise ValueError(problem)
        return text

    @model_validator(mode="after")
    def _together(self) -> HttpConfig:
        errors = [
            FieldError(one.name, one.required)
            for one in METHODS[self.auth].fields
            if one.required and not getattr(self, one.name)
        ]
        if errors:
            raise inner_fields(errors)
        return self

    def stored(self) -> dict[str, Any]:
        """The configuration as it is kept: what is blank or belongs to another `auth` is left out."""
        own = METHODS[self.auth].fields
        dropped = FIELDS.keys() - {one.name for one in own}
        values = {
            name: value
            for name, value in self.model_dump().items()
            if value not in ("", None, {}) and name not in dropped
        }
        return values | {one.name: one.default for one in own if one.default and not values.get(one.name)}


CONFIGS: Mapping[str, type[HttpConfig | WebhookConfig]] = {"http": HttpConfig, "webhook": WebhookConfig}


def parse_config(connection_type: str, config: object) -> dict[str, Any]:
    """A configuration of this type as it is kept; raises Invalid with fields named inside it."""
    return parse(CONFIGS[connection_type], config).stored()


class _OfItsType:
    """Describes a configuration as that of one of the types. `ConnectionIn` checks it against the one of its own."""

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return handler(core_schema.union_schema([one.__pydantic_core_schema__ for one in CONFIGS.values()]))


class ConnectionIn(Input):
    """A new connection. `type` says which configuration it has, and never changes afterwards."""

    type: ConnectionTypeName
    name: NameText
    config: Annotated[dict[str, Any], _OfItsType()]

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
    """Changes to a connection. Within `config` fields not sent stay, null removes one (RFC 7396).

    The fields are those of HttpConfig or WebhookConfig, as the connection's type says.
    """

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
