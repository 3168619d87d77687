"""The API's own description: the OpenAPI document, and the same as a page of our own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import Response, current_app, jsonify, render_template, request

from app.api.blueprint import bp
from app.api.openapi import document
from app.guard import BARE_PAGE, public

# How a page of something is called among the schemas: `Page_UserOut_`.
_PAGE = "Page_"


@dataclass(frozen=True, slots=True)
class ShownOperation:
    """One operation on the page; `sent` and `given` are names of shapes, which the page links to.

    `listed`: what is given is a page of that shape.
    """

    anchor: str
    method: str
    path: str
    summary: str
    more: str
    parameters: list[str]
    sent: str
    given: str
    listed: bool
    status: str


@dataclass(frozen=True, slots=True)
class Shape:
    """An object's fields: name, type in words, and whether it must be sent."""

    name: str
    description: str
    fields: list[tuple[str, str, bool]]


@bp.get("/openapi.json")
@public
def openapi() -> Response:
    """The OpenAPI document. It tells nothing of what is stored, so it needs no token."""
    return jsonify(document(current_app))


@bp.get("/docs")
@public
def docs() -> str:
    """The same for people."""
    spec = document(current_app)
    request.environ[BARE_PAGE] = True
    groups = [(tag["name"], _operations(spec, tag["name"])) for tag in spec["tags"]]
    return render_template("api/docs.html", info=spec["info"], groups=groups, shapes=_shapes(spec))


def _operations(spec: dict[str, Any], tag: str) -> list[ShownOperation]:
    return [
        _shown(path, method, operation)
        for path, methods in spec["paths"].items()
        for method, operation in methods.items()
        if tag in operation["tags"]
    ]


def _shown(path: str, method: str, operation: dict[str, Any]) -> ShownOperation:
    status = next(one for one in operation["responses"] if one.startswith("2"))
    given = _name(operation["responses"][status])
    return ShownOperation(
        anchor=operation["operationId"],
        method=method.upper(),
        path=path,
        summary=operation["summary"],
        more=operation["description"].replace("`", ""),
        parameters=[one["name"] for one in operation["parameters"] if one["in"] == "query"],
        sent=_name(operation.get("requestBody", {})),
        given=given.removeprefix(_PAGE).rstrip("_"),
        listed=given.startswith(_PAGE),
        status=status,
    )


def _name(holder: dict[str, Any]) -> str:
    media = holder.get("content", {}).get("application/json")
    return _words(media["schema"]) if media else ""


def _shapes(spec: dict[str, Any]) -> list[Shape]:
    return [
        Shape(
            name,
            " ".join(schema.get("description", "").split()),
            [
                (field, _words(shape), not name.endswith("Out") and field in schema.get("required", ()))
                for field, shape in schema["properties"].items()
            ],
        )
        for name, schema in sorted(spec["components"]["schemas"].items())
        if schema.get("properties") and not name.startswith(_PAGE)
    ]


def _words(schema: dict[str, Any]) -> str:
    """A schema in a few words: `text`, `list of RunOut`, `text or null`."""
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_words(one) for one in schema["anyOf"]))
    if "enum" in schema or "const" in schema:
        return " | ".join(str(one) for one in schema.get("enum", [schema.get("const")]))
    if schema.get("type") == "array":
        return f"list of {_words(schema.get('items', {}))}"
    if schema.get("format") == "date-time":
        return "time"
    return _TYPES.get(schema.get("type", ""), "anything")


_TYPES = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "object": "object",
    "null": "null",
}
