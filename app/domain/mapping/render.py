"""Data mapping: puts the values of a run into a step's templates, each place by its own rules, and one-off
values for mapped fields over what came of it.

A context is nested plain dicts under the roots event, grantee, application, grant, steps and account.  What
is missing is empty: None where a text is one token alone, nothing inside longer text.  The functions that
render take `empty`, a list to which the name of each token that came to nothing is added.  All raise
MappingError, whose `field` is the place within the step and whose message holds no resolved value.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Literal
from urllib.parse import quote, urlencode

from app.domain.json_reader import Json, Scalar
from app.domain.mapping.filters import Placeholder, as_text
from app.domain.mapping.paths import CONTROL
from app.domain.mapping.templates import MappingError, Template, compile_template, leaves
from app.domain.mapping.values import Context, value_of

BodyFormat = Literal["json", "form"]

FORM_TYPE = "application/x-www-form-urlencoded"
JSON_TYPE = "application/json"


def render_value(
    template: Json, context: Context, *, field: str = "body", empty: list[str] | None = None
) -> Json:
    """The mapping with its tokens replaced; a text that is one token alone becomes the value itself."""
    try:
        return _render(template, context, empty)
    except MappingError as error:
        raise error.inside(field) from None


def render_text(
    template: str, context: Context, *, field: str = "text", empty: list[str] | None = None
) -> str:
    """Text composed of literals and tokens, such as the prompt of a task."""
    try:
        return _render_text(compile_template(template), context, empty)
    except MappingError as error:
        raise error.inside(field) from None


def render_query(
    template: Mapping[str, Json], context: Context, *, field: str = "query", empty: list[str] | None = None
) -> list[tuple[str, str]]:
    """Names and values in order, not yet encoded. An empty value stays: a lookup without it finds others."""
    pairs: list[tuple[str, str]] = []
    for name, value in template.items():
        try:
            several = value if isinstance(value, list) else [value]
            pairs += [(name, _scalar_text(_render(one, context, empty))) for one in several]
        except MappingError as error:
            raise error.inside(name).inside(field) from None
    return pairs


def query_string(pairs: list[tuple[str, str]]) -> str:
    """The pairs of `render_query` as they stand after the `?`."""
    return urlencode(pairs, quote_via=quote)


def render_headers(
    template: Mapping[str, str], context: Context, *, field: str = "headers", empty: list[str] | None = None
) -> dict[str, str]:
    """Header values, safe to put on one line each (RFC 9110 §5.5, without tabs)."""
    headers: dict[str, str] = {}
    for name, text in template.items():
        try:
            headers[name] = _header_value(_rendered_parts(compile_template(text), context, empty))
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


def _scalar_text(value: Json) -> str:
    if isinstance(value, dict | list):
        raise MappingError("", "It must be a single value.")
    return as_text(value)


def _render(template: Json, context: Context, empty: list[str] | None) -> Json:
    if isinstance(template, str):
        compiled = compile_template(template)
        if compiled.only is not None:
            return value_of(compiled.only, context, empty)
        return _render_text(compiled, context, empty)
    if isinstance(template, dict):
        rendered: dict[str, Json] = {}
        for name, one in template.items():
            try:
                rendered[name] = _render(one, context, empty)
            except MappingError as error:
                raise error.inside(name) from None
        return rendered
    if isinstance(template, list):
        entries: list[Json] = []
        for index, one in enumerate(template):
            try:
                entries.append(_render(one, context, empty))
            except MappingError as error:
                raise error.inside(f"[{index}]") from None
        return entries
    return template


def _render_text(template: Template, context: Context, empty: list[str] | None) -> str:
    return (
        template.literal
        if template.literal is not None
        else "".join(_rendered_parts(template, context, empty))
    )


def _rendered_parts(template: Template, context: Context, empty: list[str] | None) -> list[str]:
    if template.literal is not None:
        return [template.literal]
    parts: list[str] = []
    for part in template.parts:
        value = part if isinstance(part, str) else value_of(part, context, empty)
        parts.append(value if isinstance(value, Placeholder) else as_text(value))
    return parts


QUERY = "query."


# What `field_names` calls a body that is one value alone.
WHOLE = "body"


def override_body(body: Json, values: Mapping[str, Scalar]) -> Json:
    """The rendered body with `values` in place of the fields they name.

    Fields that the body does not hold are left out: a body is never given more than its author mapped.
    """
    return _replaced(body, "", values) if values else body


def override_query(pairs: list[tuple[str, str]], values: Mapping[str, Scalar]) -> list[tuple[str, str]]:
    """The rendered query with `values` in place of the parameters they name; a repeated one is sent once."""
    replaced: list[tuple[str, str]] = []
    for name, text in pairs:
        given = f"{QUERY}{name}"
        pair = (name, as_text(values[given]) if given in values else text)
        if given not in values or pair not in replaced:
            replaced.append(pair)
    return replaced


def _replaced(value: Json, at: str, values: Mapping[str, Scalar]) -> Json:
    # Named on the way down, just as `leaves` names them: a key may hold dots itself, as those of SCIM do.
    if isinstance(value, dict) and value:
        return {name: _replaced(one, f"{at}.{name}" if at else name, values) for name, one in value.items()}
    if isinstance(value, list) and value:
        return [_replaced(one, f"{at}[{index}]", values) for index, one in enumerate(value)]
    return values.get(at or WHOLE, value)
