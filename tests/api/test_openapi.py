"""The API's description of itself: valid OpenAPI 3.1, and a page that loads nothing from elsewhere."""

from __future__ import annotations

import re
from typing import Any

import jsonschema_rs
import pytest
from flask import Flask

from app.api.openapi import METHODS
from app.connectors.auth.method import AuthMethod, ConfigField
from app.connectors.auth.methods import METHODS as AUTH_METHODS
from app.connectors.types.table import TYPES
from app.errors import Invalid
from app.schemas.base import parse
from app.schemas.connections import CONFIGS, ConnectionIn
from tests.support.api.client import ApiClient
from tests.support.page import PageClient


@pytest.fixture
def spec(only_sqlite: Flask) -> dict[str, Any]:
    return ApiClient(only_sqlite, "").get("/openapi.json")


def test_it_is_openapi_3_1_and_needs_no_token(spec: dict[str, Any]) -> None:
    assert spec["openapi"].startswith("3.1.")
    assert spec["components"]["securitySchemes"]["token"] == {"type": "http", "scheme": "bearer"}


def test_every_reference_leads_to_a_schema(spec: dict[str, Any]) -> None:
    names = {one.rpartition("/")[2] for one in re.findall(r"#/components/schemas/[^'\"]+", str(spec))}
    assert names <= set(spec["components"]["schemas"])


def test_every_operation_says_what_it_does_takes_and_gives(spec: dict[str, Any]) -> None:
    seen = set()
    for path, methods in spec["paths"].items():
        for method, one in methods.items():
            assert method.upper() in METHODS
            assert one["summary"].endswith("."), path
            assert one["x-permission"] in one["description"], path
            assert {"401", "403", "400"} <= set(one["responses"])
            assert any(status.startswith("2") for status in one["responses"])
            names = re.findall(r"{(\w+)}", path)
            assert [p["name"] for p in one["parameters"] if p["in"] == "path"] == names
            seen.add(one["operationId"])
    assert len(seen) == sum(len(methods) for methods in spec["paths"].values())


def test_every_post_that_acts_takes_an_idempotency_key(spec: dict[str, Any]) -> None:
    without = {
        path
        for path, methods in spec["paths"].items()
        if "post" in methods
        if not any(p["name"] == "Idempotency-Key" for p in methods["post"]["parameters"])
    }
    # It only looks, and what it shows of a person is not to be kept.
    assert without == {"/api/v1/workflows/{workflow_id}/dry-run"}


def test_the_parameters_of_a_list_are_described(spec: dict[str, Any]) -> None:
    described = {p["name"]: p["schema"] for p in spec["paths"]["/api/v1/runs"]["get"]["parameters"]}
    wanted = {"limit", "after", "status", "application_id", "grant_id", "workflow_id", "class", "since"}
    assert wanted <= set(described)
    assert (described["limit"]["minimum"], described["limit"]["maximum"]) == (1, 200)


def test_answers_name_their_fields_as_they_are_sent(spec: dict[str, Any]) -> None:
    failure = spec["components"]["schemas"]["FailureOut"]["properties"]
    assert "class" in failure
    assert "failure_class" not in str(spec)


every_method = pytest.mark.parametrize("method", AUTH_METHODS.values(), ids=lambda one: one.name)


def connection(spec: dict[str, Any], method: AuthMethod, **fields: Any) -> tuple[bool, bool]:
    """Whether the document and the console take a connection with this configuration."""
    config = {"base_url": "https://api.example/v1", "auth": method.name} | fields
    data = {"type": "http", "name": "API", "config": config}
    schema = {"$ref": "#/components/schemas/ConnectionIn", "components": spec["components"]}
    try:
        parse(ConnectionIn, data)
    except Invalid:
        return jsonschema_rs.is_valid(schema, data), False
    return jsonschema_rs.is_valid(schema, data), True


def example(field: ConfigField) -> Any:
    if field.kind == "pairs":
        return {"a": "b"}
    return (
        field.choices[0][0] if field.choices else "https://id.example/token" if field.kind == "url" else "a"
    )


def test_each_connection_type_has_its_configuration_in_the_document(spec: dict[str, Any]) -> None:
    schemas = spec["components"]["schemas"]
    shapes = [
        one["$ref"].rpartition("/")[2] for one in schemas["ConnectionIn"]["properties"]["config"]["anyOf"]
    ]
    assert shapes == [CONFIGS[name].__name__ for name in TYPES]
    for name, shape in zip(TYPES, shapes, strict=True):
        assert schemas[shape]["properties"].keys() == CONFIGS[name].model_fields.keys()


@every_method
def test_each_way_of_signing_in_is_described_with_the_words_of_its_form(
    spec: dict[str, Any], method: AuthMethod
) -> None:
    fields = spec["components"]["schemas"]["HttpConfig"]["properties"]
    assert method.name in fields["auth"]["enum"]
    assert method.label in fields["auth"]["description"]
    for one in method.fields:
        described = fields[one.name]
        text = described["additionalProperties"] if one.kind == "pairs" else described
        assert (described["title"], text["maxLength"]) == (one.label, one.limit)
        assert described["default"] == ({} if one.kind == "pairs" else one.default)
        assert described.get("enum", []) == [word for word, _ in one.choices]
        assert one.hint in described["description"]
        assert method.name in described["description"]


@every_method
def test_the_document_takes_of_a_way_of_signing_in_what_the_console_takes(
    spec: dict[str, Any], method: AuthMethod
) -> None:
    whole = {one.name: example(one) for one in method.fields}
    assert connection(spec, method, **whole) == (True, True)
    for one in method.fields:
        without = {name: text for name, text in whole.items() if name != one.name}
        assert connection(spec, method, **without) == (not one.required, not one.required)
        if not one.choices:
            blank = {} if one.kind == "pairs" else ""
            assert connection(spec, method, **without, **{one.name: blank}) == (
                not one.required,
                not one.required,
            )
    assert connection(spec, method, **whole, usrname="typo") == (False, False)


def test_the_page_keeps_the_rules_of_the_house_and_lists_every_operation(
    only_sqlite: Flask, spec: dict[str, Any]
) -> None:
    page = PageClient(only_sqlite).get("/api/v1/docs")
    assert page.h1 == "JSON API"
    for path, methods in spec["paths"].items():
        for method in methods:
            assert f"{method.upper()} {path}" in page.text
    assert "https://" not in re.sub(r'xmlns="[^"]*"', "", page.html)
