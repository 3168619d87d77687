"""Looks up what a token comes to in a run's context."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime

from app.domain.json_reader import Scalar, unstorable
from app.domain.mapping.context import ZONE, rfc3339
from app.domain.mapping.filters import A_LIST, Value, apply_filter, is_empty
from app.domain.mapping.templates import MappingError, Token

Context = Mapping[str, object]
MAX_LIST = 200


def value_of(token: Token, context: Context, empty: list[str] | None = None) -> Value:
    """What the token comes to: looked up among plain dicts, never among attributes, then filtered.

    A name that is not there gives None; what comes to nothing is added to `empty`.  Raises MappingError,
    without a field, for what is neither a single value nor a list of these, or cannot be sent.
    """
    found = context.get(token.path[0])
    for name in token.path[1:]:
        found = found.get(name) if isinstance(found, dict) else None
    value = _list(found, token) if isinstance(found, list) else _scalar(found, token)
    zone = context.get(ZONE)
    for call in token.filters:
        try:
            value = apply_filter(call.name, call.arguments, value, zone if isinstance(zone, str) else None)
        except ValueError as reason:
            raise MappingError("", f"{token.name} {reason}.") from None
    if empty is not None and is_empty(value):
        empty.append(token.name)
    return value


def single_value_of(token: Token, context: Context, empty: list[str] | None = None) -> Scalar:
    """As `value_of`, where a list cannot stand: it is refused."""
    value = value_of(token, context, empty)
    if isinstance(value, list):
        raise MappingError("", f"{token.name} {A_LIST}.")
    return value


def _list(found: list[object], token: Token) -> list[Scalar]:
    if len(found) > MAX_LIST:
        raise MappingError("", f"{token.name} is a list of more than {MAX_LIST} values.")
    return [_scalar(one, token) for one in found]


def _scalar(found: object, token: Token) -> Scalar:
    if isinstance(found, str):
        problem = unstorable(found)
        if problem:
            raise MappingError("", f"{token.name} cannot be used. {problem}")
        return found
    if found is None or isinstance(found, bool | int):
        return found
    if isinstance(found, float) and math.isfinite(found):
        return found
    if isinstance(found, datetime):
        return rfc3339(found)
    raise MappingError("", f"{token.name} is not a single value.")
