"""What the product knows of its own processes."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Name


class Worker(Base):
    """A worker process that has given a sign of life."""

    __tablename__ = "workers"

    name: Mapped[str] = mapped_column(Name, primary_key=True)
    started_at: Mapped[datetime]
    seen_at: Mapped[datetime] = mapped_column(index=True)
    in_flight: Mapped[int] = mapped_column(default=0)
    concurrency: Mapped[int]


class Duty(Base):
    """Work that one process at a time may do, such as sweeping: who does it and until when it is theirs."""

    __tablename__ = "duties"

    name: Mapped[str] = mapped_column(Name, primary_key=True)
    holder: Mapped[str] = mapped_column(Name)
    until: Mapped[datetime]
    done_at: Mapped[datetime | None]
