"""Small readings of typed text, which keep what they cannot read."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

from app.domain.json_reader import Json
from app.domain.mapping.filters import slug as hyphened
from app.domain.steps.base import MAX_KEY

_DECIMAL = re.compile(r"-?[0-9]{1,9}(\.[0-9]{1,6})?")


def first(values: Mapping[str, Sequence[str]], name: str) -> str:
    """The first value of `name`, "" when there is none."""
    found = values.get(name, ())
    return found[0] if found else ""


def text_of(value: Json) -> str:
    """A JSON value as the text of an input: texts bare, nothing for null."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def whole(typed: str) -> Json:
    """The whole number, or the text as it was typed."""
    text = typed.strip()
    return int(text) if _DECIMAL.fullmatch(text) and "." not in text else text


def decimal(typed: str) -> Json:
    """The number, whole if it can be, or the text as it was typed."""
    text = typed.strip()
    if not _DECIMAL.fullmatch(text):
        return text
    number = float(text)
    return int(number) if number.is_integer() else number


def slug(name: str) -> str:
    """A key made from a name: `Create the account` is `create_the_account`."""
    return hyphened(name).replace("-", "_")[:MAX_KEY].strip("_")
