"""Failures that still need somebody, grouped by what they have in common: what Home shows and alerts tell.

A failure is open while its grant's chip says Needs attention, so the one rule of `domain.grants.state` decides: a
run that was retried, replaced or superseded is none any more.  What mends a whole group is the remedy of its newest
run, by the same rule as on the run's page.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import case, distinct, func, select, tuple_
from sqlalchemy.orm import Session

from app.domain.remedies.failure import Failure, Remedy
from app.domain.remedies.links import Where
from app.domain.remedies.remedy import remedy
from app.domain.runs.retry import stands
from app.domain.states import FailureClass, RunStatus, Trigger
from app.domain.steps.base import StepType
from app.domain.steps.registry import Step
from app.models import Application, Connection, ExternalAccount, Grant, Run
from app.models.grant import needs_attention
from app.queries.remedy_facts import ConnectionFacts, connection_facts
from app.queries.workflow_versions import step_names, versions_by_id

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


@dataclass(frozen=True, slots=True)
class GroupRemedy:
    """What is said and offered about a group, and what its addresses are about."""

    remedy: Remedy
    where: Where


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
            cause=cause_of(row),
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


def cause_of(row: Any) -> Cause:
    """The cause that a failed run has by its columns."""
    failure = FailureClass(row.failure_class) if row.failure_class else None
    return Cause(row.application_id, row.failure_connection_id, row.failure_step, failure, row.failure_status)


def _names(
    session: Session, of: type[Application | Connection], ids: Iterable[int | None]
) -> dict[int | None, str]:
    wanted = [one for one in ids if one is not None]
    if not wanted:
        return {}
    return {row.id: row.name for row in session.execute(select(of.id, of.name).where(of.id.in_(wanted)))}


def group_remedies(session: Session, groups: Sequence[FailureGroup]) -> dict[str, GroupRemedy]:
    """The remedy of each group by its cause's key, in four statements; none where a person failed the runs."""
    told = [one for one in groups if one.cause.failure is not None and one.cause.step is not None]
    if not told:
        return {}
    runs = {row.id: row for row in session.execute(_newest_runs([one.newest_run_id for one in told]))}
    connections = connection_facts(
        session, Connection.id.in_([one.cause.connection_id for one in told if one.cause.connection_id])
    )
    versions = versions_by_id(session.connection(), {row.version_id for row in runs.values()})
    captured = _pairs_with_account(session, {(row.user_id, row.application_id) for row in runs.values()})
    return {
        one.cause.key: _remedy(
            one,
            runs[one.newest_run_id],
            versions[runs[one.newest_run_id].version_id].step(one.cause.step),
            connections.get(str(one.cause.connection_id)),
            captured,
        )
        for one in told
    }


def _remedy(
    group: FailureGroup,
    run: Any,
    step: Step | None,
    connection: ConnectionFacts | None,
    captured: set[tuple[int, int]],
) -> GroupRemedy:
    assert group.cause.failure is not None
    call = step.call if step is not None else None
    set_at = connection.credential_set_at if connection else None
    facts = Failure(
        failure=group.cause.failure,
        status=group.cause.status,
        system=group.application,
        step_type=step.type if step is not None else StepType.HTTP,
        trigger=Trigger(run.trigger),
        needs_credential=connection.needs_credential if connection else True,
        credential_set=set_at is not None if connection else True,
        credential_replaced=set_at is not None and set_at > group.last_at,
        retry_on=call is not None and call.retry.is_on,
        attempts_made=run.tries,
        captured_any=(run.user_id, run.application_id) in captured,
        outcome_unknown=run.outcome_unknown,
        stands=stands(step, group.cause.failure, group.cause.status),
        reached_since=connection.reached_since(group.last_at) if connection else None,
        detail=run.failure_detail or "",
    )
    where = Where(
        run_id=run.id,
        grant_id=run.grant_id,
        workflow_id=run.workflow_id,
        step=group.cause.step,
        connection_id=group.cause.connection_id,
    )
    return GroupRemedy(remedy(facts), where)


def _newest_runs(ids: Sequence[int]) -> Any:
    return select(
        Run.id,
        Run.grant_id,
        Run.workflow_id,
        Run.version_id,
        Run.user_id,
        Run.application_id,
        Run.trigger,
        Run.tries,
        Run.outcome_unknown,
        Run.failure_detail,
    ).where(Run.id.in_(ids))


def _pairs_with_account(session: Session, pairs: set[tuple[int, int]]) -> set[tuple[int, int]]:
    found = session.execute(
        select(ExternalAccount.user_id, ExternalAccount.application_id, ExternalAccount.captured).where(
            tuple_(ExternalAccount.user_id, ExternalAccount.application_id).in_(sorted(pairs))
        )
    )
    return {(row.user_id, row.application_id) for row in found if row.captured}
