"""Who did what to which record."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Id, LongText, Name


class AuditEvent(Base):
    """One act of a person, a token or the system. Append-only: the database refuses changes and deletions."""

    __tablename__ = "audit_events"
    __table_args__ = (
        Index("ix_audit_events_subject", "subject_type", "subject_id", "id"),
        Index("ix_audit_events_actor", "actor_id", "id"),
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
