"""Runs, their attempts, and what people and the system did in between."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    ColumnElement,
    ForeignKey,
    Index,
    String,
    UniqueConstraint,
    and_,
    literal,
    literal_column,
    not_,
    or_,
    text,
)
from sqlalchemy.orm import InstrumentedAttribute, Mapped, mapped_column, relationship

from app.domain.grants.trigger import Policy
from app.domain.states import FailureClass, RunStatus, Trigger
from app.models.application import Application
from app.models.base import Base, Id, LongText, Name, one_of
from app.models.grant import Grant
from app.models.user import User
from app.models.workflow import Workflow, WorkflowVersion


class AttemptStatus(StrEnum):
    """How a try, or a person's turn, ended; `started` and `waiting` have not.

    `branched`: the answer had a status that the step's author sends elsewhere.  `skipped` is what a person passed
    over, or a condition.
    """

    STARTED = "started"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    WAITING = "waiting"
    SUBMITTED = "submitted"
    SKIPPED = "skipped"
    BRANCHED = "branched"
    RETRIED = "retried"
    OBSOLETE = "obsolete"


# The longest that may be set, and a little.
LONGEST_LEASE = timedelta(seconds=330)

_UNUSUAL = "status NOT IN ('queued', 'running', 'succeeded')"
_OPEN = "status IN ('queued', 'running')"


def is_moving(status: InstrumentedAttribute[str]) -> ColumnElement[bool]:
    """True for runs that move by themselves, spelt with constants.

    A planner that sees parameters instead cannot know that the partial indexes below answer the question.
    """
    return status.in_([literal_column("'queued'"), literal_column("'running'")])


def is_new() -> ColumnElement[bool]:
    """True for runs that nobody has begun, which are due from the start.

    Whoever asks for them by number need not look at `due_at`: the clock that it was taken from may be another
    host's, or the asker's own time a moment old, and a run that is passed over waits for the next sweep.
    """
    return Run.status == literal_column("'queued'")


def lease_is_over(now: datetime) -> ColumnElement[bool]:
    """True for runs in flight whose worker's time is up: past, or further off than any lease is given for.

    The latter is what a clock leaves behind that was ahead and has been set back.
    """
    return and_(Run.worker.is_not(None), or_(Run.lease_until < now, Run.lease_until > now + LONGEST_LEASE))


def is_ahead_of(other: type[Run], run: Any) -> ColumnElement[bool]:
    """True for runs `other` whose turn comes before that of `run`: the order of the lane, wherever it is asked.

    Of one person's runs on one application that are still to go, the one under way comes first, then the oldest.
    An older one that comes back (by a Retry, or from a person) queues behind the one under way and never stops it.
    `other` may be an alias of the table, and `run` a row, the table or anything with its columns.
    """
    return and_(
        other.user_id == run.user_id,
        other.application_id == run.application_id,
        other.id != run.id,
        is_moving(other.status),
        or_(other.holds_lane, and_(other.id < run.id, _is_not(run.holds_lane))),
    )


def _is_not(held: Any) -> ColumnElement[bool]:
    """The opposite of a column, or of the value in a row."""
    return literal(not held) if isinstance(held, bool) else not_(held)


def replaces(other: type[Run], run: Any) -> ColumnElement[bool]:
    """True for the run `other` that a replay of `run` started, which has the next number of the same event."""
    return and_(
        other.grant_id == run.grant_id, other.trigger == run.trigger, other.sequence == run.sequence + 1
    )


class Run(Base):
    """One execution of one workflow version for one grant event."""

    __tablename__ = "runs"
    __table_args__ = (
        UniqueConstraint("grant_id", "trigger", "sequence"),
        one_of("status", RunStatus),
        one_of("trigger", Trigger),
        one_of("policy", Policy),
        one_of("failure_class", FailureClass),
        CheckConstraint("sequence >= 0", name="sequence"),
        CheckConstraint("status IN ('queued', 'running') OR due_at IS NULL", name="due_only_while_moving"),
        CheckConstraint("status = 'running' OR worker IS NULL", name="held_only_while_running"),
        # The lane: of one person's runs on one application at most one is under way.
        Index(
            "uq_runs_lane",
            "user_id",
            "application_id",
            unique=True,
            sqlite_where=text("holds_lane"),
            postgresql_where=text("holds_lane"),
        ),
        # Everything that still has to move, and nothing else: small whatever the history.
        Index("ix_runs_due", "due_at", sqlite_where=text(_OPEN), postgresql_where=text(_OPEN)),
        Index(
            "ix_runs_lease",
            "lease_until",
            sqlite_where=text("worker IS NOT NULL"),
            postgresql_where=text("worker IS NOT NULL"),
        ),
        Index(
            "ix_runs_lane_order",
            "user_id",
            "application_id",
            "id",
            sqlite_where=text("status IN ('queued', 'running', 'waiting_manual', 'failed')"),
            postgresql_where=text("status IN ('queued', 'running', 'waiting_manual', 'failed')"),
        ),
        Index(
            "ix_runs_waiting",
            "waits_for_id",
            "id",
            sqlite_where=text("waits_for_id IS NOT NULL"),
            postgresql_where=text("waits_for_id IS NOT NULL"),
        ),
        Index("ix_runs_application", "application_id", "id"),
        Index("ix_runs_user", "user_id", "id"),
        # Every index is written again at every step of a run, so those for filters hold only what ended otherwise
        # than well; what is moving is found by `ix_runs_due`, and what succeeded is nearly everything.
        Index(
            "ix_runs_unusual", "status", "id", sqlite_where=text(_UNUSUAL), postgresql_where=text(_UNUSUAL)
        ),
        Index(
            "ix_runs_application_unusual",
            "application_id",
            "status",
            "id",
            sqlite_where=text(_UNUSUAL),
            postgresql_where=text(_UNUSUAL),
        ),
        Index(
            "ix_runs_failure",
            "failure_class",
            "id",
            sqlite_where=text("failure_class IS NOT NULL"),
            postgresql_where=text("failure_class IS NOT NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    # Random and never reused, also after a restore: the stem of every Idempotency-Key of this run.
    uid: Mapped[str] = mapped_column(String(32))
    workflow_id: Mapped[int] = mapped_column(Id, ForeignKey("workflows.id"))
    version_id: Mapped[int] = mapped_column(Id, ForeignKey("workflow_versions.id"))
    version_number: Mapped[int]
    grant_id: Mapped[int] = mapped_column(Id, ForeignKey("grants.id"))
    application_id: Mapped[int] = mapped_column(Id, ForeignKey("applications.id"))
    user_id: Mapped[int] = mapped_column(Id, ForeignKey("users.id"))
    trigger: Mapped[str] = mapped_column(String(20))
    policy: Mapped[str] = mapped_column(String(20))
    sequence: Mapped[int] = mapped_column(default=0)
    occurred_at: Mapped[datetime]
    cause: Mapped[str] = mapped_column(Name)
    caused_by_id: Mapped[int | None] = mapped_column(Id, ForeignKey("users.id"))
    replaces_run_id: Mapped[int | None] = mapped_column(Id)

    status: Mapped[str] = mapped_column(String(20), default=RunStatus.QUEUED)
    cursor: Mapped[str | None] = mapped_column(Name)
    attempt: Mapped[int] = mapped_column(default=0)
    tries: Mapped[int] = mapped_column(default=0)
    deaths: Mapped[int] = mapped_column(default=0)
    in_flight: Mapped[bool] = mapped_column(default=False)
    compensating: Mapped[bool] = mapped_column(default=False)
    task_origin: Mapped[str | None] = mapped_column(String(20))
    failure_ignored: Mapped[bool] = mapped_column(default=False)
    # {step key: {name: value}}: what was captured or typed so far.
    captured: Mapped[dict[str, Any]] = mapped_column(default=dict)
    # {step key: number of tries so far}
    attempts_made: Mapped[dict[str, Any]] = mapped_column(default=dict)

    due_at: Mapped[datetime | None]
    lease_until: Mapped[datetime | None]
    worker: Mapped[str | None] = mapped_column(Name)
    # Raised at every claim: a write with an older number comes from a worker that lost the run.
    fence: Mapped[int] = mapped_column(default=0)
    holds_lane: Mapped[bool] = mapped_column(default=False)
    # The parked connection that the run waits for, without a due time, until the sweeper lets it go on.
    waits_for_id: Mapped[int | None] = mapped_column(Id)
    waits_since: Mapped[datetime | None]
    # Since when the other system says that it is not ready, while it is asked again.
    told_to_wait_at: Mapped[datetime | None]
    # The connection that it was let go on with, one of the few that may while others still wait.
    let_through_id: Mapped[int | None] = mapped_column(Id)

    cancel_requested_by: Mapped[str | None] = mapped_column(Name)
    cancel_reason: Mapped[str | None] = mapped_column(LongText)
    ended_because: Mapped[str | None] = mapped_column(LongText)

    failure_step: Mapped[str | None] = mapped_column(Name)
    # What the failed step reached for, or was to; no foreign key, since connections may go.
    failure_connection_id: Mapped[int | None] = mapped_column(Id)
    failure_class: Mapped[str | None] = mapped_column(String(30))
    failure_status: Mapped[int | None]
    failure_detail: Mapped[str | None] = mapped_column(LongText)
    outcome_unknown: Mapped[bool] = mapped_column(default=False)

    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    changed_at: Mapped[datetime]
    # Raised with every visible change: a poll that knows it answers 204.
    revision: Mapped[int] = mapped_column(default=0)

    workflow: Mapped[Workflow] = relationship(lazy="raise_on_sql")
    version: Mapped[WorkflowVersion] = relationship(lazy="raise_on_sql")
    grant: Mapped[Grant] = relationship(lazy="raise_on_sql")
    application: Mapped[Application] = relationship(lazy="raise_on_sql")
    user: Mapped[User] = relationship(foreign_keys=[user_id], lazy="raise_on_sql")

    @property
    def state_in_words(self) -> str:
        """The status inside a sentence, with what superseded it: `superseded (its grant has …)`."""
        label, why = RunStatus(self.status).label.lower(), self.ended_because
        if self.status != RunStatus.SUPERSEDED or not why:
            return label
        return f"{label} ({why[0].lower()}{why[1:].rstrip('.')})"


class Attempt(Base):
    """One try of a step, written as started before anything is sent; or a person's turn."""

    __tablename__ = "attempts"
    __table_args__ = (
        UniqueConstraint("run_id", "step_key", "number"),
        one_of("status", AttemptStatus),
        one_of("failure_class", FailureClass),
        Index(
            "uq_attempts_in_flight",
            "run_id",
            unique=True,
            sqlite_where=text("status = 'started'"),
            postgresql_where=text("status = 'started'"),
        ),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    run_id: Mapped[int] = mapped_column(Id, ForeignKey("runs.id"))
    step_key: Mapped[str] = mapped_column(Name)
    step_type: Mapped[str] = mapped_column(String(20))
    number: Mapped[int]
    # The how-many-th of how many in its set.
    tries: Mapped[int] = mapped_column(default=1)
    of: Mapped[int] = mapped_column(default=1)
    status: Mapped[str] = mapped_column(String(20))
    failure_class: Mapped[str | None] = mapped_column(String(30))
    http_status: Mapped[int | None]
    outcome_unknown: Mapped[bool] = mapped_column(default=False)
    compensation: Mapped[bool] = mapped_column(default=False)
    edge: Mapped[str | None] = mapped_column(LongText)
    detail: Mapped[str | None] = mapped_column(LongText)
    next_attempt_at: Mapped[datetime | None]
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    duration_ms: Mapped[int | None]
    method: Mapped[str | None] = mapped_column(String(10))
    host: Mapped[str | None] = mapped_column(String(300))
    path_template: Mapped[str | None] = mapped_column(String(2048))
    fields: Mapped[list[str] | None]
    captured: Mapped[dict[str, Any] | None]
    task_id: Mapped[int | None] = mapped_column(Id)
    worker: Mapped[str | None] = mapped_column(Name)
    # An answer that came after the run had been given to another worker.
    late_note: Mapped[str | None] = mapped_column(LongText)


class RunEvent(Base):
    """What people and the system did to a run between attempts."""

    __tablename__ = "run_events"
    __table_args__ = (Index("ix_run_events_run", "run_id", "id"),)

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    run_id: Mapped[int] = mapped_column(Id, ForeignKey("runs.id"))
    at: Mapped[datetime]
    kind: Mapped[str] = mapped_column(String(40))
    message: Mapped[str] = mapped_column(LongText)
    by: Mapped[str | None] = mapped_column(Name)


class RunOverride(Base):
    """One-off values for the next try of a failed step: sealed until used, then erased."""

    __tablename__ = "run_overrides"

    run_id: Mapped[int] = mapped_column(Id, ForeignKey("runs.id"), primary_key=True)
    step_key: Mapped[str] = mapped_column(Name)
    sealed: Mapped[str | None] = mapped_column(LongText)
    fields: Mapped[list[str]]
    created_at: Mapped[datetime]
