"""Retries of many failed runs at once: the job, and what becomes of each run in it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import (
    CheckConstraint,
    ColumnElement,
    ForeignKey,
    Index,
    String,
    UniqueConstraint,
    literal_column,
    text,
)
from sqlalchemy.orm import InstrumentedAttribute, Mapped, mapped_column

from app.models.base import Base, Id, LongText, Name, at_most, one_of

MAX_RUNS = 500
_ACTS_AS = "the bulk retry "


class BulkStatus(StrEnum):
    """Where a bulk retry stands."""

    PROBING = "probing"
    RUNNING = "running"
    STOPPING = "stopping"
    FINISHED = "finished"
    PROBE_FAILED = "probe_failed"
    STOPPED = "stopped"

    @property
    def label(self) -> str:
        return "Probe failed" if self is BulkStatus.PROBE_FAILED else self.value.capitalize()

    @property
    def tone(self) -> str:
        return _BULK_TONES[self]

    @property
    def is_live(self) -> bool:
        """True while there is still something to do."""
        return self in (BulkStatus.PROBING, BulkStatus.RUNNING, BulkStatus.STOPPING)


class ItemStatus(StrEnum):
    """What has become of one run of a bulk retry."""

    WAITING = "waiting"
    STARTED = "started"
    SUCCEEDED = "succeeded"
    FAILED_AGAIN = "failed_again"
    WAITING_MANUAL = "waiting_manual"
    ENDED = "ended"
    SKIPPED = "skipped"

    @property
    def label(self) -> str:
        return _ITEM_LOOKS[self][0]

    @property
    def tone(self) -> str:
        return _ITEM_LOOKS[self][1]


class SkipReason(StrEnum):
    """Why a run of a bulk retry was left alone."""

    NOT_FAILED = "not_failed"
    REPLACED = "replaced"
    STALE = "stale"
    NEEDS_CONFIRMATION = "needs_confirmation"
    IN_ANOTHER = "in_another"
    STOPPED = "stopped"
    PROBE_FAILED = "probe_failed"
    REFUSED = "refused"

    @property
    def label(self) -> str:
        return _SKIP_LABELS[self]


_BULK_TONES = {
    BulkStatus.PROBING: "run",
    BulkStatus.RUNNING: "run",
    BulkStatus.STOPPING: "wait",
    BulkStatus.FINISHED: "ok",
    BulkStatus.PROBE_FAILED: "bad",
    BulkStatus.STOPPED: "idle",
}
_ITEM_LOOKS = {
    ItemStatus.WAITING: ("Waiting", "idle"),
    ItemStatus.STARTED: ("Under way", "run"),
    ItemStatus.SUCCEEDED: ("Succeeded", "ok"),
    ItemStatus.FAILED_AGAIN: ("Failed again", "bad"),
    ItemStatus.WAITING_MANUAL: ("Waiting (manual)", "wait"),
    ItemStatus.ENDED: ("Ended otherwise", "undo"),
    ItemStatus.SKIPPED: ("Skipped", "muted"),
}
_SKIP_LABELS = {
    SkipReason.NOT_FAILED: "No longer failed",
    SkipReason.REPLACED: "Replaced by a newer run",
    SkipReason.STALE: "Overtaken by a later change",
    SkipReason.NEEDS_CONFIRMATION: "Needs confirmation",
    SkipReason.IN_ANOTHER: "In another bulk retry",
    SkipReason.STOPPED: "Stopped before its turn",
    SkipReason.PROBE_FAILED: "The probe failed",
    SkipReason.REFUSED: "Refused",
}
_LIVE = "status IN ('probing', 'running', 'stopping')"
_OPEN_ITEM = "status IN ('waiting', 'started')"


def is_live(status: InstrumentedAttribute[str]) -> ColumnElement[bool]:
    """True for jobs that are not over, spelt with constants: see `models.run.is_moving`."""
    return status.in_([literal_column(f"'{one.value}'") for one in BulkStatus if one.is_live])


def is_open(status: InstrumentedAttribute[str]) -> ColumnElement[bool]:
    """True for runs that wait for their turn in a job, or are under way in it, spelt with constants."""
    return status.in_([literal_column("'waiting'"), literal_column("'started'")])


def is_failed_probe() -> ColumnElement[bool]:
    """True for items that were tried first and failed again, whatever became of their run."""
    failed = BulkRetryItem.failure_class.is_not(None)
    return BulkRetryItem.is_probe & (failed | (BulkRetryItem.status == ItemStatus.FAILED_AGAIN))


def acting_name(bulk_id: int) -> str:
    """How the job is called where it is said who retried a run."""
    return f"{_ACTS_AS}{bulk_id}"


def job_named(name: str | None) -> int | None:
    """The job that a name stands for; None for a person's, or a token's."""
    number = (name or "").removeprefix(_ACTS_AS)
    return int(number) if number != (name or "") and number.isdecimal() else None


class BulkRetry(Base):
    """A job: retry these runs, oldest first, one of each cause as a probe. Its number is its name on timelines."""

    __tablename__ = "bulk_retries"
    __table_args__ = (
        # A form sent twice makes one job.
        UniqueConstraint("token"),
        one_of("status", BulkStatus),
        at_most("reason", 2000),
        CheckConstraint(f"total BETWEEN 1 AND {MAX_RUNS}", name="total"),
        CheckConstraint(f"({_LIVE}) = (finished_at IS NULL)", name="finished_when_over"),
        Index("ix_bulk_retries_live", "id", sqlite_where=text(_LIVE), postgresql_where=text(_LIVE)),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    token: Mapped[str] = mapped_column(String(64))
    name: Mapped[str] = mapped_column(Name)
    reason: Mapped[str] = mapped_column(LongText)
    # How the runs were chosen: the address of the filtered list, or words.
    scope: Mapped[str] = mapped_column(LongText)
    # More runs matched than one job takes.
    left_out: Mapped[bool] = mapped_column(default=False)
    status: Mapped[str] = mapped_column(String(20), default=BulkStatus.PROBING)
    total: Mapped[int]
    created_at: Mapped[datetime]
    created_by: Mapped[str] = mapped_column(Name)
    created_by_id: Mapped[int | None] = mapped_column(Id, ForeignKey("users.id"))
    stopped_by: Mapped[str | None] = mapped_column(Name)
    finished_at: Mapped[datetime | None]
    changed_at: Mapped[datetime]
    # Raised with every visible change: a poll that knows it answers 204.
    revision: Mapped[int] = mapped_column(default=0)


class BulkRetryItem(Base):
    """One run in a bulk retry, at its `position` in the order in which they are retried.

    `cause_class` and `cause_status` are with what it had failed, `failure_class` and `failure_status` with what it
    failed again.
    """

    __tablename__ = "bulk_retry_items"
    __table_args__ = (
        UniqueConstraint("bulk_retry_id", "position"),
        UniqueConstraint("bulk_retry_id", "run_id"),
        one_of("status", ItemStatus),
        one_of("skip_reason", SkipReason),
        CheckConstraint("(status = 'skipped') = (skip_reason IS NOT NULL)", name="skipped_for_a_reason"),
        CheckConstraint(
            "(status IN ('waiting', 'skipped')) = (started_at IS NULL)", name="started_when_retried"
        ),
        # A run is in one job at a time, however many overlap.
        Index(
            "uq_bulk_retry_items_open_run",
            "run_id",
            unique=True,
            sqlite_where=text(_OPEN_ITEM),
            postgresql_where=text(_OPEN_ITEM),
        ),
        # One probe of a cause at a time.
        Index(
            "uq_bulk_retry_items_probe",
            "bulk_retry_id",
            "untried_cause",
            unique=True,
            sqlite_where=text("is_probe AND status = 'started'"),
            postgresql_where=text("is_probe AND status = 'started'"),
        ),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    bulk_retry_id: Mapped[int] = mapped_column(Id, ForeignKey("bulk_retries.id"))
    run_id: Mapped[int] = mapped_column(Id, ForeignKey("runs.id"))
    position: Mapped[int]
    cause_class: Mapped[str | None] = mapped_column(String(30))
    cause_status: Mapped[int | None]
    # What it failed of together with others, as long as none of these has succeeded as their probe.
    untried_cause: Mapped[str | None] = mapped_column(LongText)
    status: Mapped[str] = mapped_column(String(20), default=ItemStatus.WAITING)
    is_probe: Mapped[bool] = mapped_column(default=False)
    skip_reason: Mapped[str | None] = mapped_column(String(30))
    failure_class: Mapped[str | None] = mapped_column(String(30))
    failure_status: Mapped[int | None]
    # What more there is to say of the outcome, as a sentence.
    note: Mapped[str] = mapped_column(LongText, default="")
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
