"""How the console's own parts are, as the database knows it: who works, what waits, what was tried lately.

Nothing here counts history: open runs are found by partial indexes, the rest is looked at newest first and no
further than a fixed number of rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, Select, String, column, exists, func, literal_column, or_, select, table
from sqlalchemy.orm import Session

from app.config.settings import Settings
from app.domain.states import RunStatus
from app.models import Attempt, Duty, EngineState, FailingDuty, Run, Worker
from app.models.operations import ALIVE_WITHIN, SWEEPING
from app.models.run import is_moving
from app.permissions import Actor, may
from app.queries.liveness import count_adrift, is_first, is_overdue
from app.queries.run_filters import RunFilters, narrowed

# Nobody needs to know how many more than this.
ENOUGH = 200
MANY = 1000
LATELY = timedelta(hours=1)
# The newest tries that are looked at for what happened lately.
NEWEST_ATTEMPTS = 2000
SHOWN_WORKERS = 50
# A worker that is silent for longer is gone for good: a restarted one comes back under another name.
SHOWN_FOR = timedelta(hours=1)
# A lease that ended this long ago should have been found by the sweeper.
LAPSED = timedelta(seconds=10)

# Both conditions: the planner must see the one of the partial index on runs that ended or wait.
_UNUSUAL = Run.status.not_in([literal_column(f"'{one}'") for one in ("queued", "running", "succeeded")])


@dataclass(frozen=True, slots=True)
class Paused:
    """Runs are held back: nothing is begun until somebody resumes them."""

    since: datetime
    by: str
    because: str


@dataclass(frozen=True, slots=True)
class SystemFacts:
    """Counts go up to ENOUGH, and one more means "or more". `workers` are those seen lately, newest sign first.

    `last_worker_at` is the newest sign of any known worker; the sweeper forgets workers after a day.
    `running` leaves out runs that wait for a parked connection.  `failed` counts runs that failed
    within the last hour, among the newest failed ones.
    """

    at: datetime
    workers: Sequence[Worker]
    last_worker_at: datetime | None
    swept_at: datetime | None
    queued: int
    oldest_queued_at: datetime | None
    running: int
    failed: int
    paused: Paused | None

    @property
    def alive(self) -> Sequence[Worker]:
        """The workers that have given a sign within 30 s."""
        return [one for one in self.workers if self.at - one.seen_at <= ALIVE_WITHIN]


@dataclass(frozen=True, slots=True)
class Health:
    """What the API tells, `queued` exactly.

    `oldest_queued_seconds` is None while nothing waits, `sweeper_seen_at` before the first sweep.  `failing` is what
    the sweeper could not do, `adrift` counts runs that stand still, up to 200.
    """

    workers: Sequence[Worker]
    queued: int
    oldest_queued_seconds: float | None
    sweeper_seen_at: datetime | None
    failing: Sequence[FailingDuty]
    adrift: int
    paused: Paused | None


@dataclass(frozen=True, slots=True)
class Standstill:
    """Runs are due. `last_worker_at` is the newest sign of a worker, `has_worker` whether that is recent."""

    last_worker_at: datetime | None
    has_worker: bool


@dataclass(frozen=True, slots=True)
class RecentAttempts:
    """Tries of steps that began within the last hour, among the newest: by class, and the durations in ms.

    The class of a try that did not fail is "none".  `is_whole` is False when the hour had more tries.
    """

    by_class: Mapping[str, int]
    durations_ms: Sequence[int]
    is_whole: bool


# Who may see how the system is: who may mend it, and who has to explain a run that waits.
SEES_SYSTEM = ("settings:manage", "workflow:run")


def may_see_system(actor: Actor) -> bool:
    """Whether `actor` may see how the system is."""
    return any(may(actor, one) for one in SEES_SYSTEM)


def system_facts(session: Session, *, now: datetime) -> SystemFacts:
    """What the database knows of workers, sweeper and runs, in six statements."""
    known = session.scalars(select(Worker).order_by(Worker.seen_at.desc()).limit(SHOWN_WORKERS)).all()
    is_queued = Run.status == literal_column("'queued'")
    queued, oldest = session.execute(
        _bounded(select(Run.created_at).where(is_moving(Run.status), is_queued).order_by(Run.due_at))
    ).one()
    is_running = Run.status == literal_column("'running'")
    running, _ = session.execute(
        _bounded(select(Run.created_at).where(is_moving(Run.status), is_running, Run.waits_for_id.is_(None)))
    ).one()
    newest = (
        select(Run.finished_at)
        .where(_UNUSUAL, Run.status == literal_column("'failed'"))
        .order_by(Run.id.desc())
        .limit(ENOUGH + 1)
        .subquery()
    )
    failed = session.scalar(
        select(func.count()).select_from(newest).where(newest.c.finished_at >= now - LATELY)
    )
    return SystemFacts(
        at=now,
        workers=[one for one in known if now - one.seen_at <= SHOWN_FOR],
        last_worker_at=known[0].seen_at if known else None,
        swept_at=session.scalar(select(Duty.done_at).where(Duty.name == SWEEPING)),
        queued=queued,
        oldest_queued_at=oldest,
        running=running,
        failed=failed or 0,
        paused=paused(session),
    )


def health(session: Session, *, now: datetime, settings: Settings) -> Health:
    """What the database knows of workers, sweeper and queue, in six statements."""
    workers = session.scalars(
        select(Worker).where(Worker.seen_at > now - SHOWN_FOR).order_by(Worker.name)
    ).all()
    queued, oldest = session.execute(
        select(func.count(Run.id), func.min(Run.created_at)).where(
            is_moving(Run.status), Run.status == literal_column("'queued'")
        )
    ).one()
    swept = session.scalar(select(Duty.done_at).where(Duty.name == SWEEPING))
    waited = max(0.0, (now - oldest).total_seconds()) if oldest else None
    still = count_adrift(session, now=now, settings=settings)
    return Health(workers, queued, waited, swept, failing_duties(session), still, paused(session))


def failing_duties(session: Session) -> Sequence[FailingDuty]:
    """What the sweeper could not do at its last passes, more than one in a row."""
    found = select(FailingDuty).where(FailingDuty.passes > 1).order_by(FailingDuty.name)
    return session.scalars(found).all()


def paused(session: Session | Connection) -> Paused | None:
    """How runs are held back, None while they go on; one statement."""
    found = session.execute(
        select(EngineState.paused_at, EngineState.paused_by, EngineState.paused_because)
    ).one()
    if found.paused_at is None:
        return None
    return Paused(found.paused_at, found.paused_by or "", found.paused_because or "")


def standstill(connection: Connection, *, now: datetime) -> Standstill | None:
    """Whether runs are due that nobody holds, and whether a worker is there for them; one statement.

    A run that is held on a lease which ended counts too: its holder is gone and no sweeper has noticed.
    """
    is_due = exists().where(is_moving(Run.status), Run.worker.is_(None), Run.due_at <= now)
    is_lost = exists().where(Run.worker.is_not(None), Run.lease_until < now - LAPSED)
    seen = select(func.max(Worker.seen_at)).scalar_subquery()
    waits, seen_at = connection.execute(select(or_(is_due, is_lost), seen)).one()
    if not waits:
        return None
    return Standstill(seen_at, has_worker=seen_at is not None and now - seen_at <= ALIVE_WITHIN)


def overdue_since(connection: Connection, *, now: datetime) -> datetime | None:
    """Since when the run that has waited longest is due, none being in its way; None within a minute."""
    late = select(Run.due_at).where(is_moving(Run.status), is_overdue(Run, now), is_first())
    found: datetime | None = connection.scalar(late.order_by(Run.due_at).limit(1))
    return found


def succeeded_lately(session: Session, *, now: datetime) -> int:
    """How many runs of the last 24 hours have succeeded; more than MANY are counted as one more."""
    succeeded = select(Run.id).where(Run.status == literal_column("'succeeded'"))
    lately = narrowed(session, succeeded, RunFilters(since=now - timedelta(days=1))).limit(MANY + 1)
    return session.scalar(select(func.count()).select_from(lately.subquery())) or 0


def table_revisions(session: Session) -> Sequence[str]:
    """What the database says its tables are, as the migrations write it down."""
    return session.scalars(select(column("version_num", String)).select_from(table("alembic_version"))).all()


def open_runs(session: Session) -> dict[str, int]:
    """How many runs each open status has, exactly: indexes hold these and little else."""
    found = dict.fromkeys((one.value for one in RunStatus if one.is_open), 0)
    moving = select(Run.status, func.count()).where(is_moving(Run.status)).group_by(Run.status)
    found.update((status, count) for status, count in session.execute(moving))
    waiting = select(func.count()).where(_UNUSUAL, Run.status == literal_column("'waiting_manual'"))
    found[RunStatus.WAITING_MANUAL.value] = session.scalar(waiting) or 0
    return found


def recent_attempts(session: Session, *, now: datetime) -> RecentAttempts:
    """The tries of the last hour, of the newest NEWEST_ATTEMPTS by number, in one statement."""
    rows = session.execute(
        select(Attempt.started_at, Attempt.failure_class, Attempt.duration_ms)
        .order_by(Attempt.id.desc())
        .limit(NEWEST_ATTEMPTS)
    ).all()
    since = now - LATELY
    lately = [row for row in rows if row.started_at >= since]
    by_class: dict[str, int] = {}
    for row in lately:
        name = row.failure_class or "none"
        by_class[name] = by_class.get(name, 0) + 1
    durations = [row.duration_ms for row in lately if row.duration_ms is not None]
    return RecentAttempts(by_class, durations, is_whole=len(lately) < NEWEST_ATTEMPTS)


def _bounded(rows: Select[datetime]) -> Select[int, datetime | None]:
    """The number of these rows, up to ENOUGH + 1, with the earliest time among them."""
    found = rows.limit(ENOUGH + 1).subquery()
    return select(func.count(), func.min(found.c.created_at)).select_from(found)
