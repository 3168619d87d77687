"""One-off values for mapped fields of a step, put over what the mapping came to (SPEC §6)."""

from __future__ import annotations

from collections.abc import Mapping

from app.domain.json_reader import Json, Scalar
from app.domain.mapping.filters import as_text

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
