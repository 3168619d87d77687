"""A JSON mapping as rows of name, kind and value, as the editor shows it, and back.

A name is dotted: `name.givenName`. A part that itself holds a dot, a quote or a space stands in double
quotes: `"urn:example:2.0:User".department`. Lists, and objects that are empty, are one row of the kind JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from app.domain.json_reader import MAX_MAPPING_DEPTH, Json, NamedTwice, NoConstant, strict_json

KINDS = (
    ("text", "Text"),
    ("number", "Number"),
    ("boolean", "True or false"),
    ("null", "Null"),
    ("json", "JSON"),
)
_WORDS = tuple(kind for kind, _ in KINDS)
_MAX_DIGITS = 21
_PLAIN = re.compile(r'[^\s."]+')
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')


class Row(NamedTuple):
    """One line of the editor, all of it as typed."""

    name: str
    kind: str
    value: str

    @property
    def is_blank(self) -> bool:
        return not self.name.strip() and not self.value.strip()


class BadRow(Exception):
    """A row that is no part of a mapping. `index` is its place, the message a sentence for a person."""

    def __init__(self, index: int, message: str) -> None:
        super().__init__(message)
        self.index = index
        self.message = message


def to_rows(mapping: Json) -> list[Row] | None:
    """The rows of an object; None for a value that rows cannot show (a list, a text, a number)."""
    if mapping is None:
        return []
    if not isinstance(mapping, dict):
        return None
    return [Row(name, *typed_value(value)) for name, value in _leaves(mapping, "")]


def flat_rows(mapping: Json) -> list[Row]:
    """The rows of an object whose names are taken as they are, such as a query."""
    return (
        [Row(name, *typed_value(value)) for name, value in mapping.items()]
        if isinstance(mapping, dict)
        else []
    )


def from_rows(rows: Sequence[Row], *, dotted: bool = True) -> dict[str, Json]:
    """The object that the rows describe, blank rows left out; raises BadRow."""
    mapping: dict[str, Json] = {}
    for index, row in enumerate(rows):
        if row.is_blank:
            continue
        if not row.name.strip():
            raise BadRow(index, "This value has no name.")
        try:
            parts = _parts(row.name.strip()) if dotted else [row.name.strip()]
            value = value_of(row)
        except ValueError as problem:
            raise BadRow(index, str(problem)) from None
        if not _put(mapping, parts, value):
            raise BadRow(
                index, f"The name {row.name.strip()} is there twice, or once as a value and once as a group."
            )
    return mapping


def parse_json(text: str) -> Json:
    """JSON as a person typed it; raises ValueError with a sentence that says where it breaks off."""
    try:
        found: Json = strict_json(text, parse_int=_integer)
    except json.JSONDecodeError as problem:
        raise ValueError(
            f"This is not JSON: line {problem.lineno}, column {problem.colno}: {problem.msg}."
        ) from None
    except NamedTwice as twice:
        raise ValueError(f"The name “{str(twice)[:60]}” is there twice.") from None
    except NoConstant as word:
        raise ValueError(f"{word} is not JSON.") from None
    except RecursionError:
        raise ValueError(f"It can be nested {MAX_MAPPING_DEPTH} deep.") from None
    if not is_showable(found):
        raise ValueError("It holds half of a character (a lone surrogate).")
    return found


def is_showable(value: Json) -> bool:
    """Whether a page can hold the value: an escape such as `\\ud800` is JSON and yet no text."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def pretty(value: Json) -> str:
    """JSON for reading and editing."""
    return json.dumps(value, ensure_ascii=False, indent=2)


def _leaves(mapping: dict[str, Json], at: str) -> Iterator[tuple[str, Json]]:
    for name, value in mapping.items():
        part = name if _PLAIN.fullmatch(name) else json.dumps(name, ensure_ascii=False)
        dotted = f"{at}.{part}" if at else part
        if isinstance(value, dict) and value:
            yield from _leaves(value, dotted)
        else:
            yield dotted, value


def typed_value(value: Json) -> tuple[str, str]:
    """The kind and the text of a row's value."""
    match value:
        case None:
            return "null", ""
        case bool():
            return "boolean", "true" if value else "false"
        case int() | float():
            return "number", json.dumps(value)
        # One line break would be lost in a one-line field, so such a text is shown as JSON.
        case str():
            return (
                ("json", json.dumps(value, ensure_ascii=False))
                if "\n" in value or "\r" in value
                else ("text", value)
            )
    return "json", json.dumps(value, ensure_ascii=False)


def value_of(row: Row) -> Json:
    """The value that a row holds; raises ValueError with a sentence for what is none."""
    text = row.value.strip()
    match row.kind:
        case "text":
            return row.value
        case "null":
            return None
        case "boolean":
            if text.lower() not in ("true", "false"):
                raise ValueError("Enter true or false.")
            return text.lower() == "true"
        case "number":
            return _number(text)
        case "json":
            if not text:
                raise ValueError('Enter JSON, such as ["a", "b"].')
            return parse_json(text)
    raise ValueError("Choose what kind of value this is.")


def _number(text: str) -> int | float:
    try:
        found = parse_json(text)
    except ValueError:
        found = None
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise ValueError(
            "Enter a number, such as 12 or 0.5. A token belongs into a text, where it keeps its own kind."
        )
    return found


def _parts(name: str) -> list[str]:
    parts: list[str] = []
    at = 0
    while True:
        found = _QUOTED.match(name, at) or _PLAIN.match(name, at)
        if found is None:
            raise ValueError(
                "Write names with dots between them; one that holds a dot or a space in double quotes."
            )
        try:
            parts.append(json.loads(found[0]) if found[0].startswith('"') else found[0])
        except ValueError:
            raise ValueError("The part in double quotes cannot be read.") from None
        at = found.end()
        if at == len(name):
            return parts
        if name[at] != ".":
            raise ValueError(
                "Write names with dots between them; one that holds a dot or a space in double quotes."
            )
        at += 1


def _put(mapping: dict[str, Json], parts: list[str], value: Json) -> bool:
    inner = mapping
    for part in parts[:-1]:
        below = inner.setdefault(part, {})
        if not isinstance(below, dict):
            return False
        inner = below
    if parts[-1] in inner:
        return False
    inner[parts[-1]] = value
    return True


def _integer(digits: str) -> int:
    # Python refuses thousands of digits with words of its own; nothing needs more than 64 bits.
    if len(digits) > _MAX_DIGITS:
        raise ValueError("Numbers can have 64 bits; send a longer one as text.")
    return int(digits)


def kind_of(word: str) -> str:
    """`word` when it is a kind, otherwise text."""
    return word if word in _WORDS else "text"
