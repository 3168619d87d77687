"""The record that an address names, and the refusal that says there is none."""

from __future__ import annotations

from typing import TypeVar

from sqlalchemy.orm import Session

from app.errors import NotFound
from app.models import Application, Base, BulkRetry, Connection, Grant, Group, ManualTask, Run, User, Workflow

Row = TypeVar("Row", bound=Base)

_NOUNS: dict[type[Base], str] = {
    Application: "application",
    BulkRetry: "bulk retry",
    Connection: "connection",
    Grant: "grant",
    Group: "group",
    ManualTask: "task",
    Run: "run",
    User: "person",
    Workflow: "workflow",
}


def load(session: Session, model: type[Row], record_id: int) -> Row:
    """The record of `model` with this id; raises NotFound."""
    row = session.get(model, record_id)
    if row is None:
        raise missing(model, record_id)
    return row


def missing(model: type[Base], record_id: int) -> NotFound:
    """The refusal that says there is no such record."""
    return NotFound(f"There is no {_NOUNS[model]} {record_id}.")
