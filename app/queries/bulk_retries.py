"""Bulk retries: which runs one would take, and the jobs as lists, pages and the API show them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from app.domain.runs.breaker import BreakerState
from app.domain.states import RunStatus
from app.domain.steps.registry import Step
from app.errors import Invalid
from app.models import (
    Application,
    BulkRetry,
    BulkRetryItem,
    BulkStatus,
    Connection,
    ConnectionBreaker,
    Duty,
    ItemStatus,
    Run,
    SkipReason,
    User,
)
from app.models.bulk_retry import MAX_RUNS, is_failed_probe, is_live, is_open
from app.models.operations import SWEEPING
from app.models.user import person_name
from app.queries.paging import page_by_number
from app.queries.run_filters import RunFilters, narrowed
from app.queries.run_rules import retry_refusal, stands
from app.queries.run_words import failure_words
from app.queries.runs import RunRow, run_list, runs_numbered
from app.schemas.kinds import MAX_ID

_OVER = (
    ItemStatus.SUCCEEDED,
    ItemStatus.FAILED_AGAIN,
    ItemStatus.WAITING_MANUAL,
    ItemStatus.ENDED,
    ItemStatus.SKIPPED,
)


@dataclass(frozen=True, slots=True)
class ChosenRuns:
    """The runs that a bulk retry would take, oldest first. `left_out`: more match than one takes."""

    rows: Sequence[RunRow]
    left_out: bool = False


def chosen_by_filter(session: Session, filters: RunFilters) -> ChosenRuns:
    """The failed runs that `filters` leave, the oldest MAX_RUNS of them.

    Raises Invalid for filters that narrow nothing: every failure there ever was is never what is meant.
    """
    if filters == RunFilters():
        raise Invalid.field(
            "filter", "Narrow the runs by a filter first: an empty one would retry every failed run."
        )
    failed = _failed(filters)
    if failed is None:
        return ChosenRuns([])
    rows = run_list(session, failed, limit=MAX_RUNS + 1, after=0)
    return ChosenRuns(rows[:MAX_RUNS], len(rows) > MAX_RUNS)


def chosen_by_number(session: Session, ids: Collection[int]) -> ChosenRuns:
    """The runs with these numbers, whatever has become of them. Raises Invalid for none, or too many."""
    if not ids:
        raise Invalid.field("runs", "Choose at least one failed run.")
    if len(ids) > MAX_RUNS:
        raise Invalid.field("runs", f"At most {MAX_RUNS} runs go into one bulk retry.")
    return ChosenRuns(runs_numbered(session, ids))


def failed_matches(session: Session, filters: RunFilters) -> int:
    """How many failed runs `filters` leave, counted up to MAX_RUNS + 1."""
    failed = _failed(filters)
    if failed is None:
        return 0
    found = narrowed(session, select(Run.id), failed).limit(MAX_RUNS + 1).subquery()
    return session.scalar(select(func.count()).select_from(found)) or 0


def in_live_jobs(session: Session, ids: Collection[int]) -> Mapping[int, int]:
    """Which of these runs wait or are under way in a bulk retry: its number by theirs."""
    statement = select(BulkRetryItem.run_id, BulkRetryItem.bulk_retry_id).where(
        BulkRetryItem.run_id.in_(ids), is_open(BulkRetryItem.status)
    )
    return {row.run_id: row.bulk_retry_id for row in session.execute(statement)}


@dataclass(frozen=True, slots=True)
class ParkedConnection:
    """A connection on which runs that would be retried wait. One that `may_go_on` is tried when a person says so."""

    id: int
    name: str
    may_go_on: bool


def parked_connections(session: Session, runs: Iterable[Run]) -> list[ParkedConnection]:
    """The connections that these runs failed at and that are parked now, in one statement.

    One that has refused the credential may not go on: it would refuse it once more.
    """
    ids = {one.failure_connection_id for one in runs if one.failure_connection_id is not None}
    return _parked(session, ConnectionBreaker.connection_id.in_(ids)) if ids else []


def parked_in(session: Session, bulk_id: int) -> list[ParkedConnection]:
    """The parked connections on which runs of the job wait, or would, in one statement."""
    needed = (
        select(func.coalesce(Run.waits_for_id, Run.failure_connection_id))
        .join(BulkRetryItem, BulkRetryItem.run_id == Run.id)
        .where(BulkRetryItem.bulk_retry_id == bulk_id, is_open(BulkRetryItem.status))
    )
    return _parked(session, ConnectionBreaker.connection_id.in_(needed))


def _parked(session: Session, which: ColumnElement[bool]) -> list[ParkedConnection]:
    rows = session.execute(
        select(Connection.id, Connection.name, ConnectionBreaker.state)
        .join(Connection, Connection.id == ConnectionBreaker.connection_id)
        .where(which, ConnectionBreaker.parked_at.is_not(None))
        .order_by(Connection.id)
    )
    found = [(row.id, row.name, BreakerState(row.state)) for row in rows]
    return [
        ParkedConnection(number, name, state is not BreakerState.REFUSED)
        for number, name, state in found
        if state.is_parked
    ]


@dataclass(frozen=True, slots=True)
class Progress:
    """A job with how many of its runs have come to what. `probes` are those tried first that failed again."""

    bulk: BulkRetry
    counts: Mapping[ItemStatus, int]
    probes: Sequence[BulkRetryItem] = ()

    @property
    def status(self) -> BulkStatus:
        return BulkStatus(self.bulk.status)

    @property
    def done(self) -> int:
        """How many runs have their outcome."""
        return sum(self.counts.get(one, 0) for one in _OVER)

    @property
    def summary(self) -> str:
        """`30 succeeded, 2 failed again, 5 waiting`; in the order in which things go."""
        told = [f"{count:,} {one.label.lower()}" for one in ItemStatus if (count := self.counts.get(one, 0))]
        return ", ".join(told)

    @property
    def ended_because(self) -> str:
        """Why the job ended early, as a sentence; "" when it did not."""
        if self.status is BulkStatus.PROBE_FAILED:
            return self._refused_again()
        if self.bulk.stopped_by is None:
            return ""
        return f"Stopped by {self.bulk.stopped_by}: what was under way finishes, the rest is left alone."

    def _refused_again(self) -> str:
        if not self.probes:
            return ""
        if len(self.probes) > 1:
            tried = f"Of each cause one run was tried, and all {len(self.probes)} failed again"
            return f"{tried}: the others were left alone."
        [item] = self.probes
        before = failure_words(item.cause_class, item.cause_status)
        words = failure_words(item.failure_class, item.failure_status) or item.note.rstrip(".") or "It failed"
        again = "again" if words == before or not before else f"this time, {before} before"
        touched = sum(self.counts.values()) - self.counts.get(ItemStatus.SKIPPED, 0)
        rest = "nothing else was touched" if touched == 1 else "the other runs were left alone"
        return f"{words} {again}: {rest}."


@dataclass(frozen=True, slots=True)
class ItemRow:
    """One run of a job with whose it is. `is_parked`: it waits for its connection, which is parked."""

    item: BulkRetryItem
    person: str
    application: str
    is_parked: bool

    @property
    def status(self) -> ItemStatus:
        return ItemStatus(self.item.status)

    @property
    def cause(self) -> str:
        """With what it had failed when the job was started."""
        return failure_words(self.item.cause_class, self.item.cause_status)

    @property
    def failure(self) -> str:
        """With what it failed again; "" when it did not."""
        return failure_words(self.item.failure_class, self.item.failure_status)


def bulk_list(
    session: Session, *, limit: int, before: int | None = None, after: int | None = None
) -> list[Progress]:
    """Up to `limit` jobs, newest first, in two statements, from a neighbour on (see `queries.paging`)."""
    statement = page_by_number(select(BulkRetry), BulkRetry.id, before, after)
    jobs = session.scalars(statement.limit(limit)).all()
    counts = _counts(session, [one.id for one in jobs])
    return [Progress(one, counts.get(one.id, {})) for one in jobs]


def bulk_progress(session: Session, bulk_id: int) -> Progress | None:
    """The job with that number, in three statements; None when there is none."""
    bulk = session.get(BulkRetry, bulk_id) if 0 < bulk_id <= MAX_ID else None
    if bulk is None:
        return None
    probes = session.scalars(
        select(BulkRetryItem)
        .where(BulkRetryItem.bulk_retry_id == bulk_id, is_failed_probe())
        .order_by(BulkRetryItem.position)
    ).all()
    return Progress(bulk, _counts(session, [bulk_id]).get(bulk_id, {}), probes)


def bulk_items(
    session: Session,
    bulk_id: int,
    *,
    status: ItemStatus | None = None,
    limit: int = MAX_RUNS,
    offset: int = 0,
) -> list[ItemRow]:
    """The runs of a job in their order, in one statement; `status` gives those with that outcome."""
    name = (User.first_name, User.last_name, User.email)
    statement = (
        select(BulkRetryItem, *name, Application.name.label("application"), Run.waits_for_id)
        .join(Run, Run.id == BulkRetryItem.run_id)
        .join(User, User.id == Run.user_id)
        .join(Application, Application.id == Run.application_id)
        .where(BulkRetryItem.bulk_retry_id == bulk_id)
        .order_by(BulkRetryItem.position)
        .limit(limit)
        .offset(offset)
    )
    if status is not None:
        statement = statement.where(BulkRetryItem.status == status)
    return [_item_row(row) for row in session.execute(statement)]


def _failed(filters: RunFilters) -> RunFilters | None:
    """The same filters for failed runs alone; None when they leave those out."""
    if filters.statuses and RunStatus.FAILED not in filters.statuses:
        return None
    return replace(filters, statuses=frozenset({RunStatus.FAILED}))


def _counts(session: Session, bulk_ids: Collection[int]) -> dict[int, dict[ItemStatus, int]]:
    if not bulk_ids:
        return {}
    statement = (
        select(BulkRetryItem.bulk_retry_id, BulkRetryItem.status, func.count())
        .where(BulkRetryItem.bulk_retry_id.in_(bulk_ids))
        .group_by(BulkRetryItem.bulk_retry_id, BulkRetryItem.status)
    )
    found: dict[int, dict[ItemStatus, int]] = {}
    for bulk_id, status, count in session.execute(statement):
        found.setdefault(bulk_id, {})[ItemStatus(status)] = count
    return found


def _item_row(row: Any) -> ItemRow:
    person = person_name(row.first_name, row.last_name, row.email)
    return ItemRow(row.BulkRetryItem, person, row.application, row.waits_for_id is not None)


def last_sweep(session: Session) -> datetime | None:
    """When the sweeper, which brings jobs forward, last finished a pass; None when it never did."""
    return session.scalar(select(Duty.done_at).where(Duty.name == SWEEPING))


@dataclass(frozen=True, slots=True)
class Skip:
    """Why a run is left alone. `note` says more, as a sentence."""

    reason: SkipReason
    note: str


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """What has become of a retried run.

    `passed` says what it proves of the others: True that the failed step works again, False that it does not, and
    None nothing, since the run was superseded or cancelled meanwhile.
    """

    status: ItemStatus
    note: str
    passed: bool | None


def skip_of(run: Run, *, newer: int | None, stale: str | None, step: Step | None) -> Skip | None:
    """Why a bulk retry leaves this run alone, or None.

    `newer` and `stale` are those of `retry_refusal`, `step` is the failed one.
    """
    refused = retry_refusal(run, newer=newer, stale=stale)
    if run.status != RunStatus.FAILED:
        return Skip(SkipReason.NOT_FAILED, f"It is {run.state_in_words}.")
    if refused is not None:
        return Skip(SkipReason.REPLACED if newer is not None else SkipReason.STALE, refused.message)
    if run.outcome_unknown:
        return Skip(
            SkipReason.NEEDS_CONFIRMATION,
            "It is unknown whether the failed call took effect: check in the other system, then retry it by itself.",
        )
    if stands(run, step):
        return Skip(
            SkipReason.NEEDS_CONFIRMATION,
            "The failed call was answered with success, so it was carried out: its page says what to do.",
        )
    return None


def outcome_of(run: Run) -> RunOutcome | None:
    """What has become of a run since a bulk retry retried it; None while it is under way."""
    status = RunStatus(run.status)
    # A retry wipes the story of the failure: one that is there was written since.
    failed_since = run.failure_step is not None
    match status:
        case RunStatus.SUCCEEDED:
            return RunOutcome(ItemStatus.SUCCEEDED, "", True)
        case RunStatus.FAILED:
            return RunOutcome(ItemStatus.FAILED_AGAIN, run.failure_detail or "", False)
        case RunStatus.WAITING_MANUAL:
            asks = (
                "The step failed again and was handed to a person."
                if failed_since
                else "A person is asked next."
            )
            return RunOutcome(ItemStatus.WAITING_MANUAL, asks, not failed_since)
        case RunStatus.COMPENSATED:
            undone = (
                "The step failed again and what was done was undone." if failed_since else "It was undone."
            )
            return RunOutcome(ItemStatus.ENDED, f"Compensated. {undone}", not failed_since)
        case RunStatus.SUPERSEDED | RunStatus.CANCELLED:
            why = run.ended_because or run.cancel_reason or ""
            return RunOutcome(ItemStatus.ENDED, f"{status.label}. {why}".strip(), None)
        case _:
            return None


def in_another(bulk_id: int | None) -> Skip:
    """Why a run is left alone that is in the job `bulk_id`; None is one that has ended at this moment."""
    return Skip(SkipReason.IN_ANOTHER, f"It is in bulk retry {bulk_id}." if bulk_id else "")


def live_jobs(session: Session) -> Sequence[int]:
    """The jobs that are not over, oldest first."""
    return session.scalars(select(BulkRetry.id).where(is_live(BulkRetry.status)).order_by(BulkRetry.id)).all()
