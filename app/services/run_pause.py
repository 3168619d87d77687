"""Holding runs back, by a person's word or because the database is an older one than the console has seen.

A database that was restored does not know what has been done since it was saved: going on by itself would do it
again.  Every pass of the sweeper leaves its time in the database and, afterwards, in Redis.  A database whose last
pass is earlier than the one that Redis remembers has gone back in time, and its runs wait for a person's word.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.database import changed_one
from app.errors import Conflict, Invalid
from app.models import Duty, EngineState
from app.models.operations import SWEEPING
from app.permissions import SYSTEM, Actor
from app.services import audit

LONGEST_REASON = 500
_ENGINE = audit.Subject("engine", 1, "Runs")
RESTORED = (
    "This database is older than what the console has done: it looks restored from a backup. What ran since is "
    "unknown here."
)


def engine_uid(session: Session) -> str:
    """The name by which the queue service knows this database."""
    return session.scalars(select(EngineState.uid)).one()


def pause(session: Session, actor: Actor, reason: str, *, now: datetime) -> None:
    """Hold runs back: none is begun or gone on with, but those that a worker has in hand come to their next wait.

    `reason` has 1 to LONGEST_REASON characters. Raises Invalid for another, Conflict when runs are held already.
    """
    reason = reason.strip()
    if not reason or len(reason) > LONGEST_REASON:
        raise Invalid.field("reason", f"Say why, in up to {LONGEST_REASON} characters.")
    if not _hold(session, actor.name, reason, now):
        by = session.scalar(select(EngineState.paused_by))
        raise Conflict(f"{by} has paused runs already.")
    audit.record(session, actor, "engine.pause", _ENGINE, now=now, reason=reason)


def resume(session: Session, actor: Actor, *, now: datetime) -> None:
    """Let runs go on; the sweeper finds what is due. Raises Conflict when they are not held.

    From here on the database has a name of its own: what Redis remembers of the one that it was restored from is not
    held against it again.
    """
    freeing = (
        update(EngineState)
        .where(EngineState.id == 1, EngineState.paused_at.is_not(None))
        .values(paused_at=None, paused_by=None, paused_because=None, uid=secrets.token_hex(16))
    )
    if not changed_one(session, freeing):
        raise Conflict("Runs are not paused. Somebody may have resumed them just now.")
    audit.record(session, actor, "engine.resume", _ENGINE, now=now)


def restored_uid(session: Session, remembered: Callable[[str], datetime | None]) -> str | None:
    """The database's uid when it has gone back in time, else None.

    `remembered` gives, by the database's uid, when Redis saw it swept last; None when it does not know.  It is asked
    before the database is, so that a pass which ends meanwhile can only make the database look newer.
    """
    uid = engine_uid(session)
    seen = remembered(uid)
    if seen is None:
        return None
    session.rollback()  # what it knows now, not when the uid was read
    swept = session.scalar(select(Duty.done_at).where(Duty.name == SWEEPING))
    return uid if swept is None or swept < seen else None


def hold_restored(session: Session, uid: str, *, now: datetime) -> bool:
    """Hold runs back because the database called `uid` was restored; False when that is known already."""
    held = _hold(session, SYSTEM.name, RESTORED, now, uid=uid)
    if held:
        audit.record(session, SYSTEM, "engine.pause", _ENGINE, now=now, reason=RESTORED)
    return held


def _hold(session: Session, by: str, why: str, now: datetime, *, uid: str | None = None) -> bool:
    """`uid` holds only the database that is still called so: nobody has resumed it meanwhile."""
    called = [] if uid is None else [EngineState.uid == uid]
    holding = (
        update(EngineState)
        .where(EngineState.id == 1, EngineState.paused_at.is_(None), *called)
        .values(paused_at=now, paused_by=by[:200], paused_because=why)
    )
    return changed_one(session, holding)
