"""Reads `{{ path | filter }}` out of text, in one pass from left to right.

No expression language, no pattern that can backtrack, and nothing that was put in is ever read again.  What
was read is kept: a template is compiled once and rendered many times.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from app.domain.json_reader import Json, meant, shown, unstorable
from app.domain.mapping.dates import date_format_problem, zone_problem
from app.domain.mapping.filters import FILTERS, MAX_TRUNCATE, Filter

_NAME = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-")
_SPACE = frozenset(" \t\r\n")
_CACHED_CHARACTERS = 4_096


class MappingError(Exception):
    """A template cannot be read or rendered.

    `field` is where, within the step (`body.name.givenName`, `path`); `message` is a sentence for a person
    and never holds a resolved value.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}" if field else message)
        self.field = field
        self.message = message

    def inside(self, outer: str) -> MappingError:
        """The same error, seen from the value that holds this one."""
        joined = self.field if not self.field or self.field.startswith("[") else f".{self.field}"
        return MappingError(outer + joined, self.message)


@dataclass(frozen=True, slots=True)
class FilterCall:
    name: str
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Token:
    """`{{ path | filters }}`. `name` is the path as written: `steps.create.id`.

    `omits`: what it alone fills is left out where it is empty; `optional`: it may be empty anywhere.
    """

    path: tuple[str, ...]
    filters: tuple[FilterCall, ...] = ()
    name: str = field(init=False)
    omits: bool = field(init=False)
    optional: bool = field(init=False)

    def __post_init__(self) -> None:
        used = {call.name for call in self.filters}
        object.__setattr__(self, "name", ".".join(self.path))
        object.__setattr__(self, "omits", "omit_empty" in used)
        object.__setattr__(self, "optional", bool(used & {"default", "omit_empty"}))


@dataclass(frozen=True, slots=True)
class Template:
    """Text and tokens in turn. `only` is the token when there is nothing beside it, `literal` when none."""

    parts: tuple[str | Token, ...]
    only: Token | None = None
    literal: str | None = None

    @property
    def tokens(self) -> list[Token]:
        return [part for part in self.parts if isinstance(part, Token)]


def compile_template(text: str) -> Template:
    """The parts of `text`; raises MappingError when a token is malformed."""
    return _cached(text) if len(text) <= _CACHED_CHARACTERS else _compile(text)


def _compile(text: str) -> Template:
    problem = unstorable(text)
    if problem:
        raise MappingError("", problem)
    parts = tuple(_scan(text))
    if not parts:
        return Template((), literal="")
    first = parts[0]
    if len(parts) > 1:
        return Template(parts)
    return Template(parts, literal=first) if isinstance(first, str) else Template(parts, only=first)


# Bounded twice, by number and by length: at most some 10 MB, whatever is saved.
_cached = lru_cache(maxsize=2_048)(_compile)


def _scan(text: str) -> Iterator[str | Token]:
    at = 0
    while True:
        start = text.find("{{", at)
        if start < 0:
            if at < len(text):
                yield text[at:]
            return
        if start > at:
            yield text[at:start]
        scanner = _TokenScanner(text, start)
        yield scanner.token()
        at = scanner.at


class _TokenScanner:
    """Reads one token, whose braces open at `start`; `at` moves forward only."""

    def __init__(self, text: str, start: int) -> None:
        self.text = text
        self.start = start
        self.at = start + 2

    def token(self) -> Token:
        path = [self._name("the name of a value, such as grantee.email")]
        while self._took("."):
            path.append(self._name("a name after the dot", spaced=False))
        filters: list[FilterCall] = []
        while True:
            self._skip_space()
            if self.text.startswith("}}", self.at):
                self.at += 2
                return Token(tuple(path), tuple(filters))
            if self.at >= len(self.text):
                raise self._error("is not closed: add }}.")
            if not self._took("|"):
                raise self._error(f"cannot hold “{shown(self.text[self.at])}” here: close it with }}}}.")
            filters.append(self._filter())

    def _filter(self) -> FilterCall:
        name = self._name("a filter after |")
        if name not in FILTERS:
            hint = meant(name, FILTERS) or f" There are {', '.join(FILTERS)}."
            raise self._error(f"uses a filter that does not exist: {shown(name)}.{hint}")
        kind = FILTERS[name]
        self._skip_space()
        if not self._took("("):
            if kind.takes:
                what = "number" if kind.number else "text"
                raise self._error(f"needs a {what} after {name}, as in {kind.example}.")
            return FilterCall(name)
        if not kind.takes:
            raise self._error(f"gives {name} a value, but it takes none.")
        arguments = [self._argument(name, kind)]
        while self._took(","):
            arguments.append(self._argument(name, kind))
        if not self._took(")"):
            raise self._error(f"is missing the closing bracket after {name}.")
        if len(arguments) > kind.takes:
            raise self._error(f"gives {name} more than it takes: write it as {kind.example}.")
        problem = _arguments_problem(name, arguments)
        if problem:
            raise MappingError("", problem)
        return FilterCall(name, tuple(arguments))

    def _argument(self, name: str, kind: Filter) -> str:
        """One argument with the blanks around it."""
        self._skip_space()
        found = self._digits(kind) if kind.number else self._quoted(name)
        self._skip_space()
        return found

    def _digits(self, kind: Filter) -> str:
        start = self.at
        while self.at < len(self.text) and self.text[self.at] in "0123456789":
            self.at += 1
        found = self.text[start : self.at]
        if not found or len(found) > 4 or not 1 <= int(found) <= MAX_TRUNCATE:
            raise self._error(f"needs a whole number from 1 to {MAX_TRUNCATE:,}, as in {kind.example}.")
        return found

    def _quoted(self, name: str) -> str:
        """A text in straight quotes, in which a backslash keeps the next character as it is."""
        quote = self.text[self.at : self.at + 1]
        if quote not in ('"', "'"):
            raise self._error(f'needs the text of {name} in straight quotes, as in {name}("…").')
        read: list[str] = []
        self.at += 1
        while self.at < len(self.text):
            character = self.text[self.at]
            if character == quote:
                self.at += 1
                return "".join(read)
            if character == "\\" and self.at + 1 < len(self.text):
                self.at += 1
            read.append(self.text[self.at])
            self.at += 1
        raise self._error(f"never closes the quotes of {name}.")

    def _name(self, wanted: str, *, spaced: bool = True) -> str:
        if spaced:
            self._skip_space()
        start = self.at
        while self.at < len(self.text) and self.text[self.at] in _NAME:
            self.at += 1
        if self.at == start:
            raise self._error(f"needs {wanted}.")
        return self.text[start : self.at]

    def _took(self, character: str) -> bool:
        if not self.text.startswith(character, self.at):
            return False
        self.at += 1
        return True

    def _skip_space(self) -> None:
        while self.at < len(self.text) and self.text[self.at] in _SPACE:
            self.at += 1

    def _error(self, message: str) -> MappingError:
        piece = shown(self.text[self.start : max(self.at, self.start + 20)])
        return MappingError("", f"“{piece}” {message}")


def _arguments_problem(name: str, arguments: list[str]) -> str | None:
    """What is wrong with the texts given to a filter, or None."""
    if name == "date":
        form, *zones = arguments
        return date_format_problem(form) or next(filter(None, map(zone_problem, zones)), None)
    if name in ("before", "after") and not arguments[0]:
        return f"Say what {name} looks for, as in {FILTERS[name].example}."
    return None


def strings_in(value: Json, at: str = "") -> Iterator[tuple[str, str]]:
    """Each text inside a mapping, with its dotted name."""
    for name, leaf in leaves(value, at):
        if isinstance(leaf, str):
            yield name, leaf


def leaves(value: Json, at: str = "") -> Iterator[tuple[str, Json]]:
    """Each value that holds no other, with its dotted name: `name.givenName`, `emails[0].value`."""
    if isinstance(value, dict) and value:
        for name, one in value.items():
            yield from leaves(one, f"{at}.{name}" if at else name)
    elif isinstance(value, list) and value:
        for index, one in enumerate(value):
            yield from leaves(one, f"{at}[{index}]")
    else:
        yield at, value
