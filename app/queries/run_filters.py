"""Which runs a list shows, as conditions that the indexes of `runs` answer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    and_,
    case,
    cast,
    false,
    func,
    literal_column,
    or_,
    select,
    true,
)
from sqlalchemy.orm import Session, aliased

from app.domain.states import FailureClass, RunStatus, Trigger
from app.models import Application, Grant, Run, User, Workflow
from app.models.grant import needs_attention
from app.models.run import is_moving
from app.queries.paging import few, fitting
from app.queries.people import person_matches
from app.schemas.kinds import record_id

_MOVING = frozenset({RunStatus.QUEUED, RunStatus.RUNNING})
_UNUSUAL = frozenset(RunStatus) - _MOVING - {RunStatus.SUCCEEDED}

# What people look for by one word: the page's shortcuts. "attention" is no status, but that a failure is still open.
ATTENTION = "attention"
PARKED = "waiting_connection"
STATUS_GROUPS: dict[str, frozenset[RunStatus]] = {
    "moving": frozenset({RunStatus.QUEUED, RunStatus.RUNNING}),
}


@dataclass(frozen=True, slots=True)
class RunFilters:
    """What a list of runs is narrowed to; what is left out does not narrow it.

    `text` is looked for in the names of person and application, or is a run's number.  `person` is looked for
    in the person's name, email, username and employee id alone.  `since` and `until` bound its creation.
    `open_failures` leaves runs whose failure is still open: what `queries.failures` groups; with the facts
    that follow, those of one group.  `by_person`: a person failed the run, and no call did.  `parked`: it waits for
    a connection that is parked.
    """

    statuses: frozenset[RunStatus] = frozenset()
    application_id: int | None = None
    user_id: int | None = None
    grant_id: int | None = None
    workflow_id: int | None = None
    trigger: Trigger | None = None
    failure_class: FailureClass | None = None
    open_failures: bool = False
    failure_step: str | None = None
    failure_status: int | None = None
    connection_id: int | None = None
    by_person: bool = False
    parked: bool = False
    text: str = ""
    person: str = ""
    since: datetime | None = None
    until: datetime | None = None


def narrowed(session: Session, statement: Select[Any], filters: RunFilters) -> Select[Any]:
    """`statement` over runs, narrowed by `filters`."""
    conditions: list[ColumnElement[bool]] = []
    if filters.statuses:
        conditions.append(in_statuses(filters.statuses))
    for column, value in (
        (Run.application_id, filters.application_id),
        (Run.user_id, filters.user_id),
        (Run.grant_id, filters.grant_id),
    ):
        if value is not None:
            conditions.append(column == fitting(value))
    if filters.workflow_id is not None:
        # Runs are indexed by application, and a workflow's runs are all of its own.
        wanted = fitting(filters.workflow_id)
        owner = select(Workflow.application_id).where(Workflow.id == wanted).scalar_subquery()
        conditions += [Run.workflow_id == wanted, Run.application_id == owner]
    if filters.trigger is not None:
        conditions.append(Run.trigger == filters.trigger)
    if filters.failure_class is not None:
        conditions.append(Run.failure_class == filters.failure_class)
    conditions += _failed_so(filters)
    if filters.parked:
        conditions.append(Run.waits_for_id.is_not(None))
    if filters.person:
        conditions.append(_among(session, Run.user_id, select(User.id).where(person_matches(filters.person))))
    if filters.text:
        conditions.append(_mentions(session, filters.text))
    if filters.open_failures:
        # As a join, the few grants lead to their runs, and in the list's order.
        troubled = aliased(Grant)
        statement = statement.join(
            troubled, and_(troubled.newest_run_id == Run.id, needs_attention(troubled))
        )
    return statement.where(*conditions, *_created_between(filters.since, filters.until))


def _failed_so(filters: RunFilters) -> list[ColumnElement[bool]]:
    """How the runs failed, beyond the class."""
    conditions: list[ColumnElement[bool]] = []
    if filters.failure_step is not None:
        conditions.append(Run.failure_step == filters.failure_step)
    if filters.failure_status is not None:
        conditions.append(Run.failure_status == filters.failure_status)
    if filters.connection_id is not None:
        conditions.append(Run.failure_connection_id == fitting(filters.connection_id))
    if filters.by_person:
        conditions += [Run.failure_class.is_(None), Run.failure_step.is_not(None)]
    return conditions


def in_statuses(statuses: Iterable[RunStatus]) -> ColumnElement[bool]:
    """True for runs in one of `statuses`, spelt with constants.

    The condition of the partial index that answers is written out beside it where one does: PostgreSQL can
    infer it, SQLite needs to read it.
    """
    wanted = frozenset(statuses)
    exact = Run.status.in_([literal_column(f"'{one.value}'") for one in sorted(wanted)])
    if wanted <= _MOVING:
        return and_(is_moving(Run.status), exact)
    if wanted <= _UNUSUAL:
        usual: list[ColumnElement[str]] = [
            literal_column(f"'{one}'") for one in ("queued", "running", "succeeded")
        ]
        return and_(Run.status.not_in(usual), exact)
    return exact


def _mentions(session: Session, text: str) -> ColumnElement[bool]:
    number = record_id(text.removeprefix("#"))
    found = [
        _among(session, Run.user_id, select(User.id).where(person_matches(text))),
        _among(
            session,
            Run.application_id,
            select(Application.id).where(Application.name.icontains(text, autoescape=True)),
        ),
    ]
    if number is not None:
        found.append(Run.id == number)
    return or_(*found)


def _among(session: Session, column: Any, matches: Select[int]) -> ColumnElement[bool]:
    """`column` is one of `matches`."""
    ids = few(session, matches)
    if ids is not None and not ids:
        return false()
    found: ColumnElement[bool] = column.in_(matches if ids is None else ids)
    return found


def _created_between(since: datetime | None, until: datetime | None) -> list[ColumnElement[bool]]:
    """Bounds of time turned into bounds of number, since runs are numbered as they are created.

    There is no index on the time: a walk from the newest run on would read the whole history to learn that
    nothing more is young enough.
    """
    bounds: list[ColumnElement[bool]] = []
    if since is not None:
        bounds += [Run.id >= _first_created_at(since), Run.created_at >= since]
    if until is not None:
        bounds += [Run.id < _first_created_at(until), Run.created_at < until]
    return bounds


def _first_created_at(moment: datetime) -> ColumnElement[int]:
    """The number from which on runs were created at `moment` or later, by halving the range of numbers."""
    probe = aliased(Run)
    ends = (
        select(
            cast(literal_column("0"), BigInteger).label("low"),
            (func.coalesce(func.max(Run.id), literal_column("0", BigInteger)) + 1).label("high"),
        )
        .correlate(None)
        .cte(recursive=True)
    )
    middle = (ends.c.low + ends.c.high) // literal_column("2", BigInteger)
    # The run at the middle, or the next one where numbers were left out.
    created = select(probe.created_at).where(probe.id >= middle).order_by(probe.id).limit(1).scalar_subquery()
    younger = func.coalesce(created >= moment, true())
    halves = select(
        case((younger, ends.c.low), else_=middle + 1),
        case((younger, middle), else_=ends.c.high),
    ).where(ends.c.low < ends.c.high)
    ends = ends.union_all(halves)
    found: ColumnElement[int] = select(func.max(ends.c.low)).scalar_subquery()
    return found
