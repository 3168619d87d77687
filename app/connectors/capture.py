"""Keeping the few values of an answer that later steps need; the rest of it is forgotten."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

from jsonpath import JSONPath, JSONPathEnvironment, JSONPathMatch
from jsonpath.exceptions import JSONPathError
from jsonpath.segments import JSONPathSegment
from jsonpath.selectors import IndexSelector, SliceSelector

from app.domain.headers import header_problem
from app.domain.json_reader import Json, NamedTwice, NoConstant, Scalar, strict_json
from app.domain.mapping.json_paths import json_path_problems, stand_in
from app.domain.steps.base import CaptureRule

MAX_VALUE = 2000
MAX_SOURCE = 500
MAX_LIST = 200
# More are never told apart: the answer is at most 64 KiB.
MAX_MATCHES = 1_000

_HEADER = "header:"
_MISSING = object()


class Answered(Protocol):
    """What capture reads of an answer (`app.connectors.http.Reply`)."""

    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def body(self) -> bytes: ...
    @property
    def truncated(self) -> bool: ...


class _Refused(Exception):
    """Why an answer or a value cannot be used, before it is known for which capture."""


class _NothingFound(_Refused):
    """There is no such value."""


class _Several(_Refused):
    """There is more than one such value, and nobody can tell which is meant."""


@dataclass(slots=True)
class Found:
    """What an answer held of the values to be kept, and why it lacks the others, by name.

    A reason is in our own words and holds nothing of the answer.
    """

    values: dict[str, Json] = field(default_factory=dict)
    lacking: dict[str, str] = field(default_factory=dict)


class Looked:
    """An answer that is looked into, read as JSON at most once."""

    def __init__(self, reply: Answered) -> None:
        self._reply = reply
        self._document: Any = _MISSING
        self._problem: _Refused | None = None

    def capture(self, rules: Iterable[CaptureRule], *, looks_up: bool = False) -> Found:
        """The values that `rules` name.

        A source is a JSONPath (RFC 9535) over a JSON body, or `header:Name`; of Location the last path segment is
        kept, percent-decoded.  Exactly one value must be there, unless the rule takes the first or a list; one
        entry of a list by its place counts as several where the list has more.  A null counts as not found, but
        is one of several.  Optional values that are not found, or cannot be kept, are left out; several are never
        passed over.  Where the step `looks_up` what is there, neither is an answer that cannot be read: that nobody
        is there would be a guess.
        """
        found = Found()
        for rule in rules:
            try:
                found.values[rule.name] = self._one(rule)
            except _Refused as problem:
                passed = isinstance(problem, _NothingFound) if looks_up else not isinstance(problem, _Several)
                if not (rule.optional and passed):
                    found.lacking[rule.name] = str(problem)
        return found

    def at(self, place: str) -> object:
        """What stands at a place that a condition looks at: None for nothing, a list where there are several.

        Raises ValueError, in our own words, for an answer that cannot be read there.
        """
        try:
            if place.startswith(_HEADER):
                return self._reply.headers.get(place.removeprefix(_HEADER).strip())
            found = [match.obj for match in self._matches(place)]
        except _NothingFound as problem:
            if self._problem is problem:
                raise ValueError(str(problem)) from None
            return None
        except _Refused as problem:
            raise ValueError(str(problem)) from None
        return found if len(found) > 1 else next(iter(found), None)

    def _one(self, rule: CaptureRule) -> Json:
        if rule.source.startswith(_HEADER):
            return _keepable(_from_header(rule.source.removeprefix(_HEADER).strip(), self._reply.headers))
        matches = self._matches(rule.source)
        if rule.many:
            return _keepable_list([match.obj for match in matches])
        there = [match for match in matches if match.obj is not None]
        if not there:
            raise _NothingFound("the answer holds nothing at this path")
        count = 1 if rule.first else max(len(matches), _entries_beside(rule.source, there[0], self._document))
        if count > 1:
            raise _Several(f"{count} found, and nobody can tell which is meant")
        return _keepable(there[0].obj)

    def _matches(self, source: str) -> list[JSONPathMatch]:
        document = self._read()
        try:
            return list(islice(_compile(source).finditer(document), MAX_MATCHES))
        except (JSONPathError, RecursionError, ValueError, TypeError):
            raise _Refused("the path could not be followed through this answer") from None

    def _read(self) -> Any:
        if self._problem is not None:
            raise self._problem
        if self._document is _MISSING:
            try:
                self._document = _read_json(self._reply)
            except _Refused as problem:
                self._problem = problem
                raise
        return self._document


def _entries_beside(source: str, match: JSONPathMatch, document: Any) -> int:
    """How many entries the longest list has of which the path takes one by its place."""
    segments = _compile(source).segments
    if not any(_by_place(one) for one in segments):
        return 1
    parts, longest, there = match.parts, 1, document
    level = len(segments) == len(parts)
    for at, part in enumerate(parts):
        # Where a segment descends, parts and segments no longer go together: then every place counts.
        if isinstance(there, list) and (not level or _by_place(segments[at])):
            longest = max(longest, len(there))
        there = there[part]
    return longest


def _by_place(segment: JSONPathSegment) -> bool:
    return any(isinstance(one, IndexSelector | SliceSelector) for one in segment.selectors)


def check_source(source: str) -> str | None:
    """What is wrong with a source as text, as a sentence; None when it can be saved."""
    if len(source) > MAX_SOURCE:
        return f"A source may have at most {MAX_SOURCE} characters."
    if not source.isprintable():
        return "A source may not hold control characters."
    if source.startswith(_HEADER):
        return header_problem(source.removeprefix(_HEADER).strip(), "")
    problems = json_path_problems(source)
    if problems:
        return problems[0]
    try:
        _compile(stand_in(source))
    except _Refused as problem:
        return str(problem)
    return None


class _Environment(JSONPathEnvironment):
    """RFC 9535 without match() and search(): a pattern over another system's text can run for ever."""

    def setup_function_extensions(self) -> None:
        super().setup_function_extensions()
        for name in ("match", "search"):
            self.function_extensions.pop(name, None)


_environment = _Environment(strict=True)


@lru_cache(maxsize=1024)
def _compile(source: str) -> JSONPath:
    try:
        path = _environment.compile(source)
    except (JSONPathError, RecursionError, ValueError, OverflowError):
        raise _Refused("The source must be a JSONPath such as $.id, or header:Name.") from None
    if not isinstance(path, JSONPath):
        raise _Refused("The source must be one JSONPath.")
    return path


def _from_header(name: str, headers: Mapping[str, str]) -> str:
    value = (headers.get(name) or "").strip()
    if value and name.lower() == "location":
        value = _last_segment(value)
    if not value:
        raise _NothingFound(f"the answer has no header {name}")
    return value


def _last_segment(location: str) -> str:
    try:
        path = urlsplit(location).path
        return unquote(path.rstrip("/").rpartition("/")[2], errors="strict")
    except ValueError:
        raise _Refused("the Location header is not an address") from None


def _read_json(reply: Answered) -> Any:
    if reply.truncated:
        raise _Refused("the answer broke off or is longer than 64 KiB")
    if not reply.body.strip():
        raise _NothingFound("the answer has no body")
    try:
        return strict_json(reply.body.decode("utf-8-sig"))
    except NamedTwice:
        raise _Refused("the answer names a field twice, so that its value is open to argument") from None
    except NoConstant:
        raise _Refused("the answer holds NaN or Infinity, which JSON does not have") from None
    except RecursionError:
        raise _Refused("the answer is nested too deeply") from None
    except UnicodeDecodeError:
        raise _Refused("the answer is not UTF-8 text") from None
    except json.JSONDecodeError:
        raise _Refused("the answer is not JSON") from None
    except ValueError:
        # Python refuses to read integers beyond 4,300 digits.
        raise _Refused("the answer holds a number that is too long") from None


def _keepable_list(values: list[Any]) -> Json:
    """The entries as a list of scalars: those that a path finds, or the one list that it finds."""
    entries = values[0] if len(values) == 1 and isinstance(values[0], list) else values
    if len(entries) > MAX_LIST:
        raise _Refused(f"the list has more than {MAX_LIST} entries")
    return [_keepable(one) for one in entries if one is not None]


def _keepable(value: Any) -> Scalar:
    """A scalar that a database and a later request can carry."""
    if isinstance(value, str):
        if len(value) > MAX_VALUE:
            raise _Refused(f"the value is longer than {MAX_VALUE} characters")
        if "\x00" in value or any("\ud800" <= character <= "\udfff" for character in value):
            raise _Refused("the value holds characters that cannot be stored")
        return value
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        if value.bit_length() > 4 * MAX_VALUE or len(str(value)) > MAX_VALUE:
            raise _Refused(f"the value is longer than {MAX_VALUE} characters")
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, float):
        raise _Refused("the value is a number too large to keep")
    raise _Refused("the value is a list or an object, and only single values are kept")
