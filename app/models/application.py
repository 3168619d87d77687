"""Applications, their connections and the credentials of those."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.models.base import Base, Id, LongText, Name, at_most, one_of


class Application(Base):
    """An outside system that people get access to."""

    __tablename__ = "applications"
    __table_args__ = (
        Index(
            "uq_applications_name_lower",
            text("lower(name)"),
            unique=True,
            sqlite_where=text("archived_at IS NULL"),
            postgresql_where=text("archived_at IS NULL"),
        ),
        at_most("description", 2000),
        at_most("notes", 2000),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(Name)
    description: Mapped[str] = mapped_column(LongText, default="")
    vendor: Mapped[str] = mapped_column(Name, default="")
    category: Mapped[str] = mapped_column(Name, default="")
    url: Mapped[str] = mapped_column(String(2048), default="")
    is_critical: Mapped[bool] = mapped_column(default=False)
    notes: Mapped[str] = mapped_column(LongText, default="")
    created_at: Mapped[datetime]
    archived_at: Mapped[datetime | None]


class Connection(Base):
    """How an application's system is reached. `type` never changes; the last test is its health."""

    __tablename__ = "connections"
    __table_args__ = (
        one_of("type", ("http", "webhook")),
        Index("uq_connections_application_id_name", "application_id", text("lower(name)"), unique=True),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    application_id: Mapped[int] = mapped_column(Id, ForeignKey("applications.id"))
    type: Mapped[str] = mapped_column(String(20))
    name: Mapped[str] = mapped_column(Name)
    config: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
    changed_at: Mapped[datetime]
    tested_at: Mapped[datetime | None]
    test_outcome: Mapped[str | None] = mapped_column(String(20))
    test_class: Mapped[str | None] = mapped_column(String(30))
    test_status: Mapped[int | None]
    test_duration_ms: Mapped[int | None]
    test_path: Mapped[str | None] = mapped_column(String(2048))

    application: Mapped[Application] = relationship(lazy="raise_on_sql")
    credential: Mapped[Credential | None] = relationship(
        back_populates="connection", cascade="all, delete-orphan", lazy="joined"
    )


class Credential(Base):
    """A connection's secret, sealed. Nothing that reads this row can show it."""

    __tablename__ = "credentials"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    connection_id: Mapped[int] = mapped_column(
        Id, ForeignKey("connections.id", ondelete="CASCADE"), unique=True
    )
    sealed: Mapped[str] = mapped_column(LongText)
    key_id: Mapped[str] = mapped_column(String(20), index=True)
    set_at: Mapped[datetime]
    set_by: Mapped[str] = mapped_column(Name)
    set_by_id: Mapped[int | None] = mapped_column(Id, ForeignKey("users.id"))
    last_used_at: Mapped[datetime | None]
    last_ok: Mapped[bool | None]

    connection: Mapped[Connection] = relationship(back_populates="credential", lazy="raise_on_sql")
