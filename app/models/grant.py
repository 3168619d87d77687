"""Grants, what was decided about each of their events, and what is known of the outside account."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    ColumnElement,
    ForeignKey,
    Index,
    String,
    UniqueConstraint,
    and_,
    literal_column,
    text,
)
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.domain.grants.state import GrantState
from app.domain.grants.trigger import NoRunReason
from app.domain.states import Trigger
from app.models.application import Application
from app.models.base import Base, Id, LongText, Name, at_most, one_of
from app.models.user import User

_REVOKE_UNFINISHED = ("deprovisioning", "waiting", "needs_attention")
_REVOKE_BY_CHOICE = ("other_active_grant", "recorded_only")
REVOKE_UNFINISHED = f"revoked_at IS NOT NULL AND state IN {_REVOKE_UNFINISHED}"
REVOKE_WITHOUT_RUN = (
    f"revoked_at IS NOT NULL AND state = 'no_automation' AND state_reason NOT IN {_REVOKE_BY_CHOICE}"
)


def needs_attention(grant: type[Grant] | None = None) -> ColumnElement[bool]:
    """True for grants whose newest run failed, spelt with constants; `grant` may be an alias of the table.

    A planner that sees parameters instead cannot know that the partial indexes below answer the question; the same
    holds for the two conditions that follow.
    """
    return (grant or Grant).state == literal_column("'needs_attention'")


def revoke_unfinished() -> ColumnElement[bool]:
    """True for revoked grants whose revoke run is on its way, waits for a person or has failed."""
    return and_(Grant.revoked_at.is_not(None), Grant.state.in_(_constants(_REVOKE_UNFINISHED)))


def revoke_without_run() -> ColumnElement[bool]:
    """True for revoked grants that started no run, and nobody chose so when revoking."""
    return and_(
        Grant.revoked_at.is_not(None),
        Grant.state == literal_column("'no_automation'"),
        Grant.state_reason.not_in(_constants(_REVOKE_BY_CHOICE)),
    )


def is_held(grant: type[Grant], user_id: Any, application_id: Any) -> ColumnElement[bool]:
    """True for the active grants of a person on an application; `grant` may be an alias of the table."""
    return and_(grant.user_id == user_id, grant.application_id == application_id, grant.is_active)


def _constants(words: Iterable[str]) -> list[ColumnElement[str]]:
    return [literal_column(f"'{word}'") for word in words]


class Grant(Base):
    """The record that a person has access to an application. Append-only: see the triggers of the first migration.

    `state` and its companions are the chip, written by the one function `app.domain.grants.state.grant_state` in the
    transaction of whatever changes it, so that filters are index reads.
    """

    __tablename__ = "grants"
    __table_args__ = (
        one_of("state", GrantState),
        at_most("notes", 2000),
        at_most("access_level", 100),
        CheckConstraint("revoked_at IS NULL OR revoked_by IS NOT NULL", name="revoked_by"),
        Index("ix_grants_pair", "user_id", "application_id"),
        Index("ix_grants_application", "application_id", "id"),
        Index("ix_grants_application_state", "application_id", "state", "id"),
        Index("ix_grants_state", "state", "id"),
        Index(
            "ix_grants_expiry",
            "expires_at",
            sqlite_where=text("revoked_at IS NULL AND expires_at IS NOT NULL"),
            postgresql_where=text("revoked_at IS NULL AND expires_at IS NOT NULL"),
        ),
        # What Home asks for: small whatever the history.
        Index(
            "ix_grants_troubled",
            "newest_run_id",
            sqlite_where=text("state = 'needs_attention'"),
            postgresql_where=text("state = 'needs_attention'"),
        ),
        Index(
            "ix_grants_revoke_unfinished",
            "revoked_at",
            sqlite_where=text(REVOKE_UNFINISHED),
            postgresql_where=text(REVOKE_UNFINISHED),
        ),
        Index(
            "ix_grants_revoke_without_run",
            "application_id",
            "revoked_at",
            sqlite_where=text(REVOKE_WITHOUT_RUN),
            postgresql_where=text(REVOKE_WITHOUT_RUN),
        ),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    user_id: Mapped[int] = mapped_column(Id, ForeignKey("users.id"))
    application_id: Mapped[int] = mapped_column(Id, ForeignKey("applications.id"))
    access_level: Mapped[str] = mapped_column(String(100), default="")
    notes: Mapped[str] = mapped_column(LongText, default="")
    granted_at: Mapped[datetime]
    granted_by: Mapped[str] = mapped_column(Name)
    granted_by_id: Mapped[int | None] = mapped_column(Id, ForeignKey("users.id"))
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    revoked_by: Mapped[str | None] = mapped_column(Name)
    revoked_by_id: Mapped[int | None] = mapped_column(Id, ForeignKey("users.id"))
    state: Mapped[str] = mapped_column(String(20))
    state_reason: Mapped[str | None] = mapped_column(String(30))
    newest_run_id: Mapped[int | None] = mapped_column(Id)
    # What its runs kept for it alone, such as the id of a membership: the token grant.kept.<name>.
    kept: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default="{}")

    user: Mapped[User] = relationship(foreign_keys=[user_id], lazy="raise_on_sql")
    application: Mapped[Application] = relationship(lazy="raise_on_sql")
    decisions: Mapped[list[TriggerDecision]] = relationship(
        order_by="TriggerDecision.id", back_populates="grant", lazy="raise_on_sql"
    )

    @hybrid_property
    def is_active(self) -> bool:
        """Whether it has not been revoked; of the table, or an alias of it, as a condition."""
        return self.revoked_at is None

    @is_active.inplace.expression
    @classmethod
    def _is_active(cls) -> ColumnElement[bool]:
        return cls.revoked_at.is_(None)


class TriggerDecision(Base):
    """What a grant event came to: its run, or the first reason that held against one."""

    __tablename__ = "trigger_decisions"
    __table_args__ = (
        UniqueConstraint("grant_id", "trigger"),
        one_of("trigger", Trigger),
        one_of("outcome", ("run", "no_run")),
        one_of("reason", NoRunReason),
        CheckConstraint("(outcome = 'run') = (reason IS NULL)", name="reason_given"),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    grant_id: Mapped[int] = mapped_column(Id, ForeignKey("grants.id"))
    trigger: Mapped[str] = mapped_column(String(20))
    at: Mapped[datetime]
    outcome: Mapped[str] = mapped_column(String(10))
    reason: Mapped[str | None] = mapped_column(String(30))
    workflow_id: Mapped[int | None] = mapped_column(Id, ForeignKey("workflows.id"))
    version_id: Mapped[int | None] = mapped_column(Id, ForeignKey("workflow_versions.id"))
    # The checks as they stood then: [{"check", "ok", "detail"}].
    checks: Mapped[list[Any]]
    # The event's run; for a decision without one, the run that Run now started later.
    run_id: Mapped[int | None] = mapped_column(Id)

    grant: Mapped[Grant] = relationship(back_populates="decisions", lazy="raise_on_sql")


class ExternalAccount(Base):
    """What workflows learned about one person in one application.

    There is one row per pair from the first grant on; locking it is what makes deciding about the pair exclusive.
    """

    __tablename__ = "external_accounts"
    __table_args__ = (UniqueConstraint("user_id", "application_id"),)

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    user_id: Mapped[int] = mapped_column(Id, ForeignKey("users.id"))
    application_id: Mapped[int] = mapped_column(Id, ForeignKey("applications.id"), index=True)
    captured: Mapped[dict[str, Any]] = mapped_column(default=dict)
    state: Mapped[str] = mapped_column(String(20), default="unknown")
    run_id: Mapped[int | None] = mapped_column(Id)
    updated_at: Mapped[datetime | None]


# Whose account an id is known as.
Index(
    "ix_external_accounts_known_id",
    ExternalAccount.__table__.c.captured["id"].as_string(),
    ExternalAccount.__table__.c.application_id,
)
