"""Whether runs are held back, since when, by whom and why."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select
from sqlalchemy.orm import Session

from app.models import EngineState


@dataclass(frozen=True, slots=True)
class Paused:
    """Runs are held back: nothing is begun until somebody resumes them."""

    since: datetime
    by: str
    because: str


def paused(session: Session | Connection) -> Paused | None:
    """How runs are held back, None while they go on; one statement."""
    found = session.execute(
        select(EngineState.paused_at, EngineState.paused_by, EngineState.paused_because)
    ).one()
    if found.paused_at is None:
        return None
    return Paused(found.paused_at, found.paused_by or "", found.paused_because or "")
