"""Reading input: every refused field named, every message a sentence for a person."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, PydanticCustomError

from app.domain.json_reader import meant, shown
from app.errors import FieldError, Invalid

ModelT = TypeVar("ModelT", bound=BaseModel)

REFUSED = "Some fields need another look."
MAX_ERRORS = 100
_INNER = "inner_fields"


class Input(BaseModel):
    """What a person or script sends. Unknown fields are refused, so that a typo never becomes a default."""

    # What was typed may be a secret: pydantic must never quote it.
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, frozen=True)

    def given(self) -> dict[str, Any]:
        """The fields that were sent, by name: what a change is to touch."""
        names = [name for name in type(self).model_fields if name in self.model_fields_set]
        return {name: getattr(self, name) for name in names}


def parse(model: type[ModelT], data: object) -> ModelT:
    """Read `data`, decoded JSON or a form turned into such, as `model`.

    Raises Invalid with a FieldError for each refused field, named as the API names it (`config.base_url`,
    `user_ids[2]`; empty for the whole).  At most 100 are listed.
    """
    if not isinstance(data, Mapping):
        raise Invalid.field("", "Send an object of fields and values.")
    try:
        return model.model_validate(dict(data))
    except ValidationError as problems:
        found = problems.errors(include_url=False, include_input=False)
        errors = [error for one in found for error in _field_errors(model, one)]
    raise Invalid(_summary(errors), errors[:MAX_ERRORS])


def inner_fields(errors: Iterable[FieldError]) -> PydanticCustomError:
    """For a validator that parsed a part by itself: its refused fields, to be named under its own."""
    return PydanticCustomError(_INNER, "Refused.", {"errors": [(one.field, one.message) for one in errors]})


def _field_errors(model: type[BaseModel], one: ErrorDetails) -> Iterator[FieldError]:
    field = field_name(one["loc"])
    if one["type"] == _INNER:
        for inner, message in one["ctx"]["errors"]:
            yield FieldError(_joined(field, inner), message)
        return
    yield FieldError(field, _message(model, one))


def inside(refused: Invalid, name: str) -> Invalid:
    """The same refusal with its fields named under `name`."""
    errors = [FieldError(_joined(name, one.field), one.message) for one in refused.errors]
    return Invalid(refused.message, errors)


def _joined(outer: str, inner: str) -> str:
    return f"{outer}.{inner}" if outer and inner and not inner.startswith("[") else f"{outer}{inner}"


def field_name(place: tuple[int | str, ...]) -> str:
    """`("user_ids", 2)` -> `user_ids[2]`, fit for a message whatever was sent."""
    name = ""
    for part in place:
        if isinstance(part, int):
            name += f"[{part}]"
        else:
            name += f".{shown(part)}" if name else shown(part)
    return name


def _message(model: type[BaseModel], one: ErrorDetails) -> str:
    kind, context = one["type"], one.get("ctx", {})
    last = one["loc"][-1] if one["loc"] else ""
    if kind == "value_error":
        return str(context["error"])
    if kind == "missing":
        return _ask(model.model_fields.get(str(last)))
    if kind == "extra_forbidden":
        return f"There is no field “{shown(last)}” here.{meant(str(last), model.model_fields)}"
    if kind in ("literal_error", "enum"):
        return f"Choose one of: {str(context['expected']).replace(' or ', ', ').replace(chr(39), '')}."
    if kind == "too_long":
        return f"Use at most {context['max_length']:,} entries."
    if kind == "too_short":
        return "Give at least one."
    return _SHAPES.get(kind, "This cannot be read.")


_SHAPES = {
    "list_type": "This must be a list.",
    "dict_type": "This must be an object of names and values.",
    "model_type": "This must be an object of fields and values.",
    "string_type": "This must be text.",
}


def _ask(field: FieldInfo | None) -> str:
    asks = (getattr(one, "ask", "") for one in (field.metadata if field else ()))
    return next((ask for ask in asks if ask), "") or "This is needed."


def _summary(errors: list[FieldError]) -> str:
    return errors[0].message if len(errors) == 1 else REFUSED
