"""Reading what people type to get in."""

from __future__ import annotations

from flask import request

from app.errors import Invalid


def text(name: str) -> str:
    """The field as sent, "" when it is missing. Passwords are not trimmed."""
    return request.form.get(name, "")


def new_password() -> str:
    """The password typed twice; raises Invalid when the two differ."""
    password = text("password")
    if not password:
        raise Invalid.field("password", "Choose a password.")
    if password != text("again"):
        raise Invalid.field("again", "The two passwords are not the same.")
    return password
