"""Runs as lists, pages and the API show them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, and_, select
from sqlalchemy.orm import Session, aliased, defer, joinedload

from app.domain.states import Trigger
from app.domain.workflows.definition import Definition
from app.models import Application, Attempt, Grant, Run, User, Workflow
from app.models.run import replaces
from app.queries.paging import page_by_number
from app.queries.run_facts import active_grants, stale_in
from app.queries.run_filters import STATUS_GROUPS, RunFilters, narrowed
from app.queries.run_words import (
    Actions,
    Allowed,
    RunChip,
    actions,
    failure_words,
    run_chip_of,
    run_label,
)
from app.queries.workflow_versions import ReadVersion, read_version, step_names
from app.schemas.kinds import MAX_ID

__all__ = [
    "STATUS_GROUPS",
    "Actions",
    "Allowed",
    "RunChip",
    "RunDetail",
    "RunFilters",
    "RunRow",
    "actions",
    "every_run",
    "neighbours",
    "run_chip_of",
    "run_detail",
    "run_label",
    "run_list",
    "runs_numbered",
]

EXPORTED_AT_ONCE = 500

_next = aliased(Run)
_replaced_by = select(_next.id).where(replaces(_next, Run)).scalar_subquery()


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run in a list, with person, application and workflow loaded.

    `of` is how many tries the step at hand has in its set, `stale` why the run's intent no longer holds,
    `failed_step` the name of the step that failed, and `replaced_by` the run that a replay of it started.
    """

    run: Run
    of: int | None
    stale: str | None
    failed_step: str | None
    replaced_by: int | None

    @property
    def trigger(self) -> Trigger:
        return Trigger(self.run.trigger)

    @property
    def failure(self) -> str:
        """With what the run failed: `HTTP 404 Not Found`, `No answer in time`; "" when no call failed it."""
        return failure_words(self.run.failure_class, self.run.failure_status)


@dataclass(frozen=True, slots=True)
class RunDetail:
    """A run with person, application, workflow, version and grant loaded, and what else its page tells.

    `version` is what the pinned version says.  `replaced_by` is the run that a replay of it started.
    """

    run: Run
    version: ReadVersion
    of: int | None
    stale: str | None
    latest_version: int
    replaced_by: int | None

    @property
    def definition(self) -> Definition:
        return self.version.definition

    def step_name(self, key: str | None) -> str | None:
        """How the step `key` is called in the run's version."""
        return self.definition.step(key).name if key is not None and key in self.definition else key


def run_list(
    session: Session, filters: RunFilters, *, limit: int, before: int | None = None, after: int | None = None
) -> list[RunRow]:
    """Up to `limit` runs, newest first, in a fixed number of statements, from a neighbour on."""
    statement = page_by_number(narrowed(session, _runs_with_facts(), filters), Run.id, before, after)
    return _rows(session, statement.limit(limit))


def runs_numbered(session: Session, ids: Collection[int]) -> list[RunRow]:
    """The runs with these numbers, oldest first, in a fixed number of statements; unknown numbers give none."""
    return _rows(session, _runs_with_facts().where(Run.id.in_(ids)).order_by(Run.id)) if ids else []


def _rows(session: Session, statement: Select[Any]) -> list[RunRow]:
    rows = session.execute(statement).all()
    names = step_names(session, {row.Run.version_id for row in rows if row.Run.failure_step is not None})
    return [
        RunRow(
            row.Run,
            row.of,
            stale_in(row.Run, row),
            names.get((row.Run.version_id, row.Run.failure_step), row.Run.failure_step),
            row.replaced_by,
        )
        for row in rows
    ]


def every_run(session: Session, filters: RunFilters, told: Callable[[RunRow], str]) -> Iterator[str]:
    """All runs that the filters leave as `told` puts them, newest first, read in pieces.

    No transaction is open while somebody takes what is given, which may be at the speed of a slow line.
    """
    before: int | None = None
    while True:
        rows = run_list(session, filters, limit=EXPORTED_AT_ONCE, before=before)
        lines = [told(one) for one in rows]
        before = rows[-1].run.id if rows else None
        session.rollback()  # and the runs are let go of
        yield from lines
        if len(lines) < EXPORTED_AT_ONCE:
            return


def neighbours(session: Session, filters: RunFilters, run_id: int) -> tuple[int | None, int | None]:
    """The runs above and below `run_id` in the list that the filters leave, whether or not it is on it."""

    def first(statement: Select[int]) -> int | None:
        found: int | None = session.scalar(narrowed(session, statement, filters).limit(1))
        return found

    return (
        first(select(Run.id).where(Run.id > run_id).order_by(Run.id)),
        first(select(Run.id).where(Run.id < run_id).order_by(Run.id.desc())),
    )


def run_detail(session: Session, run_id: int) -> RunDetail | None:
    """The run with that number, in one statement; None when there is none."""
    if not 0 < run_id <= MAX_ID:
        return None
    statement = (
        _runs_with_facts().where(Run.id == run_id).options(joinedload(Run.version), joinedload(Run.grant))
    )
    row = session.execute(statement).one_or_none()
    if row is None:
        return None
    run: Run = row.Run
    return RunDetail(
        run,
        read_version(run.version),
        row.of,
        stale_in(run, row),
        run.workflow.version_number,
        row.replaced_by,
    )


def _runs_with_facts() -> Select[Any]:
    at_hand = and_(Attempt.run_id == Run.id, Attempt.step_key == Run.cursor, Attempt.number == Run.attempt)
    return (
        select(
            Run,
            Attempt.of.label("of"),
            Grant.revoked_at,
            active_grants,
            _replaced_by.label("replaced_by"),
        )
        .join(Grant, Grant.id == Run.grant_id)
        .outerjoin(Attempt, at_hand)
        .options(
            joinedload(Run.user).load_only(User.first_name, User.last_name, User.email).lazyload(User.role),
            joinedload(Run.application).load_only(Application.name),
            joinedload(Run.workflow).load_only(Workflow.name, Workflow.version_number),
            defer(Run.captured),
            defer(Run.attempts_made),
        )
    )
