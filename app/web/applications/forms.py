"""The form of an application."""

from __future__ import annotations

from flask import request

from app.models import Application
from app.web.formstate import FormState

FIELDS = ("name", "description", "vendor", "category", "url", "notes")


def typed() -> dict[str, object]:
    """What was sent, for the schema. An unticked box is sent as nothing, which means no."""
    sent: dict[str, object] = {name: request.form.get(name, "") for name in FIELDS}
    return {**sent, "critical": request.form.get("critical", "")}


def filled(application: Application) -> FormState:
    """The form with what is stored."""
    values = {name: getattr(application, name) for name in FIELDS}
    return FormState.of({**values, "critical": application.is_critical})
