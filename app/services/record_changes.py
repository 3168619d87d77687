"""What every service that saves a record needs: noting changes, refusing a duplicate, locking a row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import DeclarativeBase, Session

from app.errors import AppError, NotFound

# {field: [old, new]}, as the audit trail keeps it.
Changes = dict[str, list[Any]]


def assign(row: object, values: Mapping[str, Any]) -> Changes:
    """Set the attributes that differ, and say which did: old and new value by name, for the audit trail."""
    changes: Changes = {}
    for name, new in values.items():
        old = getattr(row, name)
        if old != new:
            setattr(row, name, new)
            changes[name] = [_storable(old), _storable(new)]
    return changes


def _storable(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


@contextmanager
def refusing_duplicates(session: Session, refusal: AppError) -> Iterator[None]:
    """Write what is done inside at once, and raise `refusal` when a unique index stands against it.

    Asking first would leave a gap in which somebody else saves the same; the index has none.
    """
    try:
        with session.begin_nested():
            yield
            session.flush()  # the index is to speak here, not at some later statement
    except IntegrityError:
        raise refusal from None


def lock(
    session: Session, model: type[DeclarativeBase], record_id: int, *, with_references: bool = False
) -> None:
    """Hold this row until the transaction ends; raises NotFound.

    The row alone, without what a relationship would join: PostgreSQL locks no nullable side of a join.  Rows that
    refer to it may be added meanwhile: whoever does need not wait here, and so not in a circle either.  With
    `with_references` they wait, and what has been added by others, and is not committed yet, is waited for.
    """
    key = model.__mapper__.primary_key[0]
    found = session.execute(
        select(key).where(key == record_id).with_for_update(key_share=not with_references)
    ).first()
    if found is None:
        raise NotFound("It does not exist any more.")
