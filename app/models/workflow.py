"""Workflows and their immutable versions."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, UniqueConstraint, false, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.domain.grants.trigger import Policy
from app.domain.states import Trigger
from app.models.application import Application
from app.models.base import Base, Id, LongText, Name, at_most, one_of


class Workflow(Base):
    """What happens when access to an application is granted or revoked. One live workflow per trigger."""

    __tablename__ = "workflows"
    __table_args__ = (
        one_of("trigger", Trigger),
        one_of("policy", Policy),
        at_most("description", 2000),
        Index(
            "uq_workflows_live",
            "application_id",
            "trigger",
            unique=True,
            sqlite_where=text("deleted_at IS NULL"),
            postgresql_where=text("deleted_at IS NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    application_id: Mapped[int] = mapped_column(Id, ForeignKey("applications.id"))
    name: Mapped[str] = mapped_column(Name)
    description: Mapped[str] = mapped_column(LongText, default="")
    trigger: Mapped[str] = mapped_column(String(20))
    policy: Mapped[str] = mapped_column(String(20))
    is_enabled: Mapped[bool] = mapped_column(default=False)
    # The newest version's id and number, so that deciding about a grant reads one row; no foreign key, since
    # workflow and version would then each need the other first.
    version_id: Mapped[int | None] = mapped_column(Id)
    version_number: Mapped[int] = mapped_column(default=0)
    step_count: Mapped[int] = mapped_column(default=0)
    # Its newest version is from before steps could say which account they mean, and somebody should look at it.
    to_review: Mapped[bool] = mapped_column(default=False, server_default=false())
    created_at: Mapped[datetime]
    deleted_at: Mapped[datetime | None]

    application: Mapped[Application] = relationship(lazy="raise_on_sql")


class WorkflowVersion(Base):
    """An immutable, numbered edition of a workflow's steps."""

    __tablename__ = "workflow_versions"
    __table_args__ = (
        UniqueConstraint("workflow_id", "number"),
        CheckConstraint("number > 0", name="number"),
        at_most("note", 2000),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    workflow_id: Mapped[int] = mapped_column(Id, ForeignKey("workflows.id"))
    number: Mapped[int]
    steps: Mapped[list[Any]]
    note: Mapped[str] = mapped_column(LongText, default="")
    created_at: Mapped[datetime]
    created_by: Mapped[str] = mapped_column(Name)
    created_by_id: Mapped[int | None] = mapped_column(Id, ForeignKey("users.id"))

    workflow: Mapped[Workflow] = relationship(lazy="raise_on_sql")
