"""What stands behind signing in: failed sign-ins, single sign-on, one-time codes."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Id, LongText


class FailedSignIns(Base):
    """Failures in a row under one key: the hash of an email as typed, of an address, or of whose codes they were.

    An email that nobody has is counted like any other, so that being locked out tells nothing.
    """

    __tablename__ = "sign_in_tries"

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    failures: Mapped[int]
    counted_from: Mapped[datetime]
    last_at: Mapped[datetime] = mapped_column(index=True)
    locked_until: Mapped[datetime | None]


class SingleSignOn(Base):
    """Whom an OpenID provider means by a subject. A subject is never somebody else later; an email may be."""

    __tablename__ = "single_sign_ons"
    __table_args__ = (UniqueConstraint("issuer", "subject"), UniqueConstraint("user_id", "issuer"))

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    user_id: Mapped[int] = mapped_column(Id, ForeignKey("users.id"))
    issuer: Mapped[str] = mapped_column(String(500))
    subject: Mapped[str] = mapped_column(String(255))
    linked_at: Mapped[datetime]
    last_used_at: Mapped[datetime]


class Authenticator(Base):
    """The secret that a person's app makes one-time codes from, sealed; it counts once a code has confirmed it.

    `last_step` is the time step of the newest code that was accepted: no code is accepted twice.
    """

    __tablename__ = "authenticators"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    user_id: Mapped[int] = mapped_column(Id, ForeignKey("users.id"), unique=True)
    sealed: Mapped[str] = mapped_column(LongText)
    key_id: Mapped[str] = mapped_column(String(20), index=True)
    created_at: Mapped[datetime]
    confirmed_at: Mapped[datetime | None]
    last_step: Mapped[int] = mapped_column(Id, default=0)


class RecoveryCode(Base):
    """A way in without the app, once; only its hash is kept."""

    __tablename__ = "recovery_codes"
    __table_args__ = (UniqueConstraint("user_id", "code_hash"),)

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    user_id: Mapped[int] = mapped_column(Id, ForeignKey("users.id"))
    code_hash: Mapped[str] = mapped_column(String(64))
    used_at: Mapped[datetime | None]
