"""Connections that are parked, or that failures were counted of."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from app.domain.runs.breaker import BreakerState
from app.domain.states import FailureClass
from app.models.base import Base, Id, LongText, Name, at_most, one_of

_PARKED = "state NOT IN ('closed', 'watched')"


class ConnectionBreaker(Base):
    """A connection's breaker (`runs.breaker`). One that never failed has no row, and counts as closed."""

    __tablename__ = "connection_breakers"
    __table_args__ = (
        one_of("state", BreakerState),
        one_of("failure_class", FailureClass),
        at_most("reason", 2000),
        CheckConstraint(f"({_PARKED}) = (parked_at IS NOT NULL)", name="parked_since"),
        CheckConstraint("(state = 'held') = (until IS NOT NULL)", name="held_until"),
        CheckConstraint(
            "state NOT IN ('parked', 'trial', 'draining') OR next_at IS NOT NULL", name="goes_on_by_itself"
        ),
        CheckConstraint("state <> 'refused' OR next_at IS NULL", name="refused_is_not_probed"),
        CheckConstraint("refusals >= 0 AND probes >= 0 AND rate > 0", name="counts"),
        # All that holds runs up or is to be looked at, and nothing else.
        Index(
            "ix_connection_breakers_unquiet",
            "application_id",
            sqlite_where=text("state <> 'closed'"),
            postgresql_where=text("state <> 'closed'"),
        ),
    )

    connection_id: Mapped[int] = mapped_column(
        Id, ForeignKey("connections.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    application_id: Mapped[int] = mapped_column(Id, ForeignKey("applications.id"))
    state: Mapped[str] = mapped_column(String(20), default=BreakerState.CLOSED)
    # The failures since the last answer: when, and of which run.
    failures: Mapped[list[str]] = mapped_column(default=list)
    refusals: Mapped[int] = mapped_column(default=0)
    since: Mapped[datetime | None]
    # When this outage began: kept while the connection is tried and its runs go on, until nothing waits.
    parked_at: Mapped[datetime | None]
    # The same, and kept when it is over: it may have been before anybody looked.
    last_parked_at: Mapped[datetime | None]
    until: Mapped[datetime | None]
    next_at: Mapped[datetime | None]
    probes: Mapped[int] = mapped_column(default=0)
    drained_at: Mapped[datetime | None]
    rate: Mapped[float] = mapped_column(default=1.0)
    # The run that was let through last as a trial: the next trial is another one's turn.
    trial_run_id: Mapped[int | None] = mapped_column(Id)
    # Trials in a row that failed although the health path had answered.
    vain: Mapped[int] = mapped_column(default=0)
    # Why: what was met last, or what the person said who parked it.
    failure_class: Mapped[str | None] = mapped_column(String(30))
    failure_status: Mapped[int | None]
    reason: Mapped[str | None] = mapped_column(LongText)
    parked_by: Mapped[str | None] = mapped_column(Name)
    # Raised with every write, which is guarded by it.
    revision: Mapped[int] = mapped_column(default=0)
