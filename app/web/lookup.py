"""Finding the record that an address names."""

from __future__ import annotations

from typing import TypeVar

from sqlalchemy.orm import DeclarativeBase, Session

from app.errors import NotFound
from app.extensions import db

Row = TypeVar("Row", bound=DeclarativeBase)


def load(model: type[Row], number: int, *, session: Session | None = None) -> Row:
    """The record with that number; raises NotFound. Within a transaction give its session."""
    found = (session or db.session()).get(model, number)
    if found is None:
        raise NotFound(f"There is no {model.__name__.lower()} {number}.")
    return found
