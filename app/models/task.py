"""Tasks for people."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, text, true
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.domain.states import TaskOrigin, TaskOutcome, TaskStatus
from app.models.base import Base, Id, LongText, Name, one_of
from app.models.run import Run


class ManualTask(Base):
    """A run that waits for a person: a human step, or a failure that was escalated. Acted on once."""

    __tablename__ = "manual_tasks"
    __table_args__ = (
        one_of("origin", TaskOrigin),
        one_of("status", TaskStatus),
        one_of("outcome", TaskOutcome),
        CheckConstraint("(status = 'done') = (outcome IS NOT NULL)", name="outcome_when_done"),
        Index(
            "uq_manual_tasks_pending",
            "run_id",
            unique=True,
            sqlite_where=text("status = 'pending'"),
            postgresql_where=text("status = 'pending'"),
        ),
        Index("ix_manual_tasks_status", "status", "id"),
        Index("ix_manual_tasks_run", "run_id"),
        # Whose turn it is: small, since it holds only what is still to be done.
        Index(
            "ix_manual_tasks_asked",
            "assignee_user_id",
            "assignee_group_id",
            "id",
            sqlite_where=text("status = 'pending'"),
            postgresql_where=text("status = 'pending'"),
        ),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    run_id: Mapped[int] = mapped_column(Id, ForeignKey("runs.id"))
    application_id: Mapped[int] = mapped_column(Id, ForeignKey("applications.id"))
    step_key: Mapped[str] = mapped_column(Name)
    attempt: Mapped[int]
    origin: Mapped[str] = mapped_column(String(20))
    outcome_unknown: Mapped[bool] = mapped_column(default=False)
    prompt: Mapped[str] = mapped_column(LongText)
    fields: Mapped[list[Any]]
    assignee_user_id: Mapped[int | None] = mapped_column(Id, ForeignKey("users.id"))
    assignee_group_id: Mapped[int | None] = mapped_column(Id, ForeignKey("groups.id"))
    # False keeps whoever granted the access from completing the task.
    granter_may_act: Mapped[bool] = mapped_column(default=True, server_default=true())
    # Who said that they are on it. It keeps nobody else from acting.
    claimed_by: Mapped[str | None] = mapped_column(Name)
    claimed_by_id: Mapped[int | None] = mapped_column(Id)
    claimed_at: Mapped[datetime | None]
    due_at: Mapped[datetime | None]
    status: Mapped[str] = mapped_column(String(20), default=TaskStatus.PENDING)
    outcome: Mapped[str | None] = mapped_column(String(20))
    input: Mapped[dict[str, Any] | None]
    reason: Mapped[str | None] = mapped_column(LongText)
    acted_by: Mapped[str | None] = mapped_column(Name)
    acted_by_id: Mapped[int | None] = mapped_column(Id, ForeignKey("users.id"))
    acted_at: Mapped[datetime | None]
    created_at: Mapped[datetime]

    run: Mapped[Run] = relationship(lazy="raise_on_sql")
