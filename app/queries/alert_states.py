"""What holds now that people should know of: failures, access that should be gone, lost workers, waiting tasks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import and_, func, literal_column, or_, select
from sqlalchemy.orm import Session

from app.domain.alerts import words as alert_words
from app.domain.alerts.rules import STATES, AlertKind, Audience, Matter, OpenAlert
from app.domain.remedies.failure import Remedy
from app.domain.remedies.remedy import remedy
from app.domain.runs.breaker import BreakerState
from app.domain.states import FailureClass
from app.models import (
    Alert,
    Application,
    Attempt,
    Connection,
    ConnectionBreaker,
    Grant,
    ManualTask,
    Run,
    Worker,
    WorkflowVersion,
)
from app.models.grant import needs_attention
from app.models.operations import ALIVE_WITHIN
from app.queries.failures import FailureGroup, failure_groups
from app.queries.liveness import Adrift
from app.queries.remedy_facts import remedy_facts
from app.queries.run_words import failure_words
from app.queries.system import failing_duties
from app.queries.workflow_versions import read_version

# Who may mend what an alert is about.
OPERATORS = Audience("workflow:run")
# A worker that has been silent for longer, or an outage that was over before then, was told of, or nobody watched.
SILENT_AT_MOST = timedelta(hours=1)


def open_alerts(session: Session) -> list[OpenAlert]:
    """The open alerts of the kinds that are states."""
    rows = session.execute(
        select(Alert.id, Alert.kind, Alert.subject, Alert.level, Alert.gone_since).where(
            Alert.closed_at.is_(None), Alert.kind.in_(STATES)
        )
    )
    return [OpenAlert(one.id, AlertKind(one.kind), one.subject, one.level, one.gone_since) for one in rows]


def states(session: Session, *, now: datetime, adrift: Sequence[Adrift] = ()) -> list[Matter]:
    """Every matter of those kinds that holds now, in a bounded number of statements; `adrift` stand still."""
    return [
        *_failures(session),
        *_revokes(session),
        *_parked(session, now),
        *_workers(session, now),
        *_standstill(session, adrift),
        *_tasks(session),
    ]


def with_remedies(session: Session, matters: Sequence[Matter]) -> list[Matter]:
    """The same, failures with what mends them; for the few that are told of now."""
    return [_with_remedy(session, one) if one.kind is AlertKind.FAILURES else one for one in matters]


def _failures(session: Session) -> Iterable[Matter]:
    """What a person failed on purpose is no news, and failed revokes are told of as what they are."""
    for group in failure_groups(session).groups:
        runs = group.runs - group.revokes
        if runs > 0 and group.cause.failure is not None:
            yield _failure(group, runs, None)


def _failure(group: FailureGroup, runs: int, mend: Remedy | None) -> Matter:
    cause = group.cause
    assert cause.failure is not None
    alert_text = alert_words.failures(
        application=group.application,
        step=group.step_name,
        what=failure_words(cause.failure, cause.status),
        where={
            "application": cause.application_id,
            "status": "attention",
            "class": cause.failure.value,
            "connection": cause.connection_id,
            "step": cause.step,
            "code": cause.status,
        },
        runs=runs,
        people=group.people,
        since=group.first_at,
        remedy=mend,
    )
    return Matter(
        AlertKind.FAILURES,
        cause.key,
        OPERATORS,
        alert_text,
        runs,
        about_id=group.newest_run_id,
        connection_id=cause.connection_id,
    )


def _with_remedy(session: Session, matter: Matter) -> Matter:
    """What the newest run's page says about the failure. Its detail stays there: it may name what was sent."""
    run = session.get_one(Run, matter.about_id)
    attempt = session.scalars(
        select(Attempt)
        .where(
            Attempt.run_id == run.id,
            Attempt.step_key == run.failure_step,
            Attempt.failure_class == run.failure_class,
        )
        .order_by(Attempt.id.desc())
        .limit(1)
    ).one_or_none()
    if attempt is None or attempt.failure_class is None:
        return matter
    step = read_version(session.get_one(WorkflowVersion, run.version_id)).step(attempt.step_key)
    facts = remedy_facts(session, run).failure_of(attempt, step, FailureClass(attempt.failure_class))
    mend = remedy(replace(facts, detail=""))
    lines = (*matter.alert_text.lines, mend.title, mend.why, mend.todo)
    return replace(matter, alert_text=replace(matter.alert_text, lines=lines))


def _revokes(session: Session) -> Iterable[Matter]:
    found = session.execute(
        select(Grant.application_id, Application.name, func.count(Grant.user_id.distinct()))
        .join(Application, Application.id == Grant.application_id)
        .where(needs_attention(), Grant.revoked_at.is_not(None))
        .group_by(Grant.application_id, Application.name)
    )
    for application_id, name, people in found:
        alert_text = alert_words.revoke_failed(application=name, application_id=application_id, people=people)
        yield Matter(AlertKind.REVOKE_FAILED, str(application_id), OPERATORS, alert_text, people)


def _parked(session: Session, now: datetime) -> Iterable[Matter]:
    """Connections that are parked, from the first parking until nothing waits any more: one matter an outage.

    One that was over before anybody looked is a matter for one look, which writes it down.
    """
    found = session.execute(
        select(ConnectionBreaker, Connection.name, Application.name)
        .join(Connection, Connection.id == ConnectionBreaker.connection_id)
        .join(Application, Application.id == ConnectionBreaker.application_id)
        .where(
            or_(
                and_(
                    ConnectionBreaker.state != literal_column("'closed'"),
                    ConnectionBreaker.parked_at.is_not(None),
                ),
                ConnectionBreaker.last_parked_at > now - SILENT_AT_MOST,
            )
        )
    ).all()
    over = [_outage(breaker) for breaker, _, _ in found if breaker.parked_at is None]
    known = select(Alert.subject).where(Alert.kind == AlertKind.CONNECTION_PARKED, Alert.subject.in_(over))
    seen = set(session.scalars(known)) if over else set()
    for breaker, connection, application in found:
        if _outage(breaker) in seen:
            continue
        alert_text = alert_words.connection_parked(
            connection=connection,
            connection_id=breaker.connection_id,
            application=application,
            state=BreakerState(breaker.state),
            by=breaker.parked_by or "",
            until=breaker.until,
            was_parked_at=breaker.last_parked_at if breaker.parked_at is None else None,
        )
        yield Matter(
            AlertKind.CONNECTION_PARKED,
            _outage(breaker),
            OPERATORS,
            alert_text,
            about_id=breaker.connection_id,
        )


def _outage(breaker: ConnectionBreaker) -> str:
    at = breaker.parked_at or breaker.last_parked_at
    return f"{breaker.connection_id} {at.isoformat() if at else ''}"


def _workers(session: Session, now: datetime) -> Iterable[Matter]:
    known = session.scalars(select(Worker).where(Worker.seen_at > now - SILENT_AT_MOST)).all()
    alive = sum(worker.left_at is None and now - worker.seen_at <= ALIVE_WITHIN for worker in known)
    for worker in known:
        if worker.left_at is None and now - worker.seen_at > ALIVE_WITHIN:
            alert_text = alert_words.worker_lost(
                worker.name, seen_at=worker.seen_at, in_flight=worker.in_flight, others=alive
            )
            yield Matter(AlertKind.WORKER_LOST, worker.name, Audience("settings:manage"), alert_text)


def _standstill(session: Session, adrift: Sequence[Adrift]) -> Iterable[Matter]:
    if adrift:
        reasons = Counter(one.why for one in adrift)
        alert_text = alert_words.runs_adrift(reasons, [one.run_id for one in adrift])
        yield Matter(AlertKind.STANDSTILL, "runs", OPERATORS, alert_text, len(adrift))
    for duty in failing_duties(session):
        alert_text = alert_words.duty_failing(duty.name, since=duty.since, problem=duty.problem)
        yield Matter(AlertKind.STANDSTILL, f"duty {duty.name}", Audience("settings:manage"), alert_text)


def _tasks(session: Session) -> Iterable[Matter]:
    found = session.execute(
        select(
            ManualTask.application_id,
            Application.name,
            ManualTask.step_key,
            func.count(),
            func.max(ManualTask.run_id),
        )
        .join(Application, Application.id == ManualTask.application_id)
        .where(
            ManualTask.status == literal_column("'pending'"),
            ManualTask.assignee_user_id.is_(None),
            ManualTask.assignee_group_id.is_(None),
        )
        .group_by(ManualTask.application_id, Application.name, ManualTask.step_key)
    )
    for application_id, name, step, count, run_id in found:
        alert_text = alert_words.tasks_waiting(
            step=step, application=name, application_id=application_id, count=count
        )
        subject = f"{application_id}.{step}"
        yield Matter(
            AlertKind.TASKS_WAITING, subject, Audience("workflow:task"), alert_text, count, about_id=run_id
        )
