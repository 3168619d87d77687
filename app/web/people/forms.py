"""The form of a person."""

from __future__ import annotations

from flask import request

from app.models import User
from app.web.formstate import FormState

FIELDS = ("email", "first_name", "last_name", "username", "employee_id", "role")


def typed() -> dict[str, object]:
    """What was sent, for the schema. A form without a role leaves the role alone."""
    return {name: request.form[name] for name in FIELDS if name in request.form}


def filled(user: User) -> FormState:
    """The form with what is stored."""
    values: dict[str, object] = {name: getattr(user, name) for name in FIELDS if name != "role"}
    return FormState.of({**values, "role": user.role.kind})
