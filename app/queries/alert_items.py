"""Single records that somebody should know of (tasks assigned or due, access that expires), and the daily digest.

There may be many records and each is told once, so those that were told are left out by the database.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, exists, func, literal_column, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from app.domain.alerts import words as alert_words
from app.domain.alerts.rules import LISTED, AlertKind, AlertText, Audience, Matter, OpenAlert
from app.models import Alert, Application, Grant, ManualTask, Run, User
from app.queries.alert_states import OPERATORS
from app.queries.workflow_versions import step_names

# So many at one look; the next one comes within seconds.
AT_ONCE = 200
SOON = timedelta(hours=4)
# A task that is given less time than this is told of once, when it is assigned.
LONG_ENOUGH = timedelta(hours=8)
EXPIRES_WITHIN = timedelta(days=14)

# In UTC, as all times of the console.
DIGEST_HOUR = 7
DAY = timedelta(days=1)
_TROUBLE = (
    AlertKind.FAILURES,
    AlertKind.REVOKE_FAILED,
    AlertKind.CONNECTION_PARKED,
    AlertKind.WORKER_LOST,
)
# More than this are counted as "and more": one longer than what a list shows.
_READ_AT_MOST = 20 * LISTED
_DUE = (AlertKind.TASK_DUE_SOON, AlertKind.TASK_OVERDUE)
_pending: ColumnElement[bool] = ManualTask.status == literal_column("'pending'")


def fresh_items(session: Session, *, now: datetime) -> list[Matter]:
    """What has not been told yet, up to AT_ONCE of each kind."""
    return [
        *_assigned(session),
        *_due(
            session, AlertKind.TASK_DUE_SOON, and_(ManualTask.due_at > now, ManualTask.due_at <= now + SOON)
        ),
        *_due(session, AlertKind.TASK_OVERDUE, ManualTask.due_at <= now),
        *_expiring(session, now),
    ]


def items_over(session: Session, *, now: datetime) -> Sequence[int]:
    """Open alerts about single records for which what was told no longer holds."""
    task = exists().where(
        ManualTask.id == Alert.about_id,
        _pending,
        ManualTask.assignee_user_id.is_not_distinct_from(Alert.user_id),
        ManualTask.assignee_group_id.is_not_distinct_from(Alert.group_id),
        or_(Alert.about_at.is_(None), ManualTask.due_at == Alert.about_at),
        or_(Alert.kind != AlertKind.TASK_DUE_SOON, ManualTask.due_at > now),
    )
    grant = exists().where(
        Grant.id == Alert.about_id,
        Grant.is_active,
        Grant.expires_at == Alert.about_at,
        Grant.expires_at > now,
    )
    return session.scalars(
        select(Alert.id)
        .where(
            Alert.closed_at.is_(None),
            or_(
                and_(Alert.kind.in_((AlertKind.TASK_ASSIGNED, *_DUE)), ~task),
                and_(Alert.kind == AlertKind.GRANT_EXPIRES, ~grant),
            ),
        )
        .limit(AT_ONCE)
    ).all()


def _is_told(kind: AlertKind, about_id: InstrumentedAttribute[int]) -> ColumnElement[bool]:
    return exists().where(Alert.kind == kind, Alert.about_id == about_id, Alert.closed_at.is_(None))


def _assigned(session: Session) -> Iterable[Matter]:
    is_somebodys = or_(ManualTask.assignee_user_id.is_not(None), ManualTask.assignee_group_id.is_not(None))
    for task, person, application, step, granter in _tasks(session, AlertKind.TASK_ASSIGNED, is_somebodys):
        alert_text = alert_words.task_assigned(
            step=step, application=application, person=_called(person), task_id=task.id, due_at=task.due_at
        )
        yield Matter(
            AlertKind.TASK_ASSIGNED, _subject(task), _asked(task, granter), alert_text, about_id=task.id
        )


def _due(session: Session, kind: AlertKind, when: ColumnElement[bool]) -> Iterable[Matter]:
    for task, person, application, step, granter in _tasks(session, kind, when):
        assert task.due_at is not None
        is_late = kind is AlertKind.TASK_OVERDUE
        alert_text = alert_words.task_due(
            step=step,
            application=application,
            person=_called(person),
            task_id=task.id,
            due_at=task.due_at,
            is_late=is_late,
        )
        yield Matter(
            kind,
            f"{_subject(task)} {task.due_at.isoformat()}",
            _asked(task, granter),
            alert_text,
            about_id=task.id,
            about_at=task.due_at,
            is_told=is_late or task.due_at - task.created_at >= LONG_ENOUGH,
        )


def _tasks(
    session: Session, kind: AlertKind, condition: ColumnElement[bool]
) -> Iterable[tuple[ManualTask, User, str, str, int | None]]:
    """Tasks to tell of, each with its person, application, step and who granted, in two statements."""
    rows = session.execute(
        select(ManualTask, User, Application.name, Run.version_id, Grant.granted_by_id)
        .join(Run, Run.id == ManualTask.run_id)
        .join(Grant, Grant.id == Run.grant_id)
        .join(User, User.id == Run.user_id)
        .join(Application, Application.id == ManualTask.application_id)
        .where(_pending, condition, ~_is_told(kind, ManualTask.id))
        .order_by(ManualTask.id)
        .limit(AT_ONCE)
    ).all()
    names = step_names(session, {row.version_id for row in rows})
    for task, person, application, version_id, granter in rows:
        yield task, person, application, names.get((version_id, task.step_key), task.step_key), granter


def _called(person: User) -> str:
    return alert_words.person(person.first_name, person.last_name, person.id)


def _asked(task: ManualTask, granter: int | None) -> Audience:
    """Those who may act on it; see `queries.task_rules.may_act`."""
    return Audience(
        "workflow:task",
        task.assignee_user_id,
        task.assignee_group_id,
        barred_id=None if task.granter_may_act else granter,
    )


def _subject(task: ManualTask) -> str:
    return f"{task.id} {task.assignee_user_id or '-'} {task.assignee_group_id or '-'}"


def _expiring(session: Session, now: datetime) -> Iterable[Matter]:
    rows = session.execute(
        select(Grant, User, Application.name)
        .join(User, User.id == Grant.user_id)
        .join(Application, Application.id == Grant.application_id)
        .where(
            Grant.is_active,
            Grant.expires_at > now,
            Grant.expires_at <= now + EXPIRES_WITHIN,
            ~_is_told(AlertKind.GRANT_EXPIRES, Grant.id),
        )
        .order_by(Grant.expires_at, Grant.id)
        .limit(AT_ONCE)
    ).all()
    for grant, person, application in rows:
        assert grant.expires_at is not None
        alert_text = alert_words.grant_expires(
            person=_called(person), application=application, grant_id=grant.id, expires_at=grant.expires_at
        )
        yield Matter(
            AlertKind.GRANT_EXPIRES,
            f"{grant.id} {grant.expires_at.isoformat()}",
            Audience("grant:write"),
            alert_text,
            about_id=grant.id,
            about_at=grant.expires_at,
            # Who granted it for a fortnight or less knows, and was not going to forget.
            is_told=grant.expires_at - grant.granted_at > EXPIRES_WITHIN,
        )


def digest(session: Session, known: Sequence[OpenAlert], *, now: datetime) -> list[Matter]:
    """Today's digest from DIGEST_HOUR on. It is read only once: while it is among the `known` alerts it just holds.

    On a day of which there is nothing to tell it is noted, and nobody is told.
    """
    if now.hour < DIGEST_HOUR:
        return []
    day = f"{now.day} {now:%b %Y}"
    if any(one.kind is AlertKind.DIGEST and one.subject == day for one in known):
        return [Matter(AlertKind.DIGEST, day, OPERATORS, AlertText("", (), "/"))]
    since = now - DAY
    failed = _titles(session, Alert.opened_at >= since)
    fixed = _titles(session, and_(Alert.closed_at >= since, Alert.kind != AlertKind.WORKER_LOST))
    still_open = _titles(session, Alert.closed_at.is_(None))
    overdue = session.scalar(
        select(func.count()).where(ManualTask.status == literal_column("'pending'"), ManualTask.due_at < now)
    )
    alert_text = alert_words.digest(
        day=day, failed=failed, fixed=fixed, still_open=still_open, overdue=overdue or 0
    )
    return [
        Matter(
            AlertKind.DIGEST,
            day,
            OPERATORS,
            alert_text,
            is_told=bool(failed or fixed or still_open or overdue),
        )
    ]


def _titles(session: Session, condition: ColumnElement[bool]) -> Sequence[str]:
    statement = (
        select(Alert.title).where(Alert.kind.in_(_TROUBLE), condition).order_by(Alert.id).limit(_READ_AT_MOST)
    )
    return session.scalars(statement).all()
