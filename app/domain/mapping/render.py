"""Data mapping: puts the values of a run into a step's templates, each place by its own rules, and one-off
values in place of what a mapped field says.

A context is nested plain dicts under the roots event, grantee, application, grant, steps and account.  What
is missing is empty: None where a text is one token alone, nothing inside longer text, and left out where the token
says `omit_empty`.  Where something else would be meant without the value, what is empty is refused unless its token
says that it may be; with `refuse_empty` nothing is excused.  The functions that render take `empty`, a list to which
the name of each token that came to nothing is added, and `overrides`, the one-off values.  All raise MappingError,
whose `field` is the place within the step and whose message holds no resolved value.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal
from urllib.parse import quote, urlencode

from app.domain.json_reader import Json, Scalar
from app.domain.mapping.filters import Placeholder, as_text, is_empty
from app.domain.mapping.paths import CONTROL
from app.domain.mapping.templates import MappingError, Template, Token, compile_template, leaves
from app.domain.mapping.values import Context, single_value_of, value_of

BodyFormat = Literal["json", "form"]

FORM_TYPE = "application/x-www-form-urlencoded"
JSON_TYPE = "application/json"


QUERY = "query."
# What `field_names` calls a body that is one value alone.
WHOLE = "body"
Overrides = Mapping[str, Scalar]
_NO_OVERRIDES: Overrides = {}
# Stands for what `omit_empty` leaves out.
_LEFT_OUT = object()
_NOTHING_EMPTY = "this call is sent only when nothing in it is."


class _Empty(IntEnum):
    """Where a token may be empty without saying so."""

    ANYWHERE = 0
    ALONE = 1
    NOWHERE = 2
    NEVER = 3  # and nothing excuses it


@dataclass(frozen=True, slots=True)
class _Filling:
    """What tokens are filled from, where one may be empty, and whether one that stands alone may be a list."""

    context: Context
    empty: list[str] | None
    allowed: _Empty
    lists: bool = False

    def alone(self, token: Token) -> object:
        """The value of a token that is all of a text; _LEFT_OUT where it is to be left out."""
        read = value_of if self.lists else single_value_of
        value = read(token, self.context, self.empty)
        if not is_empty(value):
            return value
        if self.allowed >= _Empty.NOWHERE:
            self._refuse(token)
        return _LEFT_OUT if token.omits else value

    def inside(self, token: Token) -> str:
        """The value of a token inside longer text."""
        value = single_value_of(token, self.context, self.empty)
        if self.allowed >= _Empty.ALONE and is_empty(value):
            self._refuse(token)
        return value if isinstance(value, Placeholder) else as_text(value)

    def given(self, value: Scalar) -> Scalar:
        """A one-off value, which may be empty but where nothing may."""
        if self.allowed is _Empty.NEVER and is_empty(value):
            raise MappingError("", f"Its value is given as empty, and {_NOTHING_EMPTY}")
        return value

    def _refuse(self, token: Token) -> None:
        if self.allowed is _Empty.NEVER:
            raise MappingError("", f"{token.name} is empty, and {_NOTHING_EMPTY}")
        if not token.optional:
            raise MappingError(
                "",
                f'{token.name} is empty, so this would mean something else: add | default("") if it may be,'
                " or | omit_empty to leave it out.",
            )


def render_value(
    template: Json,
    context: Context,
    *,
    field: str = "body",
    empty: list[str] | None = None,
    overrides: Overrides = _NO_OVERRIDES,
    refuse_empty: bool = False,
) -> Json:
    """The mapping with its tokens replaced; a text that is one token alone becomes the value itself.

    An override stands for the field that it names; fields that the body does not map are never added.
    """
    filling = _Filling(context, empty, _Empty.NEVER if refuse_empty else _Empty.ALONE, lists=True)
    try:
        rendered = _render(template, filling, overrides, "")
    except MappingError as error:
        raise error.inside(field) from None
    return None if rendered is _LEFT_OUT else rendered  # type: ignore[return-value]


def render_text(
    template: str, context: Context, *, field: str = "text", empty: list[str] | None = None
) -> str:
    """Text composed of literals and tokens, such as the prompt of a task."""
    try:
        return "".join(_parts(compile_template(template), _Filling(context, empty, _Empty.ANYWHERE)))
    except MappingError as error:
        raise error.inside(field) from None


def render_query(
    template: Mapping[str, Json],
    context: Context,
    *,
    field: str = "query",
    empty: list[str] | None = None,
    overrides: Overrides = _NO_OVERRIDES,
    refuse_empty: bool = False,
) -> list[tuple[str, str]]:
    """Names and values in order, not yet encoded; a repeated parameter that is overridden is sent once.

    What is empty is refused, since a lookup without it would find others.
    """
    filling = _Filling(context, empty, _Empty.NEVER if refuse_empty else _Empty.NOWHERE)
    pairs: list[tuple[str, str]] = []
    for name, value in template.items():
        given = f"{QUERY}{name}"
        try:
            if given in overrides:
                several: list[str | None] = [as_text(filling.given(overrides[given]))]
            else:
                listed = value if isinstance(value, list) else [value]
                several = [_query_value(one, filling) for one in listed]
        except MappingError as error:
            raise error.inside(name).inside(field) from None
        pairs += [(name, one) for one in several if one is not None]
    return pairs


def _query_value(template: Json, filling: _Filling) -> str | None:
    """One value of a parameter, None where it is left out."""
    value = _render(template, filling, _NO_OVERRIDES, "")
    return None if value is _LEFT_OUT else _scalar_text(value)


def query_string(pairs: list[tuple[str, str]]) -> str:
    """The pairs of `render_query` as they stand after the `?`."""
    return urlencode(pairs, quote_via=quote)


def render_headers(
    template: Mapping[str, str],
    context: Context,
    *,
    field: str = "headers",
    empty: list[str] | None = None,
    refuse_empty: bool = False,
) -> dict[str, str]:
    """Header values, safe to put on one line each (RFC 9110 §5.5, without tabs)."""
    filling = _Filling(context, empty, _Empty.NEVER if refuse_empty else _Empty.ANYWHERE)
    headers: dict[str, str] = {}
    for name, text in template.items():
        try:
            compiled = compile_template(text)
            parts = _parts(compiled, filling)
            if not (compiled.only and compiled.only.omits and not parts[0].strip()):
                headers[name] = _header_value(parts)
        except MappingError as error:
            raise error.inside(name).inside(field) from None
    return headers


def to_body(value: Json, body_format: BodyFormat) -> tuple[bytes, str]:
    """A rendered body as bytes, with the content type it has unless a header says otherwise.

    None becomes JSON's null: whether a step sends a body at all is told by its definition.
    """
    try:
        if body_format == "form":
            return urlencode(_form_pairs(value)).encode(), FORM_TYPE
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return text.encode(), JSON_TYPE
    except ValueError:
        raise MappingError("body", "It holds a number or a character that cannot be sent.") from None


def field_names(body_template: Json) -> list[str]:
    """The dotted names that a body gives values to: `userName`, `name.givenName`, `emails[0].value`."""
    if body_template is None or body_template in ({}, []):
        return []
    return [name or "body" for name, _ in leaves(body_template)]


def _form_pairs(value: Json) -> list[tuple[str, str]]:
    if not isinstance(value, dict):
        raise MappingError("body", "A form is made of names and values: use an object.")
    pairs: list[tuple[str, str]] = []
    for name, one in value.items():
        try:
            pairs += [(name, _scalar_text(each)) for each in (one if isinstance(one, list) else [one])]
        except MappingError as error:
            raise error.inside(name).inside("body") from None
    return pairs


def _header_value(parts: list[str]) -> str:
    # A placeholder is shown and never sent.
    text = "".join(one for one in parts if not isinstance(one, Placeholder))
    if CONTROL.search(text):
        raise MappingError("", "It came to hold a line break or another control character.")
    try:
        text.encode("latin-1")
    except UnicodeEncodeError:
        raise MappingError("", "It came to hold letters that no header can carry.") from None
    return "".join(parts).strip()


def _scalar_text(value: object) -> str:
    if isinstance(value, str | int | float | None):
        return as_text(value)
    raise MappingError("", "It must be a single value.")


def _render(template: Json, filling: _Filling, overrides: Overrides, at: str) -> object:
    # Named on the way down, just as `leaves` names them: a key may hold dots itself, as those of SCIM do.
    if isinstance(template, dict) and template:
        named = {
            name: _inside(name, one, filling, overrides, f"{at}.{name}" if at else name)
            for name, one in template.items()
        }
        return {name: one for name, one in named.items() if one is not _LEFT_OUT}
    if isinstance(template, list) and template:
        entries = [
            _inside(f"[{index}]", one, filling, overrides, f"{at}[{index}]")
            for index, one in enumerate(template)
        ]
        return [one for one in entries if one is not _LEFT_OUT]
    if (at or WHOLE) in overrides:
        return filling.given(overrides[at or WHOLE])
    if not isinstance(template, str):
        return template
    compiled = compile_template(template)
    if compiled.only is not None:
        return filling.alone(compiled.only)
    return "".join(_parts(compiled, filling))


def _inside(name: str, template: Json, filling: _Filling, overrides: Overrides, at: str) -> object:
    try:
        return _render(template, filling, overrides, at)
    except MappingError as error:
        raise error.inside(name) from None


def _parts(template: Template, filling: _Filling) -> list[str]:
    if template.literal is not None:
        return [template.literal]
    return [part if isinstance(part, str) else filling.inside(part) for part in template.parts]
