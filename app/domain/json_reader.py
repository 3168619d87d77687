"""Reads foreign JSON: strictly as a whole, and field by field, where what is wrong is collected by name."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal, NoReturn, TypeAlias

Scalar = str | int | float | bool | None
Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
Severity = Literal["error", "warning"]

MAX_MAPPING_BYTES = 64 * 1024
MAX_MAPPING_DEPTH = 32
MAX_PROBLEMS = 100
_IDENTIFIER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")
_MAX_INTEGER = 2**64
# Names of fields in a body, such as those of a SCIM extension, are long.
MAX_FIELD_NAME = 300


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a definition. `field` is the API's name of the input, such as `steps[1].path`.

    `step` is the key of the step that it belongs to, when that could be read.
    """

    field: str
    message: str
    severity: Severity = "error"
    step: str | None = None


class Refused(Exception):
    """A value cannot be used. The message is a sentence for a person; `at` is where inside the value."""

    def __init__(self, message: str, at: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.at = at


class NamedTwice(ValueError):
    """A name occurs twice in one object. The message is the name."""


class NoConstant(ValueError):
    """NaN or an infinity, which JSON does not have. The message is the word."""


def strict_json(text: str, *, parse_int: Callable[[str], int] = int) -> Any:
    """`text` as JSON (RFC 8259), without the liberties that Python's reader takes.

    Raises JSONDecodeError, NamedTwice, NoConstant, RecursionError for what is nested too deeply, and ValueError for
    an integer of too many digits.
    """
    return json.loads(text, object_pairs_hook=_named_once, parse_constant=_no_constant, parse_int=parse_int)


def _named_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    # Which of two values counts differs from reader to reader (RFC 8259 §4), so neither does.
    seen: set[str] = set()
    for name, _value in pairs:
        if name in seen:
            break
        seen.add(name)
    raise NamedTwice(name)


def _no_constant(word: str) -> NoReturn:
    raise NoConstant(word)


def shown(text: object, limit: int = 60) -> str:
    """`text` made fit for a message: printable and short, whatever was sent."""
    clean = "".join(c if c.isprintable() else "�" for c in str(text)[: limit + 1])
    return clean if len(clean) <= limit else clean[:limit] + "…"


def meant(word: str, known: Iterable[str], *, quoted: bool = False) -> str:
    """The hint that follows a misspelt word, with its leading space, or nothing; `quoted` for names of blanks."""
    near = get_close_matches(word[:200], list(known), n=1)
    return (f" Did you mean “{near[0]}”?" if quoted else f" Did you mean {near[0]}?") if near else ""


def unstorable(text: str) -> str | None:
    """Why `text` can neither be stored as JSON in PostgreSQL nor be sent as UTF-8, or None."""
    if "\0" in text:
        return "It holds a NUL character."
    if text.isascii():
        return None
    try:
        text.encode()
    except UnicodeEncodeError:
        return "It holds half of a character (a lone surrogate)."
    return None


def is_identifier(text: str) -> bool:
    return _IDENTIFIER.fullmatch(text) is not None


def clean_json(value: object, depth: int = 0) -> Json:
    """A copy of `value` that is sure to be storable JSON; otherwise raises Refused."""
    if not isinstance(value, list | dict):
        return _clean_scalar(value)
    if depth >= MAX_MAPPING_DEPTH:
        raise Refused(f"It can be nested {MAX_MAPPING_DEPTH} deep.")
    if isinstance(value, list):
        return [_inside(f"[{index}]", one, depth) for index, one in enumerate(value)]
    for name in value:
        if not isinstance(name, str) or unstorable(name):
            raise Refused(f"The name “{shown(name)}” cannot be used.")
    return {name: _inside(f".{name}", one, depth) for name, one in value.items()}


def _clean_scalar(value: object) -> Json:
    if isinstance(value, str):
        problem = unstorable(value)
        if problem:
            raise Refused(problem)
        return value
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        if abs(value) >= _MAX_INTEGER:
            raise Refused("Numbers can have 64 bits; send a longer one as text.")
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    raise Refused("It must be JSON: text, a finite number, true, false, null, a list or an object.")


def _inside(at: str, value: object, depth: int) -> Json:
    try:
        return clean_json(value, depth + 1)
    except Refused as refused:
        raise Refused(refused.message, at + refused.at) from None


def clean_mapping(value: object) -> Json:
    """As `clean_json`, and no larger than a mapping may be."""
    clean = clean_json(value)
    if len(json.dumps(clean, ensure_ascii=False).encode()) > MAX_MAPPING_BYTES:
        raise Refused(f"It can have {MAX_MAPPING_BYTES // 1024} KiB.")
    return clean


class Reader:
    """One JSON object while it is read. `at` is its name in the API's form; `problems` is shared."""

    def __init__(
        self, raw: dict[object, object], at: str, problems: list[Problem], *, step: str | None = None
    ) -> None:
        self.raw = raw
        self.at = at
        self.problems = problems
        self.step = step

    def problem(self, name: str, message: str) -> None:
        """Note that the field `name` (empty: the object itself) is wrong."""
        if len(self.problems) < MAX_PROBLEMS:
            field = self.at + (name if not name or name.startswith("[") else f".{name}")
            self.problems.append(Problem(field, message, "error", self.step))

    def inner(self, name: str, raw: dict[object, object]) -> Reader:
        at = f"{self.at}{name}" if name.startswith("[") else f"{self.at}.{name}"
        return Reader(raw, at, self.problems, step=self.step)

    def refuse_unknown(self, known: Iterable[str], thing: str) -> None:
        """Note each key that `thing` does not have: a typo must not become a default."""
        names = list(known)
        for key in self.raw:
            if key not in names:
                word = shown(key)
                self.problem(word, f"{thing} has no field “{word}”.{meant(word, names)}")

    def text(self, name: str, *, limit: int, required: str = "", default: str = "") -> str:
        """The text `name`, stripped. `required` is the message when it is missing or blank."""
        value = self.raw.get(name)
        if value is None:
            value = ""
        if not isinstance(value, str):
            self.problem(name, "It must be text.")
            return default
        problem = unstorable(value)
        if problem:
            self.problem(name, problem)
            return default
        value = value.strip()
        if len(value) > limit:
            self.problem(name, f"It can have {limit:,} characters; it has {len(value):,}.")
        if not value and required:
            self.problem(name, required)
        return value or default

    def identifier(self, name: str, *, limit: int, required: str) -> str:
        """A text that tokens can name: letters, digits, `_` and `-`."""
        value = self.text(name, limit=limit, required=required)
        if value and not is_identifier(value):
            self.problem(name, "Use letters, digits, _ and - only, and do not begin with -.")
        return value

    def record_id(self, name: str, *, required: str) -> str:
        """An id as text; a number is taken as its digits."""
        value = self.raw.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) < _MAX_INTEGER:
            return str(value)
        return self.text(name, limit=64, required=required)

    def flag(self, name: str, *, default: bool) -> bool:
        value = self.raw.get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            self.problem(name, "It must be true or false.")
            return default
        return value

    def number(self, name: str, *, low: float, high: float, default: float) -> float:
        value = self.raw.get(name)
        if value is None:
            return default
        numeric = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not numeric or not low <= value <= high:  # type: ignore[operator]
            self.problem(name, f"It must be a number from {low:,g} to {high:,g}.")
            return default
        return value  # type: ignore[return-value]

    def whole(self, name: str, *, low: int, high: int, default: int) -> int:
        value = self.raw.get(name)
        if value is None:
            return default
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            self.problem(name, f"It must be a whole number from {low:,} to {high:,}.")
            return default
        return value

    def choice(self, name: str, allowed: Iterable[str], *, default: str, required: str = "") -> str:
        words = list(allowed)
        value = self.raw.get(name)
        if value is None:
            if required:
                self.problem(name, required)
            return default
        if not isinstance(value, str) or value not in words:
            hint = meant(value, words) if isinstance(value, str) else ""
            self.problem(name, f"It must be one of: {', '.join(words)}.{hint}")
            return default
        return value

    def mapping(self, name: str) -> Json:
        """A body mapping: any JSON value within the limits; None when missing or refused."""
        try:
            return clean_mapping(self.raw.get(name))
        except Refused as refused:
            self.problem(name + shown(refused.at, MAX_FIELD_NAME), refused.message)
            return None

    def members(self, name: str) -> dict[object, object]:
        """A JSON object, empty when missing or refused."""
        value = self.raw.get(name)
        if value is None:
            return {}
        if not isinstance(value, dict):
            self.problem(name, "It must be an object of names and values.")
            return {}
        return value

    def items(self, name: str, *, most: int) -> list[object]:
        """A JSON list of at most `most` entries, empty when missing or refused."""
        value = self.raw.get(name)
        if value is None:
            return []
        if not isinstance(value, list):
            self.problem(name, "It must be a list.")
            return []
        if len(value) > most:
            self.problem(name, f"It can have {most} entries; it has {len(value):,}.")
            return []
        return value
