"""Failures that still need somebody, grouped by what they have in common: what Home shows and alerts tell.

A failure is open while its grant's chip says Needs attention, so the one rule of `engine.chips` decides: a run that
was retried, replaced or overtaken is none any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.engine.states import FailureClass, RunStatus, Trigger
from app.models import Application, Connection, Grant, Run, WorkflowVersion
from app.models.grant import needs_attention

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

    `spike_at`: half of them happened since.  `retryable` counts those that Retry takes; the others were
    compensated, and `revokes` those that were to take access away.  `connection` is "" where the step has none,
    or it is gone.
    """

    cause: Cause
    application: str
    connection: str
    step_name: str
    first_at: datetime
    last_at: datetime
    spike_at: datetime
    runs: int
    retryable: int
    revokes: int
    people: int
    newest_run_id: int


@dataclass(frozen=True, slots=True)
class Failures:
    """`groups` has the newest spike first. `is_whole` is False when there were more than LOOKED_AT failures."""

    groups: Sequence[FailureGroup]
    is_whole: bool

    @property
    def runs(self) -> int:
        return sum(one.runs for one in self.groups)


def failure_groups(session: Session) -> Failures:
    """The open failures by cause, in at most four statements whatever their number and the history's."""
    newest = (
        select(Grant.newest_run_id)
        .where(needs_attention(), Grant.newest_run_id.is_not(None))
        .order_by(Grant.newest_run_id.desc())
        .limit(LOOKED_AT + 1)
        .subquery()
    )
    found = session.execute(
        select(
            Run.id,
            Run.application_id,
            Run.failure_connection_id,
            Run.failure_step,
            Run.failure_class,
            Run.failure_status,
            Run.user_id,
            Run.version_id,
            Run.status,
            Run.trigger,
            Run.finished_at,
        )
        .join(newest, Run.id == newest.c.newest_run_id)
        .order_by(Run.id)
    )
    rows: list[Any] = list(found)
    is_whole = len(rows) <= LOOKED_AT
    by_cause: dict[Cause, list[Any]] = {}
    for row in rows[-LOOKED_AT:]:
        by_cause.setdefault(_cause(row), []).append(row)
    groups = _described(session, by_cause)
    return Failures(sorted(groups, key=lambda one: (one.spike_at, one.runs), reverse=True), is_whole)


def _cause(row: Any) -> Cause:
    failure = FailureClass(row.failure_class) if row.failure_class else None
    return Cause(row.application_id, row.failure_connection_id, row.failure_step, failure, row.failure_status)


def _described(session: Session, by_cause: Mapping[Cause, Sequence[Any]]) -> list[FailureGroup]:
    if not by_cause:
        return []
    applications = _names(session, Application, {one.application_id for one in by_cause})
    connections = _names(session, Connection, {one.connection_id for one in by_cause})
    steps = _step_names(session, {rows[-1].version_id for rows in by_cause.values()})
    return [
        _group(
            cause,
            rows,
            applications[cause.application_id],
            connections.get(cause.connection_id, ""),
            steps.get((rows[-1].version_id, cause.step), cause.step or ""),
        )
        for cause, rows in by_cause.items()
    ]


def _group(cause: Cause, rows: Sequence[Any], application: str, connection: str, step: str) -> FailureGroup:
    times = sorted(row.finished_at for row in rows)
    return FailureGroup(
        cause=cause,
        application=application,
        connection=connection,
        step_name=step,
        first_at=times[0],
        last_at=times[-1],
        spike_at=times[len(times) // 2],
        runs=len(rows),
        retryable=sum(row.status == RunStatus.FAILED for row in rows),
        revokes=sum(row.trigger == Trigger.ACCESS_REVOKED for row in rows),
        people=len({row.user_id for row in rows}),
        newest_run_id=rows[-1].id,
    )


def _names(
    session: Session, of: type[Application | Connection], ids: Iterable[int | None]
) -> dict[int | None, str]:
    wanted = [one for one in ids if one is not None]
    if not wanted:
        return {}
    return {row.id: row.name for row in session.execute(select(of.id, of.name).where(of.id.in_(wanted)))}


def _step_names(session: Session, version_ids: Iterable[int]) -> dict[tuple[int, str | None], str]:
    versions = session.execute(
        select(WorkflowVersion.id, WorkflowVersion.steps).where(WorkflowVersion.id.in_(sorted(version_ids)))
    )
    return {
        (version_id, str(step["key"])): str(step.get("name") or step["key"])
        for version_id, steps in versions
        for step in steps
    }
