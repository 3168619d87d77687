"""The OpenAPI 3.1 document, made from the routes themselves so that it cannot tell of anything else."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus
from inspect import getdoc
from typing import Any

from flask import Flask
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from app.api.blueprint import PREFIX, bp
from app.api.idempotency import HEADER
from app.api.operation import Operation, operation_of
from app.api.problems import MEDIA_TYPE
from app.guard import declared
from app.permissions import PERMISSIONS

VERSION = "3.1.0"
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_VARIABLE = re.compile(r"<(?:[a-z_]+:)?([a-z_]+)>")
_BRACES = re.compile(r"{([a-z_]+)}")
_REFS = "#/components/schemas/{model}"
_PROBLEM = {
    "type": "object",
    "description": "RFC 9457 problem details.",
    "required": ["type", "title", "status", "detail", "code", "errors"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What happened, for a person."},
        "code": {"type": "string", "description": "What happened, for a program."},
        "errors": {
            "type": "array",
            "description": "Refused fields or parameters; `field` is a path such as `steps[1].path`.",
            "items": {
                "type": "object",
                "required": ["field", "message"],
                "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
            },
        },
        "instance": {"type": "string", "description": "The request's id, as in the X-Request-ID header."},
    },
}
_ID = {"type": "string", "pattern": "^[1-9][0-9]{0,18}$"}
_INTRODUCTION = (
    "Send a token with every call: `Authorization: Bearer <token>`. Times are RFC 3339 in UTC, ids are "
    "strings. Lists give `items` and `next`, the cursor to send as `after` for what follows."
)


def document(app: Flask) -> dict[str, Any]:
    """The whole document for the routes of `app`; made once, since routes never change while it runs."""
    made: dict[str, Any] | None = app.extensions.get("openapi")
    if made is None:
        made = app.extensions["openapi"] = _document(app)
    return made


@dataclass(frozen=True, slots=True)
class Route:
    """One operation of the API. `path` names its variables as `{user_id}`."""

    path: str
    method: str
    endpoint: str
    operation: Operation

    @property
    def variables(self) -> list[str]:
        return _BRACES.findall(self.path)


def routes(app: Flask) -> list[Route]:
    """Every operation of the API, by path."""
    found = []
    for rule in app.url_map.iter_rules():
        operation = operation_of(app.view_functions[rule.endpoint])
        if operation is None or not rule.endpoint.startswith(f"{bp.name}."):
            continue
        path = _VARIABLE.sub(r"{\1}", rule.rule)
        methods = [one for one in METHODS if one in (rule.methods or ())]
        found += [Route(path, one, rule.endpoint, operation) for one in methods]
    return sorted(found, key=lambda one: (one.path, METHODS.index(one.method)))


class _Shapes:
    """The JSON schemas of every model that the operations take or give."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        wanted: dict[tuple[type[BaseModel], JsonSchemaMode], None] = {}
        for one in operations:
            wanted |= {(model, "validation"): None for model in (one.body, one.query) if model}
            wanted |= {(one.answer, "serialization"): None} if one.answer else {}
        refs, definitions = models_json_schema(list(wanted), ref_template=_REFS)
        self._refs = {model: ref for (model, _), ref in refs.items()}
        self._all: dict[str, Any] = definitions.get("$defs", {})

    def ref(self, model: type[BaseModel]) -> dict[str, Any]:
        return self._refs[model]

    def of(self, model: type[BaseModel]) -> dict[str, Any]:
        found: dict[str, Any] = self._all[self._name(model)]
        return found

    def components(self, queries: Iterable[type[BaseModel]]) -> dict[str, Any]:
        """All but the models of `queries`, whose fields are written out as parameters."""
        spelt_out = {self._name(model) for model in queries}
        return {name: schema for name, schema in self._all.items() if name not in spelt_out}

    def _name(self, model: type[BaseModel]) -> str:
        return str(self._refs[model]["$ref"].rpartition("/")[2])


def _document(app: Flask) -> dict[str, Any]:
    known = routes(app)
    shapes = _Shapes([one.operation for one in known])
    paths: dict[str, dict[str, Any]] = {}
    for route in known:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(app, route, shapes)
    queries = {one.operation.query for one in known if one.operation.query}
    return {
        "openapi": VERSION,
        "info": {
            "title": "Access Automation",
            "version": PREFIX.rpartition("/")[2],
            "description": _INTRODUCTION,
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}],
        "tags": [{"name": tag} for tag in dict.fromkeys(one.operation.tag for one in known)],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": {**shapes.components(queries), "Problem": _PROBLEM},
        },
    }


def _operation(app: Flask, route: Route, shapes: _Shapes) -> dict[str, Any]:
    operation = route.operation
    summary, _, more = (getdoc(app.view_functions[route.endpoint]) or "").partition("\n")
    permission = declared(route.endpoint) or ""
    needs = f"Needs `{permission}`: {PERMISSIONS[permission].lower()}." if permission in PERMISSIONS else ""
    described: dict[str, Any] = {
        "operationId": route.endpoint.rpartition(".")[2],
        "tags": [operation.tag],
        "summary": summary,
        "description": "\n\n".join(text for text in (" ".join(more.split()), needs) if text),
        "x-permission": permission,
        "parameters": _parameters(route, shapes),
        "responses": _responses(route, shapes),
    }
    if operation.body:
        described["requestBody"] = {
            "required": bool(shapes.of(operation.body).get("required")),
            "content": {"application/json": {"schema": shapes.ref(operation.body)}},
        }
    return described


def _parameters(route: Route, shapes: _Shapes) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": _ID} for name in route.variables
    ]
    if route.operation.query:
        fields = shapes.of(route.operation.query).get("properties", {})
        found += [
            {"name": name, "in": "query", "required": False, "schema": _parameter(schema)}
            for name, schema in fields.items()
        ]
    if route.operation.repeatable:
        found.append(
            {
                "name": HEADER,
                "in": "header",
                "required": False,
                "description": "The same key and body within 24 hours act once and get the same answer.",
                "schema": {"type": "string", "minLength": 1, "maxLength": 255},
            }
        )
    return found


def _parameter(schema: dict[str, Any]) -> dict[str, Any]:
    """A parameter is left out rather than sent as null."""
    kinds = [one for one in schema.get("anyOf", ()) if one != {"type": "null"}]
    return kinds[0] if len(kinds) == 1 else {key: one for key, one in schema.items() if one is not None}


def _responses(route: Route, shapes: _Shapes) -> dict[str, Any]:
    operation = route.operation
    good: dict[str, Any] = {"description": HTTPStatus(operation.status).phrase}
    if operation.answer:
        good["content"] = {"application/json": {"schema": shapes.ref(operation.answer)}}
    statuses = [400, 401, 403, *((404,) if route.variables else ())]
    statuses += [409, 413, 415, 422] if route.method != "GET" else []
    problem = {"schema": {"$ref": _REFS.format(model="Problem")}}
    refused = {
        str(status): {"description": HTTPStatus(status).phrase, "content": {MEDIA_TYPE: problem}}
        for status in [*statuses, 500, 503]
    }
    return {str(operation.status): good, **refused}
