"""People, roles, groups, and the ways in: one-time links and API tokens."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.models.base import Base, Id, Name, one_of


def person_name(first_name: str, last_name: str, email: str) -> str:
    """How somebody is called on the screen; the email where no name is known."""
    return f"{first_name} {last_name}".strip() or email


class Role(Base):
    """A named permission set. `kind` tells the three built-in ones; the Admin's set is always all of them."""

    __tablename__ = "roles"
    __table_args__ = (one_of("kind", ("admin", "member", "viewer")),)

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    kind: Mapped[str] = mapped_column(String(20), unique=True)
    name: Mapped[str] = mapped_column(Name, unique=True)
    permissions: Mapped[list[str]]


class User(Base):
    """A person, who may sign in or be a directory entry only. Email is kept in lower case and unique."""

    __tablename__ = "users"
    __table_args__ = (Index("uq_users_email_lower", text("lower(email)"), unique=True),)

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    email: Mapped[str] = mapped_column(String(320))
    first_name: Mapped[str] = mapped_column(Name, default="")
    last_name: Mapped[str] = mapped_column(Name, default="")
    username: Mapped[str | None] = mapped_column(Name)
    employee_id: Mapped[str | None] = mapped_column(Name)
    role_id: Mapped[int] = mapped_column(Id, ForeignKey("roles.id"))
    is_active: Mapped[bool] = mapped_column(default=True)
    password_hash: Mapped[str | None] = mapped_column(String(255))
    # Part of every session: raising it signs the person out everywhere.
    session_epoch: Mapped[int] = mapped_column(default=0)
    last_seen_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    deactivated_at: Mapped[datetime | None]

    role: Mapped[Role] = relationship(lazy="joined")

    @property
    def name(self) -> str:
        """How the person is called on the screen; the email where no name is known."""
        return person_name(self.first_name, self.last_name, self.email)


class Group(Base):
    """A named set of people, to assign tasks to."""

    __tablename__ = "groups"
    __table_args__ = (Index("uq_groups_name_lower", text("lower(name)"), unique=True),)

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(Name)
    created_at: Mapped[datetime]


class GroupMember(Base):
    __tablename__ = "group_members"

    group_id: Mapped[int] = mapped_column(Id, ForeignKey("groups.id", ondelete="CASCADE"), primary_key=True)
    user_id: Mapped[int] = mapped_column(Id, ForeignKey("users.id"), primary_key=True, index=True)


class SignInLink(Base):
    """A one-time way in; only the hash of its secret is kept."""

    __tablename__ = "sign_in_links"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    user_id: Mapped[int] = mapped_column(Id, ForeignKey("users.id"), index=True)
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class ApiToken(Base):
    """A script's way in: an explicit permission set and no role. Only the hash is kept."""

    __tablename__ = "api_tokens"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(Name)
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    permissions: Mapped[list[str]]
    created_at: Mapped[datetime]
    created_by: Mapped[str] = mapped_column(Name, default="")
    created_by_id: Mapped[int | None] = mapped_column(Id, ForeignKey("users.id"))
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class IdempotencyKey(Base):
    """The first answer to a POST that carried an `Idempotency-Key`, kept for 24 hours."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (UniqueConstraint("token_id", "key"),)

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    token_id: Mapped[int] = mapped_column(Id, ForeignKey("api_tokens.id", ondelete="CASCADE"))
    key: Mapped[str] = mapped_column(String(255))
    fingerprint: Mapped[str] = mapped_column(String(64))
    status: Mapped[int]
    body: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(index=True)
