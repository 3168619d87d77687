"""Keeping the few values of an answer that later steps need; the rest of it is forgotten."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

from jsonpath import JSONPath, JSONPathEnvironment
from jsonpath.exceptions import JSONPathError

from app.domain.headers import header_problem
from app.domain.json_reader import NamedTwice, NoConstant, Scalar, strict_json

MAX_VALUE = 2000
MAX_SOURCE = 500

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


class CaptureError(Exception):
    """A value could not be captured.  `reason` is our own words and holds nothing of the answer."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.name = name
        self.reason = reason


class _Refused(Exception):
    """Why an answer or a value cannot be used, before it is known for which capture."""


class _NothingFound(_Refused):
    """There is no such value: an optional capture passes over it."""


def capture(rules: Mapping[str, tuple[str, bool]], reply: Answered) -> dict[str, Scalar]:
    """The values that `rules` name, each rule a source and whether it is optional.

    A source is a JSONPath (RFC 9535) over a JSON body, of which the first match counts, or `header:Name`; of
    Location the last path segment is kept, percent-decoded.  A null counts as not found.  Optional
    values that are not found are left out.  Raises CaptureError for the first rule that cannot be met.
    """
    captured: dict[str, Scalar] = {}
    document: Any = _MISSING
    for name, (source, optional) in rules.items():
        try:
            if source.startswith(_HEADER):
                value: Any = _from_header(source.removeprefix(_HEADER).strip(), reply.headers)
            else:
                if document is _MISSING:
                    document = _read_json(reply)
                value = _first_match(source, document)
            captured[name] = _keepable(value)
        except _NothingFound as problem:
            if not optional:
                raise CaptureError(name, str(problem)) from None
        except _Refused as problem:
            raise CaptureError(name, str(problem)) from None
    return captured


def check_source(source: str) -> str | None:
    """What is wrong with a source as text, as a sentence; None when it can be saved."""
    if len(source) > MAX_SOURCE:
        return f"A source may have at most {MAX_SOURCE} characters."
    if not source.isprintable():
        return "A source may not hold control characters."
    if source.startswith(_HEADER):
        return header_problem(source.removeprefix(_HEADER).strip(), "")
    try:
        _compile(source)
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


def _first_match(source: str, document: Any) -> Any:
    try:
        match = _compile(source).match(document)
    except (JSONPathError, RecursionError, ValueError, TypeError):
        raise _Refused("the path could not be followed through this answer") from None
    if match is None or match.obj is None:
        raise _NothingFound("the answer holds nothing at this path")
    return match.obj


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
        raise _NothingFound("the answer is not JSON") from None
    except ValueError:
        # Python refuses to read integers beyond 4,300 digits.
        raise _Refused("the answer holds a number that is too long") from None


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
