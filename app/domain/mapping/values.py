"""Looks up what a token comes to in a run's context."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime

from app.domain.json_reader import unstorable
from app.domain.mapping.context import rfc3339
from app.domain.mapping.filters import Value, apply_filter
from app.domain.mapping.templates import MappingError, Token

Context = Mapping[str, object]


def value_of(token: Token, context: Context, empty: list[str] | None) -> Value:
    """What the token comes to: looked up among plain dicts, never among attributes, then filtered.

    A name that is not there gives None; what comes to nothing is added to `empty`.  Raises MappingError,
    without a field, for what is no single value or cannot be sent.
    """
    found = context.get(token.path[0])
    for name in token.path[1:]:
        found = found.get(name) if isinstance(found, dict) else None
    value = _scalar(found, token)
    for call in token.filters:
        try:
            value = apply_filter(call.name, call.argument, value)
        except ValueError:
            raise MappingError("", f"{token.name} is no date that {call.name} can read.") from None
    if empty is not None and (value is None or value == ""):
        empty.append(token.name)
    return value


def _scalar(found: object, token: Token) -> Value:
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
