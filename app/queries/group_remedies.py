"""What mends a whole group of failures: the remedy of its newest run, by the same rule as on the run's page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select, tuple_
from sqlalchemy.orm import Session

from app.domain.remedies.failure import Failure, Remedy
from app.domain.remedies.links import Where
from app.domain.remedies.remedy import remedy
from app.domain.states import Trigger
from app.domain.steps.base import StepType
from app.domain.steps.registry import Step
from app.models import Connection, ExternalAccount, Run
from app.queries.failures import FailureGroup
from app.queries.remedy_facts import ConnectionFacts, connection_facts
from app.queries.workflow_versions import versions_by_id


@dataclass(frozen=True, slots=True)
class GroupRemedy:
    """What is said and offered about a group, and what its addresses are about."""

    remedy: Remedy
    where: Where


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
