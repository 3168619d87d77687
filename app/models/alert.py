"""What people are told of: matters that open and close, the messages about them, and what became of each."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.domain.alerts.rules import AlertKind, Channel
from app.models.base import Base, Id, LongText, one_of

_OPEN = text("closed_at IS NULL")
_PENDING = text("status = 'pending'")
_UNREAD = text("read_at IS NULL")
_WEBHOOK = text("channel = 'webhook'")


class Alert(Base):
    """A matter: of one kind and subject at most one is open, which is what makes it fire once."""

    __tablename__ = "alerts"
    __table_args__ = (
        one_of("kind", AlertKind),
        Index("uq_alerts_open", "kind", "subject", unique=True, sqlite_where=_OPEN, postgresql_where=_OPEN),
        Index("ix_alerts_about", "kind", "about_id", sqlite_where=_OPEN, postgresql_where=_OPEN),
        Index("ix_alerts_closed_at", "closed_at"),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    kind: Mapped[str] = mapped_column(String(30))
    subject: Mapped[str] = mapped_column(String(500))
    # The record that it is about, and the moment that was meant: a task, a grant and its expiry.
    about_id: Mapped[int | None] = mapped_column(Id)
    about_at: Mapped[datetime | None]
    title: Mapped[str] = mapped_column(LongText)
    path: Mapped[str] = mapped_column(String(2048))
    # How many it was about when it was last told.
    level: Mapped[int] = mapped_column(default=1)
    permission: Mapped[str | None] = mapped_column(String(30))
    user_id: Mapped[int | None] = mapped_column(Id, ForeignKey("users.id"))
    group_id: Mapped[int | None] = mapped_column(Id)
    opened_at: Mapped[datetime] = mapped_column(index=True)
    # First found to be over; it closes when that has held for a while.
    gone_since: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]


class AlertMessage(Base):
    """One telling of a matter: that it opened, grew or was resolved. Never changed; deleted when it is old."""

    __tablename__ = "alert_messages"
    __table_args__ = (one_of("kind", AlertKind), UniqueConstraint("alert_id", "transition"))

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    # The same in every try on every channel, so that a receiver knows one that comes twice.
    uid: Mapped[str] = mapped_column(String(32), unique=True)
    alert_id: Mapped[int | None] = mapped_column(Id, ForeignKey("alerts.id"))
    kind: Mapped[str] = mapped_column(String(30))
    transition: Mapped[str] = mapped_column(String(40))
    title: Mapped[str] = mapped_column(LongText)
    lines: Mapped[list[str]]
    path: Mapped[str] = mapped_column(String(2048))
    created_at: Mapped[datetime] = mapped_column(index=True)


class AlertDelivery(Base):
    """A message on its way to one person, or to the webhook: tried until it is delivered or given up."""

    __tablename__ = "alert_deliveries"
    __table_args__ = (
        one_of("channel", Channel),
        one_of("status", ("pending", "delivered", "failed")),
        CheckConstraint("(channel = 'webhook') = (user_id IS NULL)", name="addressee"),
        CheckConstraint("(status = 'delivered') = (delivered_at IS NOT NULL)", name="delivered"),
        UniqueConstraint("message_id", "channel", "user_id"),
        Index(
            "uq_alert_deliveries_webhook",
            "message_id",
            unique=True,
            sqlite_where=_WEBHOOK,
            postgresql_where=_WEBHOOK,
        ),
        Index(
            "ix_alert_deliveries_pending",
            "channel",
            "due_at",
            sqlite_where=_PENDING,
            postgresql_where=_PENDING,
        ),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    message_id: Mapped[int] = mapped_column(Id, ForeignKey("alert_messages.id", ondelete="CASCADE"))
    alert_id: Mapped[int | None] = mapped_column(Id)
    channel: Mapped[str] = mapped_column(String(10))
    user_id: Mapped[int | None] = mapped_column(Id, ForeignKey("users.id"))
    status: Mapped[str] = mapped_column(String(10), default="pending")
    tries: Mapped[int] = mapped_column(default=0)
    due_at: Mapped[datetime]
    # While somebody sends it; whoever finds this in the past knows that the sender died on it.
    held_until: Mapped[datetime | None]
    # A sender died, or an answer got lost, after it may have been sent: it may arrive twice.
    uncertain: Mapped[bool] = mapped_column(default=False)
    problem: Mapped[str | None] = mapped_column(LongText)
    tried_at: Mapped[datetime | None]
    delivered_at: Mapped[datetime | None]


class AlertNotice(Base):
    """A message at one person's bell."""

    __tablename__ = "alert_notices"
    __table_args__ = (
        Index(
            "ix_alert_notices_unread",
            "user_id",
            "message_id",
            sqlite_where=_UNREAD,
            postgresql_where=_UNREAD,
        ),
        Index("ix_alert_notices_user", "user_id", "message_id"),
    )

    message_id: Mapped[int] = mapped_column(
        Id, ForeignKey("alert_messages.id", ondelete="CASCADE"), primary_key=True
    )
    user_id: Mapped[int] = mapped_column(Id, ForeignKey("users.id"), primary_key=True)
    # By the person, or by the matter's end.
    read_at: Mapped[datetime | None]
