"""One-off values for mapped fields of a step, put over what the mapping came to (SPEC §6)."""

from __future__ import annotations

import re
from collections.abc import Mapping

from app.engine.mapping import field_names
from app.engine.outcome import Scalar
from app.engine.steps import HttpStep, Json, WebhookStep

QUERY = "query."
_PART = re.compile(r"([^.\[\]]+)|\[(\d+)\]")


def overridable(step: HttpStep | WebhookStep) -> list[str]:
    """The fields of a step that one-off values may be given for: `userName`, `emails[0].value`, `query.filter`."""
    names = field_names(step.body)
    if isinstance(step, HttpStep):
        names += [f"{QUERY}{name}" for name in step.query]
    return names


def override_body(body: Json, values: Mapping[str, Scalar]) -> Json:
    """The rendered body with `values` in place of the fields they name; names of the query are left alone.

    Fields that the body does not hold are left out: a body is never given more than its author mapped.
    """
    for name, value in values.items():
        if not name.startswith(QUERY):
            body = _replaced(body, _path(name), value)
    return body


def override_query(pairs: list[tuple[str, str]], values: Mapping[str, Scalar]) -> list[tuple[str, str]]:
    """The rendered query with `values` in place of the parameters they name."""
    return [(name, _text(values.get(f"{QUERY}{name}", text))) for name, text in pairs]


def _path(name: str) -> list[str | int]:
    return [int(index) if index else key for key, index in _PART.findall(name)]


def _replaced(body: Json, path: list[str | int], value: Scalar) -> Json:
    if not path:
        return value
    head, rest = path[0], path[1:]
    if isinstance(body, dict) and isinstance(head, str) and head in body:
        return body | {head: _replaced(body[head], rest, value)}
    if isinstance(body, list) and isinstance(head, int) and head < len(body):
        return [*body[:head], _replaced(body[head], rest, value), *body[head + 1 :]]
    return body


def _text(value: Scalar) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)
