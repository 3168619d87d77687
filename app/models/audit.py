"""Who did what to which record, each entry chained to the one before it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Id, LongText, Name


class AuditEvent(Base):
    """One act of a person, a token or the system. Append-only: the database refuses changes and deletions.

    The order of the numbers is that of the chain; numbers may be missing where a transaction was rolled back.
    """

    __tablename__ = "audit_events"
    __table_args__ = (
        Index("ix_audit_events_subject", "subject_type", "subject_id", "id"),
        Index("ix_audit_events_actor", "actor_id", "id"),
        # Two entries cannot follow the same one: the chain has no forks.
        Index("uq_audit_events_previous_hash", "previous_hash", unique=True),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    at: Mapped[datetime] = mapped_column(index=True)
    action: Mapped[str] = mapped_column(String(60), index=True)
    actor_kind: Mapped[str] = mapped_column(String(10))
    actor_id: Mapped[int | None] = mapped_column(Id, ForeignKey("users.id"))
    actor: Mapped[str] = mapped_column(Name)
    subject_type: Mapped[str] = mapped_column(String(30))
    subject_id: Mapped[str] = mapped_column(String(40))
    subject: Mapped[str] = mapped_column(Name)
    source: Mapped[str] = mapped_column(String(64), default="")
    reason: Mapped[str | None] = mapped_column(LongText)
    # {field: [old, new]}; never a secret's value.
    changes: Mapped[dict[str, Any]] = mapped_column(default=dict)
    # SHA-256 in hexadecimal digits: of the entry before this one, and of this one with that.
    previous_hash: Mapped[str] = mapped_column(String(64), server_default="")
    hash: Mapped[str] = mapped_column(String(64), server_default="")


class AuditChain(Base):
    """Where the chain of audit entries ends: one row, locked by whoever adds to it.

    It also shows that entries are missing at the end, which the entries by themselves could not.
    """

    __tablename__ = "audit_chain"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=False)
    entries: Mapped[int] = mapped_column(Id)
    hash: Mapped[str] = mapped_column(String(64))
