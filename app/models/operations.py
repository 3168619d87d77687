"""What the product knows of its own processes."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import CheckConstraint, ColumnElement, String, exists
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Id, LongText, Name

# The duty of whoever sweeps.
SWEEPING = "sweep"
# A process that has given no sign of life for longer counts as away.
ALIVE_WITHIN = timedelta(seconds=30)


class Worker(Base):
    """A worker process that has given a sign of life."""

    __tablename__ = "workers"

    name: Mapped[str] = mapped_column(Name, primary_key=True)
    started_at: Mapped[datetime]
    seen_at: Mapped[datetime] = mapped_column(index=True)
    in_flight: Mapped[int] = mapped_column(default=0)
    concurrency: Mapped[int]
    # It stopped in good order; one that goes silent without having said so is lost.
    left_at: Mapped[datetime | None]


class Duty(Base):
    """Work that one process at a time may do, such as sweeping: who does it and until when it is theirs."""

    __tablename__ = "duties"

    name: Mapped[str] = mapped_column(Name, primary_key=True)
    holder: Mapped[str] = mapped_column(Name)
    until: Mapped[datetime]
    done_at: Mapped[datetime | None]


class FailingDuty(Base):
    """What the sweeper could not do at its last passes; no row once it is done again.

    `name` goes on from "The sweeper could not …", `problem` is the kind of what was raised, `passes` counts those in
    a row.
    """

    __tablename__ = "failing_duties"

    name: Mapped[str] = mapped_column(Name, primary_key=True)
    since: Mapped[datetime]
    problem: Mapped[str] = mapped_column(Name)
    passes: Mapped[int]


class EngineState(Base):
    """Whether runs are held back, and the name by which the queue service knows this database. One row."""

    __tablename__ = "engine_state"
    __table_args__ = (
        CheckConstraint("id = 1", name="one_row"),
        CheckConstraint("(paused_at IS NULL) = (paused_because IS NULL)", name="paused_for_a_reason"),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=False)
    # Random, and part of every backup: a restored database keeps it, a new one has another.
    uid: Mapped[str] = mapped_column(String(32))
    paused_at: Mapped[datetime | None]
    paused_by: Mapped[str | None] = mapped_column(Name)
    paused_because: Mapped[str | None] = mapped_column(LongText)


def is_paused() -> ColumnElement[bool]:
    """True while runs are held back."""
    return exists().where(EngineState.paused_at.is_not(None))
