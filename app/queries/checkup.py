"""What an operator asks first when something is wrong: each part looked at, with what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path

from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from app.config.settings import Settings
from app.models import Authenticator, Credential, Duty, EngineState, Role, User, Worker
from app.models.operations import ALIVE_WITHIN, SWEEPING
from app.queries.liveness import COUNTED, adrift
from app.queries.system import failing_duties
from app.queries.workflow_doubts import to_review
from app.queue import QueueProblem

_MIGRATIONS = Path(__file__).resolve().parents[2] / "migrations"


@dataclass(frozen=True, slots=True)
class PartHealth:
    """One part: how it is, and, when that is not well, what to do."""

    part: str
    ok: bool
    message: str


def checkup(
    session: Session,
    settings: Settings,
    *,
    key_ids: list[str],
    queue_problem: Callable[[], QueueProblem | None],
    now: datetime,
) -> list[PartHealth]:
    """Look at every part. Never raises for a part that is broken: that is what is found."""
    findings = [_settings(settings)]
    try:
        findings += _database(session, settings, key_ids, now)
    except SQLAlchemyError as error:
        session.rollback()
        away = f"It cannot be used ({type(error).__name__}). Check DATABASE_URL and that the server runs."
        findings.append(PartHealth("database", False, away))
    findings.append(_alerts(settings))
    problem = queue_problem()
    message = f"It {problem.what}. {problem.todo}" if problem else "It answers and takes run numbers."
    return [*findings, PartHealth("redis", problem is None, message)]


def is_migrated(connection: Connection) -> bool:
    """Whether the tables are those of this version."""
    return set(MigrationContext.configure(connection).get_current_heads()) == _wanted_heads()


def is_current(revisions: Iterable[str]) -> bool:
    """Whether these revisions, as the database names its own, are those of this version."""
    return set(revisions) == _wanted_heads()


@lru_cache(maxsize=1)
def _wanted_heads() -> frozenset[str]:
    return frozenset(ScriptDirectory(str(_MIGRATIONS)).get_heads())


def _settings(settings: Settings) -> PartHealth:
    parts = [f"{settings.app_env}, {len(settings.credential_keys)} credential key(s)"]
    if not settings.is_production:
        parts.append("set APP_ENV=production for real use")
    return PartHealth("settings", True, "; ".join(parts) + ".")


def _alerts(settings: Settings) -> PartHealth:
    ways = [
        name
        for name, is_set in (("mail", settings.smtp_url), ("webhook", settings.alert_webhook_url))
        if is_set
    ]
    if ways:
        return PartHealth(
            "alerts", True, f"They go out by {' and '.join(ways)}. Try: Send a test alert, on System health."
        )
    return PartHealth(
        "alerts", True, "They stay in the console: neither SMTP_URL nor ALERT_WEBHOOK_URL is set."
    )


def _database(
    session: Session, settings: Settings, key_ids: list[str], now: datetime
) -> Iterator[PartHealth]:
    connection = session.connection()
    yield PartHealth("database", True, f"It answers ({connection.dialect.name}).")
    if not is_migrated(connection):
        behind = "The tables are not those of this version. Run: flask --app wsgi db upgrade"
        yield PartHealth("migrations", False, behind)
        return
    yield PartHealth("migrations", True, "The tables are those of this version.")
    yield _keys(session, key_ids)
    yield _administrators(session)
    yield _workflows(session)
    yield _engine(session, settings, now)
    yield _alive("workers", session.scalar(select(func.max(Worker.seen_at))), now, "python -m app.workers")
    yield _sweeper(session, now)


def _keys(session: Session, key_ids: list[str]) -> PartHealth:
    used = [
        row
        for sealed in (Credential.key_id, Authenticator.key_id)
        for row in session.execute(select(sealed, func.count()).group_by(sealed))
    ]
    lost = sum(count for one, count in used if one not in key_ids)
    older = sum(count for one, count in used if one in key_ids[1:])
    if lost:
        return PartHealth(
            "keys",
            False,
            f"{lost} credential(s) were sealed by a key that is not in CREDENTIAL_KEYS. Put the key back, or "
            "replace these credentials, and reset one-time codes that no key opens.",
        )
    if older:
        rotate = "Run: flask --app wsgi credentials rotate"
        return PartHealth("keys", True, f"{older} credential(s) are still under an older key. {rotate}")
    return PartHealth("keys", True, "Every credential can be read.")


def _administrators(session: Session) -> PartHealth:
    statement = (
        select(User.id)
        .join(Role, Role.id == User.role_id)
        .where(Role.kind == "admin", User.is_active)
        .limit(1)
    )
    if session.scalar(statement) is None:
        return PartHealth("administrators", False, "There is none. Run: flask --app wsgi admin create EMAIL")
    return PartHealth("administrators", True, "There is at least one.")


def _workflows(session: Session) -> PartHealth:
    marked = to_review(session)
    if not marked:
        return PartHealth("workflows", True, "None is from before steps could say which account they mean.")
    what = f"{marked} from before steps could say which account they mean. Look at them: /workflows/review"
    return PartHealth("workflows", True, what)


def _engine(session: Session, settings: Settings, now: datetime) -> PartHealth:
    state = session.scalars(select(EngineState)).one()
    if state.paused_at is None:
        return _runs(session, settings, now)
    since = f"{state.paused_at:%Y-%m-%d %H:%M} UTC"
    held = f"{state.paused_by} paused them on {since}: {state.paused_because}"
    return PartHealth("runs", False, f"{held} Then run: flask --app wsgi engine resume")


def _runs(session: Session, settings: Settings, now: datetime) -> PartHealth:
    still = adrift(session, now=now, settings=settings)
    if not still:
        return PartHealth("runs", True, "They are not paused, and none stands still.")
    more = " or more" if len(still) == COUNTED else ""
    count = "1 run stands" if len(still) == 1 else f"{len(still)}{more} runs stand"
    what = f"{count} still, run {still[0].run_id} among them: {still[0].why}."
    todo = "See that workers and sweeper are at work, restart them, and cancel and replay what then still stands."
    return PartHealth("runs", False, f"{what} {todo}")


def _sweeper(session: Session, now: datetime) -> PartHealth:
    swept = session.scalar(select(Duty.done_at).where(Duty.name == SWEEPING))
    found = _alive("sweeper", swept, now, "python -m app.workers.sweeper")
    failing = [
        f"It could not {one.name} since {one.since:%Y-%m-%d %H:%M} UTC." for one in failing_duties(session)
    ]
    if not found.ok or not failing:
        return found
    return PartHealth("sweeper", False, f"{' '.join(failing)} Its log says why (sweep.duty_failed).")


def _alive(part: str, seen_at: datetime | None, now: datetime, command: str) -> PartHealth:
    if seen_at is None:
        return PartHealth(part, False, f"None has ever been seen. Start one: {command}")
    if now - seen_at > ALIVE_WITHIN:
        return PartHealth(part, False, f"Last seen {seen_at:%Y-%m-%d %H:%M:%S} UTC. Start one: {command}")
    return PartHealth(part, True, f"Seen {max(0, int((now - seen_at).total_seconds()))} s ago.")
