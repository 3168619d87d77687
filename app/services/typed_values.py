"""What a person typed, read into the types that were asked for."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy.orm import Session

from app.domain.json_reader import Json, Scalar, shown, unstorable
from app.errors import FieldError, Invalid
from app.models import Run
from app.queries.by_hand import Wanted
from app.services.advance.owners import ID, owner_of

MAX_TEXT = 2000
MAX_LIST = 200


def read_wanted(
    wanted: Sequence[Wanted], typed: Mapping[str, Any], *, under: str, known: Iterable[str] = ()
) -> dict[str, Json]:
    """The values typed for what is `wanted`, by name; what is `known` already need not be given.

    Raises Invalid with an error for each that is missing or cannot be kept, its field `under` and the name.
    """
    errors: list[FieldError] = []
    values: dict[str, Json] = {}
    names = {one.name for one in wanted}
    for name in typed:
        if name not in names:
            listed = ", ".join(sorted(names)) or "none"
            errors.append(
                FieldError(f"{under}.{shown(name)}", f"There is no such value here. There is: {listed}.")
            )
    for one in wanted:
        try:
            value = _wanted(one, typed.get(one.name))
        except ValueError as problem:
            errors.append(FieldError(f"{under}.{one.name}", str(problem)))
            continue
        if value is not None:
            values[one.name] = value
        elif one.required and one.name not in known:
            errors.append(FieldError(f"{under}.{one.name}", f"Enter {one.label}."))
    if errors:
        raise Invalid("Some values need another look.", errors)
    return values


def refuse_anothers(session: Session, run: Run, values: Mapping[str, Json], *, under: str) -> None:
    """Refuse an id that is known as another person's on the application: an account has one person.

    Raises Invalid naming the field and the person.
    """
    if (value := values.get(ID)) is None:
        return
    email = owner_of(session.connection(), run.application_id, run.user_id, value)
    if email is not None:
        message = f"This is known as the account of {email}. Look in the other system which one is meant."
        raise Invalid.field(f"{under}.{ID}", message)


def _wanted(one: Wanted, raw: Any) -> Json:
    if one.field is not None:
        return _read(one.field, raw)
    if not one.many:
        return _value(raw)
    entries = raw.splitlines() if isinstance(raw, str) else raw
    if entries is None or (isinstance(raw, str) and not raw.strip()):
        return None
    if not isinstance(entries, list) or len(entries) > MAX_LIST:
        raise ValueError(f"Give a list of at most {MAX_LIST} values.")
    return [value for value in map(_value, entries) if value is not None]


def _value(raw: Any) -> Scalar:
    """A single value as an answer could have held it."""
    if raw is None or isinstance(raw, bool):
        return raw
    if isinstance(raw, int | float):
        if not math.isfinite(raw) or abs(raw) > 2**53:
            raise ValueError("Give a number that is not that large, or text.")
        return raw
    if not isinstance(raw, str):
        raise ValueError("Give a single value: text, a number, true or false.")
    return _text(raw) if raw.strip() else None


def read_values(fields: list[dict[str, Any]], typed: Mapping[str, Any]) -> dict[str, Scalar]:
    """The typed values in their fields' types; raises Invalid with an error for each that does not fit."""
    errors: list[FieldError] = []
    values: dict[str, Scalar] = {}
    known = {one["name"] for one in fields}
    errors += [FieldError(name, "There is no such field.") for name in typed if name not in known]
    for field in fields:
        raw = typed.get(field["name"])
        try:
            value = _read(field, raw)
        except ValueError as problem:
            errors.append(FieldError(field["name"], str(problem)))
            continue
        if value is not None:
            values[field["name"]] = value
        elif field["required"]:
            errors.append(FieldError(field["name"], f"Enter {field['label']}."))
    if errors:
        raise Invalid("Some fields need another look.", errors)
    return values


def _read(field: Mapping[str, Any], raw: Any) -> Scalar:
    if raw is None or (isinstance(raw, str) and not raw.strip()):
        return None
    match field["type"]:
        case "boolean":
            return _boolean(raw)
        case "number":
            return _number(raw)
        case "choice":
            if raw not in field["options"]:
                raise ValueError("Choose one of the options.")
            return str(raw)
        case _:
            return _text(raw)


def _boolean(raw: Any) -> bool:
    if isinstance(raw, bool):
        return raw
    if str(raw).lower() in ("true", "yes", "on", "1"):
        return True
    if str(raw).lower() in ("false", "no", "off", "0"):
        return False
    raise ValueError("Choose yes or no.")


def _number(raw: Any) -> int | float:
    if isinstance(raw, bool):
        raise ValueError("Enter a number.")
    try:
        number = float(str(raw).strip())
    except ValueError:
        raise ValueError("Enter a number.") from None
    if not math.isfinite(number) or abs(number) > 2**53:
        raise ValueError("Enter a number that is not that large.")
    return int(number) if number.is_integer() else number


def _text(raw: Any) -> str:
    if not isinstance(raw, str):
        raise ValueError("Enter text.")
    text = raw.strip()
    if len(text) > MAX_TEXT:
        raise ValueError(f"Use at most {MAX_TEXT:,} characters.")
    if unstorable(text):
        raise ValueError("This text holds a character that cannot be stored.")
    return text
