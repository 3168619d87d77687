"""Failures that still need somebody, grouped by what they have in common: what Home shows and alerts tell.

A failure is open while its grant's chip says Needs attention, so the one rule of `engine.chips` decides: a run that
was retried, replaced or superseded is none any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import case, distinct, func, select
from sqlalchemy.orm import Session

from app.domain.states import FailureClass, RunStatus, Trigger
from app.models import Application, Connection, Grant, Run
from app.models.grant import needs_attention
from app.queries.workflow_versions import step_names

# Of more open failures than this only the newest are looked at: two hundred times what a screen holds.
LOOKED_AT = 5000


@dataclass(frozen=True, slots=True)
class Cause:
    """What failures of one group have in common. `failure` is None where a person failed the run.

    `key` names the cause for as long as it lasts: what an alert is opened and closed under.
    """

    application_id: int
    connection_id: int | None
    step: str | None
    failure: FailureClass | None
    status: int | None

    @property
    def key(self) -> str:
        parts = (self.application_id, self.connection_id, self.failure, self.status, self.step)
        return ".".join("-" if one is None else str(one) for one in parts)


@dataclass(frozen=True, slots=True)
class FailureGroup:
    """Open failures with one cause. The times are those of the first and the last failure.

    `retryable` counts those that Retry takes; the others were compensated, and `revokes` those that were to take
    access away.  `connection` is "" where the step has none, or it is gone.
    """

    cause: Cause
    application: str
    connection: str
    step_name: str
    first_at: datetime
    last_at: datetime
    runs: int
    retryable: int
    revokes: int
    people: int
    newest_run_id: int


@dataclass(frozen=True, slots=True)
class Failures:
    """`groups` has the newest spike first. `is_whole` is False when LOOKED_AT failures were reached."""

    groups: Sequence[FailureGroup]
    is_whole: bool

    @property
    def runs(self) -> int:
        return sum(one.runs for one in self.groups)


def failure_groups(session: Session) -> Failures:
    """The open failures by cause, in at most four statements whatever their number and the history's.

    A spike is newer the newer its runs are on the average: one straggler makes no old trouble new.
    """
    newest = (
        select(Grant.newest_run_id)
        .where(needs_attention(), Grant.newest_run_id.is_not(None))
        .order_by(Grant.newest_run_id.desc())
        .limit(LOOKED_AT)
        .subquery()
    )
    causes = (
        select(
            *_CAUSE,
            func.count().label("runs"),
            func.count(case((Run.status == RunStatus.FAILED, 1))).label("retryable"),
            func.count(case((Run.trigger == Trigger.ACCESS_REVOKED, 1))).label("revokes"),
            func.count(distinct(Run.user_id)).label("people"),
            func.min(Run.finished_at).label("first_at"),
            func.max(Run.finished_at).label("last_at"),
            func.max(Run.id).label("newest_run_id"),
            func.avg(Run.id).label("age"),
        )
        .join(newest, Run.id == newest.c.newest_run_id)
        .group_by(*_CAUSE)
        .subquery()
    )
    rows = session.execute(
        select(causes, Run.version_id)
        .join(Run, Run.id == causes.c.newest_run_id)
        .order_by(causes.c.age.desc(), causes.c.runs.desc())
    ).all()
    groups = _described(session, rows)
    return Failures(groups, is_whole=sum(one.runs for one in groups) < LOOKED_AT)


_CAUSE = (
    Run.application_id,
    Run.failure_connection_id,
    Run.failure_step,
    Run.failure_class,
    Run.failure_status,
)


def _described(session: Session, rows: Sequence[Any]) -> list[FailureGroup]:
    if not rows:
        return []
    applications = _names(session, Application, {row.application_id for row in rows})
    connections = _names(session, Connection, {row.failure_connection_id for row in rows})
    steps = step_names(session, {row.version_id for row in rows})
    return [
        FailureGroup(
            cause=_cause(row),
            application=applications[row.application_id],
            connection=connections.get(row.failure_connection_id, ""),
            step_name=steps.get((row.version_id, row.failure_step), row.failure_step or ""),
            first_at=row.first_at,
            last_at=row.last_at,
            runs=row.runs,
            retryable=row.retryable,
            revokes=row.revokes,
            people=row.people,
            newest_run_id=row.newest_run_id,
        )
        for row in rows
    ]


def _cause(row: Any) -> Cause:
    failure = FailureClass(row.failure_class) if row.failure_class else None
    return Cause(row.application_id, row.failure_connection_id, row.failure_step, failure, row.failure_status)


def _names(
    session: Session, of: type[Application | Connection], ids: Iterable[int | None]
) -> dict[int | None, str]:
    wanted = [one for one in ids if one is not None]
    if not wanted:
        return {}
    return {row.id: row.name for row in session.execute(select(of.id, of.name).where(of.id.in_(wanted)))}
