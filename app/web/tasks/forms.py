"""The typed form of a task: what its fields look like, and what was typed as the service reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from app.errors import FieldError, Invalid
from app.web.formstate import FormState

# Kept apart from the form's own names, since a workflow's author chooses these.
PREFIX = "input."


def typed_values(form: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """What was typed, by field; a name that the task does not have is for the service to refuse."""
    return {
        name.removeprefix(PREFIX): values[0]
        for name, values in form.items()
        if name.startswith(PREFIX) and values
    }


def refused_form(form: Mapping[str, Sequence[str]], refused: Invalid, fields: Sequence[Any]) -> FormState:
    """What was typed, with each error at its field; what belongs to none of them stands without a link."""
    known = {one["name"] for one in fields}
    errors = [
        FieldError(f"{PREFIX}{one.field}" if one.field in known else "", one.message)
        for one in refused.errors
    ]
    return FormState.typed(form, errors or [FieldError("", refused.message)])
