"""YAML as plain values: read with line numbers and without YAML's surprises, and written so that it reads back.

Taken are mappings, lists and scalars by the rules of YAML 1.2 (so `no` is a word, not false).  Anchors, aliases and
tags are refused: they make small files large, or make values of types that JSON does not have.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from app.domain.json_reader import Json, shown, unstorable

MAX_BYTES = 4 * 1024 * 1024
MAX_DEPTH = 64
MAX_VALUES = 200_000

# libyaml where it was built in; both read and write the same.
_READER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_WRITER: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)

# The core schema of YAML 1.2.2 §10.3.2.
_NULL = re.compile(r"null|Null|NULL|~|")
_TRUE, _FALSE = re.compile(r"true|True|TRUE"), re.compile(r"false|False|FALSE")
_INTEGER = re.compile(r"[-+]?[0-9]+")
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NO_NUMBER = re.compile(r"[-+]?(\.inf|\.Inf|\.INF)|\.nan|\.NaN|\.NAN")
_MAX_DIGITS = 40
# Text of several lines that reads best, and back the same, as a block: nothing invisible at any line's end.
_BLOCK = re.compile(r"[^\s\W]([^\n\r\t]*[^\s])?(\n([^\n\r\t\s]([^\n\r\t]*[^\s])?)?)*\n?")


class BadYaml(Exception):
    """The text cannot be read: on which line, from 1, and why."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line
        self.message = message


@dataclass(slots=True)
class Document:
    """What was read. `lines` says on which line each value stands, by its name in the API's form: `steps[1].path`."""

    value: Json
    lines: dict[str, int] = field(default_factory=dict)

    def line_of(self, name: str) -> int:
        """The line of the value called `name`, or of the nearest that holds it."""
        while name and name not in self.lines:
            name = name[: max(name.rfind("."), name.rfind("["), 0)]
        return self.lines.get(name, 1)


def read(text: str) -> Document:
    """The one document in `text`; raises BadYaml, whatever the text is."""
    if len(text.encode("utf-8", "replace")) > MAX_BYTES:
        raise BadYaml(1, f"The file is larger than {MAX_BYTES // 1024 // 1024} MiB.")
    problem = unstorable(text)
    if problem:
        raise BadYaml(text.count("\n", 0, max(text.find("\0"), 0)) + 1, problem)
    try:
        return _Composer(yaml.parse(text, Loader=_READER)).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        reason = " ".join(part for part in (error.context, error.problem) if part)
        raise BadYaml(mark.line + 1 if mark else 1, f"This is not YAML: {shown(reason, 200)}.") from None
    except yaml.YAMLError as error:
        place = getattr(error, "position", None)
        line = text.count("\n", 0, place) + 1 if isinstance(place, int) else 1
        raise BadYaml(line, "A character stands here that YAML does not allow.") from None


class _Composer:
    """Builds the value from the parser's events, so that every limit holds before anything is built."""

    def __init__(self, events: Iterator[Any]) -> None:
        self._events = events
        self._values = 0
        self._document = Document(None)

    def document(self) -> Document:
        self._next()  # the stream begins
        event = self._next()
        if isinstance(event, yaml.StreamEndEvent):
            raise BadYaml(1, "The file is empty.")
        first = self._next()
        self._document.value = self._value(first, "", 0)
        self._next()  # the document ends
        following = self._next()
        if not isinstance(following, yaml.StreamEndEvent):
            raise BadYaml(_line(following), "A second document begins here; a file holds one.")
        return self._document

    def _next(self) -> Any:
        return next(self._events)

    def _value(self, event: Any, at: str, depth: int) -> Json:
        self._values += 1
        if self._values > MAX_VALUES:
            raise BadYaml(_line(event), f"The file holds more than {MAX_VALUES:,} values.")
        if depth > MAX_DEPTH:
            raise BadYaml(_line(event), f"It can be nested {MAX_DEPTH} deep.")
        _refuse_references(event)
        self._document.lines.setdefault(at, _line(event))
        if isinstance(event, yaml.ScalarEvent):
            return _scalar(event)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._list(at, depth)
        return self._mapping(at, depth)

    def _list(self, at: str, depth: int) -> Json:
        found: list[Json] = []
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            found.append(self._value(event, f"{at}[{len(found)}]", depth + 1))
        return found

    def _mapping(self, at: str, depth: int) -> Json:
        found: dict[str, Json] = {}
        first_lines: dict[str, int] = {}
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            _refuse_references(event)
            if not isinstance(event, yaml.ScalarEvent):
                raise BadYaml(_line(event), "A name must be text.")
            name, line = str(event.value), _line(event)
            if name in found:
                message = f"“{shown(name)}” is given twice; the first is on line {first_lines[name]}."
                raise BadYaml(line, message)
            first_lines[name] = line
            inner = f"{at}.{name}" if at else name
            self._document.lines.setdefault(inner, line)
            found[name] = self._value(self._next(), inner, depth + 1)
        return found


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1


def _refuse_references(event: Any) -> None:
    if isinstance(event, yaml.AliasEvent):
        raise BadYaml(_line(event), "Aliases (*) are not taken: write the value out.")
    if getattr(event, "anchor", None) is not None:
        raise BadYaml(_line(event), "Anchors (&) are not taken: leave it out.")
    if getattr(event, "tag", None) is not None:
        raise BadYaml(_line(event), "Tags (!) are not taken: leave it out, and put text in quotation marks.")


def _scalar(event: Any) -> Json:
    text = str(event.value)
    if not event.implicit[0]:
        return text  # it stands in quotation marks or as a block
    try:
        return plain(text)
    except ValueError as error:
        raise BadYaml(_line(event), str(error)) from None


def plain(text: str) -> Json:
    """What unquoted text means; raises ValueError for a number that JSON does not have."""
    if _NULL.fullmatch(text):
        return None
    if _TRUE.fullmatch(text) or _FALSE.fullmatch(text):
        return bool(_TRUE.fullmatch(text))
    if _NO_NUMBER.fullmatch(text):
        raise ValueError(f"{shown(text)} is no number that can be sent. Put text in quotation marks.")
    is_number = _INTEGER.fullmatch(text) or _BASED.fullmatch(text) or _FLOAT.fullmatch(text)
    if not is_number:
        return text
    if len(text) > _MAX_DIGITS:
        raise ValueError("This number is too long. Put text in quotation marks.")
    if _INTEGER.fullmatch(text):
        return int(text)
    if _BASED.fullmatch(text):
        return int(text[2:], 8 if text[1] == "o" else 16)
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError("This number is too large.")
    return number


def write(value: Json) -> str:
    """`value` as YAML that `read` gives back the same."""
    text = yaml.dump(
        value,
        Dumper=_Writer,
        allow_unicode=True,
        default_flow_style=False,
        sort_keys=False,
        width=2**31 - 1,
    )
    return str(text)


class _Writer(_WRITER):  # type: ignore[misc]
    """Writes text in quotation marks wherever it could be read as something else, by any version of YAML."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - an object that occurs twice is written twice
        return True


def _write_text(writer: Any, text: str) -> Any:
    style = None
    if "\n" in text:
        style = "|" if _BLOCK.fullmatch(text) and _printable(text) else '"'
    elif _looks_like_a_value(text):
        style = '"'
    return writer.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def _printable(text: str) -> bool:
    return all(line.isprintable() for line in text.split("\n"))


def _looks_like_a_value(text: str) -> bool:
    try:
        return not isinstance(plain(text), str)
    except ValueError:
        return True


_Writer.add_representer(str, _write_text)
